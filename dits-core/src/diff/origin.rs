//! Where a file that is new in a commit came from.

use super::{RenameOptions, find_renames, trees};
use crate::commit::Commit;
use crate::object::{ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::store::StoreError;
use crate::tree::Tree;

/// The path in the parent's tree that the file at `path` was moved from: by the moves the commit records, else found
/// among the files that went away. `None` for a file that is really new.
///
/// # Errors
/// When something that differs cannot be read.
pub fn origin_of(
    read: &dyn ObjectRead,
    commit: &Commit,
    parent: TreeId,
    path: &RepoPath,
    options: RenameOptions,
) -> Result<Option<RepoPath>, StoreError> {
    for (from, to) in &commit.moves {
        let moved = if to == path {
            Some(from.clone())
        } else if path.is_within(to) {
            // A whole folder was moved.
            RepoPath::parse(&[from.as_bytes(), &path.as_bytes()[to.as_bytes().len()..]].concat()).ok()
        } else {
            None
        };
        if let Some(moved) = moved
            && Tree::at_path(read, parent, &moved)?.is_some()
        {
            return Ok(Some(moved));
        }
    }
    let mut changes = trees(read, Some(parent), Some(commit.tree))?;
    changes.retain(|change| change.new.is_none() || change.path == *path);
    let renames = find_renames(read, &changes, options)?;
    Ok(renames.into_iter().find(|rename| rename.to == *path).map(|rename| rename.from))
}
