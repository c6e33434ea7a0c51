//! `dits merge`.

use super::{Applied, three_way};
use crate::commit::Commit;
use crate::diff::RenameOptions;
use crate::history;
use crate::object::CommitId;
use crate::progress::Progress;
use crate::repo::{CommitOptions, Head, NewCommit, Pending, PendingKind, RepoError, Repository};
use crate::signature::Signature;
use crate::worktree::CheckoutReport;

/// Whether a merge may just move the branch forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FastForward {
    /// If it can.
    #[default]
    Allowed,
    /// A merge commit is made even then.
    Never,
    /// Or else nothing is done.
    Only,
}

/// How to merge.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// Whether to fast-forward.
    pub fast_forward: FastForward,
    /// Leaves the result staged, without committing it.
    pub no_commit: bool,
    /// Merges histories that have nothing in common.
    pub unrelated: bool,
    /// The message of the merge commit.
    pub message: String,
    /// Who merges.
    pub who: Signature,
}

/// How a merge ended.
#[derive(Debug)]
pub enum MergeOutcome {
    /// There was nothing to merge.
    UpToDate,
    /// The branch was moved forward.
    FastForwarded(CheckoutReport),
    /// A merge commit was made.
    Merged(Box<NewCommit>),
    /// The result is staged and waits for a commit.
    Staged(Applied),
    /// There are conflicts.
    Conflicts(Applied),
}

impl Repository {
    /// Merges a commit into HEAD's branch.
    ///
    /// # Errors
    /// When a merge waits already, something is staged, files stand in the way, or the histories are unrelated.
    pub fn merge(
        &self,
        theirs: CommitId,
        options: &MergeOptions,
        progress: &dyn Progress,
    ) -> Result<MergeOutcome, RepoError> {
        self.check_can_merge()?;
        let head = self.head()?;
        let Some(ours) = head.commit() else { return self.fast_forward(&head, theirs, options, progress) };
        if history::is_ancestor(self.store(), theirs, ours)? {
            return Ok(MergeOutcome::UpToDate);
        }
        let forward = history::is_ancestor(self.store(), ours, theirs)?;
        match options.fast_forward {
            FastForward::Only if !forward => return Err(RepoError::NotFastForward),
            FastForward::Only | FastForward::Allowed if forward => {
                return self.fast_forward(&head, theirs, options, progress);
            }
            _ => {}
        }
        let base = history::merge_base(self.store(), ours, theirs)?;
        if base.is_none() && !options.unrelated {
            return Err(RepoError::UnrelatedHistories);
        }
        self.true_merge(base, ours, theirs, options, progress)
    }

    fn true_merge(
        &self,
        base: Option<CommitId>,
        ours: CommitId,
        theirs: CommitId,
        options: &MergeOptions,
        progress: &dyn Progress,
    ) -> Result<MergeOutcome, RepoError> {
        let tree = |id| Commit::read(self.store(), id).map(|commit| commit.tree);
        let base = base.map(tree).transpose()?;
        let merged = three_way(self.store(), base, Some(tree(ours)?), Some(tree(theirs)?), RenameOptions::default())?;
        let mut index = self.lock_index()?;
        let mut pending = Pending {
            kind: PendingKind::Merge,
            original: ours,
            heads: vec![theirs],
            message: options.message.clone(),
            beside: Vec::new(),
        };
        // Known before the first file is touched, so that an interrupted merge can be aborted.
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
            return Ok(MergeOutcome::Conflicts(applied));
        }
        if options.no_commit {
            return Ok(MergeOutcome::Staged(applied));
        }
        let commit = self.commit(&CommitOptions {
            author: options.who.clone(),
            committer: options.who.clone(),
            message: options.message.clone(),
            amend: false,
            allow_empty: true,
        })?;
        Ok(MergeOutcome::Merged(Box::new(commit)))
    }

    fn fast_forward(
        &self,
        head: &Head,
        to: CommitId,
        options: &MergeOptions,
        progress: &dyn Progress,
    ) -> Result<MergeOutcome, RepoError> {
        let report = self.checkout_commit_files(to, progress)?;
        self.advance_head(head, to, &options.who, "merge: fast-forward")?;
        Ok(MergeOutcome::FastForwarded(report))
    }

    /// A merge starts from a staging area without conflicts and without changes of its own.
    pub(crate) fn check_can_merge(&self) -> Result<(), RepoError> {
        if let Some(pending) = self.pending()? {
            return Err(RepoError::OperationPending { command: pending.kind.command() });
        }
        let index = self.index()?;
        crate::worktree::check_resolved(&index)?;
        let staged = crate::worktree::changes_to_tree(self, &index, self.head_tree()?)?;
        if staged.is_empty() {
            return Ok(());
        }
        let changed = staged.into_iter().map(|change| change.path).collect();
        Err(RepoError::InTheWay(crate::worktree::InTheWay { changed, untracked: Vec::new() }))
    }

    /// Gives up a pending merge, revert or stash: tracked files are as they were at HEAD, and files put beside others
    /// are gone.
    ///
    /// # Errors
    /// When nothing is pending, or a file cannot be written.
    pub fn abort_pending(&self, kind: PendingKind, progress: &dyn Progress) -> Result<(), RepoError> {
        let pending = self.pending()?.filter(|pending| pending.kind == kind);
        let pending = pending.ok_or(RepoError::NothingPending { command: kind.command() })?;
        let tree = Commit::read(self.store(), pending.original)?.tree;
        self.remove_beside(&pending.beside)?;
        self.reset_hard(Some(tree), progress)?;
        self.clear_pending()
    }
}
