//! Staging what is in the worktree.

use super::checkout::entry;
use super::{ScanOptions, Selection, Skipped, scan};
use crate::index::{Entry, FileStat, Flags, Index, LockedIndex, Stage, fs_clock};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::{StoreWriter, WriteStats, WriterGuard};
use crate::tree::{Content, Mode};

mod portable;
mod take_in;

use super::drive::Settling;
pub use portable::Unportable;
pub(crate) use take_in::Staged;
use take_in::Staging;
pub(super) use take_in::ingest_error;

/// What to stage.
#[derive(Clone, Copy, Debug)]
pub struct AddOptions {
    /// Files that are not tracked yet.
    pub new_files: bool,
    /// Files that are gone.
    pub removals: bool,
    /// Also files that are ignored.
    pub force: bool,
    /// Of files that are not tracked yet, stages only that they are to be added, and nothing else.
    pub intent: bool,
    /// Changes nothing.
    pub dry_run: bool,
}

impl Default for AddOptions {
    fn default() -> Self {
        Self { new_files: true, removals: true, force: false, intent: false, dry_run: false }
    }
}

/// What was staged.
#[derive(Clone, Debug, Default)]
pub struct AddReport {
    /// Files staged, sorted.
    pub added: Vec<RepoPath>,
    /// Removals staged, sorted.
    pub removed: Vec<RepoPath>,
    /// The sizes of the files staged, together.
    pub logical: u64,
    /// What the store took.
    pub stats: WriteStats,
    /// Things passed over, with the reason: special files, repositories inside.
    pub skipped: Vec<Skipped>,
    /// Files staged although they are ignored.
    pub ignored: Vec<RepoPath>,
    /// Their versions of files in conflict, which a merge put beside ours: they are not staged, and only those of
    /// conflicts that are not decided by this stay.
    pub beside: Vec<RepoPath>,
    /// Paths that were in conflict, which this decides for what is in the worktree.
    pub decided: Vec<RepoPath>,
}

/// What [`Repository::add`] is about to do, with the staging area locked until it is done or dropped.
pub struct AddPlan<'a> {
    repo: &'a Repository,
    index: LockedIndex,
    clock: (i64, u32),
    options: AddOptions,
    report: AddReport,
}

impl AddPlan<'_> {
    /// What would be staged. [`AddReport::added`] may have files whose content turns out not to have changed.
    #[must_use]
    pub fn report(&self) -> &AddReport {
        &self.report
    }

    /// The staging area as it is.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Does it, all or nothing; only reports when it is a dry run.
    ///
    /// # Errors
    /// When a file cannot be read or keeps changing, or the store or staging area cannot be written.
    pub fn run(mut self, progress: &dyn Progress) -> Result<AddReport, RepoError> {
        if self.options.dry_run {
            return Ok(self.report);
        }
        if self.options.intent {
            self.repo.stage_intent(&mut self.index, &self.report.added)?;
            self.index.commit()?;
            return Ok(self.report);
        }
        // The guard keeps garbage collection away from the new content until the index names it.
        let (guard, settling) = self.repo.stage(&mut self.index, &mut self.report, self.clock, progress)?;
        self.index.commit()?;
        settling.run(&self.repo.work_dirs()?);
        drop(guard);
        if !self.report.decided.is_empty() {
            self.repo.decided(&self.report.decided)?;
            let left = self.repo.pending()?.map(|pending| pending.beside).unwrap_or_default();
            self.report.beside.retain(|path| left.iter().any(|(_, file)| file == path));
        }
        Ok(self.report)
    }
}

impl Repository {
    /// Stages the changes in the worktree that `selection` includes. Either all of them are staged or none.
    ///
    /// # Errors
    /// When a file cannot be read or keeps changing, a name is refused, or the store cannot be written.
    pub fn add(
        &self,
        selection: &dyn Selection,
        options: AddOptions,
        progress: &dyn Progress,
    ) -> Result<AddReport, RepoError> {
        self.plan_add(selection, options, progress)?.run(progress)
    }

    /// Finds what [`Repository::add`] would stage, for looking at it before it happens.
    ///
    /// # Errors
    /// When something cannot be looked at, or a name is refused.
    pub fn plan_add(
        &self,
        selection: &dyn Selection,
        options: AddOptions,
        progress: &dyn Progress,
    ) -> Result<AddPlan<'_>, RepoError> {
        let index = self.lock_index()?;
        let clock = fs_clock(&self.layout().private)?;
        let wanted = ScanOptions {
            untracked: options.new_files,
            ignored: options.force,
            each_untracked: true,
            settle: options.dry_run,
        };
        let mut found = scan(self, &index, selection, wanted, progress)?;
        found.fail_on_unreadable()?;
        let beside = self.pending()?.map(|pending| pending.beside).unwrap_or_default();
        let (beside, untracked) =
            found.untracked.into_iter().partition(|path| beside.iter().any(|(_, file)| file == path));
        let mut report = AddReport { skipped: found.skipped, beside, ..AddReport::default() };
        if !options.intent {
            report.decided.extend(found.conflicted.iter().cloned());
            report.added.extend(found.modified.into_iter().chain(found.unsure).chain(found.conflicted));
            if options.removals {
                report.decided.extend(found.conflicted_gone.iter().cloned());
                report.removed = found.deleted;
                report.removed.extend(found.conflicted_gone);
                report.removed.sort();
            }
        }
        if options.new_files {
            report.added.extend::<Vec<_>>(untracked);
            report.added.extend(found.ignored.iter().cloned());
            report.ignored = found.ignored;
            self.check_portable(&index, &report.added, &report.removed)?;
        }
        report.added.sort();
        report.added.dedup();
        report.decided.sort();
        Ok(AddPlan { repo: self, index, clock, options, report })
    }

    fn stage(
        &self,
        index: &mut LockedIndex,
        report: &mut AddReport,
        clock: (i64, u32),
        progress: &dyn Progress,
    ) -> Result<(WriterGuard, Settling), RepoError> {
        let writer = self.writer()?;
        let (staged, settling) = self.take_in(index, &report.added, &writer, progress)?;
        progress.stage("Saving", None, None);
        let finished = writer.finish()?;
        report.stats = finished.content;
        let mut changed = Vec::new();
        for (path, version, meta) in staged {
            // A link's target is part of the tree, not content.
            report.logical += if version.mode == Mode::Symlink { 0 } else { version.size };
            let entry = entry(&path, &version, &meta, clock);
            let known = index.get(&path, Stage::Normal);
            // What turns out not to have changed is not reported; its entry learns what the file looks like now.
            if !known
                .is_some_and(|old| old.content == entry.content && old.mode == entry.mode && !old.flags.intent_to_add)
            {
                changed.push(path);
            }
            index.put(entry)?;
        }
        changed.sort();
        report.added = changed;
        for path in &report.removed {
            index.remove_all(path);
        }
        Ok((finished.guard, settling))
    }

    fn stage_intent(&self, index: &mut LockedIndex, paths: &[RepoPath]) -> Result<(), RepoError> {
        let dirs = self.work_dirs()?;
        for path in paths {
            let meta = dirs.stat(path)?.ok_or_else(|| RepoError::Vanished { path: path.clone() })?;
            // A link without a target cannot be staged; as a file, its type differs until it is added.
            let mode = meta.kind().mode().filter(|mode| *mode != Mode::Symlink).unwrap_or(Mode::File);
            index.put(Entry {
                path: path.clone(),
                stage: Stage::Normal,
                mode,
                size: 0,
                content: Content::Empty,
                stat: FileStat::default(),
                flags: Flags { intent_to_add: true, ..Flags::default() },
            })?;
        }
        Ok(())
    }

    /// Takes in the content of files in the worktree without staging them. A ghost is taken for its content, which
    /// `index` or a promise knows. What comes with them is to be run once it is durable and referred to.
    pub(crate) fn take_in(
        &self,
        index: &Index,
        paths: &[RepoPath],
        writer: &StoreWriter,
        progress: &dyn Progress,
    ) -> Result<(Vec<Staged>, Settling), RepoError> {
        let dirs = self.work_dirs()?;
        Staging::new(self, index, &dirs, writer, progress)?.run(paths)
    }
}
