//! Refs move, with the locks that speak of what they bring.

use std::collections::HashMap;

use dits_core::object::ObjectRead;
use dits_core::path::RepoPath;
use dits_core::refs::{Expected, LogLine, RefEdit, RefError, RefName, RefStore, Target};

use super::RefUpdate;
use super::push::{Decision, refuse_the_rest};
use super::serve::Conversation;
use crate::error::SyncError;
use crate::locks::{Bearer, Change};
use crate::wire::{MAX_AGAINST, UpdateOutcome};

/// How often somebody may switch branches, or lock something, just before refs move.
const TRIES: usize = 8;
/// How many paths without a lock are named to the user.
const NAMED: usize = 10;

/// The end of a push.
pub(super) struct Moving<'a> {
    conversation: &'a Conversation<'a>,
    objects: &'a dyn ObjectRead,
    bearer: &'a Bearer,
    /// What the updates change that locks may have to do with.
    changes: HashMap<RefName, Change>,
    /// Lockable files that nobody had locked.
    unlocked: Vec<RepoPath>,
}

impl<'a> Moving<'a> {
    pub(super) fn new(conversation: &'a Conversation<'a>, objects: &'a dyn ObjectRead, bearer: &'a Bearer) -> Self {
        Self { conversation, objects, bearer, changes: HashMap::new(), unlocked: Vec::new() }
    }

    /// Moves what nobody objects to, and says what the user is to hear. An error is one of the refs that it stops: others may
    /// have moved by then. In a dry run it says what would be.
    pub(super) fn run(&mut self, decisions: &mut [Decision], atomic: bool, dry_run: bool) -> String {
        self.look(decisions);
        refuse_the_rest(decisions, atomic);
        let open = |decision: &&Decision| decision.outcome.is_none();
        let updates: Vec<RefUpdate> = decisions.iter().filter(open).map(|d| d.update.clone()).collect();
        if updates.is_empty() {
            return String::new();
        }
        if dry_run {
            for decision in decisions.iter_mut().filter(|d| d.outcome.is_none()) {
                decision.outcome = self.rehearse(&decision.update);
            }
            refuse_the_rest(decisions, atomic);
            return self.warning();
        }
        let mut text = match self.conversation.access.pre_receive(&updates) {
            Ok(text) => text,
            Err(why) => {
                decisions.iter_mut().filter(|d| d.outcome.is_none()).for_each(|d| d.refuse(why.clone()));
                return String::new();
            }
        };
        // Together, as that costs one transaction; each by itself where one of them stands in the others' way.
        let together = self.transaction(&updates);
        if atomic || together == UpdateOutcome::Done {
            decisions.iter_mut().filter(|d| d.outcome.is_none()).for_each(|d| d.outcome = Some(together.clone()));
        } else {
            for decision in decisions.iter_mut().filter(|d| d.outcome.is_none()) {
                decision.outcome = Some(self.transaction(std::slice::from_ref(&decision.update)));
            }
        }
        text.push_str(&self.warning());
        text
    }

    /// Looks at what the updates change.
    fn look(&mut self, decisions: &mut [Decision]) {
        for decision in decisions.iter_mut().filter(|d| d.outcome.is_none()) {
            match self.change(&decision.update) {
                Ok(change) => self.changes.extend(change.map(|change| (decision.update.name.clone(), change))),
                Err(error) => decision.outcome = Some(self.conversation.failed(&error)),
            }
        }
    }

    fn change(&self, update: &RefUpdate) -> Result<Option<Change>, SyncError> {
        let access = &self.conversation.access;
        Ok(Change::of(access.repository(), self.objects, update, access.locks(), self.bearer)?)
    }

    /// What stands against an update, if something does.
    fn rehearse(&mut self, update: &RefUpdate) -> Option<UpdateOutcome> {
        let change = self.changes.get(&update.name)?;
        let (repository, locks) = (self.conversation.repository(), self.conversation.access.locks());
        let turn = match locks.turn(repository.refs()) {
            Ok(turn) => turn,
            Err(error) => return Some(self.conversation.failed(&error.into())),
        };
        match change.judge(&turn, self.objects, self.bearer, self.conversation.requires_locks()) {
            Ok(free) => {
                self.unlocked.extend(free);
                None
            }
            Err(against) => Some(locked(against)),
        }
    }

    fn edit(&self, update: &RefUpdate) -> RefEdit {
        let expected = update.old.map_or(Expected::Absent, |old| Expected::Is(Target::Id(old)));
        match update.new {
            None => RefEdit::delete(update.name.clone(), expected),
            Some(new) => {
                let (old, who) = (update.old, self.conversation.access.signature());
                let line = LogLine { old, new: Some(new), who, message: "push".to_owned() };
                RefEdit::set(update.name.clone(), expected, Target::Id(new)).with_log(line)
            }
        }
    }

    fn transaction(&mut self, updates: &[RefUpdate]) -> UpdateOutcome {
        for _ in 0..TRIES {
            match self.try_transaction(updates) {
                Ok(Some(outcome)) => return outcome,
                Ok(None) => {}
                Err(error) => return self.conversation.failed(&error),
            }
            // A lock may have been taken on what nobody has looked for.
            for update in updates {
                match self.change(update) {
                    Ok(change) => self.changes.extend(change.map(|change| (update.name.clone(), change))),
                    Err(error) => return self.conversation.failed(&error),
                }
            }
        }
        UpdateOutcome::Changed
    }

    /// Moves refs together. A worktree may have come to be on one of them, or a lock may have been taken, while objects came and
    /// hooks ran; `None` if somebody switched or locked just now, and that has to be looked at again.
    fn try_transaction(&mut self, updates: &[RefUpdate]) -> Result<Option<UpdateOutcome>, SyncError> {
        let repository = self.conversation.repository();
        // Read before it is decided by: a switch in between is one that the transaction does not expect.
        let head = repository.refs().read(&RefName::head())?.map_or(Expected::Absent, Expected::Is);
        let in_use = repository.branches_in_use().map_err(SyncError::Repo)?;
        for update in updates {
            if let Some(why) = self.conversation.in_use(update, &in_use)? {
                return Ok(Some(UpdateOutcome::Refused(why)));
            }
        }
        let mut turn = self.conversation.access.locks().turn(repository.refs())?;
        let (mut free, mut against) = (Vec::new(), Vec::new());
        let changes: Vec<&Change> = updates.iter().filter_map(|update| self.changes.get(&update.name)).collect();
        for change in &changes {
            if change.is_outdated(&turn) {
                return Ok(None);
            }
            match change.judge(&turn, self.objects, self.bearer, self.conversation.requires_locks()) {
                Ok(unlocked) => free.extend(unlocked),
                Err(refusals) => against.extend(refusals),
            }
        }
        if !against.is_empty() {
            return Ok(Some(locked(against)));
        }
        let edits = updates.iter().map(|update| self.edit(update));
        match turn.refs().transaction(edits.chain([RefEdit::expect(RefName::head(), head)]).collect()) {
            // It is recorded, and whoever looks next completes it.
            Ok(()) | Err(RefError::Unfinished(_)) => {}
            Err(RefError::Changed { name, .. }) if name == RefName::head() => return Ok(None),
            Err(RefError::Changed { .. }) => return Ok(Some(UpdateOutcome::Changed)),
            Err(error @ RefError::NameConflict { .. }) => return Ok(Some(UpdateOutcome::Refused(error.to_string()))),
            Err(error) => return Err(error.into()),
        }
        for change in changes {
            if let Err(error) = change.settle(&mut turn, self.objects, self.bearer) {
                // What moved has moved; the locks stay until somebody unlocks.
                self.conversation.failed(&error.into());
            }
        }
        self.unlocked.extend(free);
        Ok(Some(UpdateOutcome::Done))
    }

    /// Which files the user should have locked.
    fn warning(&mut self) -> String {
        self.unlocked.sort();
        self.unlocked.dedup();
        let mut text = String::new();
        for path in self.unlocked.iter().take(NAMED) {
            text.push_str(&format!("warning: {path} is lockable, and was pushed without a lock\n"));
        }
        match self.unlocked.len().saturating_sub(NAMED) {
            0 => {}
            more => text.push_str(&format!("warning: so were {more} more\n")),
        }
        text
    }
}

fn locked(mut against: Vec<(RepoPath, crate::wire::LockRefusal)>) -> UpdateOutcome {
    against.truncate(MAX_AGAINST);
    UpdateOutcome::Locked(against)
}
