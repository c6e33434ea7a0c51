//! Giving up an operation that waits, and tidying up after one.

use std::collections::HashSet;

use super::apply::with_their_files;
use super::{Merged, bases::merge_commits, three_way};
use crate::commit::Commit;
use crate::diff::{Change, FileVersion, RenameOptions};
use crate::index::{Index, Stage};
use crate::object::{CommitId, TreeId};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{Pending, PendingKind, RepoError, Repository};
use crate::signature::Signature;
use crate::worktree::{Checkout, changes_to_tree};

impl Repository {
    /// Gives up a pending operation: HEAD, staging area and the files it touched are as they were before. Changes to
    /// other files stay.
    ///
    /// # Errors
    /// When nothing is pending, a file that it touched was changed since, or a file cannot be written.
    pub fn abort_pending(&self, kind: PendingKind, who: &Signature, progress: &dyn Progress) -> Result<(), RepoError> {
        let pending = self.pending()?.filter(|pending| pending.kind == kind);
        let pending = pending.ok_or(RepoError::NothingPending { command: kind.command() })?;
        let head = self.head()?;
        let moved = head.commit() != Some(pending.original);
        let rewinds = !moved && pending.start != pending.original;
        let tree = match head.commit() {
            _ if rewinds => Commit::read(self.store(), pending.start)?.tree,
            // Somebody moved HEAD meanwhile and wants to be there.
            Some(commit) if moved => Commit::read(self.store(), commit)?.tree,
            _ => pending.ours,
        };
        let merged = self.merged_again(&pending)?;
        self.undo(tree, &pending, &merged, progress)?;
        self.remove_beside(&pending.beside, &merged)?;
        if rewinds {
            self.advance_head(&head, pending.start, who, &format!("{}: abort", kind.command()))?;
        }
        self.clear_pending()
    }

    /// Works out again what the operation merges.
    pub(crate) fn merged_again(&self, pending: &Pending) -> Result<Merged, RepoError> {
        let Some(&head) = pending.heads.first() else { return Ok(Merged::default()) };
        if pending.kind == PendingKind::Merge {
            return Ok(merge_commits(self.store(), pending.original, head, true)?.unwrap_or_default());
        }
        let [base, theirs] = match pending.kind {
            PendingKind::CherryPick => self.trees_around(head, pending.mainline)?,
            PendingKind::Revert => {
                let [before, after] = self.trees_around(head, pending.mainline)?;
                [after, before]
            }
            PendingKind::Stash | PendingKind::Merge => self.trees_around(head, 1)?,
        };
        let mut merged = three_way(self.store(), base, Some(pending.ours), theirs, RenameOptions::default())?;
        if pending.kind == PendingKind::Stash {
            merged.changes.extend(self.stashed_untracked(head)?);
        }
        Ok(merged)
    }

    /// The trees of a commit's parent and of the commit.
    pub(super) fn trees_around(&self, id: CommitId, mainline: u32) -> Result<[Option<TreeId>; 2], RepoError> {
        let commit = Commit::read(self.store(), id)?;
        let number = mainline as usize;
        let parent = match commit.parents.len() {
            many @ 2.. if number == 0 => return Err(RepoError::NeedsMainline { commit: id, parents: many }),
            parents if number > parents.max(1) => return Err(RepoError::NoSuchParent { commit: id, number, parents }),
            _ => commit.parents.get(number.saturating_sub(1)),
        };
        let before = parent.map(|parent| Commit::read(self.store(), *parent)).transpose()?.map(|parent| parent.tree);
        Ok([before, Some(commit.tree)])
    }

    /// Makes staging area and worktree be `tree` again where the operation touched them.
    pub(super) fn undo(
        &self,
        tree: TreeId,
        pending: &Pending,
        merged: &Merged,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        let mut index = self.lock_index()?;
        // Files that somebody has added meanwhile are theirs: they stay, and are not staged any more.
        let brought: HashSet<RepoPath> = with_their_files(merged).into_iter().map(|change| change.path).collect();
        let since_head = changes_to_tree(self, &index, self.head_tree()?)?.into_iter();
        for change in since_head.filter(|change| change.new.is_none() && !brought.contains(&change.path)) {
            index.remove_all(&change.path);
        }
        let conflicts = index.conflicts();
        for conflict in &conflicts {
            index.remove_all(&conflict.path);
        }
        let conflicted: HashSet<RepoPath> = conflicts.into_iter().map(|conflict| conflict.path).collect();
        let (mut decided, mut changes): (Vec<_>, Vec<_>) = changes_to_tree(self, &index, Some(tree))?
            .into_iter()
            .partition(|change| conflicted.contains(&change.path));
        let listed: HashSet<&RepoPath> = decided.iter().map(|change| &change.path).collect();
        let gone: Vec<_> = conflicted.iter().filter(|path| !listed.contains(path)).cloned().collect();
        decided.extend(gone.into_iter().map(|path| Change { path, old: None, new: None }));
        if !pending.applied || pending.kind == PendingKind::Stash {
            changes = self.with_half_done(&index, changes, merged, progress)?;
        }
        let cautious = Checkout::new(self, progress, false)?;
        cautious.check(&index, &changes)?;
        Checkout::new(self, progress, true)?.apply(&mut index, &decided)?;
        cautious.apply(&mut index, &changes)?;
        index.set_tree(Some(tree));
        index.commit()?;
        Ok(())
    }

    /// Adds the files that the operation has brought into the worktree and not staged: it was interrupted before, or
    /// they were not tracked when they were stashed.
    fn with_half_done(
        &self,
        index: &Index,
        changes: Vec<Change>,
        merged: &Merged,
        progress: &dyn Progress,
    ) -> Result<Vec<Change>, RepoError> {
        let checkout = Checkout::new(self, progress, false)?;
        let dirs = self.work_dirs()?;
        let listed: HashSet<RepoPath> = changes.iter().map(|change| change.path.clone()).collect();
        let mut all = changes;
        for change in with_their_files(merged).into_iter().filter(|change| !listed.contains(&change.path)) {
            let there = dirs.stat(&change.path)?.filter(|meta| !meta.is_dir());
            let brought = match (&change.new, there) {
                (Some(new), Some(meta)) => checkout.holds(&change.path, &meta, new)?,
                (None, None) => true,
                _ => false,
            };
            if brought {
                let staged = index.get(&change.path, Stage::Normal).map(|entry| FileVersion {
                    mode: entry.mode,
                    size: entry.size,
                    content: entry.content.clone(),
                });
                all.push(Change { path: change.path, old: change.new, new: staged });
            }
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }

    /// Removes files that a conflict put beside others, unless somebody changed or staged them since.
    pub(crate) fn remove_beside(&self, beside: &[(RepoPath, RepoPath)], merged: &Merged) -> Result<(), RepoError> {
        if beside.is_empty() {
            return Ok(());
        }
        let (dirs, index) = (self.work_dirs()?, self.index()?);
        let checkout = Checkout::new(self, &crate::progress::Silent, false)?;
        for (path, file) in beside {
            let conflict = merged.conflicts.iter().find(|conflict| conflict.path == *path);
            let theirs = conflict.and_then(|conflict| conflict.theirs.as_ref());
            let (Some(theirs), Some(meta)) = (theirs, dirs.stat(file)?) else { continue };
            let tracked = index.get(file, Stage::Normal).is_some();
            if !tracked && !meta.is_dir() && checkout.holds(file, &meta, theirs)? {
                dirs.unlink(file)?;
                dirs.remove_empty_parents(file)?;
            }
        }
        Ok(())
    }
}
