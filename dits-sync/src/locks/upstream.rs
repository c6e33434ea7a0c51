//! What files are on the branches of the server.

use std::cell::RefCell;
use std::collections::HashMap;

use dits_core::commit::Commit;
use dits_core::lock::FileVersion;
use dits_core::object::{CommitId, ObjectRead, TreeId};
use dits_core::path::RepoPath;
use dits_core::refs::{HeldRefs, RefName, Target};
use dits_core::tree::Tree;

use super::service::LocksError;

/// The newest versions of files on branches. The first failure is kept, and what it was about counts as not there.
pub(super) struct Upstream<'a> {
    objects: &'a dyn ObjectRead,
    refs: &'a dyn HeldRefs,
    trees: RefCell<HashMap<RefName, Option<TreeId>>>,
    failure: RefCell<Option<LocksError>>,
}

impl<'a> Upstream<'a> {
    pub(super) fn new(objects: &'a dyn ObjectRead, refs: &'a dyn HeldRefs) -> Self {
        Self { objects, refs, trees: RefCell::default(), failure: RefCell::default() }
    }

    /// What a file is on a branch; `None` if there is no such branch.
    pub(super) fn version(&self, branch: Option<&RefName>, path: &RepoPath) -> Option<Option<FileVersion>> {
        let branch = branch?;
        let known = self.trees.borrow().get(branch).copied();
        let tree = known.unwrap_or_else(|| {
            let tree = self.tree(branch).unwrap_or_else(|error| self.fail(error));
            self.trees.borrow_mut().insert(branch.clone(), tree);
            tree
        })?;
        match Tree::at_path(self.objects, tree, path) {
            Ok(entry) => Some(entry.as_ref().map(FileVersion::of)),
            Err(error) => self.fail(error.into()),
        }
    }

    fn tree(&self, branch: &RefName) -> Result<Option<TreeId>, LocksError> {
        let Some(Target::Id(tip)) = self.refs.read(branch)? else { return Ok(None) };
        Ok(Some(Commit::read(self.objects, CommitId::from_digest(tip))?.tree))
    }

    fn fail<T>(&self, error: LocksError) -> Option<T> {
        self.failure.borrow_mut().get_or_insert(error);
        None
    }

    /// The failure, if there was one.
    pub(super) fn failure(self) -> Result<(), LocksError> {
        self.failure.into_inner().map_or(Ok(()), Err)
    }
}
