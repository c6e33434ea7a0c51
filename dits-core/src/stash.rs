//! Putting changes aside and bringing them back.
//!
//! An entry is a commit of the worktree's tracked files, as in git: its first parent is HEAD at the time, its second a
//! commit of the staging area, its third, if there is one, a commit of files that were not tracked. The entries are the
//! log of `refs/stash`, newest first.

use crate::commit::Commit;
use crate::diff::{Change, RenameOptions};
use crate::index::{Index, fs_clock};
use crate::merge::{Applied, Merged, three_way};
use crate::object::{CommitId, TreeId};
use crate::progress::Progress;
use crate::refs::{Expected, LogEntry, LogLine, RefEdit, RefName, RefStore, Target};
use crate::repo::{Pending, PendingKind, RepoError, Repository, write_tree};
use crate::signature::Signature;
use crate::store::{StoreWriter, WriteStats};
use crate::tree;
use crate::worktree::drive::Settling;
use crate::worktree::{Checkout, Everything, ScanOptions, changes_to_tree, entry, scan};

/// How to put changes aside.
#[derive(Clone, Copy, Debug, Default)]
pub struct StashOptions {
    /// Also files that are not tracked.
    pub untracked: bool,
    /// Leaves in place what is staged.
    pub keep_index: bool,
}

/// An entry that was made.
#[derive(Clone, Debug)]
pub struct Stashed {
    /// Its commit.
    pub commit: CommitId,
    /// The sizes of the files that were changed since they were staged, together.
    pub logical: u64,
    /// What the store took of them.
    pub stats: WriteStats,
}

/// The worktree as trees.
struct Worktree {
    /// As if all of it were staged.
    index: Index,
    tree: TreeId,
    /// The tree of what is not tracked.
    untracked: Option<TreeId>,
    logical: u64,
    /// What the daemon of a mount is told once all this is recorded.
    settling: Vec<Settling>,
}

impl Repository {
    /// Puts the changes since HEAD aside; `None` if there are none.
    ///
    /// # Errors
    /// When there is no commit yet, conflicts are left, a file cannot be read, or a folder with files that are not put
    /// aside stands where a tracked file was.
    pub fn stash_push(
        &self,
        message: Option<&str>,
        options: StashOptions,
        who: &Signature,
        progress: &dyn Progress,
    ) -> Result<Option<Stashed>, RepoError> {
        let mut index = self.lock_index()?;
        self.check_nothing_pending()?;
        let (head, commit) = self.head_commit()?;
        let writer = self.writer()?;
        let staged = write_tree(&index, &writer)?;
        let Worktree { index: mut aside, tree: work, untracked, logical, settling } =
            self.write_worktree(index.clone(), options.untracked, &writer, progress)?;
        if work == commit.tree && staged == commit.tree && untracked.is_none() {
            return Ok(None);
        }
        let subject = commit.message.lines().next().unwrap_or_default();
        let on = format!("{}: {:.7} {subject}", self.describe_head()?, head.to_string());
        let mut parents = vec![head, put(&writer, staged, vec![head], format!("index on {on}"), who)?];
        if let Some(tree) = untracked {
            parents.push(put(&writer, tree, Vec::new(), format!("untracked files on {on}"), who)?);
        }
        let text =
            message.map_or(format!("WIP on {on}"), |m| format!("On {}: {m}", self.describe_head().unwrap_or_default()));
        let id = put(&writer, work, parents, text.clone(), who)?;
        let finished = writer.finish()?;
        // Not by force: only what is put aside may go, not what was written to since, nor a file that stays untracked.
        let tree = Some(if options.keep_index { staged } else { commit.tree });
        let changes = changes_to_tree(self, &aside, tree)?;
        let checkout = Checkout::new(self, progress, false)?;
        checkout.check(&aside, &changes)?;
        self.log_stash(id, text, who)?;
        let dirs = self.work_dirs()?;
        settling.into_iter().for_each(|settling| settling.run(&dirs));
        checkout.apply(&mut aside, &changes)?;
        aside.set_tree(tree);
        *index = aside;
        index.commit()?;
        Ok(Some(Stashed { commit: id, logical, stats: finished.content }))
    }

    /// Writes the trees of the tracked files as they are in the worktree, and of the untracked ones.
    fn write_worktree(
        &self,
        mut index: Index,
        with_untracked: bool,
        writer: &StoreWriter,
        progress: &dyn Progress,
    ) -> Result<Worktree, RepoError> {
        let clock = fs_clock(&self.layout().private)?;
        let wanted = ScanOptions { untracked: with_untracked, ignored: false, each_untracked: true, settle: true };
        let mut found = scan(self, &index, &Everything, wanted, progress)?;
        found.fail_on_unreadable()?;
        let mut logical = 0;
        let (taken, settling) = self.take_in(&index, &found.modified, writer, progress)?;
        for (path, version, meta) in taken {
            logical += version.size;
            index.put(entry(&path, &version, &meta, clock))?;
        }
        for path in &found.deleted {
            index.remove_all(path);
        }
        let work = write_tree(&index, writer)?;
        if found.untracked.is_empty() {
            return Ok(Worktree { index, tree: work, untracked: None, logical, settling: vec![settling] });
        }
        let (mut taken, also_settling) = self.take_in(&index, &found.untracked, writer, progress)?;
        taken.sort_by(|a, b| a.0.cmp(&b.0));
        for (path, version, meta) in &taken {
            logical += version.size;
            index.put(entry(path, version, meta, clock))?;
        }
        let flat = taken.into_iter().map(|(path, version, _)| (path, version.mode, version.size, version.content));
        let untracked = Some(tree::from_paths(flat, writer)?);
        Ok(Worktree { index, tree: work, untracked, logical, settling: vec![settling, also_settling] })
    }

    fn log_stash(&self, id: CommitId, text: String, who: &Signature) -> Result<(), RepoError> {
        let name = RefName::stash();
        let old = self.refs().read(&name)?;
        let before = self.refs().resolve(&name)?.map(|(_, digest)| digest);
        let log = LogLine { old: before, new: Some(*id.digest()), who: who.clone(), message: text };
        let expected = old.map_or(Expected::Absent, Expected::Is);
        let edit = RefEdit::set(name, expected, Target::Id(*id.digest())).with_log(log);
        Ok(self.refs().transaction(vec![edit])?)
    }

    /// The entries, newest first.
    ///
    /// # Errors
    /// When the log is damaged.
    pub fn stash_list(&self) -> Result<Vec<LogEntry>, RepoError> {
        let name = RefName::stash();
        if self.refs().read(&name)?.is_none() {
            return Ok(Vec::new());
        }
        Ok(self.refs().log(&name, usize::MAX)?)
    }

    /// The commit of an entry.
    ///
    /// # Errors
    /// [`RepoError::NoStash`] when there is none.
    pub fn stash_commit(&self, number: usize) -> Result<CommitId, RepoError> {
        let entry = self.stash_list()?.into_iter().nth(number);
        let digest = entry.and_then(|entry| entry.new).ok_or(RepoError::NoStash { number })?;
        Ok(CommitId::from_digest(digest))
    }

    /// Brings the changes of an entry back into the worktree; with `staged`, into the staging area too. The entry
    /// stays. With conflicts the operation is pending until all are decided.
    ///
    /// # Errors
    /// When files stand in the way, another operation waits, or what was staged would be in conflict.
    pub fn stash_apply(&self, number: usize, staged: bool, progress: &dyn Progress) -> Result<Applied, RepoError> {
        self.check_nothing_pending()?;
        let id = self.stash_commit(number)?;
        let (head, _) = self.head_commit()?;
        let index = self.lock_index()?;
        // The guard keeps garbage collection away from the tree until the record names it.
        let writer = self.writer()?;
        let ours = write_tree(&index, &writer)?;
        let _guard = writer.finish()?.guard;
        let restaged = if staged { self.staged_again(id, ours)? } else { Vec::new() };
        let pending = Pending {
            kind: PendingKind::Stash,
            start: head,
            original: head,
            ours,
            heads: vec![id],
            mainline: 1,
            todo: Vec::new(),
            message: String::new(),
            applied: false,
            beside: Vec::new(),
        };
        let merged = self.merged_again(&pending)?;
        let untracked = self.stashed_untracked(id)?;
        let applied = self.apply_merged(index, pending, &merged, progress)?;
        let mut index = self.lock_index()?;
        for change in &untracked {
            index.remove_all(&change.path);
        }
        if applied.conflicts.is_empty() {
            unstage(&mut index, &merged)?;
            restaged.iter().try_for_each(|change| crate::worktree::stage_version(&mut index, change))?;
            index.commit()?;
            self.clear_pending()?;
        } else {
            index.commit()?;
        }
        Ok(applied)
    }

    /// The files of an entry that were not tracked, as additions.
    pub(crate) fn stashed_untracked(&self, entry: CommitId) -> Result<Vec<Change>, RepoError> {
        let Some(id) = Commit::read(self.store(), entry)?.parents.get(2).copied() else { return Ok(Vec::new()) };
        let tree = Commit::read(self.store(), id)?.tree;
        Ok(crate::diff::trees(self.store(), None, Some(tree))?)
    }

    /// What was staged when the entry was made, where that can be staged again without a conflict.
    fn staged_again(&self, entry: CommitId, ours: TreeId) -> Result<Vec<Change>, RepoError> {
        let parents = Commit::read(self.store(), entry)?.parents;
        let tree = |at: usize| match parents.get(at) {
            Some(id) => Ok(Some(Commit::read(self.store(), *id)?.tree)),
            None => Err(RepoError::NotAStash { commit: entry }),
        };
        let merged = three_way(self.store(), tree(0)?, Some(ours), tree(1)?, RenameOptions::default())?;
        if merged.conflicts.is_empty() { Ok(merged.changes) } else { Err(RepoError::StagedConflicts) }
    }

    /// Forgets an entry.
    ///
    /// # Errors
    /// [`RepoError::NoStash`] when there is none.
    pub fn stash_drop(&self, number: usize) -> Result<CommitId, RepoError> {
        // Read before the list: an entry made meanwhile moves the ref, and must not go with the last one.
        let expected = self.refs().read(&RefName::stash())?.map_or(Expected::Absent, Expected::Is);
        let mut entries = self.stash_list()?;
        let dropped = entries.get(number).and_then(|entry| entry.new).ok_or(RepoError::NoStash { number })?;
        let (id, dropped) = (CommitId::from_digest(dropped), entries.remove(number));
        let newest = entries.first().and_then(|entry| entry.new);
        self.refs().transaction(vec![match newest {
            Some(digest) => RefEdit::set(RefName::stash(), expected, Target::Id(digest)),
            None => RefEdit::delete(RefName::stash(), expected),
        }])?;
        // After the ref: a crash in between leaves an entry too many, never one too few.
        let mut gone = newest.is_none();
        self.refs().expire_log(&RefName::stash(), &mut |entry| {
            let this = !gone && *entry == dropped;
            gone |= this;
            !this
        })?;
        Ok(id)
    }

    /// Forgets all entries.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn stash_clear(&self) -> Result<(), RepoError> {
        Ok(self.refs().transaction(vec![RefEdit::delete(RefName::stash(), Expected::Any)])?)
    }
}

/// Changes brought back are in the worktree only, except for files that HEAD does not have: those would be untracked.
fn unstage(index: &mut Index, merged: &Merged) -> Result<(), RepoError> {
    for change in merged.changes.iter().filter(|change| change.old.is_some()) {
        let back = Change { path: change.path.clone(), old: None, new: change.old.clone() };
        crate::worktree::stage_version(index, &back)?;
    }
    Ok(())
}

fn put(
    writer: &StoreWriter,
    tree: TreeId,
    parents: Vec<CommitId>,
    message: String,
    who: &Signature,
) -> Result<CommitId, RepoError> {
    let (author, committer) = (who.clone(), who.clone());
    let commit = Commit {
        parents,
        tree,
        author,
        committer,
        message,
        moves: Vec::new(),
        signature: None,
        extensions: Vec::new(),
    };
    Ok(commit.write(writer)?)
}
