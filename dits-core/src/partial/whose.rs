//! Which file an absent chunk belongs to, so that a person can be told what to fetch.

use super::{each_chunk, id_of};
use crate::commit::Commit;
use crate::diff::{self, FileVersion};
use crate::history::Walk;
use crate::index::Stage;
use crate::object::{CommitId, Digest};
use crate::path::RepoPath;
use crate::repo::{RepoError, Repository};
use crate::store::StoreError;

/// A file that has a certain chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The file.
    pub path: RepoPath,
    /// The newest promised commit in which it has the chunk; `None` when the staging area's version has.
    pub commit: Option<CommitId>,
}

impl Repository {
    /// A file with this chunk: one that is staged, else one of a promised commit. Reads recipes until it is found, so it
    /// is for messages.
    ///
    /// # Errors
    /// When metadata cannot be read.
    pub fn owner_of(&self, chunk: &Digest) -> Result<Option<Owner>, RepoError> {
        let index = self.index()?;
        for entry in index.entries().filter(|entry| entry.stage == Stage::Normal) {
            if self.has_chunk(&FileVersion::from(&entry), chunk)? {
                return Ok(Some(Owner { path: entry.repo_path(), commit: None }));
            }
        }
        let tips = self.promises()?.commits();
        for commit in Walk::new(self.store(), &tips, &[])? {
            let (id, commit) = commit?;
            let before = match commit.parents.first() {
                Some(parent) => Some(Commit::read(self.store(), *parent)?.tree),
                None => None,
            };
            for change in diff::trees(self.store(), before, Some(commit.tree))? {
                if let Some(new) = change.new
                    && self.has_chunk(&new, chunk)?
                {
                    return Ok(Some(Owner { path: change.path, commit: Some(id) }));
                }
            }
        }
        Ok(None)
    }

    fn has_chunk(&self, version: &FileVersion, chunk: &Digest) -> Result<bool, StoreError> {
        let mut has = false;
        if id_of(&version.content).is_some() {
            each_chunk(self.store(), &version.content, version.size, &mut |found| {
                has = found.id.digest() == chunk;
                Ok(!has)
            })?;
        }
        Ok(has)
    }
}
