//! Worktrees that never had a staging area: mounts that cannot be written to, and clones without a checkout.

use crate::diff;
use crate::index::{Entry, FileStat, Flags, Index};
use crate::repo::{RepoError, Repository};

impl Repository {
    /// The staging area that this worktree would have if nothing of HEAD were in it: every file is a ghost.
    ///
    /// # Errors
    /// When HEAD has no commit, or its tree cannot be read.
    pub(super) fn head_as_ghosts(&self) -> Result<Index, RepoError> {
        let (_, commit) = self.head_commit()?;
        let mut index = Index::default();
        for change in diff::trees(self.store(), None, Some(commit.tree))? {
            let Some(version) = change.new else { continue };
            index.put(Entry {
                path: change.path,
                stage: crate::index::Stage::Normal,
                mode: version.mode,
                size: version.size,
                content: version.content,
                stat: FileStat::default(),
                flags: Flags { ghost: true, ..Flags::default() },
            })?;
        }
        Ok(index)
    }
}
