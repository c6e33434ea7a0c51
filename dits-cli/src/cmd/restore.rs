//! `dits restore`

use std::ffi::OsString;

use dits_core::index::Stage;
use dits_core::worktree::{Restore, RestoreFrom, RestoreReport};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::moves::Files;
use crate::output::json::Bytes;
use crate::output::size::plural;
use crate::pathspec::Pathspecs;
use crate::repository::Opened;

/// Bring files back
///
/// Without options, files become as they are staged: changes since then are lost. With --staged, the staging area
/// becomes as in the last commit and the files stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits restore shot.mov                  throw away changes that are not staged
  dits restore --staged shot.mov         take it out of the next commit
  dits restore --source HEAD~2 audio/    a folder as it was two commits ago
  dits restore -s v1 -S -W .             everything as in v1, staged too
  dits restore --theirs shot.mov         in a conflict: see the other side's file")]
pub struct Args {
    /// Files, folders or patterns
    #[arg(required = true, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// The version to take them from
    #[arg(short, long, value_name = "REV")]
    source: Option<String>,
    /// Restore what is staged
    #[arg(short = 'S', long)]
    staged: bool,
    /// Restore the files themselves (the default)
    #[arg(short = 'W', long)]
    worktree: bool,
    /// In a conflict, take our version
    #[arg(long, conflicts_with_all = ["theirs", "source", "staged"])]
    ours: bool,
    /// In a conflict, take their version
    #[arg(long, conflicts_with_all = ["source", "staged"])]
    theirs: bool,
    /// Leave tracked files that the version does not have
    #[arg(long)]
    overlay: bool,
}

#[derive(Serialize)]
struct Answer {
    files: Files,
    staged: Vec<Bytes>,
}

/// Restores.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let specs = opened.select(&args.paths)?;
    let source = match &args.source {
        Some(revision) => Some(RestoreFrom::Tree(Some(opened.repo.resolve_tree(revision)?))),
        None if args.staged => Some(RestoreFrom::Tree(opened.repo.head_tree()?)),
        None => side(args.ours, args.theirs),
    };
    let restore = Restore {
        selection: &specs,
        from: source.unwrap_or(RestoreFrom::Index),
        staged: args.staged,
        worktree: args.worktree || !args.staged,
        overlay: args.overlay,
    };
    let report = carry_out(&opened, cx, &restore, &specs)?;
    tell(cx, "restore", &report)?;
    Ok(Exit::Ok)
}

/// The side of conflicts that options ask for.
#[must_use]
pub fn side(ours: bool, theirs: bool) -> Option<RestoreFrom> {
    match (ours, theirs) {
        (true, _) => Some(RestoreFrom::Side(Stage::Ours)),
        (_, true) => Some(RestoreFrom::Side(Stage::Theirs)),
        _ => None,
    }
}

/// Restores, provided that each path given is known.
///
/// # Errors
/// When one is not, or something cannot be read or written.
pub fn carry_out(
    opened: &Opened,
    cx: &Context,
    restore: &Restore<'_>,
    specs: &Pathspecs,
) -> Result<RestoreReport, CliError> {
    if restore.worktree {
        opened.repo.worktree()?;
    }
    opened.repo.restore(restore, || specs.check_all_used(), &cx.progress())
}

/// Tells what was restored.
///
/// # Errors
/// When the output cannot be written.
pub fn tell(cx: &Context, command: &str, report: &RestoreReport) -> Result<(), CliError> {
    let files = Files::from(&report.files);
    if cx.json() {
        return cx.out().json(command, &Answer { files, staged: report.staged.iter().map(Bytes::from).collect() });
    }
    if let Some(line) = files.line() {
        cx.note(line);
    }
    if !report.staged.is_empty() {
        cx.note(format!("{} in the staging area", plural(report.staged.len() as u64, "path updated", "paths updated")));
    }
    Ok(())
}
