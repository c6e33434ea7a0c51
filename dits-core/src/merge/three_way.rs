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
    /// Where the side that has no file here has moved it to, when both sides moved it.
    pub moved_to: Option<RepoPath>,
}

/// What a merge makes of our tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// What has to change in our tree, sorted by path.
    pub changes: Vec<Change>,
    /// What a person has to decide, sorted by path. A path is also in `changes` when ours is put there because they
    /// moved the file.
    pub conflicts: Vec<Conflict>,
    /// Paths that are a file on one side and a folder on the other: the merge cannot be made.
    pub file_and_folder: Vec<RepoPath>,
}

type Changes = BTreeMap<RepoPath, Change>;

/// Merges the changes from `base` to `theirs` into `ours`. A file that one side moved and the other edited is edited
/// in its new place; one that both moved to different places, or that one moved and the other removed, is a conflict.
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
    state.both_moved(&our_moves, &their_moves);
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
    /// Both sides moved a file, to different places.
    fn both_moved(&mut self, our_moves: &HashMap<RepoPath, RepoPath>, their_moves: &HashMap<RepoPath, RepoPath>) {
        for (from, our_place) in our_moves {
            let Some(their_place) = their_moves.get(from).filter(|place| *place != our_place) else { continue };
            // Somebody put another file there: that is a conflict of its own, and says enough.
            if self.theirs.contains_key(our_place) || self.ours.contains_key(their_place) {
                continue;
            }
            let (Some(ours), Some(theirs)) = (self.ours.get(our_place), self.theirs.remove(their_place)) else {
                continue;
            };
            let ours = ours.new.clone();
            let base = self.theirs.remove(from).and_then(|change| change.old);
            self.conflict(our_place.clone(), [base.clone(), ours, None], Some(their_place.clone()));
            self.conflict(their_place.clone(), [base, None, theirs.new], Some(our_place.clone()));
        }
    }

    /// We moved a file that they edited or removed: their edit goes to the new place.
    fn follow_our_moves(&mut self, moves: &HashMap<RepoPath, RepoPath>) {
        for (from, to) in moves {
            if self.theirs.get(from).is_none_or(|c| c.old.is_none()) || self.theirs.contains_key(to) {
                continue;
            }
            let (Some(theirs), Some(ours)) = (self.theirs.remove(from), self.ours.get(to)) else { continue };
            let placed = ours.new.clone();
            self.ours.remove(from);
            if theirs.new.is_none() {
                self.conflict(to.clone(), [theirs.old, placed, None], None);
            } else {
                self.decide(to.clone(), theirs.old, placed, theirs.new);
            }
        }
    }

    /// They moved a file that we edited or removed: our edit goes to the new place.
    fn follow_their_moves(&mut self, moves: &HashMap<RepoPath, RepoPath>) {
        for (from, to) in moves {
            if self.ours.get(from).is_none_or(|c| c.old.is_none()) || self.ours.contains_key(to) {
                continue;
            }
            let Some(theirs) = self.theirs.remove(to) else { continue };
            let Some(ours) = self.ours.remove(from) else { continue };
            self.theirs.remove(from);
            if ours.new.is_none() {
                self.conflict(to.clone(), [ours.old, None, theirs.new], None);
                continue;
            }
            self.merged.changes.push(Change { path: from.clone(), old: ours.new.clone(), new: None });
            // What is decided now is decided about a file that stands in its new place.
            self.merged.changes.push(Change { path: to.clone(), old: None, new: ours.new.clone() });
            if theirs.new != ours.old && theirs.new != ours.new {
                self.conflict(to.clone(), [ours.old, ours.new, theirs.new], None);
            }
        }
    }

    fn conflict(&mut self, path: RepoPath, versions: [Option<FileVersion>; 3], moved_to: Option<RepoPath>) {
        let [base, ours, theirs] = versions;
        self.merged.conflicts.push(Conflict { path, base, ours, theirs, moved_to });
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
        match settled(base.as_ref(), ours.as_ref(), theirs.as_ref()) {
            Some(new) if new == ours => {}
            Some(new) => self.merged.changes.push(Change { path, old: ours, new }),
            None => self.conflict(path, [base, ours, theirs], None),
        }
    }
}

/// What the versions of two sides make together, if only one side changed the content, and only one the executable
/// bit.
fn settled(
    base: Option<&FileVersion>,
    ours: Option<&FileVersion>,
    theirs: Option<&FileVersion>,
) -> Option<Option<FileVersion>> {
    if let Some(one) = pick(base, ours, theirs) {
        return Some(one.cloned());
    }
    let (base, ours, theirs) = (base?, ours?, theirs?);
    if [base, ours, theirs].iter().any(|version| !version.mode.is_file()) {
        return None;
    }
    let mode = *pick(&base.mode, &ours.mode, &theirs.mode)?;
    let from =
        [ours, theirs].into_iter().find(|v| Some(&v.content) == pick(&base.content, &ours.content, &theirs.content))?;
    Some(Some(FileVersion { mode, ..from.clone() }))
}

/// The side that changed, if not both did, each in its own way.
fn pick<T: PartialEq>(base: T, ours: T, theirs: T) -> Option<T> {
    match () {
        () if ours == theirs || theirs == base => Some(ours),
        () if ours == base => Some(theirs),
        () => None,
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
                if tree_of(&entry).is_none() && !leaving.contains(&parent) {
                    clashes.push(path.clone());
                }
                break;
            }
            folder = parent.parent();
        }
        if let Some(entry) = Tree::at_path(read, ours, path)? {
            let below = diff::trees(read, None, tree_of(&entry))?;
            let stays = |c: &Change| path.join_all(&c.path).is_ok_and(|full| !leaving.contains(&full));
            if below.iter().any(stays) {
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
