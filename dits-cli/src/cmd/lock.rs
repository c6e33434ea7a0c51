//! `dits lock`

mod during;

use std::ffi::OsString;

use dits_core::lock::{LockKind, MAX_REASON};
use dits_core::path::RepoPath;
use dits_core::worktree::{Everything, Loosen};
use serde::Serialize;

use crate::context::Context;
use crate::error::{CliError, GO_ON};
use crate::exit::Exit;
use crate::locking::desk::Desk;
use crate::locking::refusal::{RefusalJson, Teller};
use crate::locking::take::{self, Taken, Wish};
use crate::locking::{names, suggest};
use crate::output::json::Bytes;
use crate::output::size::plural;
use crate::repository::Opened;

/// How many files are named one by one.
const NAMED: usize = 20;

/// Lock files, so that nobody else changes them
///
/// Tells the server that you are changing files that cannot be merged, and makes them writable. All of them are locked or
/// none. A lock is for the newest version: where somebody has pushed another one, pull first. `dits help locking` tells the
/// whole story.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits lock Maps/Level_01.umap --reason 'new lighting'
  dits lock 'shots/010/*.blend'     what a pattern matches
  dits lock shots/010               a folder
  dits lock --wait edit.prproj      as soon as it is free
  dits lock --ttl 10m render.exr    a lease that ends by itself
  dits lock lit.blend --exec 'blender -b lit.blend -P bake.py'
                                    as long as a command runs
  dits lock --suggest               rules for the binary formats that are here")]
pub struct Args {
    /// Files, folders and patterns (`dits help pathspecs`)
    #[arg(value_name = "PATH", required_unless_present = "suggest", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// Others may lock them too, shared as well; then nobody can push a change before the others unlock
    #[arg(long)]
    shared: bool,
    /// Why, for the others
    #[arg(short = 'm', long, value_name = "TEXT")]
    reason: Option<String>,
    /// Ends by itself after this time, such as 90s, 10m or 2h; locking again renews it
    #[arg(long, value_name = "TIME")]
    ttl: Option<String>,
    /// Run a command (by `sh`), and renew the leases until it ends; files that it left as they were are free then. The lease is
    /// 5m without --ttl, the exit code that of the command
    #[arg(short = 'x', long, value_name = "COMMAND", conflicts_with = "partial")]
    exec: Option<String>,
    /// Wait until they are free
    #[arg(short, long)]
    wait: bool,
    /// Lock those that can be, also if others cannot
    #[arg(long)]
    partial: bool,
    /// Only on this branch of the server; without a name, on the one that you work on
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    branch: Option<String>,
    /// Write rules to .ditsattributes for the binary formats that are here, and lock nothing
    #[arg(long, conflicts_with_all = ["paths", "shared", "reason", "ttl", "exec", "wait", "partial", "branch"])]
    suggest: bool,
}

#[derive(Serialize)]
struct Answer {
    remote: String,
    locked: Vec<LockedJson>,
    refused: Vec<RefusalJson>,
    /// Not locked, as all or none was asked for.
    not_done: Vec<Bytes>,
}

#[derive(Serialize)]
struct LockedJson {
    path: Bytes,
    token: String,
}

#[derive(Serialize)]
struct Suggested {
    suggested: Vec<String>,
}

/// Locks.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    opened.repo.worktree()?;
    if args.suggest {
        return suggest_rules(&opened, cx);
    }
    if args.exec.is_some() && cx.json() {
        return Err(CliError::usage("what a command prints is not JSON: --exec and --json do not go together"));
    }
    let desk = Desk::open(&opened, cx)?;
    let wish = Wish {
        paths: names::to_lock(&opened, cx, &args.paths)?,
        kind: if args.shared { LockKind::Shared } else { LockKind::Exclusive },
        only: args.branch.as_deref().map(|name| desk.branch(name)).transpose()?,
        reason: args.reason.unwrap_or_default(),
        lease: args.ttl.as_deref().map(lease).transpose()?,
        release: None,
        partial: args.partial,
        wait: args.wait,
    };
    match args.exec {
        None => carry_out(&desk, &wish, "lock"),
        Some(command) => during::run(desk, wish, &command),
    }
}

/// Locks what is wished for and what was edited offline, and tells.
///
/// # Errors
/// When the server cannot be reached, or something cannot be locked.
pub fn carry_out(desk: &Desk<'_>, wish: &Wish, command: &str) -> Result<Exit, CliError> {
    if wish.reason.len() > MAX_REASON {
        return Err(CliError::usage(format!("a reason has at most {MAX_REASON} bytes")));
    }
    let cx = desk.cx;
    let progress = cx.progress();
    let taken = take::lock(desk, wish, &progress).map_err(without_connection)?;
    let offline = catch_up(desk, wish, &progress)?;
    drop(progress);
    tell(desk, &taken, &offline, command)
}

/// Where the server cannot be reached there is another way; and nothing is under way that could be gone on with.
fn without_connection(mut error: CliError) -> CliError {
    for hint in error.hints.iter_mut().filter(|hint| *hint == GO_ON) {
        *hint = "without a connection: `dits edit --offline PATH`, and it is locked later".to_owned();
    }
    error
}

/// Locks files that were made editable offline, as far as they can be.
fn catch_up(desk: &Desk<'_>, wish: &Wish, progress: &dyn dits_core::progress::Progress) -> Result<Taken, CliError> {
    let waiting = desk.state()?.offline.into_values().filter(|path| !wish.paths.contains(path)).collect();
    let rest = Wish { paths: waiting, partial: true, ..Wish::default() };
    if rest.paths.is_empty() { Ok(Taken::default()) } else { take::lock(desk, &rest, progress) }
}

fn tell(desk: &Desk<'_>, taken: &Taken, offline: &Taken, command: &str) -> Result<Exit, CliError> {
    let (cx, state) = (desk.cx, desk.state()?);
    let you = state.seen.as_ref().map_or("", |seen| &seen.you);
    let us = Some(desk.place.clone);
    let (remote, now) = (&desk.remote.name, cx.now()?);
    let teller = Teller { opened: desk.opened, remote, us, you, now, push: false };
    let locked: Vec<_> = taken.locked.iter().chain(&offline.locked).collect();
    if cx.json() {
        let answer = Answer {
            remote: remote.clone(),
            locked: locked
                .iter()
                .map(|(path, fence)| LockedJson { path: path.into(), token: fence.to_string() })
                .collect(),
            refused: taken.refused.iter().chain(&offline.refused).map(|(path, why)| teller.json(path, why)).collect(),
            not_done: taken.not_done.iter().map(Bytes::from).collect(),
        };
        cx.out().json(command, &answer)?;
        cx.out().flush()?;
    } else if !cx.quiet() {
        list(cx, desk.opened, "Locked", &locked.iter().map(|(path, _)| path).collect::<Vec<_>>())?;
    }
    for (path, why) in &offline.refused {
        cx.warn(format!("{}; it was made editable offline, and stays so", teller.message(path, why)));
    }
    let what = match (taken.refused.len(), taken.not_done.len(), taken.locked.len()) {
        (1, 0, 0) => String::new(),
        (_, _, 0) => "nothing was locked".to_owned(),
        (refused, ..) => format!("{} not locked", files_were(refused)),
    };
    teller.failure(&what, &taken.refused).map_or(Ok(Exit::Ok), Err)
}

fn files_were(count: usize) -> String {
    format!("{} {}", plural(count as u64, "file", "files"), if count == 1 { "was" } else { "were" })
}

/// One line for each file, if they are not too many.
///
/// # Errors
/// When the output cannot be written.
pub fn list(cx: &Context, opened: &Opened, done: &str, paths: &[&RepoPath]) -> Result<(), CliError> {
    match paths.len() {
        count if count > NAMED && cx.verbose() == 0 => {
            writeln!(cx.out(), "{done} {}", plural(count as u64, "file", "files"))
        }
        _ => paths.iter().try_for_each(|path| writeln!(cx.out(), "{done} {}", opened.show(path))),
    }
}

/// A lease in seconds.
fn lease(text: &str) -> Result<u32, CliError> {
    let duration = dits_core::config::parse_duration(text).map(|duration| duration.as_secs());
    let seconds = duration.and_then(|seconds| u32::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| CliError::usage(format!("--ttl cannot be `{text}`: use a time such as 90s, 10m, 2h or 14d")))
}

fn suggest_rules(opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let written = suggest::write(opened)?;
    if !written.lines.is_empty() {
        opened.repo.protect(&Everything, Loosen::None)?;
    }
    if cx.json() {
        cx.out().json("lock", &Suggested { suggested: written.lines })?;
        return Ok(Exit::Ok);
    }
    if written.lines.is_empty() {
        cx.note(
            "no file that dits knows is of a binary format without a rule; new files are known once they are added",
        );
        return Ok(Exit::Ok);
    }
    written.lines.iter().try_for_each(|line| writeln!(cx.out(), "{line}"))?;
    cx.note("written to .ditsattributes; these files are read-only now until they are locked");
    cx.note("look at it, then `dits add .ditsattributes` and commit, so that it holds for everybody");
    Ok(Exit::Ok)
}
