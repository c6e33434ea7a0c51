//! Locking files, and knowing who has what.

use dits_core::path::RepoPath;
use dits_core::progress::Progress;

use super::Client;
use crate::error::SyncError;
use crate::session::printable;
use crate::transfer::Violation;
use crate::wire::{
    ListLocks, LockOutcome, LockRefusal, LockRequest, LockStamp, LockTable, Locked, Message, UnlockOutcome,
    UnlockRequest, Unlocked,
};

/// The most locks that a client takes.
const MAX_TABLE: usize = 1 << 20;

impl Client<'_> {
    /// Locks files, in one round trip.
    ///
    /// # Errors
    /// When the server or the link fails. A lock that is refused is no error here.
    pub fn lock(&mut self, request: LockRequest, progress: &dyn Progress) -> Result<Vec<LockOutcome>, SyncError> {
        let asked = request.paths.len();
        match self.ask(Message::Lock(request), progress)? {
            Message::Locked(Locked { outcomes }) if outcomes.len() == asked => {
                Ok(outcomes.into_iter().map(shown_lock).collect())
            }
            other => Err(self.give_up(unexpected(&other, "Locked"))),
        }
    }

    /// Gives locks back, in one round trip.
    ///
    /// # Errors
    /// When the server or the link fails. A lock that somebody else has is no error here.
    pub fn unlock(&mut self, request: UnlockRequest, progress: &dyn Progress) -> Result<Vec<UnlockOutcome>, SyncError> {
        let asked = request.paths.len();
        match self.ask(Message::Unlock(request), progress)? {
            Message::Unlocked(Unlocked { outcomes }) if outcomes.len() == asked => {
                Ok(outcomes.into_iter().map(shown_unlock).collect())
            }
            other => Err(self.give_up(unexpected(&other, "Unlocked"))),
        }
    }

    /// The lock table, or what has changed in it since the state `known`. With `wait` the server answers only when something
    /// has changed, or after so many seconds (60 at most).
    ///
    /// # Errors
    /// When the server or the link fails.
    pub fn locks(
        &mut self,
        known: Option<&LockStamp>,
        wait: u32,
        progress: &dyn Progress,
    ) -> Result<LockTable, SyncError> {
        let request = Message::ListLocks(ListLocks { known: known.cloned(), wait: wait.min(60) });
        let mut answer = self.ask(request, progress)?;
        let mut table: Option<LockTable> = None;
        loop {
            let Message::LockTable(part) = answer else { return Err(self.give_up(unexpected(&answer, "LockTable"))) };
            let more = part.more;
            let table = match &mut table {
                None => table.insert(part),
                Some(table) => {
                    table.changed.extend(part.changed);
                    table.locks.extend(part.locks);
                    table
                }
            };
            if table.locks.len().max(table.changed.len()) > MAX_TABLE {
                return Err(self.give_up(Violation("more than a million locks".to_owned()).into()));
            }
            if !more {
                table.more = false;
                table.you = printable(&table.you);
                table.locks.iter_mut().for_each(show);
                return Ok(table.clone());
            }
            answer = self.recv(progress).map_err(|error| self.give_up(error))?;
        }
    }

    fn ask(&mut self, request: Message, progress: &dyn Progress) -> Result<Message, SyncError> {
        self.session.control(&request).map_err(|error| self.give_up(error))?;
        self.recv(progress).map_err(|error| self.give_up(error))
    }
}

fn unexpected(message: &Message, instead_of: &str) -> SyncError {
    Violation(format!("{} instead of {instead_of}, or not as it was asked for", message.name())).into()
}

/// What others wrote, as it may be shown.
fn show(lock: &mut dits_core::lock::Lock) {
    for text in [&mut lock.reason, &mut lock.holder.name, &mut lock.holder.host, &mut lock.holder.folder] {
        *text = printable(text);
    }
}

fn shown_lock(outcome: LockOutcome) -> LockOutcome {
    match outcome {
        LockOutcome::Refused(refusal) => LockOutcome::Refused(shown_refusal(refusal)),
        other => other,
    }
}

/// A refusal whose texts may be shown.
pub(super) fn shown_refusal(mut refusal: LockRefusal) -> LockRefusal {
    match &mut refusal {
        LockRefusal::Held(lock) | LockRefusal::Retained(lock) | LockRefusal::Token { own: Some(lock) } => show(lock),
        _ => {}
    }
    refusal
}

/// The paths that stand against a push, as they may be shown.
pub(super) fn shown_against(against: Vec<(RepoPath, LockRefusal)>) -> Vec<(RepoPath, LockRefusal)> {
    against.into_iter().map(|(path, refusal)| (path, shown_refusal(refusal))).collect()
}

fn shown_unlock(mut outcome: UnlockOutcome) -> UnlockOutcome {
    match &mut outcome {
        UnlockOutcome::Unlocked(broken) => broken.iter_mut().for_each(show),
        UnlockOutcome::Held(lock) | UnlockOutcome::Denied(lock) => show(lock),
        UnlockOutcome::NotLocked => {}
    }
    outcome
}
