//! Which files have changes that only this clone has, in whichever of its worktrees: a lock belongs to all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::remote::Remote;
use dits_core::repo::{RepoError, Repository};
use dits_core::worktree::{Exactly, StatusOptions, UntrackedMode};

use super::base::Base;
use crate::context::Context;
use crate::error::CliError;

/// What keeps a file from being given back without a thought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// The worktree that has it, if that is another one than this.
    pub place: Option<PathBuf>,
}

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// From the last commit.
    NotCommitted,
    /// The last commit has another version than the server.
    NotPushed,
}

impl Change {
    /// The same in words.
    #[must_use]
    pub fn words(&self) -> String {
        let what = match self.kind {
            Kind::NotCommitted => "has changes that are not committed",
            Kind::NotPushed => "has changes that are not pushed",
        };
        self.place.as_ref().map_or_else(|| what.to_owned(), |place| format!("{what} in {}", place.display()))
    }
}

/// The changed ones of these files.
///
/// # Errors
/// When they cannot be looked at.
pub fn of(
    repo: &Repository,
    remote: &Remote,
    paths: &[RepoPath],
    cx: &Context,
    progress: &dyn Progress,
) -> Result<BTreeMap<RepoPath, Change>, CliError> {
    let mut changed = BTreeMap::new();
    let here = Base::of(repo, remote)?;
    in_worktrees(repo, cx, |repo, place| {
        let base = here.beside(repo, remote)?;
        let mut note = |path: &RepoPath, kind| {
            let new = || Change { kind, place: place.map(Path::to_owned) };
            changed.entry(path.clone()).or_insert_with(new);
        };
        uncommitted(repo, paths, progress)?.iter().for_each(|path| note(path, Kind::NotCommitted));
        for path in paths {
            if base.is_ahead(repo, path)? {
                note(path, Kind::NotPushed);
            }
        }
        Ok(())
    })?;
    Ok(changed)
}

/// Those of these files that differ from the last commit.
///
/// # Errors
/// When they cannot be looked at.
pub fn not_committed(repo: &Repository, paths: &[RepoPath], cx: &Context) -> Result<BTreeSet<RepoPath>, CliError> {
    let mut changed = BTreeSet::new();
    if paths.is_empty() {
        return Ok(changed);
    }
    let progress = cx.progress();
    in_worktrees(repo, cx, |repo, _| {
        changed.extend(uncommitted(repo, paths, &progress)?);
        Ok(())
    })?;
    Ok(changed)
}

/// This worktree, and then the others that can be looked into: not those whose folder is gone, nor mounts that nobody serves.
fn in_worktrees(
    repo: &Repository,
    cx: &Context,
    mut look: impl FnMut(&Repository, Option<&Path>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    look(repo, None)?;
    let here = repo.layout().worktree_id();
    for worktree in repo.worktrees()? {
        let can_be_read = worktree.id.as_deref() != here && !worktree.missing && !worktree.waiting;
        let Some(path) = worktree.path.filter(|_| can_be_read) else { continue };
        let looked = Repository::discover(&path, &cx.environment()?).map_err(CliError::from).and_then(|other| {
            let (theirs, ours) = (other.layout(), repo.layout());
            let same = theirs.common == ours.common && theirs.worktree_id() == worktree.id.as_deref();
            if same { look(&other, Some(&path)) } else { Ok(()) }
        });
        // Trouble there must not keep anybody from working here.
        if let Err(error) = looked {
            cx.warn(format!("changes in {} could not be looked for: {}", path.display(), error.message));
        }
    }
    Ok(())
}

fn uncommitted(
    repo: &Repository,
    paths: &[RepoPath],
    progress: &dyn Progress,
) -> Result<BTreeSet<RepoPath>, RepoError> {
    if repo.layout().worktree.is_none() || paths.is_empty() {
        return Ok(BTreeSet::new());
    }
    let options = StatusOptions { untracked: UntrackedMode::No, ignored: false, renames: None };
    let status = repo.status(&Exactly::new(paths), options, progress)?;
    let staged = status.staged.iter().map(|staged| &staged.change.path);
    let unstaged = status.unstaged.iter().map(|change| &change.path);
    let conflicts = status.conflicts.iter().map(|conflict| &conflict.path);
    Ok(staged.chain(unstaged).chain(conflicts).cloned().collect())
}
