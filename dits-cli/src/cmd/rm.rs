//! `dits rm`

use std::ffi::OsString;

use dits_core::index::Index;
use dits_core::worktree::RemoveOptions;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::repository::Opened;

/// Remove files, and stage that
///
/// The files go from the worktree and are not in the next commit any more; commits that have them keep them. A file
/// with content that no commit has is not removed, unless `-f` says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits rm take-3.mov            remove a file
  dits rm -r renders            remove a folder
  dits rm --cached cache.bin    stop tracking a file, keep it in the worktree
  dits rm -n '*.tmp'            show what would be removed")]
pub struct Args {
    /// Files, folders and patterns (`dits help pathspecs`)
    #[arg(value_name = "PATH", required = true, value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// Also whole folders
    #[arg(short, long = "recursive")]
    recursive: bool,
    /// Even if something is lost by it
    #[arg(short, long)]
    force: bool,
    /// Only stop tracking; the files stay
    #[arg(long)]
    cached: bool,
    /// Change nothing, show what would happen
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// No error when nothing matches
    #[arg(long)]
    ignore_unmatch: bool,
}

#[derive(Serialize)]
struct Answer {
    dry_run: bool,
    cached: bool,
    removed: Vec<Bytes>,
}

/// Removes.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    opened.place()?;
    let specs = opened.select(&args.paths)?;
    let index = opened.repo.index()?;
    if !args.recursive {
        args.paths.iter().try_for_each(|path| check_no_folder(path, &index, &opened))?;
    }
    index.entries().for_each(|entry| _ = specs.matches(&entry.repo_path(), false));
    if !args.ignore_unmatch {
        specs.check_all_used()?;
    }
    let options = RemoveOptions { force: args.force, cached: args.cached, dry_run: args.dry_run };
    let progress = cx.progress();
    let removed = opened.repo.remove_files(&specs, options, &progress)?;
    drop(progress);
    if cx.json() {
        let removed = removed.iter().map(Bytes::from).collect();
        cx.out().json("rm", &Answer { dry_run: args.dry_run, cached: args.cached, removed })?;
    } else if !cx.quiet() {
        removed.iter().try_for_each(|path| writeln!(cx.out(), "rm '{}'", opened.show(path)))?;
    }
    Ok(Exit::Ok)
}

/// A name that is a folder's takes `-r`; a pattern names files.
fn check_no_folder(given: &OsString, index: &Index, opened: &Opened) -> Result<(), CliError> {
    let spec = opened.select(std::slice::from_ref(given))?;
    let Ok(names) = spec.names() else {
        return if spec.is_all() { Err(needs_r(given)) } else { Ok(()) };
    };
    let is_folder = names.iter().any(|name| index.entries_in(Some(name)).next().is_some());
    if is_folder || spec.is_all() { Err(needs_r(given)) } else { Ok(()) }
}

fn needs_r(given: &OsString) -> CliError {
    let given = given.to_string_lossy();
    CliError::usage(format!("`{given}` is a folder; nothing was removed")).hint("`dits rm -r` removes folders")
}
