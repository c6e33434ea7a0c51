//! A client locks, unlocks, and asks who has what.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use dits_core::lock::{Holder, LockKey};

use super::Event;
use super::serve::Conversation;
use crate::error::SyncError;
use crate::locks::{Bearer, LocksError};
use crate::session::Heartbeat;
use crate::transfer::Violation;
use crate::wire::{
    ErrorCode, ListLocks, LockOutcome, LockRequest, Locked, MAX_TOKEN_BYTES, MAX_TOKENS, Message, Place, Token, Tokens,
    UnlockOutcome, UnlockRequest, Unlocked,
};

/// What a client has shown before its push.
pub(super) struct Shown {
    place: Place,
    tokens: HashMap<LockKey, Token>,
    /// What the paths take together.
    bytes: usize,
}

/// How often a server that waits for a change looks whether the client, or itself, is to leave.
const LOOK_UP: Duration = Duration::from_millis(500);

impl Conversation<'_> {
    fn holder(&self, place: Place) -> Holder {
        let Place { clone, host, folder } = place;
        Holder { name: self.access.signature().name, clone, host, folder }
    }

    pub(super) fn lock(&self, request: LockRequest) -> Result<(), SyncError> {
        self.check_may(|may| may.lock, "lock files")?;
        let (asked, holder) = (request.clone(), self.holder(request.place.clone()));
        let outcomes = self.access.locks().lock(self.repository(), holder.clone(), request);
        let outcomes = outcomes.map_err(SyncError::Locks)?;
        let locked = |outcome: &LockOutcome| matches!(outcome, LockOutcome::Locked(_));
        let paths = asked.paths.iter().zip(&outcomes);
        let (done, refused): (Vec<_>, Vec<_>) = paths.partition(|(_, outcome)| locked(outcome));
        let named = |paths: Vec<(&crate::wire::Ask, _)>| paths.into_iter().map(|(ask, _)| ask.path.clone()).collect();
        self.access.observe(&Event::Locked { holder, locked: named(done), refused: named(refused) });
        self.session.control(&Message::Locked(Locked { outcomes }))
    }

    pub(super) fn unlock(&self, request: UnlockRequest) -> Result<(), SyncError> {
        self.check_may(|may| may.lock, "unlock files")?;
        let (paths, holder) = (request.paths.clone(), self.holder(request.place.clone()));
        let admin = self.access.methods().admin;
        let outcomes = self.access.locks().unlock(self.repository(), holder.clone(), request, admin);
        let outcomes = outcomes.map_err(SyncError::Locks)?;
        let (mut unlocked, mut broken) = (Vec::new(), Vec::new());
        for (path, outcome) in paths.into_iter().zip(&outcomes) {
            if let UnlockOutcome::Unlocked(others) = outcome {
                unlocked.push(path);
                broken.extend(others.iter().cloned());
            }
        }
        self.access.observe(&Event::Unlocked { holder, unlocked, broken });
        self.session.control(&Message::Unlocked(Unlocked { outcomes }))
    }

    /// Tells the table, or what has changed in it. Who waits is told when something changes.
    pub(super) fn list_locks(&self, request: &ListLocks) -> Result<(), SyncError> {
        self.check_may(|may| may.read || may.lock, "read")?;
        let until = Instant::now() + Duration::from_secs(request.wait.into());
        let (locks, known) = (self.access.locks(), request.known.as_ref());
        let mut heartbeat = Heartbeat::default();
        let table = loop {
            let table = locks.list(known, self.access.signature().name).map_err(LocksError::from)?;
            let left = until.saturating_duration_since(Instant::now());
            let news = known.is_none_or(|known| *known != table.stamp);
            if news || left.is_zero() || self.access.stopping() || self.session.link().has_ended() {
                break table;
            }
            heartbeat.beat(&self.session, "waiting for a lock to change")?;
            locks.store().wait(&table.stamp, left.min(LOOK_UP)).map_err(LocksError::from)?;
        };
        table.messages().into_iter().try_for_each(|part| self.session.control(&Message::LockTable(part)))
    }

    /// Keeps tokens for the push that follows.
    pub(super) fn tokens(&mut self, tokens: Tokens) -> Result<(), SyncError> {
        self.check_may(|may| may.write, "push")?;
        let Tokens { place, tokens } = tokens;
        let Shown { place: known, tokens: kept, bytes } =
            self.tokens.get_or_insert_with(|| Shown { place: place.clone(), tokens: HashMap::new(), bytes: 0 });
        if *known != place {
            return Err(Violation("tokens of two clones for one push".to_owned()).into());
        }
        *bytes += tokens.iter().map(|token| token.path.as_bytes().len()).sum::<usize>();
        if kept.len() + tokens.len() > MAX_TOKENS || *bytes > MAX_TOKEN_BYTES {
            return Err(SyncError::refuse(ErrorCode::Limit, "too many tokens for one push"));
        }
        kept.extend(tokens.into_iter().map(|token| (LockKey::of(&token.path), token)));
        Ok(())
    }

    /// Who pushes, with the tokens that were shown.
    pub(super) fn bearer(&mut self) -> Bearer {
        let name = self.access.signature().name;
        match self.tokens.take() {
            Some(Shown { place, tokens, .. }) => Bearer::new(name, Some(place), tokens),
            None => Bearer::new(name, None, HashMap::new()),
        }
    }

    /// Whether lockable files must be locked.
    pub(super) fn requires_locks(&self) -> bool {
        // A setting that cannot be read is as strict as can be.
        self.repository().config().get_bool("lock.require").map_or(true, |required| required.unwrap_or(false))
    }
}
