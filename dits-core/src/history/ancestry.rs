//! Who descends from whom.

use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::commit::Commit;
use crate::object::{CommitId, ObjectRead};
use crate::store::StoreError;

const OURS: u8 = 1;
const THEIRS: u8 = 2;
const STALE: u8 = 4;

/// How far two commits have gone apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Divergence {
    /// Commits that only ours has.
    pub ahead: usize,
    /// Commits that only theirs has.
    pub behind: usize,
}

/// Paints ancestors of both sides, newest first, until nothing is left that could still be a new common ancestor.
/// The colours are those of git's `paint_down_to_common`.
fn paint(read: &dyn ObjectRead, ours: CommitId, theirs: CommitId) -> Result<Vec<(i64, CommitId)>, StoreError> {
    let mut flags: HashMap<CommitId, u8> = HashMap::new();
    let mut heap = BinaryHeap::new();
    for (id, flag) in [(ours, OURS), (theirs, THEIRS)] {
        *flags.entry(id).or_default() |= flag;
        heap.push((Commit::read(read, id)?.committer.time, id));
    }
    let mut common = Vec::new();
    while heap.iter().any(|(_, id)| flags[id] & STALE == 0) {
        let Some((time, id)) = heap.pop() else { break };
        let mut flag = flags[&id];
        if flag & (OURS | THEIRS) == OURS | THEIRS {
            if flag & STALE == 0 && !common.contains(&(time, id)) {
                common.push((time, id));
            }
            flag |= STALE;
        }
        for parent in Commit::read(read, id)?.parents {
            let entry = flags.entry(parent).or_default();
            if *entry & flag != flag {
                *entry |= flag;
                heap.push((Commit::read(read, parent)?.committer.time, parent));
            }
        }
    }
    Ok(common)
}

/// The best common ancestors of two commits, newest first: none of them is an ancestor of another.
///
/// # Errors
/// When a commit cannot be read.
pub fn merge_bases(read: &dyn ObjectRead, ours: CommitId, theirs: CommitId) -> Result<Vec<CommitId>, StoreError> {
    if ours == theirs {
        return Ok(vec![ours]);
    }
    let mut common = paint(read, ours, theirs)?;
    common.sort_by(|a, b| b.cmp(a));
    let ids: Vec<CommitId> = common.into_iter().map(|(_, id)| id).collect();
    let mut best = Vec::new();
    for (i, id) in ids.iter().enumerate() {
        let mut covered = false;
        for (j, other) in ids.iter().enumerate() {
            covered |= i != j && is_ancestor(read, *id, *other)?;
        }
        if !covered {
            best.push(*id);
        }
    }
    Ok(best)
}

/// The newest of the [`merge_bases`].
///
/// # Errors
/// When a commit cannot be read.
pub fn merge_base(read: &dyn ObjectRead, ours: CommitId, theirs: CommitId) -> Result<Option<CommitId>, StoreError> {
    Ok(merge_bases(read, ours, theirs)?.first().copied())
}

/// Whether `ancestor` is `of` or reachable from it.
///
/// # Errors
/// When a commit cannot be read.
pub fn is_ancestor(read: &dyn ObjectRead, ancestor: CommitId, of: CommitId) -> Result<bool, StoreError> {
    let mut seen = HashSet::from([of]);
    let mut stack = vec![of];
    while let Some(id) = stack.pop() {
        if id == ancestor {
            return Ok(true);
        }
        stack.extend(Commit::read(read, id)?.parents.into_iter().filter(|parent| seen.insert(*parent)));
    }
    Ok(false)
}

/// How many commits each side has that the other has not.
///
/// # Errors
/// When a commit cannot be read.
pub fn divergence(read: &dyn ObjectRead, ours: CommitId, theirs: CommitId) -> Result<Divergence, StoreError> {
    let count = |tip, hidden| -> Result<usize, StoreError> {
        super::Walk::new(read, &[tip], &[hidden])?.try_fold(0, |n, commit| commit.map(|_| n + 1))
    };
    Ok(Divergence { ahead: count(ours, theirs)?, behind: count(theirs, ours)? })
}
