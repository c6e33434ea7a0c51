//! `dits worktree`

use std::path::PathBuf;

use clap::Subcommand;
use dits_core::repo::{LinkedWorktree, Repository};
use dits_core::worktree::{Everything, ScanOptions, check_resolved, scan};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::repository::Opened;

mod add;
mod list;

/// Work on several branches at once, each in its own folder
///
/// Further worktrees share the repository: nothing is stored twice. A branch is in one worktree at a time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits worktree add ../grading          a folder with a new branch `grading`
  dits worktree add ../old v1.0         a folder with an old version, on no branch
  dits worktree list
  dits worktree remove ../grading")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a worktree
    Add(add::Args),
    /// List the worktrees, the main one first
    List {
        /// In a form for scripts, as git's
        #[arg(long)]
        porcelain: bool,
        /// With NUL instead of line breaks in that form
        #[arg(short = 'z', requires = "porcelain")]
        zero: bool,
    },
    /// Remove a worktree and its files
    Remove {
        /// Its folder
        #[arg(value_hint = clap::ValueHint::DirPath)]
        path: PathBuf,
        /// Even with changes that are not committed, and files that are not tracked
        #[arg(short, long)]
        force: bool,
    },
    /// Forget worktrees whose folders are gone
    Prune {
        /// Only say which
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
}

#[derive(Serialize)]
struct Removed {
    removed: Vec<Gone>,
}

#[derive(Serialize)]
struct Gone {
    id: String,
    path: Option<String>,
}

/// Does what was asked.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    match args.action {
        Action::Add(args) => add::run(&opened, cx, args),
        Action::List { porcelain, zero } => list::run(&opened, cx, porcelain, zero),
        Action::Remove { path, force } => remove(&opened, cx, &path, force),
        Action::Prune { dry_run } => prune(&opened, cx, dry_run),
    }
}

/// The worktree at this folder.
fn find(repo: &Repository, cx: &Context, given: &std::path::Path) -> Result<LinkedWorktree, CliError> {
    let asked = cx.cwd.join(given);
    let asked = std::fs::canonicalize(&asked).unwrap_or(asked);
    let same = |path: &PathBuf| std::fs::canonicalize(path).as_ref().unwrap_or(path) == &asked;
    let found = repo.worktrees()?.into_iter().find(|worktree| worktree.path.as_ref().is_some_and(same));
    found.ok_or_else(|| {
        CliError::new(Exit::Difference, format!("{} is not a worktree of this repository", given.display()))
            .hint("`dits worktree list` lists them")
    })
}

fn remove(opened: &Opened, cx: &Context, given: &std::path::Path, force: bool) -> Result<Exit, CliError> {
    use dits_core::durable::IoContext;
    let worktree = find(&opened.repo, cx, given)?;
    let (Some(id), Some(path)) = (worktree.id, worktree.path) else {
        return Err(CliError::usage("the main worktree holds the repository; it cannot be removed"));
    };
    let shown = path.display();
    if worktree.waiting && !force {
        return Err(CliError::new(Exit::Conflict, format!("{shown} is a mount with changes that are kept for it"))
            .hint(format!("`dits mount {shown}` brings them back; `--force` removes them")));
    }
    if worktree.mount && !worktree.missing && !worktree.waiting {
        return Err(CliError::usage(format!("{shown} is a mount")).hint(format!("dits unmount {shown}")));
    }
    if !worktree.mount && !worktree.missing {
        if !force {
            check_clean(cx, &path)?;
        }
        std::fs::remove_dir_all(&path).at("remove", &path)?;
    }
    opened.repo.forget_worktree(&id)?;
    let gone = Gone { id, path: Some(path.display().to_string()) };
    if cx.json() {
        cx.out().json("worktree", &Removed { removed: vec![gone] })?;
    } else {
        cx.note(format!("Removed the worktree {}", path.display()));
    }
    Ok(Exit::Ok)
}

/// Fails if something in a worktree would be lost with it.
fn check_clean(cx: &Context, path: &std::path::Path) -> Result<(), CliError> {
    let repo = Repository::discover(path, &cx.environment()?)?;
    let index = repo.index()?;
    check_resolved(&index)?;
    let options = ScanOptions { untracked: true, ..ScanOptions::tracked_only() };
    let mut found = scan(&repo, &index, &Everything, options, &cx.progress())?;
    found.fail_on_unreadable()?;
    let staged = dits_core::worktree::changes_to_tree(&repo, &index, repo.head_tree()?)?;
    let changed = !found.modified.is_empty() || !found.deleted.is_empty() || !staged.is_empty();
    let nested = found.skipped.iter().any(|s| matches!(s, dits_core::worktree::Skipped::Nested(_)));
    let untracked = !found.untracked.is_empty() || !found.untracked_folders.is_empty() || nested;
    if !changed && !untracked && repo.pending()?.is_none() {
        return Ok(());
    }
    let what = if changed { "changes that are not committed" } else { "files that are not tracked" };
    Err(CliError::new(Exit::Conflict, format!("{} has {what}", path.display()))
        .hint(format!("`dits -C {} status` shows them; `--force` removes them with the worktree", path.display())))
}

fn prune(opened: &Opened, cx: &Context, dry_run: bool) -> Result<Exit, CliError> {
    let mut removed = Vec::new();
    for worktree in opened.repo.worktrees()?.into_iter().filter(|worktree| worktree.missing) {
        let Some(id) = worktree.id else { continue };
        if !dry_run {
            opened.repo.forget_worktree(&id)?;
        }
        removed.push(Gone { id, path: worktree.path.map(|path| path.display().to_string()) });
    }
    if cx.json() {
        cx.out().json("worktree", &Removed { removed })?;
        return Ok(Exit::Ok);
    }
    for gone in removed.iter().filter(|_| !cx.quiet()) {
        let verb = if dry_run { "would be removed" } else { "removed" };
        let path = gone.path.as_deref().unwrap_or("its folder");
        writeln!(cx.out(), "worktrees/{}: {verb}, because {path} is gone", gone.id)?;
    }
    Ok(Exit::Ok)
}
