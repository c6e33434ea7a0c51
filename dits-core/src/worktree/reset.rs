//! Moving the branch to another commit, and how much goes with it.

use std::collections::HashSet;

use super::checkout::{Checkout, CheckoutReport};
use super::switch::{changes_to_tree, check_resolved, stage_version};
use super::{Everything, ScanOptions};
use crate::commit::Commit;
use crate::diff::{Change, FileVersion};
use crate::index::{LockedIndex, Stage};
use crate::object::{CommitId, ObjectKind, TreeId};
use crate::progress::Progress;
use crate::refs::{Expected, LogLine, RefEdit, RefName, RefStore, Target};
use crate::repo::{Head, RepoError, Repository};
use crate::signature::Signature;

/// What a reset changes besides the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ResetMode {
    /// Nothing.
    Soft,
    /// The staging area.
    #[default]
    Mixed,
    /// Staging area and worktree: every tracked file is as in the commit.
    Hard,
    /// Staging area and worktree, but changes that are not staged stay, and a file that has some is never overwritten.
    Merge,
}

/// What a reset did.
#[derive(Clone, Debug)]
pub struct ResetReport {
    /// Where the branch was.
    pub from: Option<CommitId>,
    /// The files written and removed.
    pub files: CheckoutReport,
}

impl Repository {
    /// Moves the branch that HEAD is on, or a detached HEAD, to a commit. `ORIG_HEAD` keeps where it was. `named` is
    /// what the user called the commit, for the log.
    ///
    /// # Errors
    /// When a soft reset meets conflicts, when a merging one meets changes in a file that it would write, or something
    /// cannot be read or written.
    pub fn reset(
        &self,
        mode: ResetMode,
        to: CommitId,
        named: &str,
        who: &Signature,
        progress: &dyn Progress,
    ) -> Result<ResetReport, RepoError> {
        let _held = self.hold(&[(ObjectKind::Commit, *to.digest())])?;
        let tree = Some(Commit::read(self.store(), to)?.tree);
        let mut index = if mode == ResetMode::Soft { self.lock_index()? } else { self.lock_index_anew()? };
        let head = self.head()?;
        let mut files = CheckoutReport::default();
        match mode {
            ResetMode::Soft => {
                check_resolved(&index)?;
                if let Some(pending) = self.pending()? {
                    return Err(RepoError::OperationPending { command: pending.kind.command() });
                }
            }
            ResetMode::Mixed => self.stage_tree(&mut index, tree)?,
            ResetMode::Hard => files = self.overwrite(&mut index, tree, progress)?,
            ResetMode::Merge => files = self.reset_merge(&mut index, tree, progress)?,
        }
        self.reset_head(&head, to, named, who)?;
        drop(index);
        match mode {
            ResetMode::Soft => {}
            ResetMode::Mixed => self.clear_pending()?,
            ResetMode::Hard | ResetMode::Merge => self.discard_pending()?,
        }
        Ok(ResetReport { from: head.commit(), files })
    }

    fn reset_head(&self, head: &Head, to: CommitId, named: &str, who: &Signature) -> Result<(), RepoError> {
        let message = format!("reset: moving to {named}");
        let old = head.commit().map(|old| *old.digest());
        let log = LogLine { old, new: Some(*to.digest()), who: who.clone(), message };
        let expected = head.target().map_or(Expected::Absent, Expected::Is);
        let new = Target::Id(*to.digest());
        let mut edits = match head.branch() {
            Some(branch) => vec![
                RefEdit::set(branch.clone(), expected, new).with_log(log.clone()),
                RefEdit::log_only(RefName::head(), log),
            ],
            None => vec![RefEdit::set(RefName::head(), expected, new).with_log(log)],
        };
        if let Some(old) = old {
            edits.push(RefEdit::set(RefName::orig_head(), Expected::Any, Target::Id(old)));
        }
        Ok(self.refs().transaction(edits)?)
    }

    /// Makes index and worktree be `tree`, throwing away everything else that is tracked.
    ///
    /// # Errors
    /// When the tree cannot be read or a file cannot be written.
    pub fn reset_hard(&self, tree: Option<TreeId>, progress: &dyn Progress) -> Result<CheckoutReport, RepoError> {
        let mut index = self.lock_index_anew()?;
        self.overwrite(&mut index, tree, progress)
    }

    /// [`Repository::reset_hard`] under a lock; the index is written, and stays locked.
    pub(super) fn overwrite(
        &self,
        index: &mut LockedIndex,
        tree: Option<TreeId>,
        progress: &dyn Progress,
    ) -> Result<CheckoutReport, RepoError> {
        let mut changes = changes_to_tree(self, index, tree)?;
        let listed: HashSet<_> = changes.iter().map(|change| change.path.clone()).collect();
        let options = ScanOptions { settle: false, ..ScanOptions::tracked_only() };
        let scan = super::scan(self, index, &Everything, options, progress)?;
        let touched = scan.modified.into_iter().chain(scan.unsure).chain(scan.deleted);
        for path in touched.chain(scan.unreadable.into_iter().map(|(path, _)| path)) {
            if listed.contains(&path) {
                continue;
            }
            if let Some(entry) = index.get(&path, Stage::Normal) {
                let version = FileVersion { mode: entry.mode, size: entry.size, content: entry.content.clone() };
                changes.push(Change { path, old: Some(version.clone()), new: Some(version) });
            }
        }
        let report = Checkout::new(self, progress, true)?.apply(index, &changes)?;
        index.set_tree(tree);
        index.save()?;
        Ok(report)
    }

    /// Makes the staging area be `tree`, leaving files alone. Entries whose content stays keep what is known of their
    /// files.
    ///
    /// # Errors
    /// When the tree cannot be read or the index cannot be written.
    pub fn reset_index(&self, tree: Option<TreeId>) -> Result<(), RepoError> {
        let mut index = self.lock_index_anew()?;
        self.stage_tree(&mut index, tree)
    }

    fn stage_tree(&self, index: &mut LockedIndex, tree: Option<TreeId>) -> Result<(), RepoError> {
        for change in changes_to_tree(self, index, tree)? {
            stage_version(index, &change)?;
        }
        index.set_tree(tree);
        Ok(index.save()?)
    }

    /// Files in conflict are overwritten: giving them up is what this is for.
    fn reset_merge(
        &self,
        index: &mut LockedIndex,
        tree: Option<TreeId>,
        progress: &dyn Progress,
    ) -> Result<CheckoutReport, RepoError> {
        let conflicts: HashSet<_> = index.conflicts().into_iter().map(|conflict| conflict.path).collect();
        let changes = changes_to_tree(self, index, tree)?;
        let (forced, kept): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| conflicts.contains(&change.path));
        let first = Checkout::new(self, progress, false)?.apply(index, &kept)?;
        let second = Checkout::new(self, progress, true)?.apply(index, &forced)?;
        index.set_tree(tree);
        index.save()?;
        Ok(CheckoutReport {
            written: first.written + second.written,
            bytes: first.bytes + second.bytes,
            removed: first.removed + second.removed,
            ghosts: first.ghosts + second.ghosts,
        })
    }

    /// Ends a merge, revert or stash that waits, and removes what it put beside other files.
    ///
    /// # Errors
    /// When its record or a file cannot be removed.
    pub fn discard_pending(&self) -> Result<(), RepoError> {
        if let Some(pending) = self.pending()? {
            self.remove_beside(&pending.beside, &self.merged_again(&pending)?)?;
            self.clear_pending()?;
        }
        Ok(())
    }
}
