//! The commands, one file each.
//!
//! To add one: write `cmd/NAME.rs` with `pub struct Args` (`clap::Args`; its doc comment is the help, examples go to
//! `after_help`) and `pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError>`, and add one `mod` line and one
//! line to the table below, in alphabetical order.

use clap::Subcommand;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::table::{Align, pad};

mod add;
mod branch;
mod cache;
mod cat_file;
mod check_attr;
mod check_ignore;
mod checkout;
mod cherry_pick;
mod clone;
mod commit;
mod completions;
mod config;
mod count_objects;
mod diff;
mod drop;
mod du;
mod edit;
mod evict;
pub mod fetch;
mod fsck;
mod gc;
mod hash_object;
mod help;
mod init;
mod inspect;
mod lock;
mod locks;
mod log;
mod login;
mod logout;
mod ls_files;
mod ls_remote;
mod ls_tree;
mod man;
mod merge;
mod mount;
mod mounts;
mod mv;
mod pin;
mod prefetch;
mod pull;
mod push;
mod reflog;
mod release;
mod remote;
mod reset;
mod resolve;
mod restore;
mod rev_parse;
mod revert;
mod rm;
mod serve_drive;
mod show;
mod stash;
mod status;
mod switch;
mod tag;
mod unlock;
mod unmount;
mod version;
mod worktree;

/// Under which heading the overview lists a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Start,
    Change,
    History,
    Branches,
    Share,
    Lock,
    Store,
    Inside,
    Help,
}

impl Group {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Start, "Start"),
        (Self::Change, "Work on files"),
        (Self::History, "See what happened"),
        (Self::Branches, "Branches and history"),
        (Self::Share, "Share"),
        (Self::Lock, "Lock what cannot be merged"),
        (Self::Store, "Care for the repository"),
        (Self::Inside, "Look inside"),
        (Self::Help, "Help"),
    ];
}

/// One line per command: `Variant: module, Group;`. The name that users type is the variant's in kebab-case.
macro_rules! commands {
    ($($variant:ident: $module:ident, $group:ident;)*) => {
        /// A command with its arguments.
        #[derive(Debug, Subcommand)]
        #[allow(clippy::large_enum_variant, reason = "there is one value per run")]
        pub enum Command {
            $($variant($module::Args),)*
        }

        /// Runs it.
        ///
        /// # Errors
        /// What the command fails with.
        pub fn run(command: Command, cx: &Context) -> Result<Exit, CliError> {
            match command {
                $(Command::$variant(args) => $module::run(args, cx),)*
            }
        }

        /// A command line that knows one command only, by the name that users type; `None` if there is no such command.
        #[must_use]
        pub fn with_only(app: clap::Command, typed: &str) -> Option<clap::Command> {
            $(
                if is_called(stringify!($module), typed) {
                    // clap wants names that live as long as the process; it is one, once.
                    let command = clap::Command::new(&*typed.to_owned().leak());
                    return Some(app.subcommand(<$module::Args as clap::Args>::augment_args(command)));
                }
            )*
            None
        }

        const GROUPS: &[(&str, Group)] = &[$((stringify!($module), Group::$group),)*];
    };
}

commands! {
    Add: add, Change;
    Branch: branch, Branches;
    Cache: cache, Share;
    CatFile: cat_file, Inside;
    CheckAttr: check_attr, Inside;
    CheckIgnore: check_ignore, Inside;
    Checkout: checkout, Branches;
    CherryPick: cherry_pick, Branches;
    Clone: clone, Start;
    Commit: commit, Change;
    Completions: completions, Help;
    Config: config, Start;
    CountObjects: count_objects, Store;
    Diff: diff, Change;
    Drop: drop, Share;
    Du: du, Store;
    Edit: edit, Lock;
    Evict: evict, Share;
    Fetch: fetch, Share;
    Fsck: fsck, Store;
    Gc: gc, Store;
    HashObject: hash_object, Inside;
    Help: help, Help;
    Init: init, Start;
    Inspect: inspect, Inside;
    Lock: lock, Lock;
    Locks: locks, Lock;
    Log: log, History;
    Login: login, Share;
    Logout: logout, Share;
    LsFiles: ls_files, Inside;
    LsRemote: ls_remote, Share;
    LsTree: ls_tree, Inside;
    Man: man, Help;
    Merge: merge, Branches;
    Mount: mount, Share;
    Mounts: mounts, Share;
    Mv: mv, Change;
    Pin: pin, Share;
    Prefetch: prefetch, Share;
    Pull: pull, Share;
    Push: push, Share;
    Reflog: reflog, History;
    Release: release, Lock;
    Remote: remote, Share;
    Reset: reset, Branches;
    Resolve: resolve, Branches;
    Restore: restore, Change;
    RevParse: rev_parse, Inside;
    Revert: revert, Branches;
    Rm: rm, Change;
    ServeDrive: serve_drive, Share;
    Show: show, History;
    Stash: stash, Branches;
    Status: status, Change;
    Switch: switch, Branches;
    Tag: tag, Branches;
    Unlock: unlock, Lock;
    Unmount: unmount, Share;
    Version: version, Help;
    Worktree: worktree, Branches;
}

/// Whether the command of a module is the one that was typed: its name has `-` for `_`.
fn is_called(module: &str, typed: &str) -> bool {
    module.len() == typed.len() && module.bytes().zip(typed.bytes()).all(|(m, t)| m == t || (m == b'_' && t == b'-'))
}

/// Whether the name of a branch or tag matches a pattern, in which `*` also matches slashes.
fn glob(pattern: &str, name: &str) -> bool {
    gix_glob::wildmatch(pattern.into(), name.into(), gix_glob::wildmatch::Mode::empty())
}

/// The commands by group, each with the first line of its help.
#[must_use]
pub fn overview(app: &clap::Command) -> String {
    let mut text = String::new();
    for (group, heading) in Group::ALL {
        // A module's name is the command's, with `_` for `-` and perhaps one at the end where it is a keyword.
        let name = |module: &str| module.trim_end_matches('_').replace('_', "-");
        let names: Vec<String> = GROUPS.iter().filter(|(_, of)| *of == group).map(|(module, _)| name(module)).collect();
        let commands = app.get_subcommands().filter(|c| names.iter().any(|n| n == c.get_name()) && !c.is_hide_set());
        let lines: Vec<String> = commands
            .map(|c| format!("  {}  {}\n", pad(c.get_name(), 14, Align::Left), c.get_about().unwrap_or_default()))
            .collect();
        if !lines.is_empty() {
            text.push_str(&format!("{heading}:\n{}\n", lines.concat()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_by_itself_is_what_it_is_among_all() {
        for command in crate::app::command().get_subcommands() {
            let name = command.get_name();
            let alone = with_only(clap::Command::new("dits"), name).unwrap_or_else(|| panic!("{name} is not found"));
            let alone = alone.find_subcommand(name).unwrap();
            let command = command.clone().display_order(0);
            assert_eq!(format!("{alone:?}"), format!("{command:?}"));
        }
        assert!(with_only(clap::Command::new("dits"), "ad").is_none());
    }

    #[test]
    fn every_command_is_in_the_overview_and_has_help() {
        let app = crate::app::command();
        let overview = overview(&app);
        for command in app.get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(overview.contains(&format!("\n  {} ", command.get_name())), "{}", command.get_name());
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
        }
    }
}
