//! Which commits are new.

use std::collections::{BinaryHeap, HashMap};

use super::Request;
use crate::commit::Commit;
use crate::object::{CommitId, ObjectRead};
use crate::repo::RepoError;
use crate::store::StoreError;

/// The commits that `tips` reach and `known` does not, each after a child of it. Newest first through history until
/// nothing is left that may be new, so the cost is that of the newer part; where clocks were wrong, some known ones may come too.
pub(super) fn new_commits<E: From<RepoError>>(
    read: &dyn ObjectRead,
    tips: &[CommitId],
    request: &Request<'_>,
    missing: &mut dyn FnMut(CommitId) -> Result<(), E>,
) -> Result<Vec<CommitId>, E> {
    let mut paint = Paint { read, commits: HashMap::new(), heap: BinaryHeap::new(), open: 0 };
    for id in request.known {
        // A known commit that is not here tells nothing.
        paint.add(*id, true)?;
    }
    for id in tips {
        if !paint.add(*id, false)? {
            missing(*id)?;
        }
    }
    let mut new = Vec::new();
    while paint.open > 0 {
        let Some((_, id)) = paint.heap.pop() else { break };
        let Some(state) = paint.commits.get_mut(&id).filter(|state| !state.done) else { continue };
        state.done = true;
        let (known, parents) = (state.known, std::mem::take(&mut state.parents));
        if !known {
            paint.open -= 1;
            new.push(id);
        }
        let ends = if known { request.known_shallow.contains(&id) } else { request.cut.contains(&id) };
        for parent in parents.into_iter().filter(|_| !ends) {
            if !paint.add(parent, known)? && !known {
                missing(parent)?;
            }
        }
    }
    Ok(new)
}

struct State {
    known: bool,
    done: bool,
    parents: Vec<CommitId>,
}

struct Paint<'a> {
    read: &'a dyn ObjectRead,
    commits: HashMap<CommitId, State>,
    heap: BinaryHeap<(i64, CommitId)>,
    /// How many in the heap may be new.
    open: usize,
}

impl Paint<'_> {
    /// Adds a commit, or marks it as known; false when it is not there.
    fn add<E: From<RepoError>>(&mut self, id: CommitId, known: bool) -> Result<bool, E> {
        if let Some(state) = self.commits.get_mut(&id) {
            if known && !state.known {
                state.known = true;
                self.open -= usize::from(!state.done);
            }
            return Ok(true);
        }
        match Commit::read(self.read, id) {
            Ok(commit) => {
                self.commits.insert(id, State { known, done: false, parents: commit.parents });
                self.heap.push((commit.committer.time, id));
                self.open += usize::from(!known);
                Ok(true)
            }
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(RepoError::from(error).into()),
        }
    }
}
