//! A client pushes: what is decided before and after the objects come.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use dits_core::history;
use dits_core::lock::MAX_NAME;
use dits_core::object::{CommitId, Digest, ObjectKind, ObjectRead};
use dits_core::path::MAX_PATH;
use dits_core::refs::{RefName, RefStore, TAGS, Target};
use dits_core::store::StoreError;

use super::moving::Moving;
use super::receive_push::Taken;
use super::serve::Conversation;
use super::{Event, RefUpdate};
use crate::error::SyncError;
use crate::session::shortened;
use crate::transfer::Violation;
use crate::wire::{MAX_MESSAGE, MAX_TEXT, Message, Push, Pushed, Update, UpdateOutcome};

/// An update and what is known to become of it so far.
pub(super) struct Decision {
    pub(super) update: RefUpdate,
    pub(super) outcome: Option<UpdateOutcome>,
}

impl Decision {
    pub(super) fn refuse(&mut self, why: impl Into<String>) {
        self.outcome = Some(UpdateOutcome::Refused(why.into()));
    }
}

impl Conversation<'_> {
    pub(super) fn push(&mut self, push: Push) -> Result<(), SyncError> {
        self.check_may(|may| may.write, "push")?;
        let mut decisions = Vec::new();
        let mut named = HashSet::new();
        if !push.updates.iter().all(|update| named.insert(&update.name)) {
            return Err(Violation("a push that moves a ref twice".to_owned()).into());
        }
        let in_use = self.repository().branches_in_use().map_err(SyncError::Repo)?;
        for update in &push.updates {
            let Update { name, old, new, force } = update.clone();
            let mut decision = Decision { update: RefUpdate { name, old, new, force }, outcome: None };
            self.decide_early(&mut decision, &in_use)?;
            decisions.push(decision);
        }
        refuse_the_rest(&mut decisions, push.atomic);
        let bearer = self.bearer();
        let mut received = 0;
        let mut text = String::new();
        let mut _turn = None;
        if decisions.iter().any(|decision| decision.outcome.is_none()) {
            let gone = || self.session.link().has_ended();
            let turn = self.session.while_working("waiting for other pushes", || self.access.begin_push(&gone));
            _turn = Some(turn.map_err(SyncError::Refuse)?);
            let taken = self.receive_push(&push, &decisions)?;
            let new: &dyn ObjectRead = match &taken {
                Taken::Stored { objects, .. } => {
                    received = *objects;
                    self.repository().store()
                }
                Taken::Pretended(writer) => &**writer,
            };
            self.session.while_working("deciding", || -> Result<(), SyncError> {
                for decision in &mut decisions {
                    self.decide_late(decision, new)?;
                }
                refuse_the_rest(&mut decisions, push.atomic);
                text = Moving::new(self, new, &bearer).run(&mut decisions, push.atomic, push.dry_run);
                Ok(())
            })?;
            // From here on refs keep what came, or nothing does.
            drop(taken);
        }
        if !push.dry_run {
            text.push_str(&self.session.while_working("telling of it", || self.account(&decisions, received)));
        }
        self.report(decisions, &text)
    }

    /// Refuses what can be refused without any object.
    fn decide_early(&self, decision: &mut Decision, in_use: &HashMap<RefName, PathBuf>) -> Result<(), SyncError> {
        let RefUpdate { name, old, new, .. } = &decision.update;
        let found = match self.repository().refs().read(name)? {
            Some(Target::Id(digest)) => Some(digest),
            Some(Target::Symbolic(_)) => {
                decision.refuse("it stands for another branch; push that one");
                return Ok(());
            }
            None => None,
        };
        if found == *new {
            decision.outcome = Some(UpdateOutcome::UpToDate);
        } else if found != *old {
            decision.outcome = Some(UpdateOutcome::Changed);
        } else if name.as_branch().is_none() && name.as_tag().is_none() {
            decision.refuse("only branches and tags can be pushed");
        } else if let Some(why) = self.in_use(&decision.update, in_use)? {
            decision.refuse(why);
        } else if let Err(why) = self.access.check_update(&decision.update, None) {
            decision.refuse(why);
        }
        Ok(())
    }

    /// Why worktrees and clones keep a ref where it is.
    pub(super) fn in_use(
        &self,
        update: &RefUpdate,
        in_use: &HashMap<RefName, PathBuf>,
    ) -> Result<Option<String>, SyncError> {
        let RefUpdate { name, new, .. } = update;
        if let Some(worktree) = in_use.get(name) {
            let at = worktree.display();
            let why = format!("it is checked out in {at}; push to another branch, or make that repository bare");
            return Ok(Some(why));
        }
        let goes = new.is_none() && self.is_head(name)?;
        Ok(goes.then(|| "it is the branch that HEAD names, which clones begin on".to_owned()))
    }

    fn is_head(&self, name: &RefName) -> Result<bool, SyncError> {
        Ok(self.repository().refs().read(&RefName::head())? == Some(Target::Symbolic(name.clone())))
    }

    /// Decides what is left once the objects are there.
    fn decide_late(&self, decision: &mut Decision, new: &dyn ObjectRead) -> Result<(), SyncError> {
        if decision.outcome.is_some() {
            return Ok(());
        }
        let update = &decision.update;
        if let Some(id) = update.new.filter(|_| update.name.as_branch().is_some())
            && commit(new, id)?.is_none()
        {
            decision.refuse(format!("a branch names a commit, and {id} is none"));
            return Ok(());
        }
        let fast_forward = is_fast_forward(new, update)?;
        if fast_forward == Some(false) && !update.force {
            decision.outcome = Some(if update.name.as_str().starts_with(TAGS) {
                UpdateOutcome::Refused("the tag exists already".to_owned())
            } else {
                UpdateOutcome::NotFastForward
            });
            return Ok(());
        }
        let allowed =
            self.access.check_update(update, fast_forward).and_then(|()| self.access.check_paths(update, new));
        if let Err(why) = allowed {
            decision.refuse(why);
        }
        Ok(())
    }

    /// What the client is told of an error here: no more than that it is one.
    pub(super) fn failed(&self, error: &SyncError) -> UpdateOutcome {
        if let SyncError::Refuse(failure) = error {
            return UpdateOutcome::Refused(failure.text.clone());
        }
        self.access.observe(&Event::Failed { what: error.to_string() });
        UpdateOutcome::Refused("the other side could not move it; its log tells more".to_owned())
    }

    /// Enters what became of it in the books, before anybody hears of it: `post-receive` first, and then the client.
    fn account(&self, decisions: &[Decision], objects: u64) -> String {
        let moved = moved(decisions);
        let refused = decisions.iter().filter_map(|decision| {
            let why = match decision.outcome.as_ref()? {
                UpdateOutcome::Done | UpdateOutcome::UpToDate => return None,
                UpdateOutcome::NotFastForward => "not a fast-forward".to_owned(),
                UpdateOutcome::Changed => "changed meanwhile".to_owned(),
                UpdateOutcome::Refused(why) => why.clone(),
                UpdateOutcome::Locked(against) => {
                    let paths: Vec<_> = against.iter().map(|(path, _)| path.to_string()).collect();
                    format!("locked: {}", paths.join(", "))
                }
            };
            Some((decision.update.clone(), why))
        });
        let (refused, traffic) = (refused.collect(), self.session.traffic());
        self.access.observe(&Event::Pushed { moved: moved.clone(), refused, objects, traffic });
        if moved.is_empty() { String::new() } else { self.access.post_receive(&moved) }
    }

    fn report(&self, decisions: Vec<Decision>, text: &str) -> Result<(), SyncError> {
        let count = decisions.len();
        let outcomes = decisions.into_iter().map(|decision| decision.outcome.unwrap_or(UpdateOutcome::Done));
        let outcomes = outcomes.map(|outcome| fitting(outcome, count)).collect();
        let text = shortened(text, MAX_TEXT).to_owned();
        self.session.control(&Message::Pushed(Pushed { outcomes, text }))
    }
}

/// The longest reason for one refusal, in bytes, and the shortest that there is room for however many there are.
const REASON: std::ops::RangeInclusive<usize> = 64..=4096;

/// The longest refusal of one path, in bytes: two paths, and what a lock says of its holder.
const REFUSAL: usize = 2 * MAX_PATH + 4 * MAX_NAME + 512;

/// Reasons may come from hooks; whatever they say, the answer must fit a message.
fn fitting(outcome: UpdateOutcome, count: usize) -> UpdateOutcome {
    match outcome {
        UpdateOutcome::Refused(why) => {
            let room = (MAX_MESSAGE / 2 / count).clamp(*REASON.start(), *REASON.end());
            UpdateOutcome::Refused(shortened(&why, room).to_owned())
        }
        UpdateOutcome::Locked(mut against) => {
            against.truncate(MAX_MESSAGE / 2 / count / REFUSAL);
            UpdateOutcome::Locked(against)
        }
        other => other,
    }
}

/// The commit of this name, if it is one.
fn commit(read: &dyn ObjectRead, digest: Digest) -> Result<Option<CommitId>, StoreError> {
    match read.read(ObjectKind::Commit, &digest) {
        Ok(_) => Ok(Some(CommitId::from_digest(digest))),
        Err(StoreError::Missing { .. } | StoreError::WrongKind { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the new value has the old one in its history; `None` where there is no old or new value.
fn is_fast_forward(read: &dyn ObjectRead, update: &RefUpdate) -> Result<Option<bool>, SyncError> {
    let (Some(old), Some(new)) = (update.old, update.new) else { return Ok(None) };
    if update.name.as_tag().is_some() {
        return Ok(Some(false));
    }
    match (commit(read, old)?, commit(read, new)?) {
        (Some(old), Some(new)) => Ok(Some(history::is_ancestor(read, old, new)?)),
        _ => Ok(Some(false)),
    }
}

fn moved(decisions: &[Decision]) -> Vec<RefUpdate> {
    let done = |decision: &&Decision| decision.outcome == Some(UpdateOutcome::Done);
    decisions.iter().filter(done).map(|decision| decision.update.clone()).collect()
}

/// Where all refs move or none, one that does not stops the others.
pub(super) fn refuse_the_rest(decisions: &mut [Decision], atomic: bool) {
    let fails = |outcome: &Option<UpdateOutcome>| {
        !matches!(outcome, None | Some(UpdateOutcome::Done | UpdateOutcome::UpToDate))
    };
    if atomic && decisions.iter().any(|decision| fails(&decision.outcome)) {
        decisions.iter_mut().filter(|d| d.outcome.is_none()).for_each(|d| d.refuse("another ref was refused"));
    }
}
