//! `dits edit`

use std::ffi::OsString;

use dits_core::lock::LockKey;
use serde::Serialize;

use super::lock;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locking::desk::Desk;
use crate::locking::names;
use crate::locking::take::Wish;
use crate::output::json::Bytes;

/// Lock files and make them writable, also without a connection
///
/// The same as `dits lock`, for the moment before you open a file. Where the server cannot be reached, `--offline` makes
/// files writable all the same and notes it: the next `dits lock`, `edit` or `push` with a connection locks them, or says
/// who was faster.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits edit Maps/Level_01.umap
  dits edit --offline Maps/Level_01.umap    on the train")]
pub struct Args {
    /// Files, folders and patterns (`dits help pathspecs`)
    #[arg(value_name = "PATH", required = true, value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// Why, for the others
    #[arg(short = 'm', long, value_name = "TEXT")]
    reason: Option<String>,
    /// Wait until they are free
    #[arg(short, long)]
    wait: bool,
    /// Ask nobody: make them writable, and lock them later
    #[arg(long, conflicts_with_all = ["wait", "reason"])]
    offline: bool,
}

#[derive(Serialize)]
struct Answer {
    remote: String,
    offline: Vec<Bytes>,
}

/// Makes files editable.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    opened.repo.worktree()?;
    let desk = Desk::open(&opened, cx)?;
    let paths = names::to_lock(&opened, cx, &args.paths)?;
    if !args.offline {
        let wish = Wish { paths, reason: args.reason.unwrap_or_default(), wait: args.wait, ..Wish::default() };
        return lock::carry_out(&desk, &wish, "edit");
    }
    let us = Some(desk.place.clone);
    let theirs = desk.change(|state| {
        let mut theirs = Vec::new();
        for path in &paths {
            match state.standing(path, us, None, Some(desk.now)) {
                dits_core::lock::Standing::Ours(_) => continue,
                dits_core::lock::Standing::Theirs(lock) => theirs.push(lock.clone()),
                _ => {}
            }
            state.offline.insert(LockKey::of(path), path.clone());
        }
        theirs
    })?;
    opened.repo.protect_files(&paths)?;
    for lock in theirs {
        let (path, held) = (opened.show(&lock.path), crate::locking::show::held(&lock, cx.now()?));
        cx.warn(format!("{path} {held}, when the server was last asked"));
    }
    if cx.json() {
        let offline = paths.iter().map(Bytes::from).collect();
        cx.out().json("edit", &Answer { remote: desk.remote.name.clone(), offline })?;
    } else if !cx.quiet() {
        lock::list(cx, &opened, "Editable, and not locked yet:", &paths.iter().collect::<Vec<_>>())?;
    }
    Ok(Exit::Ok)
}
