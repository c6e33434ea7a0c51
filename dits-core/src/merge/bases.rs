//! The tree that two histories started from, where there is more than one best common ancestor.
//!
//! Histories that merged each other crosswise have several. As in git's recursive strategy they are merged with each
//! other first; what is in conflict among them is a base that neither side can equal.

use std::collections::{BTreeMap, BTreeSet};

use super::{Conflict, Merged, three_way};
use crate::commit::Commit;
use crate::diff::{self, FileVersion, RenameOptions};
use crate::history;
use crate::object::memory::MemoryObjects;
use crate::object::{CommitId, Digest, ObjectKind, ObjectRead, ObjectWrite, TreeId};
use crate::path::RepoPath;
use crate::repo::RepoError;
use crate::store::StoreError;
use crate::tree::{self, Tree};

/// How deep bases of bases are looked for; deeper, the newest one is taken.
const DEPTH: usize = 20;

/// Reads a store, and trees that were only worked out, from memory.
struct Overlay<'a> {
    below: &'a dyn ObjectRead,
    made: MemoryObjects,
}

impl ObjectRead for Overlay<'_> {
    fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        if self.made.contains(digest) { self.made.read(kind, digest) } else { self.below.read(kind, digest) }
    }

    fn is_shallow(&self, commit: &CommitId) -> Result<bool, StoreError> {
        self.below.is_shallow(commit)
    }
}

impl ObjectWrite for Overlay<'_> {
    fn write(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Digest, StoreError> {
        self.made.write(kind, bytes)
    }
}

#[derive(Default)]
struct Base {
    tree: Option<TreeId>,
    /// The paths on which the bases themselves do not agree.
    contested: BTreeSet<RepoPath>,
}

/// Merges two commits. `None` when their histories have nothing in common and `unrelated` does not allow that.
///
/// # Errors
/// When an object cannot be read.
pub fn merge_commits(
    read: &dyn ObjectRead,
    ours: CommitId,
    theirs: CommitId,
    unrelated: bool,
) -> Result<Option<Merged>, RepoError> {
    let bases = history::merge_bases(read, ours, theirs)?;
    if bases.is_empty() && !unrelated {
        return Ok(None);
    }
    let overlay = Overlay { below: read, made: MemoryObjects::new() };
    let base = base_of(&overlay, &bases, 0)?;
    let (ours, theirs) = (tree_of(read, ours)?, tree_of(read, theirs)?);
    Ok(Some(merge_on(&overlay, &base, ours, theirs)?))
}

fn tree_of(read: &dyn ObjectRead, commit: CommitId) -> Result<TreeId, StoreError> {
    Ok(Commit::read(read, commit)?.tree)
}

fn base_of(overlay: &Overlay<'_>, bases: &[CommitId], depth: usize) -> Result<Base, RepoError> {
    let Some((first, rest)) = bases.split_first() else { return Ok(Base::default()) };
    let mut base = Base { tree: Some(tree_of(overlay, *first)?), contested: BTreeSet::new() };
    if depth == DEPTH {
        return Ok(base);
    }
    for other in rest {
        let below = base_of(overlay, &history::merge_bases(overlay, *first, *other)?, depth + 1)?;
        let (Some(ours), theirs) = (base.tree, tree_of(overlay, *other)?) else { break };
        let merged = merge_on(overlay, &below, ours, theirs)?;
        base.tree = Some(apply(overlay, ours, &merged)?);
        base.contested.extend(merged.conflicts.into_iter().map(|conflict| conflict.path));
        base.contested.extend(merged.file_and_folder);
    }
    Ok(base)
}

/// A merge in which a contested path is a conflict wherever the two sides differ.
fn merge_on(read: &dyn ObjectRead, base: &Base, ours: TreeId, theirs: TreeId) -> Result<Merged, RepoError> {
    let mut merged = three_way(read, base.tree, Some(ours), Some(theirs), RenameOptions::default())?;
    for path in &base.contested {
        let at = |tree| -> Result<Option<FileVersion>, StoreError> {
            Ok(Tree::at_path(read, tree, path)?.filter(|entry| entry.mode.is_file()).map(FileVersion::from))
        };
        let (ours, theirs) = (at(ours)?, at(theirs)?);
        if ours != theirs && !merged.conflicts.iter().any(|conflict| conflict.path == *path) {
            merged.changes.retain(|change| change.path != *path);
            merged.conflicts.push(Conflict { path: path.clone(), base: None, ours, theirs, moved_to: None });
        }
    }
    merged.conflicts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(merged)
}

fn apply(overlay: &Overlay<'_>, tree: TreeId, merged: &Merged) -> Result<TreeId, RepoError> {
    let mut files = BTreeMap::new();
    for change in diff::trees(overlay, None, Some(tree))? {
        files.insert(change.path, change.new);
    }
    // A base that cannot be made is that of one side; its clashing paths are contested anyway.
    if merged.file_and_folder.is_empty() {
        files.extend(merged.changes.iter().map(|change| (change.path.clone(), change.new.clone())));
    }
    let entries = files.into_iter().filter_map(|(path, version)| version.map(|v| (path, v.mode, v.size, v.content)));
    Ok(tree::from_paths(entries, overlay)?)
}
