//! Recording the staging area as a commit.

use super::{Head, Pending, PendingKind, RepoError, Repository};
use crate::commit::Commit;
use crate::diff::{self, Change, RenameOptions, find_renames};
use crate::index::{Index, Stage};
use crate::object::{CommitId, ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::refs::{Expected, LogLine, RefEdit, RefName, RefStore, Target};
use crate::signature::Signature;
use crate::store::{StoreWriter, WriteStats};
use crate::tree;

/// Who commits what, and how.
#[derive(Clone, Debug)]
pub struct CommitOptions {
    /// Who made the changes.
    pub author: Signature,
    /// Who records them.
    pub committer: Signature,
    /// What they are about.
    pub message: String,
    /// Replaces the newest commit instead of following it.
    pub amend: bool,
    /// Commits even if nothing changed.
    pub allow_empty: bool,
}

/// A commit that has been made.
#[derive(Clone, Debug)]
pub struct NewCommit {
    /// Its name.
    pub id: CommitId,
    /// The commit.
    pub commit: Commit,
    /// The branch it is on, unless HEAD is detached.
    pub branch: Option<RefName>,
    /// What differs from the first parent.
    pub changes: Vec<Change>,
    /// What was written.
    pub stats: WriteStats,
}

impl Repository {
    /// Records the staging area as a commit, moves HEAD's branch to it, and ends a pending merge or revert.
    ///
    /// # Errors
    /// When there are conflicts left, nothing changed, or another process moved the branch meanwhile.
    pub fn commit(&self, options: &CommitOptions) -> Result<NewCommit, RepoError> {
        let mut index = self.lock_index()?;
        let head = self.head()?;
        let file = self.layout().index();
        // Also where nothing is checked out: the commit would have no files.
        if head.commit().is_some() && !file.exists() {
            return Err(RepoError::LostIndex { file });
        }
        crate::worktree::check_resolved(&index)?;
        self.check_not_lost(&head)?;
        let pending = self.pending()?;
        if let Some(pending) = pending.as_ref().filter(|pending| !pending.applied) {
            return Err(RepoError::HalfDone { command: pending.kind.command() });
        }
        let (parents, compare_to) = self.parents(&head, pending.as_ref(), options.amend)?;
        let writer = self.writer()?;
        let tree = write_tree(&index, &writer)?;
        let merging = parents.len() > 1;
        if compare_to == Some(tree) && !options.allow_empty && !merging && !options.amend {
            return Err(RepoError::NothingToCommit);
        }
        let empty = !index.entries().any(|entry| !entry.flags.intent_to_add);
        if compare_to.is_none() && empty && !options.allow_empty && !options.amend {
            return Err(RepoError::NothingToCommit);
        }
        let changes = diff::trees(&writer, compare_to, Some(tree))?;
        let commit = Commit {
            parents,
            tree,
            author: self.author(pending.as_ref(), options)?,
            committer: options.committer.clone(),
            message: options.message.clone(),
            moves: moves(&writer, &changes, self.rename_options()?)?,
            signature: None,
            extensions: Vec::new(),
        };
        let id = commit.write(&writer)?;
        let finished = writer.finish()?;
        self.keep_edge(&head, id, options.amend)?;
        let reason = reason(pending.as_ref(), &head, options);
        self.advance_head(&head, id, &options.committer, &reason)?;
        index.set_tree(Some(tree));
        index.commit()?;
        self.step_done(pending, id)?;
        Ok(NewCommit { id, commit, branch: head.branch().cloned(), changes, stats: finished.meta })
    }

    /// What replaces a commit at the edge of a shallow history is at the edge too.
    fn keep_edge(&self, head: &Head, made: CommitId, amended: bool) -> Result<(), RepoError> {
        match head.commit().filter(|_| amended) {
            Some(old) if self.store().is_shallow(&old)? => self.edit_shallow(|list| list.edit(&[made], &[])).map(drop),
            _ => Ok(()),
        }
    }

    /// A commit that is picked keeps its author.
    fn author(&self, pending: Option<&Pending>, options: &CommitOptions) -> Result<Signature, RepoError> {
        let picked = pending.filter(|pending| pending.kind == PendingKind::CherryPick);
        match picked.and_then(|pending| pending.heads.first()) {
            Some(id) => Ok(Commit::read(self.store(), *id)?.author),
            None => Ok(options.author.clone()),
        }
    }

    /// The pending step was committed: what it left behind goes, and the next one waits if there is one.
    pub(crate) fn step_done(&self, pending: Option<Pending>, made: CommitId) -> Result<(), RepoError> {
        let Some(mut pending) = pending else { return Ok(()) };
        if !pending.beside.is_empty() {
            let merged = self.merged_again(&pending)?;
            self.remove_beside(&pending.beside, &merged)?;
        }
        if pending.todo.is_empty() {
            return self.clear_pending();
        }
        pending.original = made;
        pending.heads.clear();
        pending.beside.clear();
        self.set_pending(&pending)
    }

    /// The parents of the commit to be made, and the tree it is compared with.
    fn parents(
        &self,
        head: &Head,
        pending: Option<&Pending>,
        amend: bool,
    ) -> Result<(Vec<CommitId>, Option<TreeId>), RepoError> {
        let newest = head.commit().map(|id| Commit::read(self.store(), id)).transpose()?;
        if amend {
            let newest = newest.ok_or(RepoError::NothingToAmend)?;
            if pending.is_some() {
                return Err(RepoError::AmendDuringMerge);
            }
            let tree = newest.parents.first().map(|id| Commit::read(self.store(), *id)).transpose()?.map(|c| c.tree);
            // At the edge of a shallow history they are absent, and still the parents.
            let parents = head.commit().map(|id| self.true_parents(id)).transpose()?.unwrap_or_default();
            return Ok((parents, tree));
        }
        let merged = pending.filter(|p| p.kind == PendingKind::Merge).map(|p| p.heads.clone()).unwrap_or_default();
        Ok((head.commit().into_iter().chain(merged).collect(), newest.map(|commit| commit.tree)))
    }

    /// Moves what HEAD is on to `id`, provided it is still where `head` saw it, and logs that for both.
    ///
    /// # Errors
    /// When another process moved it, or it cannot be written.
    pub fn advance_head(&self, head: &Head, id: CommitId, who: &Signature, reason: &str) -> Result<(), RepoError> {
        let log = LogLine {
            old: head.commit().map(|old| *old.digest()),
            new: Some(*id.digest()),
            who: who.clone(),
            message: reason.to_owned(),
        };
        let new = Target::Id(*id.digest());
        let expected = head.target().map_or(Expected::Absent, Expected::Is);
        let edits = match head.branch() {
            Some(branch) => vec![
                RefEdit::set(branch.clone(), expected, new).with_log(log.clone()),
                RefEdit::log_only(RefName::head(), log),
            ],
            None => vec![RefEdit::set(RefName::head(), expected, new).with_log(log)],
        };
        Ok(self.refs().transaction(edits)?)
    }
}

/// Writes the trees of what is staged.
///
/// # Errors
/// When the store cannot be written.
pub fn write_tree(index: &Index, writer: &StoreWriter) -> Result<TreeId, RepoError> {
    if let Some(tree) = index.matches_tree() {
        return Ok(tree);
    }
    let staged = index.entries().filter(|entry| entry.stage == Stage::Normal && !entry.flags.intent_to_add);
    let entries = staged.map(|entry| (entry.repo_path(), entry.mode, entry.size, entry.content.clone()));
    Ok(tree::from_paths(entries, writer)?)
}

/// The moves to record: what a reader would otherwise have to find out again.
fn moves(
    writer: &StoreWriter,
    changes: &[Change],
    options: Option<RenameOptions>,
) -> Result<Vec<(RepoPath, RepoPath)>, RepoError> {
    let Some(options) = options else { return Ok(Vec::new()) };
    let renames = find_renames(writer, changes, options)?;
    let mut moves: Vec<_> = renames.into_iter().map(|rename| (rename.from, rename.to)).collect();
    moves.sort();
    Ok(moves)
}

fn reason(pending: Option<&Pending>, head: &Head, options: &CommitOptions) -> String {
    let what = match pending.map(|p| p.kind) {
        Some(PendingKind::Merge) => "commit (merge)",
        Some(PendingKind::Revert) => "revert",
        Some(PendingKind::CherryPick) => "cherry-pick",
        _ if options.amend => "commit (amend)",
        _ if head.commit().is_none() => "commit (initial)",
        _ => "commit",
    };
    format!("{what}: {}", options.message.lines().next().unwrap_or_default())
}
