//! Comparing two versions in some of their paths.

use super::{Change, FileVersion};
use crate::object::{ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::store::StoreError;
use crate::tree::{self, Content, TreeEntry};
use crate::worktree::Selection;

/// The files that differ between two trees and are selected, sorted by path. Enters no folder that is the same in both
/// or in which nothing is selected.
///
/// # Errors
/// When a node that differs cannot be read.
pub fn trees_in(
    read: &dyn ObjectRead,
    old: Option<TreeId>,
    new: Option<TreeId>,
    selection: &dyn Selection,
) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    let mut take = |change| {
        changes.push(change);
        true
    };
    compare(read, None, (old, new), selection, &mut take)?;
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

/// Whether two trees differ in a selected path; stops at the first.
///
/// # Errors
/// As [`trees_in`].
pub fn differ_in(
    read: &dyn ObjectRead,
    old: Option<TreeId>,
    new: Option<TreeId>,
    selection: &dyn Selection,
) -> Result<bool, StoreError> {
    let mut differ = false;
    let mut stop = |_| {
        differ = true;
        false
    };
    compare(read, None, (old, new), selection, &mut stop)?;
    Ok(differ)
}

/// Hands every selected change to `found`, until that says no.
fn compare(
    read: &dyn ObjectRead,
    folder: Option<&RepoPath>,
    (old, new): (Option<TreeId>, Option<TreeId>),
    selection: &dyn Selection,
    found: &mut dyn FnMut(Change) -> bool,
) -> Result<bool, StoreError> {
    if old == new {
        return Ok(true);
    }
    for (before, after) in tree::diff(read, old, new)? {
        let name = before.as_ref().or(after.as_ref()).map_or(&[][..], |entry| &entry.name);
        let path = RepoPath::join_to(folder, name).map_err(|e| StoreError::Malformed {
            kind: crate::object::ObjectKind::Tree,
            digest: *old.or(new).unwrap_or_else(|| TreeId::of(&[])).digest(),
            what: e.to_string(),
        })?;
        let ((old_file, old_folder), (new_file, new_folder)) = (split(before), split(after));
        let differs = old_file.is_some() || new_file.is_some();
        if differs && selection.includes(&path) && !found(Change { path: path.clone(), old: old_file, new: new_file }) {
            return Ok(false);
        }
        if (old_folder.is_some() || new_folder.is_some())
            && selection.enters(&path)
            && !compare(read, Some(&path), (old_folder, new_folder), selection, found)?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// An entry as file or as folder.
fn split(entry: Option<TreeEntry>) -> (Option<FileVersion>, Option<TreeId>) {
    match entry {
        Some(TreeEntry { content: Content::Tree(id), .. }) => (None, Some(id)),
        other => (other.map(FileVersion::from), None),
    }
}
