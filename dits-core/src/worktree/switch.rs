//! Going to another version: branch, commit, or a path from elsewhere.

use super::checkout::{Checkout, CheckoutReport};
use crate::commit::Commit;
use crate::diff::{self, Change, FileVersion};
use crate::index::{Index, LockedIndex, Stage};
use crate::object::{CommitId, TreeId};
use crate::progress::Progress;
use crate::refs::{Expected, LogLine, RefEdit, RefName, RefStore, Target};
use crate::repo::{RepoError, Repository};
use crate::signature::Signature;

/// Where to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A branch: HEAD will name it.
    Branch(RefName),
    /// A commit: HEAD will be detached.
    Commit(CommitId),
}

/// The changes that lead from what is staged to `tree`.
///
/// # Errors
/// When the tree cannot be read.
pub fn changes_to_tree(repo: &Repository, index: &Index, tree: Option<TreeId>) -> Result<Vec<Change>, RepoError> {
    if let Some(current) = index.matches_tree() {
        return Ok(diff::trees(repo.store(), Some(current), tree)?);
    }
    let mut wanted = std::collections::BTreeMap::new();
    for change in diff::trees(repo.store(), None, tree)? {
        wanted.insert(change.path, change.new);
    }
    let mut changes = Vec::new();
    for entry in index.entries().filter(|entry| entry.stage == Stage::Normal) {
        let path = entry.repo_path();
        let old = FileVersion { mode: entry.mode, size: entry.size, content: entry.content.clone() };
        let new = wanted.remove(&path).flatten();
        if new.as_ref() != Some(&old) || entry.flags.intent_to_add {
            changes.push(Change { path, old: Some(old), new });
        }
    }
    changes.extend(wanted.into_iter().map(|(path, new)| Change { path, old: None, new }));
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(changes)
}

impl Repository {
    /// Makes worktree, staging area and HEAD be those of another branch or commit. Changes that are staged or made
    /// since are carried along when the two versions agree on the files they touch, as in git.
    ///
    /// # Errors
    /// When something unrecorded would be lost; nothing was changed then.
    pub fn switch(
        &self,
        to: &Destination,
        who: &Signature,
        force: bool,
        progress: &dyn Progress,
    ) -> Result<CheckoutReport, RepoError> {
        let index = self.lock_index()?;
        if !force {
            self.check_settled(&index)?;
        }
        let (target, commit) = match to {
            Destination::Branch(branch) => {
                self.check_branch_free(branch)?;
                let digest = self.refs().resolve(branch)?.map(|(_, digest)| CommitId::from_digest(digest));
                (Target::Symbolic(branch.clone()), digest)
            }
            Destination::Commit(commit) => (Target::Id(*commit.digest()), Some(*commit)),
        };
        let tree = commit.map(|id| Commit::read(self.store(), id)).transpose()?.map(|commit| commit.tree);
        let changes =
            if force { changes_to_tree(self, &index, tree)? } else { self.two_way(&index, self.head_tree()?, tree)? };
        let clean = force || index.matches_tree() == self.head_tree()?;
        let report = self.checkout_all(index, &changes, tree.filter(|_| clean), force, progress)?;
        let reason = format!("checkout: moving from {} to {}", self.describe_head()?, describe(to));
        let old = self.refs().read(&RefName::head())?;
        let log = LogLine {
            old: self.refs().resolve(&RefName::head())?.map(|(_, digest)| digest),
            new: commit.map(|commit| *commit.digest()),
            who: who.clone(),
            message: reason,
        };
        let expected = old.map_or(Expected::Absent, Expected::Is);
        self.refs().transaction(vec![RefEdit::set(RefName::head(), expected, target).with_log(log)])?;
        if force {
            self.clear_pending()?;
        }
        Ok(report)
    }

    /// Applies changes and writes the index; `tree` is what it then equals, if that is known.
    fn checkout_all(
        &self,
        mut index: LockedIndex,
        changes: &[Change],
        tree: Option<TreeId>,
        force: bool,
        progress: &dyn Progress,
    ) -> Result<CheckoutReport, RepoError> {
        let report = Checkout::new(self, progress, force)?.apply(&mut index, changes)?;
        index.set_tree(tree);
        index.commit()?;
        Ok(report)
    }

    /// What leads from HEAD to `tree` for files that are staged as HEAD has them. A path staged otherwise stays so if
    /// both versions agree on it, and is in the way if they do not.
    fn two_way(&self, index: &Index, head: Option<TreeId>, tree: Option<TreeId>) -> Result<Vec<Change>, RepoError> {
        let mut changes = Vec::new();
        let mut in_the_way = super::InTheWay::default();
        for change in diff::trees(self.store(), head, tree)? {
            let staged = index.get(&change.path, Stage::Normal).map(|entry| FileVersion {
                mode: entry.mode,
                size: entry.size,
                content: entry.content.clone(),
            });
            if staged == change.old {
                changes.push(change);
            } else if staged == change.new {
                continue;
            } else {
                in_the_way.changed.push(change.path);
            }
        }
        if in_the_way == super::InTheWay::default() { Ok(changes) } else { Err(RepoError::InTheWay(in_the_way)) }
    }

    /// Brings worktree and staging area from HEAD to another commit, without moving HEAD: a fast-forward.
    pub(crate) fn checkout_commit_files(
        &self,
        commit: CommitId,
        progress: &dyn Progress,
    ) -> Result<CheckoutReport, RepoError> {
        let index = self.lock_index()?;
        let tree = Commit::read(self.store(), commit)?.tree;
        let head = self.head_tree()?;
        let changes = self.two_way(&index, head, Some(tree))?;
        let clean = index.matches_tree() == head;
        self.checkout_all(index, &changes, Some(tree).filter(|_| clean), false, progress)
    }

    /// Makes index and worktree be `tree`, throwing away everything else that is tracked (`reset --hard`).
    ///
    /// # Errors
    /// When the tree cannot be read or a file cannot be written.
    pub fn reset_hard(&self, tree: Option<TreeId>, progress: &dyn Progress) -> Result<CheckoutReport, RepoError> {
        let mut index = self.lock_index()?;
        drop_conflicts(&mut index);
        let mut changes = changes_to_tree(self, &index, tree)?;
        let listed: std::collections::HashSet<_> = changes.iter().map(|change| change.path.clone()).collect();
        let scan = super::scan(self, &index, &super::Everything, super::ScanOptions::tracked_only(), progress)?;
        for path in scan.modified.into_iter().chain(scan.deleted).filter(|path| !listed.contains(path)) {
            if let Some(entry) = index.get(&path, Stage::Normal) {
                let version = FileVersion { mode: entry.mode, size: entry.size, content: entry.content.clone() };
                changes.push(Change { path, old: Some(version.clone()), new: Some(version) });
            }
        }
        let report = Checkout::new(self, progress, true)?.apply(&mut index, &changes)?;
        index.set_tree(tree);
        index.commit()?;
        Ok(report)
    }

    /// Makes the staging area be `tree`, leaving files alone (`reset --mixed`). Entries whose content stays keep what
    /// is known of their files.
    ///
    /// # Errors
    /// When the tree cannot be read or the index cannot be written.
    pub fn reset_index(&self, tree: Option<TreeId>) -> Result<(), RepoError> {
        let mut index = self.lock_index()?;
        drop_conflicts(&mut index);
        for change in changes_to_tree(self, &index, tree)? {
            stage_version(&mut index, &change)?;
        }
        index.set_tree(tree);
        index.commit()?;
        Ok(())
    }

    fn check_settled(&self, index: &Index) -> Result<(), RepoError> {
        check_resolved(index)?;
        match self.pending()? {
            Some(pending) => Err(RepoError::OperationPending { command: pending.kind.command() }),
            None => Ok(()),
        }
    }

    /// HEAD as the reflog names it: the branch, or the commit's id.
    ///
    /// # Errors
    /// When HEAD is damaged.
    pub fn describe_head(&self) -> Result<String, RepoError> {
        let head = self.head()?;
        Ok(match (head.branch(), head.commit()) {
            (Some(branch), _) => branch.short().to_owned(),
            (None, Some(commit)) => commit.to_string(),
            (None, None) => "HEAD".to_owned(),
        })
    }
}

/// Stages a version without knowing anything of a file in the worktree.
///
/// # Errors
/// When the version cannot be in an index.
pub fn stage_version(index: &mut Index, change: &Change) -> Result<(), RepoError> {
    match &change.new {
        None => {
            index.remove_all(&change.path);
        }
        Some(version) => index.put(crate::index::Entry {
            path: change.path.clone(),
            stage: Stage::Normal,
            mode: version.mode,
            size: version.size,
            content: version.content.clone(),
            stat: crate::index::FileStat::default(),
            flags: crate::index::Flags { racy: true, ..Default::default() },
        })?,
    }
    Ok(())
}

/// Fails if paths are in conflict.
///
/// # Errors
/// [`RepoError::Unresolved`], then.
pub fn check_resolved(index: &Index) -> Result<(), RepoError> {
    let paths: Vec<_> = index.conflicts().into_iter().map(|conflict| conflict.path).collect();
    if paths.is_empty() { Ok(()) } else { Err(RepoError::Unresolved { paths }) }
}

/// Forgets the sides of conflicts.
fn drop_conflicts(index: &mut Index) {
    for conflict in index.conflicts() {
        index.remove_all(&conflict.path);
    }
}

fn describe(to: &Destination) -> String {
    match to {
        Destination::Branch(branch) => branch.short().to_owned(),
        Destination::Commit(commit) => commit.to_string(),
    }
}
