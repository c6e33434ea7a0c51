//! `dits merge`.

use super::Applied;
use super::bases::merge_commits;
use crate::history;
use crate::index::Index;
use crate::object::{CommitId, ObjectKind, TreeId};
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
    FastForwarded {
        /// Where it was; `None` before its first commit.
        from: Option<CommitId>,
        /// What was done to files.
        report: CheckoutReport,
    },
    /// A merge commit was made.
    Merged(Box<NewCommit>, Applied),
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
        self.check_nothing_pending()?;
        let _held = self.hold(&[(ObjectKind::Commit, *theirs.digest())])?;
        self.merge_held(theirs, options, progress)
    }

    fn merge_held(
        &self,
        theirs: CommitId,
        options: &MergeOptions,
        progress: &dyn Progress,
    ) -> Result<MergeOutcome, RepoError> {
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
        self.true_merge(ours, theirs, options, progress)
    }

    fn true_merge(
        &self,
        ours: CommitId,
        theirs: CommitId,
        options: &MergeOptions,
        progress: &dyn Progress,
    ) -> Result<MergeOutcome, RepoError> {
        let index = self.lock_index()?;
        let tree = self.check_nothing_staged(&index)?;
        let merged = merge_commits(self.store(), ours, theirs, options.unrelated)?;
        let merged = merged.ok_or(RepoError::UnrelatedHistories)?;
        let pending = Pending {
            kind: PendingKind::Merge,
            start: ours,
            original: ours,
            ours: tree,
            heads: vec![theirs],
            mainline: 0,
            todo: Vec::new(),
            message: options.message.clone(),
            applied: false,
            beside: Vec::new(),
        };
        let applied = self.apply_merged(index, pending, &merged, progress)?;
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
        Ok(MergeOutcome::Merged(Box::new(commit), applied))
    }

    fn fast_forward(
        &self,
        head: &Head,
        to: CommitId,
        options: &MergeOptions,
        progress: &dyn Progress,
    ) -> Result<MergeOutcome, RepoError> {
        let mut index = self.lock_index()?;
        if self.head()? != *head {
            // Another command moved it while this one looked at the histories.
            drop(index);
            return self.merge_held(to, options, progress);
        }
        let report = self.checkout_commit_files(&mut index, to, progress)?;
        let name = options.message.lines().next().unwrap_or_default();
        self.advance_head(head, to, &options.who, &format!("merge: fast-forward: {name}"))?;
        Ok(MergeOutcome::FastForwarded { from: head.commit(), report })
    }

    /// No other operation waits and no path is in conflict.
    pub(crate) fn check_nothing_pending(&self) -> Result<(), RepoError> {
        if let Some(pending) = self.pending()? {
            return Err(RepoError::OperationPending { command: pending.kind.command() });
        }
        crate::worktree::check_resolved(&self.index()?)
    }

    /// The staging area is that of HEAD, whose tree is returned.
    pub(super) fn check_nothing_staged(&self, index: &Index) -> Result<TreeId, RepoError> {
        let (_, head) = self.head_commit()?;
        let staged = crate::worktree::changes_to_tree(self, index, Some(head.tree))?;
        if staged.is_empty() {
            return Ok(head.tree);
        }
        let changed = staged.into_iter().map(|change| change.path).collect();
        Err(RepoError::InTheWay(crate::worktree::InTheWay { changed, untracked: Vec::new() }))
    }
}
