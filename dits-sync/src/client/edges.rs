//! Where history ends: what a client believes of what a server says about it.

use std::collections::HashSet;

use dits_core::commit::Commit;
use dits_core::object::{CommitId, Digest, ObjectKind, ObjectRead};
use dits_core::partial;
use dits_core::progress::Progress;
use dits_core::store::StoreError;

use crate::error::SyncError;
use crate::exchange::Wanted;
use crate::transfer::Violation;
use crate::wire::Start;

/// The edges of history before, during and after a fetch.
pub(super) struct Edges {
    /// Commits of this repository whose parents are not here.
    pub known: HashSet<CommitId>,
    /// Those of them that are edges no more.
    pub lifted: Vec<CommitId>,
    /// What the server says to be edges from now on.
    said: HashSet<CommitId>,
    /// Where history ends from now on, if all of that is true.
    pub cut: HashSet<CommitId>,
}

impl Edges {
    /// Takes the server's word for nothing but this repository's own edges.
    pub(super) fn of(known: HashSet<CommitId>, start: &Start, depth: u32) -> Result<Self, Violation> {
        let said: HashSet<CommitId> = start.shallow.iter().copied().collect();
        let lifted = start.lifted.clone();
        if lifted.iter().any(|id| depth == 0 || !known.contains(id) || said.contains(id)) {
            return Err(Violation("an edge of history is lifted that is none, or was to stay".to_owned()));
        }
        let mut cut = known.clone();
        lifted.iter().for_each(|id| _ = cut.remove(id));
        cut.extend(&said);
        Ok(Self { known, lifted, said, cut })
    }

    /// The parents of what was an edge and is so no more: they come although that commit is here.
    pub(super) fn beyond(&self, read: &dyn ObjectRead) -> Result<Vec<Wanted>, SyncError> {
        let mut wants = Vec::new();
        for id in &self.lifted {
            // Not through what hides the parents of edges.
            let parents = Commit::from_bytes(*id, &read.read(ObjectKind::Commit, id.digest())?)?.parents;
            wants.extend(parents.iter().map(|parent| (Some(ObjectKind::Commit), *parent.digest())));
        }
        Ok(wants)
    }

    /// The edges to be recorded: whatever the server says, history that was here and that nobody wanted to be cut off
    /// stays. Without a depth an edge is one only of what has come (`new`); else only of what the wants reach.
    pub(super) fn believed(
        &self,
        read: &dyn ObjectRead,
        wants: &[CommitId],
        depth: u32,
        new: &[CommitId],
        progress: &dyn Progress,
    ) -> Result<Vec<CommitId>, SyncError> {
        if self.said.is_empty() {
            return Ok(Vec::new());
        }
        let mut believed = match depth {
            0 => new.to_vec(),
            depth => partial::cut(&Ending { read, edges: &self.said }, wants, depth, progress)?.commits,
        };
        believed.retain(|id| self.said.contains(id));
        Ok(believed)
    }
}

/// Reads a history as if it ended at other edges.
struct Ending<'a> {
    read: &'a dyn ObjectRead,
    edges: &'a HashSet<CommitId>,
}

impl ObjectRead for Ending<'_> {
    fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        self.read.read(kind, digest)
    }

    fn is_shallow(&self, commit: &CommitId) -> Result<bool, StoreError> {
        Ok(self.edges.contains(commit))
    }
}
