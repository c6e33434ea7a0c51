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
use crate::wire::{ALL, ErrorCode, Fetch, MAX_SHALLOW, Message, Start};

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
        let ends = || self.ends(&tips, &fetch, &known_shallow);
        let Ends { cut, said, lifted, beyond } = self.session.while_working("looking where history ends", ends)?;
        let tips: Vec<_> = tips.into_iter().chain(beyond).collect();
        let common = common.into_iter().map(|(i, _)| i).collect();
        self.session.control(&Message::Start(Start { common, shallow: said, lifted, held: None }))?;
        let job = Send {
            store: &store,
            request: Request { tips: &tips, known: &known, known_shallow: &known_shallow, cut: &cut },
            held: fetch.held,
            progress: &UntilCutOff(&*self.access),
            dry_run: false,
            spared: AtomicU64::default(),
        };
        let sent = exchange::send(&self.session, &job, &mut |message| match message {
            Message::Complete => Ok(()),
            other => Err(Violation(format!("{} in the middle of a transfer", other.name())).into()),
        });
        // However it ended: what was sent was read.
        self.access.observe(&Event::Fetched {
            wants: fetch.wants,
            common: known,
            objects: sent.as_ref().map_or(0, |((), sent)| sent.metadata + sent.chunks),
            complete: sent.is_ok(),
            traffic: self.session.traffic(),
        });
        sent.map(drop)
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

    /// Where history ends for this client: as deep as it asks for, where it ends here, and where it ended for the client
    /// before, unless that lies inside.
    fn ends(
        &self,
        tips: &[(ObjectKind, Digest)],
        fetch: &Fetch,
        shallow: &HashSet<CommitId>,
    ) -> Result<Ends, SyncError> {
        let store = self.repository().store();
        let ends_here = !self.repository().shallow().map_err(SyncError::Repo)?.is_empty();
        let mut ends = Ends { cut: shallow.clone(), ..Ends::default() };
        let depth = match fetch.depth {
            0 | ALL if !ends_here && (fetch.depth == 0 || shallow.is_empty()) => return Ok(ends),
            0 => ALL,
            depth => depth,
        };
        let mut commits = Vec::new();
        for (kind, digest) in tips {
            commits.extend(self.peel(*kind, *digest)?);
        }
        let part = partial::cut(store, &commits, depth, &UntilCutOff(&*self.access)).map_err(SyncError::Repo)?;
        ends.cut.extend(&part.edge);
        ends.said = part.edge.iter().copied().filter(|id| !shallow.contains(id)).collect();
        ends.said.sort_unstable();
        if ends.said.len() > MAX_SHALLOW {
            let text =
                format!("history would end in more than {MAX_SHALLOW} places; fetch fewer branches, or all history");
            return Err(SyncError::refuse(ErrorCode::Limit, text));
        }
        let edge: HashSet<CommitId> = part.edge.into_iter().collect();
        let lifts = |id: &CommitId| fetch.depth != 0 && shallow.contains(id) && !edge.contains(id);
        for id in part.commits.into_iter().filter(lifts) {
            ends.cut.remove(&id);
            ends.lifted.push(id);
            let parents = Commit::read(store, id)?.parents;
            ends.beyond.extend(parents.iter().map(|id| (ObjectKind::Commit, *id.digest())));
        }
        Ok(ends)
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

/// Where history ends for a client.
#[derive(Default)]
struct Ends {
    /// All commits that are not followed to their parents.
    cut: HashSet<CommitId>,
    /// Those of them that the client does not know of.
    said: Vec<CommitId>,
    /// What was an edge of the client's and is so no more.
    lifted: Vec<CommitId>,
    /// The parents of those.
    beyond: Vec<(ObjectKind, Digest)>,
}
