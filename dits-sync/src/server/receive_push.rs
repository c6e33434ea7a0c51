//! The objects of a push.

use std::collections::HashSet;

use dits_core::commit::Commit;
use dits_core::object::{CommitId, Digest, ObjectKind};
use dits_core::repo::RepoError;
use dits_core::store::{Store, StoreError, StoreWriter, WriterGuard};

use super::incoming::Incoming;
use super::push::Decision;
use super::serve::{Conversation, listing};
use crate::error::SyncError;
use crate::exchange::{self, Chunks, Receive, Wanted};
use crate::held;
use crate::transfer::ContentFilter;
use crate::wire::{MAX_SHALLOW, Message, Push, Start};

/// How many commits are looked at in search of those that the client names as known here.
const SEARCHED: usize = 10_000;

/// What a push brought.
pub(super) enum Taken {
    /// It is in the store, and the guard keeps it from being collected until refs name it.
    Stored { objects: u64, _guard: WriterGuard },
    /// In a dry run: its metadata, which goes with the writer.
    Pretended(Box<StoreWriter>),
}

impl Conversation<'_> {
    /// Takes the objects that the undecided updates need, and proves that nothing is missing.
    pub(super) fn receive_push(&self, push: &Push, decisions: &[Decision]) -> Result<Taken, SyncError> {
        let repository = self.repository();
        let store = repository.store();
        let wants: Vec<Wanted> = decisions
            .iter()
            .filter(|decision| decision.outcome.is_none())
            .filter_map(|decision| Some((None, decision.update.new?)))
            .collect();
        let new = || wants.iter().map(|(_, digest)| *digest).filter(|_| !push.dry_run);
        let incoming =
            self.session.while_working("looking at what is here", || Incoming::begin(store.dits_dir(), new()));
        let adopted = self.session.while_working("looking at what is here", || held::adopt(store))?;
        let writer = repository.writer().map_err(SyncError::Repo)?;
        let known = self.known()?;
        let common = self.common(push, &known)?;
        let related = !push.unrelated || !common.is_empty();
        let filter = || (!related || adopted).then(|| held::filter(store)).transpose();
        let held = self.session.while_working("looking at what is here", filter)?.flatten();
        let edges = repository.shallow().map_err(SyncError::Repo)?;
        let shallow = edges.iter().take(MAX_SHALLOW).collect();
        self.session.control(&Message::Start(Start { common, shallow, lifted: Vec::new(), held }))?;
        let progress = incoming.until_ended(&*self.access, &self.session);
        let received = exchange::receive(
            &self.session,
            Receive {
                store,
                writer: &writer,
                wants: &wants,
                known: &known,
                known_shallow: &edges.iter().collect(),
                cut: &HashSet::new(),
                filter: ContentFilter::all(),
                alternates: &[],
                quota: self.access.quota_left(),
                chunks: if push.dry_run { Chunks::Pretend } else { Chunks::Receive },
                threads: repository.threads(),
                progress: &progress,
            },
        );
        match received {
            Ok(received) if !push.dry_run => {
                let finished = self.session.while_working("making it durable", || writer.finish())?;
                held::forget(store)?;
                Ok(Taken::Stored { objects: received.metadata + received.chunks, _guard: finished.guard })
            }
            Ok(_) => Ok(Taken::Pretended(Box::new(writer))),
            Err(error) => {
                // What came is not asked for again if the client comes back, or is back already.
                if error.is_transient() || matches!(error, SyncError::Repo(RepoError::Interrupted(_))) {
                    // Where it cannot be kept, it comes again.
                    let _ = held::keep(store, writer);
                }
                Err(error)
            }
        }
    }

    /// The commits that refs name: what is here with everything below it.
    fn known(&self) -> Result<Vec<CommitId>, SyncError> {
        let store = self.repository().store();
        let mut known = Vec::new();
        for (_, digest) in listing(self.repository())?.refs {
            if is_commit(store, &digest)? {
                known.push(CommitId::from_digest(digest));
            }
        }
        known.sort_unstable();
        known.dedup();
        Ok(known)
    }

    /// Which of the client's haves refs reach.
    fn common(&self, push: &Push, known: &[CommitId]) -> Result<Vec<u32>, SyncError> {
        let wanted: HashSet<CommitId> = push.haves.iter().copied().collect();
        let mut found: HashSet<CommitId> = HashSet::new();
        let mut seen: HashSet<CommitId> = known.iter().copied().collect();
        let mut queue: std::collections::VecDeque<CommitId> = known.iter().copied().collect();
        while let Some(id) = queue.pop_front().filter(|_| found.len() < wanted.len() && seen.len() < SEARCHED) {
            if wanted.contains(&id) {
                found.insert(id);
            }
            match Commit::read(self.repository().store(), id) {
                Ok(commit) => queue.extend(commit.parents.into_iter().filter(|parent| seen.insert(*parent))),
                Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let common = push.haves.iter().enumerate().filter(|(_, have)| found.contains(have));
        Ok(common.map(|(i, _)| i as u32).collect())
    }
}

fn is_commit(store: &Store, digest: &Digest) -> Result<bool, StoreError> {
    Ok(store.meta.info(digest)?.is_some_and(|info| info.kind == ObjectKind::Commit))
}
