//! Going to another version: branch, commit, or a path from elsewhere.

use super::checkout::{Checkout, CheckoutReport};
use crate::commit::Commit;
use crate::diff::{self, Change, FileVersion};
use crate::index::{Index, LockedIndex, Stage};
use crate::object::{CommitId, Digest, ObjectKind, TreeId};
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

/// How to go there.
#[derive(Clone, Debug, Default)]
pub struct SwitchOptions {
    /// Throws away what is not committed, instead of refusing.
    pub force: bool,
    /// What the user called the destination, for the log; without it, the branch's name or the commit's id.
    pub named: Option<String>,
    /// Makes the branch first.
    pub create: Option<NewBranch>,
}

/// A branch to be made.
#[derive(Clone, Debug)]
pub struct NewBranch {
    /// Where it begins; `None` for one without history.
    pub commit: Option<CommitId>,
    /// What the user called that, for the log.
    pub from: String,
    /// Moves the branch there if it exists.
    pub reset: bool,
}

/// The changes that lead from what is staged to `tree`. A path in conflict is always among them.
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
    for conflict in index.conflicts() {
        let side = conflict.ours.or(conflict.theirs).or(conflict.base);
        let old = side.map(|entry| FileVersion { mode: entry.mode, size: entry.size, content: entry.content });
        let new = wanted.remove(&conflict.path).flatten();
        changes.push(Change { path: conflict.path, old, new });
    }
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
        self.switch_with(to, &SwitchOptions { force, ..SwitchOptions::default() }, who, progress)
    }

    /// [`Repository::switch`] with all that can be chosen.
    ///
    /// # Errors
    /// As there, and when a branch that is to be made exists.
    pub fn switch_with(
        &self,
        to: &Destination,
        options: &SwitchOptions,
        who: &Signature,
        progress: &dyn Progress,
    ) -> Result<CheckoutReport, RepoError> {
        let mut index = self.lock_index_anew()?;
        if !options.force {
            self.check_settled(&index)?;
        }
        let (edits, commit) = self.head_edits(to, options, who)?;
        let _held = self.hold(&held(commit))?;
        let tree = commit.map(|id| Commit::read(self.store(), id)).transpose()?.map(|commit| commit.tree);
        let report = if options.force {
            self.overwrite(&mut index, tree, progress)?
        } else {
            self.checkout_all(&mut index, tree, progress)?
        };
        // HEAD moves while the index is locked, so that nobody commits the new files on the old branch.
        self.refs().transaction(edits)?;
        drop(index);
        if options.force {
            self.discard_pending()?;
        }
        Ok(report)
    }

    /// Makes HEAD name a new branch, leaving files and staging area alone.
    ///
    /// # Errors
    /// When there is such a branch, or a ref cannot be written.
    pub fn begin_branch(&self, branch: &RefName, new: &NewBranch, who: &Signature) -> Result<(), RepoError> {
        let options = SwitchOptions { create: Some(new.clone()), ..SwitchOptions::default() };
        let (edits, commit) = self.head_edits(&Destination::Branch(branch.clone()), &options, who)?;
        let _held = self.hold(&held(commit))?;
        Ok(self.refs().transaction(edits)?)
    }

    /// What makes HEAD, and perhaps a new branch, be where `to` says; and the commit that is.
    fn head_edits(
        &self,
        to: &Destination,
        options: &SwitchOptions,
        who: &Signature,
    ) -> Result<(Vec<RefEdit>, Option<CommitId>), RepoError> {
        let mut edits = Vec::new();
        let (target, commit) = match (to, &options.create) {
            (Destination::Commit(commit), _) => (Target::Id(*commit.digest()), Some(*commit)),
            (Destination::Branch(branch), Some(new)) => {
                edits.extend(self.branch_edit(branch, new, who)?);
                (Target::Symbolic(branch.clone()), new.commit)
            }
            (Destination::Branch(branch), None) => {
                self.check_branch_free(branch)?;
                let digest = self.refs().resolve(branch)?.map(|(_, digest)| CommitId::from_digest(digest));
                (Target::Symbolic(branch.clone()), digest)
            }
        };
        // The name of a branch in the log means that HEAD is on it.
        let is_branch =
            |name: &String| RefName::branch(name).is_ok_and(|name| matches!(self.refs().read(&name), Ok(Some(_))));
        let detaches = matches!(to, Destination::Commit(_));
        let named = options.named.clone().filter(|name| !(detaches && is_branch(name)));
        let named = named.unwrap_or_else(|| describe(to));
        let old = self.refs().read(&RefName::head())?;
        let log = LogLine {
            old: self.refs().resolve(&RefName::head())?.map(|(_, digest)| digest),
            new: commit.map(|commit| *commit.digest()),
            who: who.clone(),
            message: format!("checkout: moving from {} to {named}", self.describe_head()?),
        };
        // From a commit to the same commit HEAD does not move, and `@{-1}` stays what it was, as in git.
        let stays = matches!(target, Target::Id(_)) && old.as_ref() == Some(&target);
        let expected = old.map_or(Expected::Absent, Expected::Is);
        let edit = RefEdit::set(RefName::head(), expected, target);
        edits.push(if stays { edit } else { edit.with_log(log) });
        Ok((edits, commit))
    }

    /// What makes a branch; nothing for one without history, which comes to be with its first commit.
    ///
    /// # Errors
    /// When there is such a branch and it is not to be moved, or a worktree is on it.
    pub fn branch_edit(
        &self,
        branch: &RefName,
        new: &NewBranch,
        who: &Signature,
    ) -> Result<Option<RefEdit>, RepoError> {
        let old = self.refs().read(branch)?;
        if old.is_some() && !new.reset {
            return Err(RepoError::RefExists { kind: "branch", name: branch.short().to_owned() });
        }
        self.check_branch_free(branch)?;
        let Some(commit) = new.commit else { return Ok(None) };
        let message = if old.is_some() { "branch: Reset to " } else { "branch: Created from " };
        let log = LogLine {
            old: self.refs().resolve(branch)?.map(|(_, digest)| digest),
            new: Some(*commit.digest()),
            who: who.clone(),
            message: format!("{message}{}", new.from),
        };
        let expected = old.map_or(Expected::Absent, Expected::Is);
        Ok(Some(RefEdit::set(branch.clone(), expected, Target::Id(*commit.digest())).with_log(log)))
    }

    /// Brings worktree and index from HEAD to `tree` and writes the index. Where there is none yet, nothing was ever
    /// checked out, and everything is.
    fn checkout_all(
        &self,
        index: &mut LockedIndex,
        tree: Option<TreeId>,
        progress: &dyn Progress,
    ) -> Result<CheckoutReport, RepoError> {
        let from = if index.is_unborn() { None } else { self.head_tree()? };
        let changes = self.two_way(index, from, tree)?;
        let clean = match from {
            None => index.is_empty(),
            head => index.matches_tree() == head,
        };
        let report = Checkout::new(self, progress, false)?.apply(index, &changes)?;
        if clean {
            index.set_tree(tree);
        }
        index.save()?;
        Ok(report)
    }

    /// What leads from one tree to another for files that are staged as the first has them. A path staged otherwise stays so if
    /// both versions agree on it, and is in the way if they do not.
    fn two_way(&self, index: &Index, from: Option<TreeId>, tree: Option<TreeId>) -> Result<Vec<Change>, RepoError> {
        let mut changes = Vec::new();
        let mut in_the_way = super::InTheWay::default();
        for change in diff::trees(self.store(), from, tree)? {
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

    /// Brings worktree and staging area from HEAD to another commit, without moving HEAD: a fast-forward. The index is
    /// written, and stays locked, so that nobody commits the new files before HEAD has moved.
    pub(crate) fn checkout_commit_files(
        &self,
        index: &mut LockedIndex,
        commit: CommitId,
        progress: &dyn Progress,
    ) -> Result<CheckoutReport, RepoError> {
        let tree = Commit::read(self.store(), commit)?.tree;
        self.checkout_all(index, Some(tree), progress)
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
        let head = match self.head() {
            // It is about to be made anew.
            Err(RepoError::NoHead { .. }) => return Ok("HEAD".to_owned()),
            head => head?,
        };
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

fn held(commit: Option<CommitId>) -> Vec<(ObjectKind, Digest)> {
    commit.into_iter().map(|commit| (ObjectKind::Commit, *commit.digest())).collect()
}

fn describe(to: &Destination) -> String {
    match to {
        Destination::Branch(branch) => branch.short().to_owned(),
        Destination::Commit(commit) => commit.to_string(),
    }
}
