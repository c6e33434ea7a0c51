//! Bringing to the server what its refs are to name.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use dits_core::closure::Request;
use dits_core::object::{CommitId, ObjectKind};
use dits_core::progress::Progress;
use dits_core::repo::Repository;
use dits_core::store::StoreError;

use super::Client;
use super::haves::tips;
use super::locks::shown_against;
use crate::error::SyncError;
use crate::exchange::{self, Send, SendStats};
use crate::session::printable;
use crate::transfer::Violation;
use crate::wire::{
    ErrorCode, Listing, MAX_HAVES, MAX_LOCKS, MAX_WANTS, Message, Place, Push, Pushed, Start, Token, Tokens, Update,
    UpdateOutcome,
};

/// How many further commits the client names as probably known.
const LIKELY: usize = 16;

/// What to push.
#[derive(Clone, Debug, Default)]
pub struct PushRequest {
    /// The refs to move.
    pub updates: Vec<Update>,
    /// Commits that the server is likely to know, besides what its listing names: what was last seen of it.
    pub likely: Vec<CommitId>,
    /// Whether all refs move or none.
    pub atomic: bool,
    /// Says what would be sent and refused, and changes nothing.
    pub dry_run: bool,
    /// The tokens of the locks that this clone has on what the push may change, and which clone it is.
    pub tokens: Option<(Place, Vec<Token>)>,
}

/// What became of a push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushedRefs {
    /// What became of each update, in their order. In a dry run, what would.
    pub outcomes: Vec<UpdateOutcome>,
    /// What the server's hooks say.
    pub text: String,
    /// What was sent. In a dry run, what would be.
    pub sent: SendStats,
}

impl Client<'_> {
    /// Pushes. `listing` is what the server had a moment ago. What the server received before a failure it keeps for a
    /// while, and does not ask for again.
    ///
    /// # Errors
    /// When the server or the link fails, or an object cannot be read. A ref that is refused is no error here.
    pub fn push(
        &mut self,
        repository: &Repository,
        request: &PushRequest,
        listing: &Listing,
        progress: &dyn Progress,
    ) -> Result<PushedRefs, SyncError> {
        if request.updates.len() > MAX_WANTS && request.atomic {
            let text = format!("more than {MAX_WANTS} branches and tags cannot move together; push some of them");
            return Err(SyncError::refuse(ErrorCode::Limit, text));
        }
        let (mut listing, mut whole) = (listing.clone(), PushedRefs::default());
        // One part after the other, if there are many: what moved stays moved.
        for updates in request.updates.chunks(MAX_WANTS) {
            let part = PushRequest { updates: updates.to_vec(), ..request.clone() };
            let pushed = self.try_push(repository, &part, &listing, progress);
            let PushedRefs { outcomes, text, sent } = pushed.map_err(|error| self.give_up(error))?;
            if !request.dry_run {
                let done = updates.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == UpdateOutcome::Done);
                listing.refs.extend(done.filter_map(|(update, _)| Some((update.name.clone(), update.new?))));
            }
            whole.outcomes.extend(outcomes);
            whole.text.push_str(&text);
            whole.sent.add(&sent);
        }
        Ok(whole)
    }

    fn try_push(
        &mut self,
        repository: &Repository,
        request: &PushRequest,
        listing: &Listing,
        progress: &dyn Progress,
    ) -> Result<PushedRefs, SyncError> {
        let store = repository.store();
        progress.stage("Looking for what is new", None, None);
        let mut known = Vec::new();
        for (_, digest) in &listing.refs {
            if store.meta.info(digest)?.is_some_and(|info| info.kind == ObjectKind::Commit) {
                known.push(CommitId::from_digest(*digest));
            }
        }
        let haves = likely(repository, &request.likely, &known)?;
        self.show_tokens(request)?;
        self.session.control(&Message::Push(Push {
            updates: request.updates.clone(),
            haves: haves.clone(),
            unrelated: known.is_empty(),
            atomic: request.atomic,
            dry_run: request.dry_run,
        }))?;
        let start = match self.recv(progress)? {
            Message::Start(start) => start,
            // Decided without a single object.
            Message::Pushed(pushed) => return answer(request, pushed, SendStats::default()),
            other => return Err(Violation(format!("{} instead of Start", other.name())).into()),
        };
        for at in &start.common {
            let have = haves.get(*at as usize).ok_or_else(|| Violation("a common commit that was not named".into()))?;
            known.push(*have);
        }
        let (pushed, sent) = self.send_objects(repository, request, start, &known, progress)?;
        answer(request, pushed, sent)
    }

    /// Tells which locks the push relies on. A server that does not know locks has none.
    fn show_tokens(&mut self, request: &PushRequest) -> Result<(), SyncError> {
        let Some((place, tokens)) = &request.tokens else { return Ok(()) };
        let (first, rest) = tokens.split_at(tokens.len().min(MAX_LOCKS));
        for tokens in std::iter::once(first).chain(rest.chunks(MAX_LOCKS)) {
            self.session.control(&Message::Tokens(Tokens { place: place.clone(), tokens: tokens.to_vec() }))?;
        }
        Ok(())
    }

    fn send_objects(
        &mut self,
        repository: &Repository,
        request: &PushRequest,
        start: Start,
        known: &[CommitId],
        progress: &dyn Progress,
    ) -> Result<(Pushed, SendStats), SyncError> {
        let store = repository.store();
        let mut wants = Vec::new();
        for digest in request.updates.iter().filter_map(|update| update.new) {
            let info = store.meta.info(&digest)?;
            wants.push((info.ok_or(StoreError::Missing { kind: ObjectKind::Commit, digest })?.kind, digest));
        }
        progress.stage("Sending", None, None);
        let none = HashSet::new();
        let known_shallow = start.shallow.into_iter().collect();
        let job = Send {
            store,
            request: Request { tips: &wants, known, known_shallow: &known_shallow, cut: &none },
            held: start.held,
            progress,
            dry_run: request.dry_run,
            spared: AtomicU64::default(),
        };
        let sent = exchange::send(&self.session, &job, &mut |message| match message {
            Message::Pushed(pushed) => Ok(pushed),
            other => Err(Violation(format!("{} in the middle of a transfer", other.name())).into()),
        });
        self.lasting.spared += job.spared.into_inner();
        sent
    }
}

fn answer(request: &PushRequest, pushed: Pushed, sent: SendStats) -> Result<PushedRefs, SyncError> {
    if pushed.outcomes.len() != request.updates.len() {
        return Err(Violation("another number of outcomes than of updates".to_owned()).into());
    }
    let shown = |outcome| match outcome {
        UpdateOutcome::Refused(why) => UpdateOutcome::Refused(printable(&why)),
        UpdateOutcome::Locked(against) => UpdateOutcome::Locked(shown_against(against)),
        other => other,
    };
    Ok(PushedRefs { outcomes: pushed.outcomes.into_iter().map(shown).collect(), text: printable(&pushed.text), sent })
}

/// Commits that the server may know although its listing does not name them.
fn likely(repository: &Repository, likely: &[CommitId], known: &[CommitId]) -> Result<Vec<CommitId>, SyncError> {
    let mut seen: HashSet<CommitId> = known.iter().copied().collect();
    let tips = if known.is_empty() { tips(repository)? } else { Vec::new() };
    let all = likely.iter().copied().chain(tips).filter(|id| seen.insert(*id));
    Ok(all.take(if known.is_empty() { MAX_HAVES } else { LIKELY }).collect())
}
