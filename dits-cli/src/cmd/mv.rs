//! `dits mv`

use std::ffi::OsString;

use dits_core::path::RepoPath;
use dits_core::worktree::MoveOptions;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locking::moved;
use crate::output::json::Bytes;
use crate::output::size::plural;
use crate::repository::Opened;

/// Move or rename files and folders, and stage that
///
/// Costs nothing: contents are neither read nor stored again. A folder moves with all that is in it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits mv take-3.mov final.mov      rename a file
  dits mv *.wav audio               move files into a folder
  dits mv shots footage             rename a folder")]
pub struct Args {
    /// What to move, and last where to
    #[arg(value_name = "PATH", required = true, num_args = 2.., value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// Replace files that are there already
    #[arg(short, long)]
    force: bool,
    /// Leave out what cannot be moved, instead of moving nothing
    #[arg(short = 'k')]
    skip: bool,
    /// Change nothing, show what would happen
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    dry_run: bool,
    files: usize,
    moved: Vec<Step>,
    skipped: Vec<Skipped>,
}

#[derive(Serialize)]
struct Step {
    from: Bytes,
    to: Bytes,
}

#[derive(Serialize)]
struct Skipped {
    from: Bytes,
    to: Bytes,
    why: String,
}

/// Moves.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    opened.place()?;
    let moves = plan(&args, &opened)?;
    let options = MoveOptions { force: args.force, skip: args.skip, dry_run: args.dry_run };
    let held = if args.dry_run { Vec::new() } else { moved::held(&opened, cx, &moves)? };
    let outcome = opened.repo.move_files(&moves, options)?;
    moved::lock(&opened, cx, &held, &outcome)?;
    if cx.json() {
        let step = |(from, to): &(RepoPath, RepoPath)| Step { from: Bytes::from(from), to: Bytes::from(to) };
        let skipped = outcome.skipped.iter().map(|(from, to, why)| Skipped {
            from: Bytes::from(from),
            to: Bytes::from(to),
            why: why.to_string(),
        });
        let (moved, skipped) = (outcome.moved.iter().map(step).collect(), skipped.collect());
        cx.out().json("mv", &Answer { dry_run: args.dry_run, files: outcome.files, moved, skipped })?;
        return Ok(Exit::Ok);
    }
    for (from, to, why) in &outcome.skipped {
        cx.warn(format!("{} was not moved to {}: {why}", opened.show(from), opened.show(to)));
    }
    if cx.quiet() {
        return Ok(Exit::Ok);
    }
    if args.dry_run || cx.verbose() > 0 {
        for (from, to) in &outcome.moved {
            writeln!(cx.out(), "Renaming {} to {}", opened.show(from), opened.show(to))?;
        }
    }
    if !args.dry_run {
        writeln!(cx.out(), "Moved {}; 0 B new", plural(outcome.files as u64, "file", "files"))?;
    }
    Ok(Exit::Ok)
}

/// What moves where: into the last, if that is a folder, else to the last.
fn plan(args: &Args, opened: &Opened) -> Result<Vec<(RepoPath, RepoPath)>, CliError> {
    let Some((last, sources)) = args.paths.split_last() else { return Ok(Vec::new()) };
    let dirs = opened.repo.work_dirs()?;
    let target = name(last, opened)?;
    let into = match &target {
        None => true,
        Some(target) => dirs.stat(target)?.is_some_and(|meta| meta.is_dir()),
    };
    let asks_for_folder = last.as_encoded_bytes().ends_with(b"/");
    let shown = last.to_string_lossy();
    if !into && (sources.len() > 1 || asks_for_folder && !is_folder(sources, opened)?) {
        return Err(
            CliError::usage(format!("`{shown}` is not a folder")).hint("make it first, or name one that is there")
        );
    }
    let mut moves = Vec::new();
    for source in sources {
        let from = name(source, opened)?.ok_or_else(|| CliError::usage("the top folder cannot be moved"))?;
        let to = match (&target, into) {
            (Some(target), false) => target.clone(),
            (folder, _) => RepoPath::join_to(folder.as_ref(), from.name())?,
        };
        moves.push((from, to));
    }
    Ok(moves)
}

fn is_folder(sources: &[OsString], opened: &Opened) -> Result<bool, CliError> {
    let dirs = opened.repo.work_dirs()?;
    let [source] = sources else { return Ok(false) };
    let Some(path) = name(source, opened)? else { return Ok(false) };
    Ok(dirs.stat(&path)?.is_some_and(|meta| meta.is_dir()))
}

/// A path as it stands, without patterns; `None` for the top folder.
fn name(given: &OsString, opened: &Opened) -> Result<Option<RepoPath>, CliError> {
    let mut literal = OsString::from(":(literal)");
    literal.push(given);
    let spec = opened.select(&[literal])?;
    if spec.is_all() {
        return Ok(None);
    }
    Ok(spec.names()?.pop())
}
