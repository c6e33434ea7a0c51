//! What HEAD names, and moving it.

use super::{RepoError, Repository};
use crate::commit::Commit;
use crate::object::{CommitId, TreeId};
use crate::refs::{RefName, RefStore, Target};

/// Where HEAD is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// On a branch that has no commit yet.
    Unborn {
        /// The branch.
        branch: RefName,
    },
    /// On a branch.
    Branch {
        /// The branch.
        branch: RefName,
        /// Its newest commit.
        commit: CommitId,
    },
    /// On a commit, without a branch.
    Detached {
        /// The commit.
        commit: CommitId,
    },
}

impl Head {
    /// The commit, if there is one.
    #[must_use]
    pub fn commit(&self) -> Option<CommitId> {
        match self {
            Self::Unborn { .. } => None,
            Self::Branch { commit, .. } | Self::Detached { commit } => Some(*commit),
        }
    }

    /// The branch, unless detached.
    #[must_use]
    pub fn branch(&self) -> Option<&RefName> {
        match self {
            Self::Unborn { branch } | Self::Branch { branch, .. } => Some(branch),
            Self::Detached { .. } => None,
        }
    }

    /// What the ref that commits go to holds now.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        self.commit().map(|commit| Target::Id(*commit.digest()))
    }
}

impl Repository {
    /// Where HEAD is.
    ///
    /// # Errors
    /// When HEAD or the branch it names is damaged.
    pub fn head(&self) -> Result<Head, RepoError> {
        let as_commit = |digest| CommitId::from_digest(digest);
        match self.refs().read(&RefName::head())? {
            Some(Target::Id(digest)) => Ok(Head::Detached { commit: as_commit(digest) }),
            Some(Target::Symbolic(branch)) => Ok(match self.refs().read(&branch)? {
                Some(Target::Id(digest)) => Head::Branch { commit: as_commit(digest), branch },
                _ => Head::Unborn { branch },
            }),
            None => Err(RepoError::NoHead { file: self.layout().head() }),
        }
    }

    /// The newest commit of HEAD.
    ///
    /// # Errors
    /// [`RepoError::Unborn`] when there is none yet.
    pub fn head_commit(&self) -> Result<(CommitId, Commit), RepoError> {
        let head = self.head()?;
        self.check_not_lost(&head)?;
        let unborn = || RepoError::Unborn { branch: head.branch().map(ToString::to_string).unwrap_or_default() };
        let id = head.commit().ok_or_else(unborn)?;
        Ok((id, Commit::read(self.store(), id)?))
    }

    /// Fails if HEAD's branch seems to have no commit yet, but has a log: then its file was lost.
    ///
    /// # Errors
    /// [`RepoError::LostBranch`], then.
    pub fn check_not_lost(&self, head: &Head) -> Result<(), RepoError> {
        let Head::Unborn { branch } = head else { return Ok(()) };
        match self.refs().log(branch, 1)?.first().and_then(|entry| entry.new) {
            Some(last) => Err(RepoError::LostBranch { branch: branch.short().to_owned(), last }),
            None => Ok(()),
        }
    }

    /// Fails if there is no index where there should be one: taken for an empty one, the next commit would lack all that is
    /// not added again.
    ///
    /// # Errors
    /// [`RepoError::LostIndex`], then.
    pub fn check_index_not_lost(&self) -> Result<(), RepoError> {
        let file = self.layout().index();
        if file.exists() || !self.layout().needs_index() || self.head()?.commit().is_none() {
            return Ok(());
        }
        Err(RepoError::LostIndex { file })
    }

    /// The tree of HEAD; `None` before the first commit.
    ///
    /// # Errors
    /// When HEAD or its commit cannot be read.
    pub fn head_tree(&self) -> Result<Option<TreeId>, RepoError> {
        match self.head()?.commit() {
            Some(id) => Ok(Some(Commit::read(self.store(), id)?.tree)),
            None => Ok(None),
        }
    }
}
