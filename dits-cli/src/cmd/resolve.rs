//! `dits resolve`

use std::ffi::OsString;
use std::path::PathBuf;

use dits_core::diff::FileVersion;
use dits_core::index::Entry;
use dits_core::merge::{Choice, Conflict};
use dits_core::path::RepoPath;
use serde::Serialize;

use crate::conflicts::{self, ConflictJson};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::amounts::Amounts;
use crate::output::json::Bytes;
use crate::output::size::plural;
use crate::repository::Opened;

/// Decide which version of a file in conflict is kept
///
/// A merge, revert, cherry-pick or stash that meets a file changed on both sides leaves ours in place and puts theirs
/// beside it (`shot.theirs.mov`). Once a file is decided, the one beside it goes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits resolve --list                       what is in conflict
  dits resolve --theirs shot.mov            take their version
  dits resolve --ours --all                 keep ours everywhere
  dits resolve shot.mov                     the file as it is now in the worktree
  dits resolve --with /tmp/new.mov shot.mov the content of another file")]
pub struct Args {
    /// Files in conflict, folders and patterns
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// Keep our version
    #[arg(long, conflicts_with_all = ["theirs", "with", "list"])]
    ours: bool,
    /// Take their version
    #[arg(long, conflicts_with_all = ["with", "list"])]
    theirs: bool,
    /// Take the content of another file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "list")]
    with: Option<PathBuf>,
    /// Every file in conflict
    #[arg(short, long, conflicts_with_all = ["paths", "with"])]
    all: bool,
    /// Only list what is in conflict
    #[arg(short, long)]
    list: bool,
}

#[derive(Serialize)]
struct Answer {
    resolved: Vec<Bytes>,
    #[serde(flatten)]
    amounts: Amounts,
    conflicts: Vec<ConflictJson>,
}

/// Decides.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    if args.list {
        return list(&opened, cx);
    }
    if args.paths.is_empty() && !args.all {
        return Err(CliError::usage("which files?")
            .hint("`dits resolve --list` shows what is in conflict; `--all` decides all of it"));
    }
    let paths = chosen(&args, &opened)?;
    let progress = cx.progress();
    let taken = match (&args.with, &paths[..]) {
        (Some(file), [path]) => opened.repo.resolve_with(path, &cx.cwd.join(file), &progress)?,
        (Some(_), _) => return Err(CliError::usage("--with decides one file at a time")),
        (None, paths) => {
            let choice = match () {
                () if args.ours => Choice::Ours,
                () if args.theirs => Choice::Theirs,
                () => Choice::Worktree,
            };
            opened.repo.resolve_conflicts(paths, choice, &progress)?
        }
    };
    let amounts = Amounts::written(taken.logical, &taken.stats);
    drop(progress);
    let (left, beside) = conflicts_now(&opened)?;
    if cx.json() {
        let resolved = paths.iter().map(Bytes::from).collect();
        cx.out().json("resolve", &Answer { resolved, amounts, conflicts: conflicts::to_json(&left, &beside) })?;
    } else if !cx.quiet() {
        let mut decided = plural(paths.len() as u64, "file", "files");
        if !taken.added.is_empty() {
            decided.push_str(&format!(", {amounts}"));
        }
        writeln!(cx.out(), "Decided {decided}; {}", what_now(&opened, left.len() as u64)?)?;
    }
    Ok(Exit::Ok)
}

fn what_now(opened: &Opened, left: u64) -> Result<String, CliError> {
    if left > 0 {
        return Ok(format!("{} left in conflict (`dits resolve --list`)", plural(left, "file is", "files are")));
    }
    Ok(match opened.repo.pending()? {
        Some(pending) => {
            format!("nothing is left in conflict: finish with `dits {} --continue`", pending.kind.command())
        }
        None => "nothing is left in conflict".to_owned(),
    })
}

/// The files in conflict that were named.
fn chosen(args: &Args, opened: &Opened) -> Result<Vec<RepoPath>, CliError> {
    let specs = opened.select(&args.paths)?;
    let (conflicts, _) = conflicts_now(opened)?;
    let paths: Vec<RepoPath> =
        conflicts.into_iter().map(|c| c.path).filter(|path| specs.matches(path, false)).collect();
    specs.settle_names(|_| false);
    if let Some(unused) = specs.unused().first() {
        return Err(CliError::new(Exit::Difference, format!("`{unused}` is not in conflict"))
            .hint("`dits resolve --list` shows what is"));
    }
    if paths.is_empty() {
        return Err(CliError::new(Exit::Difference, "nothing is in conflict"));
    }
    Ok(paths)
}

/// Their files: the path in conflict, and the file beside it.
type Beside = Vec<(RepoPath, RepoPath)>;

/// What is in conflict, and their files beside ours.
fn conflicts_now(opened: &Opened) -> Result<(Vec<Conflict>, Beside), CliError> {
    let version = |entry: Entry| FileVersion { mode: entry.mode, size: entry.size, content: entry.content };
    let list = opened.repo.index()?.conflicts().into_iter().map(|conflict| Conflict {
        path: conflict.path,
        base: conflict.base.map(version),
        ours: conflict.ours.map(version),
        theirs: conflict.theirs.map(version),
        moved_to: None,
    });
    let list = list.collect();
    Ok((list, opened.repo.pending()?.map(|pending| pending.beside).unwrap_or_default()))
}

fn list(opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let (conflicts, beside) = conflicts_now(opened)?;
    if cx.json() {
        let conflicts = conflicts::to_json(&conflicts, &beside);
        cx.out().json("resolve", &Answer { resolved: Vec::new(), amounts: Amounts::default(), conflicts })?;
    } else if conflicts.is_empty() && !cx.quiet() {
        writeln!(cx.out(), "Nothing is in conflict")?;
    } else {
        conflicts::list(&conflicts, &beside, opened, cx)?;
    }
    Ok(Exit::Ok)
}
