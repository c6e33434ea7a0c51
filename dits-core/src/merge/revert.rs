//! `dits revert`: a new commit that undoes an old one.

use super::{Applied, three_way};
use crate::commit::Commit;
use crate::diff::RenameOptions;
use crate::object::CommitId;
use crate::progress::Progress;
use crate::repo::{CommitOptions, NewCommit, Pending, PendingKind, RepoError, Repository};
use crate::signature::Signature;

/// How a revert ended.
#[derive(Debug)]
pub enum RevertOutcome {
    /// It was committed.
    Committed(Box<NewCommit>),
    /// It is staged and waits for a commit.
    Staged(Applied),
    /// There are conflicts.
    Conflicts(Applied),
}

impl Repository {
    /// Undoes what `commit` changed from its `parent`th parent (1 is the first), on top of HEAD.
    ///
    /// # Errors
    /// When another operation waits, something is staged, files stand in the way, or the undoing changes nothing.
    pub fn revert(
        &self,
        commit: CommitId,
        parent: usize,
        no_commit: bool,
        who: &Signature,
        progress: &dyn Progress,
    ) -> Result<RevertOutcome, RepoError> {
        self.check_can_merge()?;
        let (head, ours) = self.head_commit()?;
        let undone = Commit::read(self.store(), commit)?;
        let before = undone.parents.get(parent.saturating_sub(1)).map(|id| Commit::read(self.store(), *id));
        let before = before.transpose()?.map(|commit| commit.tree);
        let merged = three_way(self.store(), Some(undone.tree), Some(ours.tree), before, RenameOptions::default())?;
        let subject = undone.message.lines().next().unwrap_or_default();
        let message = format!("Revert \"{subject}\"\n\nThis reverts commit {commit}.\n");
        let mut pending = Pending {
            kind: PendingKind::Revert,
            original: head,
            heads: vec![commit],
            message: message.clone(),
            beside: Vec::new(),
        };
        let mut index = self.lock_index()?;
        self.set_pending(&pending)?;
        let applied = match self.apply_merged(&mut index, &merged, progress) {
            Err(error @ (RepoError::InTheWay(_) | RepoError::FileAndFolder { .. })) => {
                self.clear_pending()?;
                return Err(error);
            }
            applied => applied?,
        };
        pending.beside.clone_from(&applied.beside);
        self.set_pending(&pending)?;
        index.commit()?;
        if !applied.conflicts.is_empty() {
            return Ok(RevertOutcome::Conflicts(applied));
        }
        if no_commit {
            self.clear_pending()?;
            return Ok(RevertOutcome::Staged(applied));
        }
        let options =
            CommitOptions { author: who.clone(), committer: who.clone(), message, amend: false, allow_empty: false };
        let outcome = self.commit(&options);
        if matches!(outcome, Err(RepoError::NothingToCommit)) {
            self.clear_pending()?;
        }
        Ok(RevertOutcome::Committed(Box::new(outcome?)))
    }
}
