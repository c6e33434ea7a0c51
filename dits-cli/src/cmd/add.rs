//! `dits add`

use std::ffi::OsString;
use std::path::Path;

use dits_core::attributes::ATTRIBUTES_FILE;
use dits_core::ignore::IgnoreLookup;
use dits_core::index::Index;
use dits_core::path::RepoPath;
use dits_core::repo::RepoError;
use dits_core::tree::Tree;
use dits_core::worktree::{AddOptions, AddReport, EntryKind, Everything, Loosen, Skipped, WorkDirs};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locking::unheld;
use crate::output::amounts::Amounts;
use crate::output::json::Bytes;
use crate::output::path::quote_text;
use crate::output::size::plural;
use crate::pathspec::Pathspecs;
use crate::repository::Opened;

/// Stage files for the next commit
///
/// Takes the content of new and changed files into the repository and notes it for the next commit, and notes which
/// files are gone. Content that the repository has already is not stored again. Either everything that is named is
/// staged or nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits add .               everything below the current folder
  dits add -A              everything
  dits add 'shots/*.exr'   what a pattern matches
  dits add -u              only what is tracked already
  dits add -n .            show what would be staged")]
pub struct Args {
    /// Files, folders and patterns (`dits help pathspecs`)
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// Everything in the worktree, also what is gone
    #[arg(short = 'A', long)]
    all: bool,
    /// Only files that are tracked already
    #[arg(short, long, conflicts_with = "all")]
    update: bool,
    /// Change nothing, show what would happen
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Also files that are ignored
    #[arg(short, long)]
    force: bool,
    /// Of files that are not tracked yet, stage only that they are to be added, without their content
    #[arg(short = 'N', long, conflicts_with_all = ["update", "dry_run"])]
    intent_to_add: bool,
}

#[derive(Serialize)]
struct Answer {
    dry_run: bool,
    intent_to_add: bool,
    added: Vec<Bytes>,
    removed: Vec<Bytes>,
    #[serde(flatten)]
    amounts: Amounts,
}

/// Stages.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    if args.paths.is_empty() && !args.all && !args.update {
        return Err(CliError::usage("nothing was named, so nothing was staged")
            .hint("`dits add .` stages everything below the current folder"));
    }
    let opened = cx.open()?;
    opened.repo.worktree()?;
    let specs = opened.select(&args.paths)?;
    let options = AddOptions {
        new_files: !args.update,
        removals: true,
        force: args.force,
        intent: args.intent_to_add,
        dry_run: args.dry_run,
    };
    let progress = cx.progress();
    let plan = opened.repo.plan_add(&specs, options, &progress)?;
    check_used(&specs, plan.index(), args.force, &opened)?;
    let report = plan.run(&progress)?;
    drop(progress);
    warn_skipped(&report.skipped, &opened, cx);
    for path in &report.beside {
        let path = opened.show(path);
        cx.warn(format!(
            "{path} is the other side's version of a file in conflict and was left out; rename it to keep it"
        ));
    }
    // There are no markers in the file that would show it: without a word, their version would be passed over unseen.
    for path in report.decided.iter().filter(|_| !args.dry_run) {
        let path = opened.show(path);
        cx.warn(format!("{path} was in conflict and is decided for the file as it is here"));
    }
    if !args.dry_run {
        heed_locks(&report, &opened, cx)?;
    }
    show(&args, &report, &opened, cx)?;
    Ok(Exit::Ok)
}

/// Files that are not locked are told at once, and rules of locks hold from when they are staged.
fn heed_locks(report: &AddReport, opened: &Opened, cx: &Context) -> Result<(), CliError> {
    let head = opened.repo.head_tree()?;
    let mut staged = Vec::new();
    for path in report.added.iter().chain(&report.removed) {
        let known = head.map(|tree| Tree::at_path(opened.repo.store(), tree, path)).transpose();
        staged.push((path, known.map_err(RepoError::from)?.flatten().is_none()));
    }
    unheld::warn(opened, cx, staged)?;
    let rules = |path: &RepoPath| path.name() == ATTRIBUTES_FILE.as_bytes();
    if report.added.iter().chain(&report.removed).any(rules) {
        opened.repo.protect(&Everything, Loosen::None)?;
    }
    Ok(())
}

/// Every pathspec must be of use. One that selects only what has not changed is, and so is a folder without files.
fn check_used(specs: &Pathspecs, index: &Index, force: bool, opened: &Opened) -> Result<(), CliError> {
    if specs.unused().is_empty() {
        return Ok(());
    }
    index.entries().for_each(|entry| _ = specs.matches(&entry.repo_path(), false));
    let dirs = opened.repo.work_dirs()?;
    let rules = IgnoreLookup::new(&dirs, opened.repo.ignore_rules()?);
    let (mut ignored, mut folders) = (Vec::new(), Vec::new());
    for (given, path) in specs.unused_names() {
        if let Some(error) = out_of_reach(given, &path, &dirs)? {
            return Err(error);
        }
        let Some(meta) = dirs.stat(&path)? else {
            return Err(CliError::new(Exit::Difference, format!("there is no file `{given}`")));
        };
        if let Some(rule) =
            rules.matched(&path, meta.is_dir()).map_err(RepoError::from)?.filter(|rule| !rule.negated && !force)
        {
            ignored.push((path, rule));
        } else if meta.is_dir() {
            folders.push(path);
        }
    }
    if let Some((path, rule)) = ignored.first() {
        let file = rule.source.display();
        let (path, more) = (opened.show(path), ignored.len() - 1);
        let and_more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        return Err(CliError::usage(format!("{path} is ignored{and_more}, so nothing was staged"))
            .hint(format!("line {} of {file} says so: {}", rule.line, rule.pattern))
            .hint("`dits add -f` stages it all the same"));
    }
    specs.settle_names(|path| folders.contains(path));
    specs.check_all_used()
}

/// What is beyond a link or in another repository is not this repository's, whether it is there or not.
fn out_of_reach(given: &str, path: &RepoPath, dirs: &WorkDirs) -> Result<Option<CliError>, CliError> {
    let mut next = path.parent();
    while let Some(folder) = next {
        next = folder.parent();
        let shown = quote_text(folder.as_bytes());
        let message = match dirs.stat(&folder)? {
            Some(meta) if meta.kind() == EntryKind::Symlink => {
                format!("`{given}` is beyond a symbolic link, `{shown}`")
            }
            Some(meta) if meta.is_dir() && is_repository(&dirs.shown(Some(&folder))) => {
                format!("`{given}` is inside another repository, `{shown}`")
            }
            _ => continue,
        };
        return Ok(Some(CliError::usage(message)));
    }
    Ok(None)
}

fn is_repository(folder: &Path) -> bool {
    [".dits", ".git"].iter().any(|name| folder.join(name).symlink_metadata().is_ok())
}

/// Says what was passed over.
pub fn warn_skipped(skipped: &[Skipped], opened: &Opened, cx: &Context) {
    for skipped in skipped {
        match skipped {
            Skipped::Nested(path) => {
                cx.warn(format!("{} is a repository of its own and was left out", opened.show(path)));
            }
            Skipped::Special(path) => {
                cx.warn(format!("{} is not a file, link or folder and was left out", opened.show(path)));
            }
            Skipped::Refused(folder, name, why) => {
                let folder = folder.as_ref().map_or_else(|| "the top folder".to_owned(), |path| opened.show(path));
                cx.warn(format!("{} in {folder} was left out: {why}", quote_text(name)));
            }
        }
    }
}

fn show(args: &Args, report: &AddReport, opened: &Opened, cx: &Context) -> Result<(), CliError> {
    let amounts = Amounts::written(report.logical, &report.stats);
    if cx.json() {
        let list = |paths: &[RepoPath]| paths.iter().map(Bytes::from).collect();
        let (added, removed) = (list(&report.added), list(&report.removed));
        return cx.out().json(
            "add",
            &Answer { dry_run: args.dry_run, intent_to_add: args.intent_to_add, added, removed, amounts },
        );
    }
    if args.dry_run || cx.verbose() > 0 {
        let added = report.added.iter().map(|path| ("add", path));
        for (what, path) in added.chain(report.removed.iter().map(|path| ("remove", path))) {
            writeln!(cx.out(), "{what} '{}'", opened.show(path))?;
        }
    }
    if args.dry_run || cx.quiet() {
        return Ok(());
    }
    let (added, removed) = (report.added.len() as u64, report.removed.len() as u64);
    match (added, removed) {
        (added, 0) if args.intent_to_add => {
            writeln!(cx.out(), "{} to be added; no content is staged yet", plural(added, "file", "files"))
        }
        (0, 0) => writeln!(cx.out(), "Nothing has changed"),
        (0, removed) => writeln!(cx.out(), "Staged the removal of {}", plural(removed, "file", "files")),
        (added, 0) => writeln!(cx.out(), "Staged {}, {amounts}", plural(added, "file", "files")),
        (added, removed) => {
            let added = plural(added, "file", "files");
            writeln!(cx.out(), "Staged {added}, {amounts}; and the removal of {}", plural(removed, "file", "files"))
        }
    }
}
