//! `dits revert` and `dits cherry-pick`: doing the opposite of a commit, or the same, on top of HEAD.

use super::{Applied, three_way};
use crate::commit::Commit;
use crate::diff::RenameOptions;
use crate::object::{CommitId, ObjectKind};
use crate::progress::Progress;
use crate::repo::{CommitOptions, NewCommit, Pending, PendingKind, RepoError, Repository, write_tree};
use crate::signature::Signature;

/// What to do with commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Undo them.
    Revert,
    /// Do them again.
    CherryPick {
        /// Whether the message names the commit it comes from.
        name_origin: bool,
    },
}

/// How to.
#[derive(Clone, Debug)]
pub struct PickOptions {
    /// The parent that merge commits are compared with, from 1; 0 for none.
    pub mainline: u32,
    /// Leaves the result staged, without committing it. Only for a single commit.
    pub no_commit: bool,
    /// Who does it.
    pub who: Signature,
}

/// One commit that was done.
#[derive(Debug)]
pub enum Picked {
    /// It was committed.
    Committed(Box<NewCommit>),
    /// It is staged and waits for a commit.
    Staged(Applied),
    /// There was nothing left to do for it.
    Nothing(CommitId),
}

/// How it ended.
#[derive(Debug, Default)]
pub struct PickOutcome {
    /// What was done, in order.
    pub done: Vec<Picked>,
    /// The commit that stopped it, and its conflicts.
    pub stopped: Option<(CommitId, Applied)>,
}

impl Pick {
    /// What its record says.
    #[must_use]
    pub fn kind(self) -> PendingKind {
        match self {
            Self::Revert => PendingKind::Revert,
            Self::CherryPick { .. } => PendingKind::CherryPick,
        }
    }

    fn message(self, id: CommitId, commit: &Commit, mainline: u32) -> String {
        let subject = commit.message.lines().next().unwrap_or_default();
        match self {
            Self::Revert => {
                let of = commit.parents.get((mainline as usize).wrapping_sub(1)).filter(|_| commit.parents.len() > 1);
                let side = of.map(|of| format!(", reversing\nchanges made to {of}")).unwrap_or_default();
                format!("Revert \"{subject}\"\n\nThis reverts commit {id}{side}.\n")
            }
            Self::CherryPick { name_origin: false } => commit.message.clone(),
            Self::CherryPick { name_origin: true } => {
                format!("{}\n\n(cherry picked from commit {id})\n", commit.message.trim_end())
            }
        }
    }
}

impl Repository {
    /// Undoes or repeats commits, one after the other, until one is in conflict.
    ///
    /// # Errors
    /// When another operation waits, something is staged, files stand in the way, or a merge commit comes without a
    /// mainline.
    pub fn pick(
        &self,
        pick: Pick,
        commits: &[CommitId],
        options: &PickOptions,
        progress: &dyn Progress,
    ) -> Result<PickOutcome, RepoError> {
        self.check_nothing_pending()?;
        for commit in commits {
            self.trees_around(*commit, options.mainline)?;
        }
        let (start, _) = self.head_commit()?;
        self.pick_all(pick, start, commits, options, progress)
    }

    /// Commits what waits, with `message` if there is one, and goes on with the commits after it. One whose conflicts
    /// were all decided for what was there is left out.
    ///
    /// # Errors
    /// When nothing is pending, conflicts are left, and as [`Repository::pick`].
    pub fn pick_continue(
        &self,
        pick: Pick,
        message: Option<String>,
        options: &PickOptions,
        progress: &dyn Progress,
    ) -> Result<PickOutcome, RepoError> {
        let pending = self.pending_pick(pick)?;
        let Some(&waiting) = pending.heads.first() else { return self.pick_rest(pick, &pending, options, progress) };
        let made = self.commit(&CommitOptions {
            author: options.who.clone(),
            committer: options.who.clone(),
            message: message.unwrap_or_else(|| pending.message.clone()),
            amend: false,
            allow_empty: false,
        });
        let first = match made {
            Err(RepoError::NothingToCommit) => {
                self.step_done(Some(pending.clone()), pending.original)?;
                Picked::Nothing(waiting)
            }
            made => Picked::Committed(Box::new(made?)),
        };
        let mut outcome = self.pick_rest(pick, &pending, options, progress)?;
        outcome.done.insert(0, first);
        Ok(outcome)
    }

    /// Leaves out the commit that waits, and goes on with those after it.
    ///
    /// # Errors
    /// When nothing is pending, a file that it touched was changed since, and as [`Repository::pick`].
    pub fn pick_skip(
        &self,
        pick: Pick,
        options: &PickOptions,
        progress: &dyn Progress,
    ) -> Result<PickOutcome, RepoError> {
        let pending = self.pending_pick(pick)?;
        let merged = self.merged_again(&pending)?;
        self.undo(pending.ours, &pending, &merged, progress)?;
        self.remove_beside(&pending.beside, &merged)?;
        let done = Pending { beside: Vec::new(), ..pending.clone() };
        self.step_done(Some(done), pending.original)?;
        self.pick_rest(pick, &pending, options, progress)
    }

    fn pending_pick(&self, pick: Pick) -> Result<Pending, RepoError> {
        let pending = self.pending()?.filter(|pending| pending.kind == pick.kind());
        pending.ok_or(RepoError::NothingPending { command: pick.kind().command() })
    }

    fn pick_rest(
        &self,
        pick: Pick,
        pending: &Pending,
        options: &PickOptions,
        progress: &dyn Progress,
    ) -> Result<PickOutcome, RepoError> {
        let options = PickOptions { mainline: pending.mainline, ..options.clone() };
        self.pick_all(pick, pending.start, &pending.todo, &options, progress)
    }

    fn pick_all(
        &self,
        pick: Pick,
        start: CommitId,
        commits: &[CommitId],
        options: &PickOptions,
        progress: &dyn Progress,
    ) -> Result<PickOutcome, RepoError> {
        let picked: Vec<_> = commits.iter().map(|commit| (ObjectKind::Commit, *commit.digest())).collect();
        let _held = self.hold(&picked)?;
        let mut outcome = PickOutcome::default();
        for (at, commit) in commits.iter().enumerate() {
            let applied = self.pick_one(pick, start, *commit, &commits[at + 1..], options, progress)?;
            match applied {
                Step::Conflicts(applied) => {
                    outcome.stopped = Some((*commit, applied));
                    return Ok(outcome);
                }
                Step::Done(picked) => outcome.done.push(picked),
            }
        }
        Ok(outcome)
    }

    fn pick_one(
        &self,
        pick: Pick,
        start: CommitId,
        id: CommitId,
        todo: &[CommitId],
        options: &PickOptions,
        progress: &dyn Progress,
    ) -> Result<Step, RepoError> {
        let [before, after] = self.trees_around(id, options.mainline)?;
        let (base, theirs) = if pick == Pick::Revert { (after, before) } else { (before, after) };
        let commit = Commit::read(self.store(), id)?;
        let message = pick.message(id, &commit, options.mainline);
        let index = self.lock_index()?;
        let (head, _) = self.head_commit()?;
        // The guard keeps garbage collection away from the tree until the record names it.
        let writer = self.writer()?;
        let ours = if options.no_commit { write_tree(&index, &writer)? } else { self.check_nothing_staged(&index)? };
        let _guard = writer.finish()?.guard;
        let merged = three_way(self.store(), base, Some(ours), theirs, RenameOptions::default())?;
        if merged.changes.is_empty() && merged.conflicts.is_empty() {
            if todo.is_empty() {
                self.clear_pending()?;
            }
            return Ok(Step::Done(Picked::Nothing(id)));
        }
        let pending = Pending {
            kind: pick.kind(),
            start,
            original: head,
            ours,
            heads: vec![id],
            mainline: options.mainline,
            todo: todo.to_vec(),
            message: message.clone(),
            applied: false,
            beside: Vec::new(),
        };
        let applied = self.apply_merged(index, pending, &merged, progress)?;
        if !applied.conflicts.is_empty() {
            return Ok(Step::Conflicts(applied));
        }
        if options.no_commit {
            self.clear_pending()?;
            return Ok(Step::Done(Picked::Staged(applied)));
        }
        let made = self.commit(&CommitOptions {
            author: options.who.clone(),
            committer: options.who.clone(),
            message,
            amend: false,
            allow_empty: true,
        })?;
        Ok(Step::Done(Picked::Committed(Box::new(made))))
    }
}

enum Step {
    Done(Picked),
    Conflicts(Applied),
}
