//! `dits reset`

use std::ffi::OsString;

use dits_core::commit::Commit;
use dits_core::object::TreeId;
use dits_core::repo::Repository;
use dits_core::worktree::{
    Everything, ResetMode, ResetReport, Restore, RestoreFrom, ScanOptions, check_resolved, scan,
};
use serde::Serialize;

use super::restore;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::moves::{self, Files};
use crate::repository::Opened;

/// Move the branch to another commit, or take paths out of the next one
///
/// Without paths, the branch that you are on moves; `ORIG_HEAD` keeps where it was. With paths, what is staged of them
/// becomes as in the version, and nothing else changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits reset                   unstage everything
  dits reset -- shot.mov       unstage one file
  dits reset --soft HEAD~1     take back the last commit, keeping its changes staged
  dits reset --hard            throw away everything since the last commit
  dits reset --hard ORIG_HEAD  take back the last reset or merge")]
pub struct Args {
    /// The version, then paths
    #[arg(value_name = "REV|PATH")]
    words: Vec<OsString>,
    /// Paths, so that none is taken for a version
    #[arg(last = true, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// Only move the branch
    #[arg(long, conflicts_with_all = ["mixed", "hard", "merge"])]
    soft: bool,
    /// Move the branch and unstage (the default)
    #[arg(long, conflicts_with_all = ["hard", "merge"])]
    mixed: bool,
    /// Move the branch and make all tracked files be as there: changes are lost
    #[arg(long, conflicts_with = "merge")]
    hard: bool,
    /// Like --hard, but keep changes that are not staged
    #[arg(long)]
    merge: bool,
}

#[derive(Serialize)]
struct Answer {
    commit: Option<String>,
    from: Option<String>,
    files: Files,
}

/// Resets.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let (named, paths) = split(&opened.repo, &args)?;
    if !paths.is_empty() {
        if args.soft || args.hard || args.merge {
            return Err(CliError::usage("with paths, only what is staged can be reset")
                .hint("`dits restore -s REV -S -W PATH` brings files back too"));
        }
        return reset_paths(&opened, cx, named.as_deref(), &paths);
    }
    let mode = match (args.soft, args.hard, args.merge) {
        (true, ..) => ResetMode::Soft,
        (_, true, _) => ResetMode::Hard,
        (_, _, true) => ResetMode::Merge,
        _ => ResetMode::Mixed,
    };
    if mode != ResetMode::Soft {
        opened.repo.worktree()?;
    }
    if named.is_none() && opened.repo.head()?.commit().is_none() {
        return reset_unborn(&opened, cx, mode);
    }
    let named = named.unwrap_or_else(|| "HEAD".to_owned());
    let commit = opened.repo.resolve_commit(&named)?;
    let progress = cx.progress();
    let report = opened.repo.reset(mode, commit, &named, &opened.who(cx)?, &progress)?;
    drop(progress);
    tell(&opened, cx, mode, &report)?;
    Ok(Exit::Ok)
}

/// What names a version, and the paths. Without `--`, the first word is a version if there is one of this name.
fn split(repo: &Repository, args: &Args) -> Result<(Option<String>, Vec<OsString>), CliError> {
    let Some((first, rest)) = args.words.split_first() else { return Ok((None, args.paths.clone())) };
    let version = match first.to_str() {
        Some(text) => {
            let name = moves::expand(repo, text)?;
            (repo.resolve(&name).is_ok() || !args.paths.is_empty()).then_some(name)
        }
        None => None,
    };
    match version {
        Some(name) => Ok((Some(name), rest.iter().chain(&args.paths).cloned().collect())),
        None if !args.paths.is_empty() => Err(CliError::usage("before `--` comes at most one version")),
        // A mistyped version is more likely than a path when only a version makes sense.
        None if args.soft || args.hard || args.merge => Err(repo
            .resolve_commit(moves::text(first)?)
            .err()
            .map_or_else(|| CliError::usage("a version is needed here"), CliError::from)),
        None => Ok((None, args.words.clone())),
    }
}

fn reset_paths(opened: &Opened, cx: &Context, named: Option<&str>, paths: &[OsString]) -> Result<Exit, CliError> {
    let specs = opened.select(paths)?;
    let tree: Option<TreeId> = match named {
        Some(named) => Some(opened.repo.resolve_tree(named)?),
        None => opened.repo.head_tree()?,
    };
    let wanted =
        Restore { selection: &specs, from: RestoreFrom::Tree(tree), staged: true, worktree: false, overlay: false };
    let report = restore::carry_out(opened, cx, &wanted, &specs)?;
    restore::tell(cx, "reset", &report)?;
    Ok(Exit::Ok)
}

/// Before the first commit there is nothing to move, but something to unstage.
fn reset_unborn(opened: &Opened, cx: &Context, mode: ResetMode) -> Result<Exit, CliError> {
    let files = match mode {
        ResetMode::Soft => {
            check_resolved(&opened.repo.index()?)?;
            Files::default()
        }
        ResetMode::Mixed => {
            opened.repo.reset_index(None)?;
            Files::default()
        }
        ResetMode::Hard | ResetMode::Merge => Files::from(&opened.repo.reset_hard(None, &cx.progress())?),
    };
    if cx.json() {
        cx.out().json("reset", &Answer { commit: None, from: None, files })?;
    } else if let Some(line) = files.line() {
        cx.note(line);
    }
    Ok(Exit::Ok)
}

fn tell(opened: &Opened, cx: &Context, mode: ResetMode, report: &ResetReport) -> Result<(), CliError> {
    let repo = &opened.repo;
    let head = repo.head()?.commit();
    let files = Files::from(&report.files);
    if cx.json() {
        let text = |id: Option<dits_core::object::CommitId>| id.map(|id| id.to_string());
        return cx.out().json("reset", &Answer { commit: text(head), from: text(report.from), files });
    }
    if cx.quiet() {
        return Ok(());
    }
    if let (ResetMode::Hard | ResetMode::Merge, Some(head)) = (mode, head) {
        writeln!(cx.out(), "HEAD is now at {}", moves::describe(repo, head)?)?;
        if let Some(line) = files.line() {
            writeln!(cx.out(), "{line}")?;
        }
    }
    if let (true, Some(from), true) = (mode != ResetMode::Hard, report.from, report.from != head)
        && Commit::read(repo.store(), from).is_ok()
    {
        cx.note(format!("the branch was at {}; `dits reset ORIG_HEAD` goes back", moves::describe(repo, from)?));
    }
    if mode == ResetMode::Mixed { tell_unstaged(opened, cx) } else { Ok(()) }
}

/// Lists the files that differ from what is staged now, as git does.
fn tell_unstaged(opened: &Opened, cx: &Context) -> Result<(), CliError> {
    let repo = &opened.repo;
    let progress = cx.progress();
    let found = scan(repo, &repo.index()?, &Everything, ScanOptions::tracked_only(), &progress)?;
    drop(progress);
    let mut lines: Vec<_> = found.modified.iter().map(|path| (path, 'M')).collect();
    lines.extend(found.deleted.iter().map(|path| (path, 'D')));
    lines.sort();
    if !lines.is_empty() {
        writeln!(cx.out(), "Unstaged changes after reset:")?;
    }
    lines.into_iter().try_for_each(|(path, letter)| writeln!(cx.out(), "{letter}\t{}", opened.show(path)))
}
