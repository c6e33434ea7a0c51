//! Commits reachable from some and not from others, newest first.

use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::commit::Commit;
use crate::object::{CommitId, ObjectRead};
use crate::store::StoreError;

/// In which order commits come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Order {
    /// By committer time, newest first: what is cheapest, and right unless clocks were wrong.
    #[default]
    Date,
    /// No commit before all of its children, and lines of history not interleaved: what `--graph` needs.
    Topological,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    time: i64,
    // Ties are broken by the order of discovery, so that the walk is the same every time.
    order: std::cmp::Reverse<u64>,
    id: CommitId,
}

/// A walk over commits. Fails on the first commit that cannot be read.
pub struct Walk<'a> {
    read: &'a dyn ObjectRead,
    heap: BinaryHeap<Pending>,
    found: HashMap<CommitId, Commit>,
    seen: HashSet<CommitId>,
    hidden: HashSet<CommitId>,
    first_parent: bool,
    discovered: u64,
    sorted: Option<std::vec::IntoIter<(CommitId, Commit)>>,
}

impl<'a> Walk<'a> {
    /// Starts a walk at `tips`, leaving out what is reachable from `hidden`.
    ///
    /// # Errors
    /// When a commit cannot be read.
    pub fn new(read: &'a dyn ObjectRead, tips: &[CommitId], hidden: &[CommitId]) -> Result<Self, StoreError> {
        let mut walk = Self {
            read,
            heap: BinaryHeap::new(),
            found: HashMap::new(),
            seen: HashSet::new(),
            hidden: HashSet::new(),
            first_parent: false,
            discovered: 0,
            sorted: None,
        };
        walk.hide(hidden)?;
        for tip in tips {
            walk.push(*tip)?;
        }
        Ok(walk)
    }

    /// Follows only the first parent of merges.
    #[must_use]
    pub fn first_parent(mut self, on: bool) -> Self {
        self.first_parent = on;
        self
    }

    /// Chooses the order. Topological order reads all commits before the first one comes.
    ///
    /// # Errors
    /// When a commit cannot be read.
    pub fn order(mut self, order: Order) -> Result<Self, StoreError> {
        if order == Order::Topological {
            let all: Vec<_> = self.by_ref().collect::<Result<_, _>>()?;
            self.sorted = Some(topological(all).into_iter());
        }
        Ok(self)
    }

    fn hide(&mut self, tips: &[CommitId]) -> Result<(), StoreError> {
        let mut stack = tips.to_vec();
        while let Some(id) = stack.pop() {
            if self.hidden.insert(id) {
                stack.extend(Commit::read(self.read, id)?.parents);
            }
        }
        Ok(())
    }

    fn push(&mut self, id: CommitId) -> Result<(), StoreError> {
        if self.hidden.contains(&id) || !self.seen.insert(id) {
            return Ok(());
        }
        let commit = Commit::read(self.read, id)?;
        self.discovered += 1;
        self.heap.push(Pending { time: commit.committer.time, order: std::cmp::Reverse(self.discovered), id });
        self.found.insert(id, commit);
        Ok(())
    }

    /// Takes the next commit without going on to its parents: [`Walk::add`] does that for those that are wanted.
    pub(super) fn pop(&mut self) -> Result<Option<(CommitId, Commit)>, StoreError> {
        Ok(self.heap.pop().and_then(|pending| self.found.remove_entry(&pending.id)))
    }

    /// Adds a commit to walk over, unless it is hidden or was seen.
    pub(super) fn add(&mut self, id: CommitId) -> Result<(), StoreError> {
        self.push(id)
    }

    fn step(&mut self) -> Result<Option<(CommitId, Commit)>, StoreError> {
        let Some((id, commit)) = self.pop()? else { return Ok(None) };
        let parents = if self.first_parent { &commit.parents[..commit.parents.len().min(1)] } else { &commit.parents };
        for parent in parents.iter().copied() {
            self.push(parent)?;
        }
        Ok(Some((id, commit)))
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(CommitId, Commit), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.sorted {
            Some(sorted) => sorted.next().map(Ok),
            None => self.step().transpose(),
        }
    }
}

fn topological(commits: Vec<(CommitId, Commit)>) -> Vec<(CommitId, Commit)> {
    let order = topological_order(commits.iter().map(|(id, commit)| (*id, &commit.parents[..])));
    let mut by_id: HashMap<CommitId, Commit> = commits.into_iter().collect();
    order.into_iter().filter_map(|id| by_id.remove_entry(&id)).collect()
}

/// Kahn's algorithm on commits and their parents, taking the most recently freed commit first so that a line of history
/// stays together. Of a merge's parents the last comes first, as in git.
pub(crate) fn topological_order<'p>(
    commits: impl Iterator<Item = (CommitId, &'p [CommitId])> + Clone,
) -> Vec<CommitId> {
    let mut children: HashMap<CommitId, usize> = commits.clone().map(|(id, _)| (id, 0)).collect();
    for parent in commits.clone().flat_map(|(_, parents)| parents) {
        if let Some(count) = children.get_mut(parent) {
            *count += 1;
        }
    }
    let parents: HashMap<CommitId, &[CommitId]> = commits.clone().collect();
    let mut ready: Vec<CommitId> = commits.map(|(id, _)| id).filter(|id| children[id] == 0).collect();
    ready.reverse();
    let mut sorted = Vec::with_capacity(parents.len());
    while let Some(id) = ready.pop() {
        for parent in parents[&id] {
            if let Some(count) = children.get_mut(parent) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    ready.push(*parent);
                }
            }
        }
        sorted.push(id);
    }
    sorted
}
