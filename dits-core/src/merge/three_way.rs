//! The three-way comparison of trees.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::diff::{self, Change, FileVersion, RenameOptions, find_renames};
use crate::object::{ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::store::StoreError;
use crate::tree::Tree;

/// A path that both sides changed, each in its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The path, as ours has it.
    pub path: RepoPath,
    /// The file both started from.
    pub base: Option<FileVersion>,
    /// Our file; `None` when we removed it.
    pub ours: Option<FileVersion>,
    /// Their file; `None` when they removed it.
    pub theirs: Option<FileVersion>,
}

/// What a merge makes of our tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// What has to change in our tree, sorted by path.
    pub changes: Vec<Change>,
    /// What a person has to decide, sorted by path. These paths are not in `changes`.
    pub conflicts: Vec<Conflict>,
    /// Paths that are a file on one side and a folder on the other: the merge cannot be made.
    pub file_and_folder: Vec<RepoPath>,
}

type Changes = BTreeMap<RepoPath, Change>;

/// Merges the changes from `base` to `theirs` into `ours`. A file that one side moved and the other edited is edited
/// in its new place.
///
/// # Errors
/// When an object cannot be read.
pub fn three_way(
    read: &dyn ObjectRead,
    base: Option<TreeId>,
    ours: Option<TreeId>,
    theirs: Option<TreeId>,
    renames: RenameOptions,
) -> Result<Merged, StoreError> {
    let (our_list, their_list) = (diff::trees(read, base, ours)?, diff::trees(read, base, theirs)?);
    let our_moves = moves(read, &our_list, renames)?;
    let their_moves = moves(read, &their_list, renames)?;
    let mut state = State {
        ours: our_list.into_iter().map(|c| (c.path.clone(), c)).collect(),
        theirs: their_list.into_iter().map(|c| (c.path.clone(), c)).collect(),
        merged: Merged::default(),
    };
    state.follow_our_moves(&our_moves);
    state.follow_their_moves(&their_moves);
    state.merge_paths();
    let mut merged = state.merged;
    merged.changes.sort_by(|a, b| a.path.cmp(&b.path));
    merged.conflicts.sort_by(|a, b| a.path.cmp(&b.path));
    merged.file_and_folder = file_and_folder(read, ours, &merged)?;
    Ok(merged)
}

fn moves(
    read: &dyn ObjectRead,
    changes: &[Change],
    options: RenameOptions,
) -> Result<HashMap<RepoPath, RepoPath>, StoreError> {
    Ok(find_renames(read, changes, options)?.into_iter().map(|r| (r.from, r.to)).collect())
}

struct State {
    ours: Changes,
    theirs: Changes,
    merged: Merged,
}

impl State {
    /// We moved a file that they edited: their edit goes to the new place.
    fn follow_our_moves(&mut self, moves: &HashMap<RepoPath, RepoPath>) {
        for (from, to) in moves {
            let edited = self.theirs.get(from).is_some_and(|c| c.old.is_some() && c.new.is_some());
            if !edited || self.theirs.contains_key(to) {
                continue;
            }
            let (Some(theirs), Some(ours)) = (self.theirs.remove(from), self.ours.get(to)) else { continue };
            let placed = ours.new.clone();
            self.ours.remove(from);
            self.decide(to.clone(), theirs.old, placed, theirs.new);
        }
    }

    /// They moved a file that we edited: our edit goes to the new place.
    fn follow_their_moves(&mut self, moves: &HashMap<RepoPath, RepoPath>) {
        for (from, to) in moves {
            let edited = self.ours.get(from).is_some_and(|c| c.old.is_some() && c.new.is_some());
            if !edited || self.ours.contains_key(to) {
                continue;
            }
            let (Some(ours), Some(theirs)) = (self.ours.remove(from), self.theirs.remove(to)) else { continue };
            self.theirs.remove(from);
            self.merged.changes.push(Change { path: from.clone(), old: ours.new.clone(), new: None });
            if theirs.new == ours.old {
                self.merged.changes.push(Change { path: to.clone(), old: None, new: ours.new });
            } else {
                let conflict =
                    Conflict { path: to.clone(), base: ours.old, ours: ours.new.clone(), theirs: theirs.new };
                self.merged.changes.push(Change { path: to.clone(), old: None, new: ours.new });
                self.merged.conflicts.push(conflict);
            }
        }
    }

    fn merge_paths(&mut self) {
        for (path, theirs) in std::mem::take(&mut self.theirs) {
            match self.ours.remove(&path) {
                None => self.merged.changes.push(theirs),
                Some(ours) => self.decide(path, ours.old, ours.new, theirs.new),
            }
        }
    }

    fn decide(
        &mut self,
        path: RepoPath,
        base: Option<FileVersion>,
        ours: Option<FileVersion>,
        theirs: Option<FileVersion>,
    ) {
        if ours == theirs {
            return;
        }
        if ours == base {
            self.merged.changes.push(Change { path, old: ours, new: theirs });
        } else if theirs != base {
            self.merged.conflicts.push(Conflict { path, base, ours, theirs });
        }
    }
}

/// Added files that stand where our tree has a folder, or below what our tree has as a file.
fn file_and_folder(read: &dyn ObjectRead, ours: Option<TreeId>, merged: &Merged) -> Result<Vec<RepoPath>, StoreError> {
    let Some(ours) = ours else { return Ok(Vec::new()) };
    let leaving: BTreeSet<&RepoPath> = merged.changes.iter().filter(|c| c.new.is_none()).map(|c| &c.path).collect();
    let arriving = merged.changes.iter().filter(|c| c.old.is_none()).map(|c| &c.path);
    let mut clashes = Vec::new();
    for path in arriving.chain(merged.conflicts.iter().filter(|c| c.ours.is_none()).map(|c| &c.path)) {
        let mut folder = path.parent();
        while let Some(parent) = folder {
            if let Some(entry) = Tree::at_path(read, ours, &parent)? {
                if entry.mode.is_file() && !leaving.contains(&parent) {
                    clashes.push(path.clone());
                }
                break;
            }
            folder = parent.parent();
        }
        if let Some(entry) = Tree::at_path(read, ours, path)? {
            let below = diff::trees(read, None, tree_of(&entry))?;
            let stays = |c: &Change| path.join_all(&c.path).is_ok_and(|full| !leaving.contains(&full));
            if !entry.mode.is_file() && below.iter().any(stays) {
                clashes.push(path.clone());
            }
        }
    }
    Ok(clashes)
}

fn tree_of(entry: &crate::tree::TreeEntry) -> Option<TreeId> {
    match entry.content {
        crate::tree::Content::Tree(id) => Some(id),
        _ => None,
    }
}
