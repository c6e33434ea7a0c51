//! The attributes of a version that is in the store.

use std::path::PathBuf;

use super::ATTRIBUTES_FILE;
use crate::content::copy_to;
use crate::durable::IoContext;
use crate::object::{ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::rules_file::{FolderFiles, MAX_RULES_FILE, RulesError};
use crate::tree::Tree;

/// The rules files of a tree. A file whose content is not here, as in a partial clone, counts as none.
pub struct TreeFiles<'a> {
    objects: &'a dyn ObjectRead,
    root: TreeId,
}

impl<'a> TreeFiles<'a> {
    /// Those of this tree.
    #[must_use]
    pub fn new(objects: &'a dyn ObjectRead, root: TreeId) -> Self {
        Self { objects, root }
    }
}

impl FolderFiles for TreeFiles<'_> {
    fn rules_file(&self, folder: Option<&RepoPath>, name: &str) -> Result<Option<Vec<u8>>, RulesError> {
        let shown = || folder.map_or_else(PathBuf::new, |folder| folder.as_path().to_owned()).join(ATTRIBUTES_FILE);
        let Ok(path) = RepoPath::join_to(folder, name.as_bytes()) else { return Ok(None) };
        let found = Tree::at_path(self.objects, self.root, &path);
        let found = found.map_err(std::io::Error::other).at("read", &shown())?;
        let Some(entry) = found.filter(|entry| entry.mode.is_file()) else { return Ok(None) };
        if entry.size > MAX_RULES_FILE as u64 {
            return Err(RulesError::TooLong(shown()));
        }
        let mut bytes = Vec::new();
        match copy_to(self.objects, &entry.content, &mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(_) => Ok(None),
        }
    }
}
