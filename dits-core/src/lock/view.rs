//! What rules and locks mean for the files of a worktree, as far as this clone knows: nothing here asks anybody.

use super::local::{LocalLocks, Standing};
use super::{CloneId, Rules, clone};
use crate::attributes::AttributeLookup;
use crate::path::RepoPath;
use crate::record::RecordError;
use crate::refs::RefName;
use crate::repo::{RepoError, Repository};
use crate::rules_file::FolderFiles;
use crate::worktree::WorkDirs;

/// Answers for any file what its rules are, and who has it.
pub struct LockView<F> {
    attributes: AttributeLookup<F>,
    states: Vec<(String, LocalLocks)>,
    clone: Option<CloneId>,
    on: Option<RefName>,
    now: Option<i64>,
    /// What is kept of a remote and cannot be read: nothing is known of its locks.
    pub damaged: Vec<RecordError>,
}

impl<'a> LockView<&'a WorkDirs> {
    /// What is known now, of all remotes. Without `now`, in seconds since 1970, leases count as if they did not end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(repo: &Repository, dirs: &'a WorkDirs, now: Option<i64>) -> Result<Self, RepoError> {
        Self::with_rules(repo, repo.attributes(dirs)?, now)
    }
}

impl<F: FolderFiles> LockView<F> {
    /// The same where rules come from elsewhere.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn with_rules(repo: &Repository, attributes: AttributeLookup<F>, now: Option<i64>) -> Result<Self, RepoError> {
        let common = &repo.layout().common;
        let (mut states, mut damaged) = (Vec::new(), Vec::new());
        for remote in LocalLocks::remotes(common)? {
            match LocalLocks::load(common, &remote) {
                Ok(state) => states.push((remote, state)),
                Err(error @ RecordError::Corrupt { .. }) => damaged.push(error),
                Err(error) => return Err(error.into()),
            }
        }
        let clone = if states.is_empty() { None } else { clone::known(common)? };
        Ok(Self { attributes, states, clone, on: branch_there(repo)?, now, damaged })
    }

    /// What `.ditsattributes` says of a file. What it says wrongly counts as nothing: that is told where somebody asks for it.
    ///
    /// # Errors
    /// When the file of attributes of a folder on the way cannot be used.
    pub fn rules(&self, path: &RepoPath) -> Result<Rules, RepoError> {
        Ok(Rules::of(&self.attributes.attributes_of(path)?).unwrap_or_default())
    }

    /// What is known of each remote.
    pub fn states(&self) -> impl Iterator<Item = &LocalLocks> {
        self.states.iter().map(|(_, state)| state)
    }

    /// The remote that says the most about who has a file, and what that is.
    #[must_use]
    pub fn standing(&self, path: &RepoPath) -> (Option<&str>, Standing<'_>) {
        self.standing_at(path, self.now)
    }

    /// The same at another time, in seconds since 1970.
    #[must_use]
    pub fn standing_at(&self, path: &RepoPath, now: Option<i64>) -> (Option<&str>, Standing<'_>) {
        let weight = |standing: &Standing<'_>| match standing {
            Standing::Free => 0,
            Standing::Retained(_) => 1,
            Standing::Theirs(_) => 2,
            Standing::Offline => 3,
            Standing::Ours(_) => 4,
        };
        let mut best = (None, Standing::Free);
        for (remote, state) in &self.states {
            let found = state.standing(path, self.clone, self.on.as_ref(), now);
            if weight(&found) > weight(&best.1) {
                best = (Some(remote.as_str()), found);
            }
        }
        best
    }

    /// Whether the file is to be read-only here: it is lockable, and this clone does not have it.
    ///
    /// # Errors
    /// As [`LockView::rules`].
    pub fn is_protected(&self, path: &RepoPath) -> Result<bool, RepoError> {
        Ok(self.rules(path)?.lockable && !self.standing(path).1.is_editable())
    }
}

/// What the branch that this worktree is on is called where it is pushed to.
fn branch_there(repo: &Repository) -> Result<Option<RefName>, RepoError> {
    let head = match repo.head() {
        // It is about to be made anew.
        Err(RepoError::NoHead { .. }) => return Ok(None),
        head => head?,
    };
    let Some(branch) = head.branch().cloned() else { return Ok(None) };
    let upstream = repo.upstream(&branch)?.and_then(|upstream| RefName::parse(&upstream.follow.merge).ok());
    Ok(Some(upstream.unwrap_or(branch)))
}
