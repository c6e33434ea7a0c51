//! Which files have changes that only this clone has.

use std::collections::BTreeMap;

use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::worktree::{Exactly, StatusOptions, UntrackedMode};

use super::base::Base;
use crate::error::CliError;
use crate::repository::Opened;

/// What keeps a file from being given back without a thought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It differs from the last commit.
    NotCommitted,
    /// The last commit has another version than the server.
    NotPushed,
}

impl Change {
    /// The same in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NotCommitted => "has changes that are not committed",
            Self::NotPushed => "has changes that are not pushed",
        }
    }
}

/// The changed ones of these files.
///
/// # Errors
/// When they cannot be looked at.
pub fn of(
    opened: &Opened,
    base: &Base,
    paths: &[RepoPath],
    progress: &dyn Progress,
) -> Result<BTreeMap<RepoPath, Change>, CliError> {
    let mut changed = BTreeMap::new();
    if opened.repo.layout().worktree.is_some() && !paths.is_empty() {
        let options = StatusOptions { untracked: UntrackedMode::No, ignored: false, renames: None };
        let status = opened.repo.status(&Exactly::new(paths), options, progress)?;
        let staged = status.staged.iter().map(|staged| &staged.change.path);
        let unstaged = status.unstaged.iter().map(|change| &change.path);
        let conflicts = status.conflicts.iter().map(|conflict| &conflict.path);
        let all = staged.chain(unstaged).chain(conflicts).cloned();
        changed.extend(all.map(|path| (path, Change::NotCommitted)));
    }
    for path in paths {
        if !changed.contains_key(path) && base.is_ahead(&opened.repo, path)? {
            changed.insert(path.clone(), Change::NotPushed);
        }
    }
    Ok(changed)
}
