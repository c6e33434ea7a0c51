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

/// How many commits each side has that the other has not. Looks at history only as far back as the two differ, provided
/// that no commit claims to be older than its parents.
///
/// # Errors
/// When a commit cannot be read.
pub fn divergence(read: &dyn ObjectRead, ours: CommitId, theirs: CommitId) -> Result<Divergence, StoreError> {
    if ours == theirs {
        return Ok(Divergence::default());
    }
    let mut flags: HashMap<CommitId, u8> = HashMap::from([(ours, OURS), (theirs, THEIRS)]);
    let mut heap = BinaryHeap::new();
    for id in [ours, theirs] {
        heap.push((Commit::read(read, id)?.committer.time, id));
    }
    // Of the commits that one side alone seems to have: a common one that is not older may turn out to be their descendant.
    let mut oldest = i64::MAX;
    while heap.peek().is_some_and(|(time, _)| *time >= oldest) || heap.iter().any(|(_, id)| flags[id] & STALE == 0) {
        let Some((time, id)) = heap.pop() else { break };
        let flag = match flags[&id] {
            flag if flag & (OURS | THEIRS) == OURS | THEIRS => flag | STALE,
            flag => flag,
        };
        flags.insert(id, flag);
        if flag & STALE == 0 {
            oldest = oldest.min(time);
        }
        for parent in Commit::read(read, id)?.parents {
            let entry = flags.entry(parent).or_default();
            if *entry & flag != flag {
                *entry |= flag;
                heap.push((Commit::read(read, parent)?.committer.time, parent));
            }
        }
    }
    let count = |side| flags.values().filter(|flag| **flag == side).count();
    Ok(Divergence { ahead: count(OURS), behind: count(THEIRS) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::Walk;
    use crate::object::TreeId;
    use crate::object::memory::MemoryObjects;
    use crate::signature::Signature;

    /// Commits in the order given, each with parents among those before it and a time not before theirs.
    fn history(store: &MemoryObjects, shape: &[(u8, u8, u8)]) -> Vec<CommitId> {
        let mut made: Vec<(CommitId, i64)> = Vec::new();
        for (number, (one, other, later)) in shape.iter().enumerate() {
            let pick = |at: &u8| made.len().checked_sub(1 + usize::from(*at) % 6).map(|at| made[at]);
            let mut parents: Vec<(CommitId, i64)> = pick(one).into_iter().collect();
            parents.extend(pick(other).filter(|parent| !parents.contains(parent) && other % 3 == 0));
            let time = parents.iter().map(|(_, time)| *time).max().unwrap_or(0) + i64::from(later % 3);
            let who = Signature { name: "n".into(), email: "e".into(), time, offset: 0 };
            let ids = parents.iter().map(|(id, _)| *id).collect();
            let commit = Commit::new(ids, TreeId::of(b"t"), who.clone(), who, format!("{number}\n"));
            made.push((commit.write(store).unwrap(), time));
        }
        made.into_iter().map(|(id, _)| id).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn divergence_counts_what_a_full_walk_counts(
            shape in proptest::collection::vec(any::<(u8, u8, u8)>(), 1..40), a: u8, b: u8,
        ) {
            let store = MemoryObjects::new();
            let all = history(&store, &shape);
            let (ours, theirs) = (all[usize::from(a) % all.len()], all[usize::from(b) % all.len()]);
            let count = |tip, hidden| Walk::new(&store, &[tip], &[hidden]).unwrap().count();
            let expected = Divergence { ahead: count(ours, theirs), behind: count(theirs, ours) };
            prop_assert_eq!(divergence(&store, ours, theirs).unwrap(), expected);
        }
    }

    #[test]
    fn a_long_history_in_common_is_not_read() {
        let store = MemoryObjects::new();
        let all = history(&store, &vec![(0, 1, 1); 2000]);
        store.reset();
        let distance = divergence(&store, all[1999], all[1996]).unwrap();
        assert_eq!(distance, Divergence { ahead: 3, behind: 0 });
        assert!(store.read_tally().objects < 30, "{:?}", store.read_tally());
    }
}
