//! Making the files of the worktree be those of another version, without losing anything that is not recorded.
//!
//! Everything is looked at before anything is touched. Files are prepared in the worktree's private `tmp/` folder and
//! renamed into place through folder handles that were opened without following symlinks, so that a folder swapped for
//! a symlink meanwhile leads nowhere. The staging area is written last: after an interruption, files already replaced
//! show as changed, and the same command run again takes them for what they are.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::diff::{Change, FileVersion};
use crate::index::{Entry, FileStat, Flags, FsTime, Index, Stage, fs_clock, fs_clock_past};
use crate::lock::LockView;
use crate::partial::Promised;
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::tree::Mode;

use super::obstacles::Obstacles;
use super::{EntryKind, Meta, WorkDirs, protect};

mod note;
mod plan;
mod write;

use plan::Plan;
pub(crate) use write::{New, put};
pub use write::{place_version, write_ghost, write_version};

/// From this size on a single file is written by several threads.
const LARGE: u64 = 64 << 20;

/// What a checkout did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckoutReport {
    /// Files written.
    pub written: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files removed.
    pub removed: u64,
    /// Ghosts written: files whose content is not here.
    pub ghosts: u64,
}

/// Files that stand in the way of a checkout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InTheWay {
    /// Tracked files with changes that are recorded nowhere.
    pub changed: Vec<RepoPath>,
    /// Files that are not tracked.
    pub untracked: Vec<RepoPath>,
}

/// Makes files and staging area follow `changes`, which lead from what `index` holds now to what it shall hold.
pub struct Checkout<'a> {
    repo: &'a Repository,
    dirs: WorkDirs,
    progress: &'a dyn Progress,
    /// Overwrites what is not recorded.
    force: bool,
    promised: Promised<'a>,
}

/// A file that was written, and what it looks like.
type Written<'c> = (&'c Change, Meta);

impl<'a> Checkout<'a> {
    /// Prepares a checkout in the repository's worktree. With `force` it overwrites and removes what is not recorded,
    /// except for whole repositories.
    ///
    /// # Errors
    /// When there is no worktree.
    pub fn new(repo: &'a Repository, progress: &'a dyn Progress, force: bool) -> Result<Self, RepoError> {
        Ok(Self { repo, dirs: repo.work_dirs()?, progress, force, promised: repo.promised()? })
    }

    /// Applies changes to worktree and index. The index is changed in memory; the caller commits it.
    ///
    /// # Errors
    /// [`RepoError::InTheWay`] before anything was touched; later, when a file cannot be read or written.
    pub fn apply(&self, index: &mut Index, changes: &[Change]) -> Result<CheckoutReport, RepoError> {
        let temp = self.repo.layout().temp();
        crate::durable::create_dir_all(&temp)?;
        note::sweep(&temp, &self.dirs)?;
        // Before the first look: what is found to be in place already may change right after.
        let clock = fs_clock(&temp)?;
        let plan = Plan::make(self, index, changes)?;
        let lockable = protect::lockable_before(self.repo, &self.dirs, index, changes)?;
        let mut report = CheckoutReport::default();
        let obstacles = Obstacles::of(&plan.todo);
        let gone = changes.iter().filter(|change| change.new.is_none()).map(|change| &change.path);
        let (first, last): (Vec<_>, Vec<_>) = gone.partition(|path| obstacles.include(path));
        self.remove_all(index, &first, &mut report)?;
        for change in &plan.todo {
            self.clear_way(&change.path)?;
        }
        let here = plan.todo.iter().filter(|change| !plan.ghosts.contains(&change.path));
        let bytes = here.filter_map(|change| change.new.as_ref()).map(|version| version.size).sum();
        self.progress.stage("Writing files", Some(bytes), Some(plan.todo.len() as u64));
        let mut written = self.write_all(&plan)?;
        report.ghosts = written.iter().filter(|(change, meta)| is_ghost(change.new.as_ref(), meta)).count() as u64;
        report.written = written.len() as u64 - report.ghosts;
        report.bytes = bytes;
        self.remove_all(index, &last, &mut report)?;
        let mut in_place = plan.in_place;
        self.protect(&mut written)?;
        self.protect(&mut in_place)?;
        // Once the clock is past them all, none has to be read to know that it is unchanged. A change by somebody else
        // before that shows in the modification time: what `put` gave the files is one that no write gives.
        let mut past = fs_clock(&temp)?;
        if written.iter().any(|(_, meta)| FileStat::from(meta).is_racy(past)) {
            past = fs_clock_past(&temp, past)?;
        }
        record(index, written, past)?;
        record(index, in_place, clock)?;
        if let Some(lockable) = lockable {
            protect::protect_all(self.repo, &self.dirs, index, &lockable)?;
        }
        Ok(report)
    }

    /// Lockable files are read-only unless this clone has them. The rules are those that were just written.
    fn protect(&self, files: &mut [Written<'_>]) -> Result<(), RepoError> {
        if self.dirs.is_mount() || files.is_empty() {
            return Ok(());
        }
        // Rules or notes that cannot be read must not be in the way of the version that repairs them.
        let Ok(view) = LockView::new(self.repo, &self.dirs, None) else { return Ok(()) };
        for (change, meta) in files {
            *meta = protect::protect_new(&self.dirs, &view, &change.path, *meta)?;
        }
        Ok(())
    }

    fn remove_all(&self, index: &mut Index, paths: &[&RepoPath], report: &mut CheckoutReport) -> Result<(), RepoError> {
        for path in paths {
            self.progress.check()?;
            report.removed += u64::from(self.remove(path)?);
            index.remove_all(path);
        }
        Ok(())
    }

    fn remove(&self, path: &RepoPath) -> Result<bool, RepoError> {
        match self.dirs.stat(path)? {
            Some(meta) if !meta.is_dir() => {
                self.dirs.unlink(path)?;
                self.dirs.remove_empty_parents(path)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Writes all files, several at a time.
    fn write_all<'c>(&self, plan: &Plan<'c>) -> Result<Vec<Written<'c>>, RepoError> {
        let todo = &plan.todo;
        let (large, small): (Vec<&Change>, Vec<&Change>) =
            todo.iter().copied().partition(|c| c.new.as_ref().is_some_and(|v| v.size >= LARGE));
        let done = Mutex::new(Ok(Vec::with_capacity(todo.len())));
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(change) = small.get(next.fetch_add(1, Ordering::Relaxed)) {
                let written = self.write_one(plan, change, 1);
                let mut done = done.lock().unwrap_or_else(|e| e.into_inner());
                match (written, &mut *done) {
                    (Ok(meta), Ok(list)) => list.push((*change, meta)),
                    (Err(error), Ok(_)) => {
                        next.store(usize::MAX / 2, Ordering::Relaxed);
                        *done = Err(error);
                    }
                    (_, Err(_)) => {}
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.repo.threads().min(small.len()) {
                scope.spawn(work);
            }
            work();
        });
        let mut done = done.into_inner().unwrap_or_else(|e| e.into_inner())?;
        for change in large {
            done.push((change, self.write_one(plan, change, self.repo.threads())?));
        }
        Ok(done)
    }

    /// Removes files where folders are needed, and folders where a file is needed. The plan has made sure that nothing
    /// in them is lost, or the user wants it so.
    fn clear_way(&self, path: &RepoPath) -> Result<(), RepoError> {
        let mut folder = path.parent();
        while let Some(parent) = folder {
            match self.dirs.stat(&parent)? {
                Some(meta) if meta.is_dir() => break,
                Some(_) => {
                    self.dirs.unlink(&parent)?;
                }
                None => {}
            }
            folder = parent.parent();
        }
        if self.dirs.stat(path)?.is_some_and(|meta| meta.is_dir()) {
            self.dirs.remove_folder(path, self.force)?;
        }
        Ok(())
    }

    fn write_one(&self, plan: &Plan<'_>, change: &Change, threads: usize) -> Result<Meta, RepoError> {
        let Some(new) = &change.new else { return Err(RepoError::UnknownPath { path: change.path.clone() }) };
        self.progress.check()?;
        if plan.ghosts.contains(&change.path) {
            return write_ghost(self.repo, &self.dirs, &change.path, new, self.progress);
        }
        write::write_if_here(self.repo, &self.dirs, &change.path, new, self.progress, threads)
    }
}

fn record(index: &mut Index, files: Vec<Written<'_>>, clock: FsTime) -> Result<(), RepoError> {
    for (change, meta) in files {
        if let Some(new) = &change.new {
            index.put(entry(&change.path, new, &meta, clock))?;
        }
    }
    Ok(())
}

/// Whether what looks so is the ghost of a file.
fn is_ghost(version: Option<&FileVersion>, meta: &Meta) -> bool {
    meta.kind() == EntryKind::Symlink && version.is_some_and(|version| version.mode != Mode::Symlink)
}

/// The entry for a file, or the ghost of one, that was just found or put in the worktree.
#[must_use]
pub fn entry(path: &RepoPath, version: &FileVersion, meta: &Meta, clock: FsTime) -> Entry {
    let stat = FileStat::from(meta);
    let flags = Flags { racy: stat.is_racy(clock), ghost: is_ghost(Some(version), meta), ..Flags::default() };
    Entry {
        path: path.clone(),
        stage: Stage::Normal,
        mode: version.mode,
        size: version.size,
        content: version.content.clone(),
        stat,
        flags,
    }
}
