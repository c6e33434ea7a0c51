//! A client fetches.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use dits_core::closure::Request;
use dits_core::commit::Commit;
use dits_core::object::{CommitId, Digest, ObjectKind, TagId};
use dits_core::partial;
use dits_core::store::StoreError;
use dits_core::tag::Tag;

use super::Event;
use super::serve::{Conversation, UntilCutOff, listing};
use crate::error::SyncError;
use crate::exchange::{self, Send};
use crate::transfer::Violation;
use crate::wire::{ALL, ErrorCode, Fetch, Message, Start};

impl Conversation<'_> {
    pub(super) fn fetch(&mut self, fetch: Fetch) -> Result<(), SyncError> {
        self.check_may(|may| may.read, "fetch")?;
        let store = self.repository().store().clone();
        let tips = self.wanted(&fetch.wants)?;
        let mut common = Vec::new();
        for (i, have) in fetch.haves.iter().enumerate() {
            if store.meta.info(have.digest())?.is_some_and(|info| info.kind == ObjectKind::Commit) {
                common.push((i as u32, *have));
            }
        }
        if common.is_empty() && fetch.more {
            return self.session.control(&Message::More);
        }
        let known: Vec<CommitId> = common.iter().map(|(_, id)| *id).collect();
        let known_shallow: HashSet<CommitId> = fetch.shallow.iter().copied().collect();
        let (cut, beyond) = self.depth(&tips, &fetch, &known_shallow)?;
        let tips: Vec<_> = tips.into_iter().chain(beyond).collect();
        let mut shallow: Vec<CommitId> = cut.iter().copied().collect();
        shallow.sort_unstable();
        let common = common.into_iter().map(|(i, _)| i).collect();
        self.session.control(&Message::Start(Start { common, shallow, held: None }))?;
        let job = Send {
            store: &store,
            request: Request { tips: &tips, known: &known, known_shallow: &known_shallow, cut: &cut },
            held: fetch.held,
            progress: &UntilCutOff(&*self.access),
            dry_run: false,
            spared: AtomicU64::default(),
        };
        let ((), sent) = exchange::send(&self.session, &job, &mut |message| match message {
            Message::Complete => Ok(()),
            other => Err(Violation(format!("{} in the middle of a transfer", other.name())).into()),
        })?;
        self.access.observe(&Event::Fetched {
            wants: fetch.wants,
            common: known,
            objects: sent.metadata + sent.chunks,
            traffic: self.session.traffic(),
        });
        Ok(())
    }

    /// What the wants are; only what a listing named may be asked for.
    fn wanted(&mut self, wants: &[Digest]) -> Result<Vec<(ObjectKind, Digest)>, SyncError> {
        if wants.iter().any(|want| !self.listed.contains(want)) {
            let now = listing(self.repository())?;
            self.listed.extend(now.refs.iter().map(|(_, digest)| *digest));
        }
        let mut tips = Vec::new();
        for want in wants {
            if !self.listed.contains(want) {
                let text = format!("no branch or tag names {want}; list them again");
                return Err(SyncError::refuse(ErrorCode::Refused, text));
            }
            let info = self.repository().store().meta.info(want)?;
            let missing = StoreError::Missing { kind: ObjectKind::Commit, digest: *want };
            tips.push((info.ok_or(missing)?.kind, *want));
        }
        Ok(tips)
    }

    /// Where history is cut off, and what lies beyond the client's own edges that it now asks for.
    #[allow(clippy::type_complexity)] // private, and spelt out above
    fn depth(
        &self,
        tips: &[(ObjectKind, Digest)],
        fetch: &Fetch,
        shallow: &HashSet<CommitId>,
    ) -> Result<(HashSet<CommitId>, Vec<(ObjectKind, Digest)>), SyncError> {
        if fetch.depth == 0 {
            return Ok((HashSet::new(), Vec::new()));
        }
        let store = self.repository().store();
        let cut = match fetch.depth {
            ALL => HashSet::new(),
            depth => {
                let mut commits = Vec::new();
                for (kind, digest) in tips {
                    commits.extend(self.peel(*kind, *digest)?);
                }
                partial::cut(store, &commits, depth)?.edge.into_iter().collect()
            }
        };
        let mut beyond = Vec::new();
        for id in shallow.iter().filter(|id| !cut.contains(id)) {
            match Commit::read(store, *id) {
                Ok(commit) => beyond.extend(commit.parents.iter().map(|id| (ObjectKind::Commit, *id.digest()))),
                Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok((cut, beyond))
    }

    /// The commit that a tip leads to.
    fn peel(&self, mut kind: ObjectKind, mut digest: Digest) -> Result<Option<CommitId>, SyncError> {
        loop {
            match kind {
                ObjectKind::Commit => return Ok(Some(CommitId::from_digest(digest))),
                ObjectKind::Tag => {
                    let tag = Tag::read(self.repository().store(), TagId::from_digest(digest))?;
                    (kind, digest) = (tag.target_kind, tag.target);
                }
                _ => return Ok(None),
            }
        }
    }
}
