//! Making the files of the worktree be those of another version, without losing anything that is not recorded.
//!
//! Everything is looked at before anything is touched. Files are prepared in the worktree's private `tmp/` folder and
//! renamed into place through folder handles that were opened without following symlinks, so that a folder swapped for
//! a symlink meanwhile leads nowhere. The staging area is written last: after an interruption, files already replaced
//! show as changed, and the same command run again takes them for what they are.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::content::{Comparison, Exporter, compare};
use crate::diff::{Change, FileVersion};
use crate::durable::IoContext;
use crate::index::{Entry, FileStat, Flags, Index, LockedIndex, Stage, fs_clock};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::tree::{Content, Mode};

use super::obstacles::Obstacles;
use super::{Meta, Replace, WorkDirs};

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
}

impl<'a> Checkout<'a> {
    /// Prepares a checkout in the repository's worktree.
    ///
    /// # Errors
    /// When there is no worktree.
    pub fn new(repo: &'a Repository, progress: &'a dyn Progress, force: bool) -> Result<Self, RepoError> {
        Ok(Self { repo, dirs: repo.work_dirs()?, progress, force })
    }

    /// Applies changes to worktree and index. The index is changed in memory; the caller commits it.
    ///
    /// # Errors
    /// [`RepoError::InTheWay`] before anything was touched; later, when a file cannot be read or written.
    pub fn apply(&self, index: &mut LockedIndex, changes: &[Change]) -> Result<CheckoutReport, RepoError> {
        let Plan { write, in_place } = self.plan(index, changes)?;
        let mut report = CheckoutReport::default();
        let obstacles = Obstacles::of(&write);
        let gone = changes.iter().filter(|change| change.new.is_none()).map(|change| &change.path);
        let (first, last): (Vec<_>, Vec<_>) = gone.partition(|path| obstacles.include(path));
        self.remove_all(index, &first, &mut report)?;
        let clock = self.write_all(index, &write, &mut report)?;
        self.remove_all(index, &last, &mut report)?;
        for change in in_place {
            if let (Some(new), Some(meta)) = (&change.new, self.dirs.stat(&change.path)?) {
                index.put(entry(&change.path, new, &meta, clock))?;
            }
        }
        Ok(report)
    }

    /// Makes sure that nothing unrecorded would be lost, and changes nothing.
    ///
    /// # Errors
    /// [`RepoError::InTheWay`], or when a file cannot be looked at.
    pub fn check(&self, index: &Index, changes: &[Change]) -> Result<(), RepoError> {
        self.plan(index, changes).map(drop)
    }

    /// What there is to do, after making sure that nothing unrecorded is lost.
    fn plan<'c>(&self, index: &Index, changes: &'c [Change]) -> Result<Plan<'c>, RepoError> {
        self.progress.stage("Checking files", None, Some(changes.len() as u64));
        let mut plan = Plan::default();
        let mut in_the_way = InTheWay::default();
        for change in changes {
            self.progress.check()?;
            self.progress.advance(0, 1);
            match self.look(index, change)? {
                Found::InPlace => plan.in_place.push(change),
                Found::Changed if !self.force => in_the_way.changed.push(change.path.clone()),
                Found::Untracked if !self.force => in_the_way.untracked.push(change.path.clone()),
                _ => plan.write.extend(change.new.is_some().then_some(change)),
            }
        }
        if in_the_way != InTheWay::default() {
            return Err(RepoError::InTheWay(in_the_way));
        }
        let bytes = plan.write.iter().filter_map(|c| c.new.as_ref()).map(|v| v.size).sum();
        self.progress.stage("Writing files", Some(bytes), Some(plan.write.len() as u64));
        Ok(plan)
    }

    fn look(&self, index: &Index, change: &Change) -> Result<Found, RepoError> {
        let Some(meta) = self.dirs.stat(&change.path)? else {
            return Ok(if self.file_above(index, &change.path, change)? {
                Found::Untracked
            } else {
                Found::Replaceable
            });
        };
        if meta.is_dir() {
            let replaceable = change.new.is_none() || !self.holds_untracked(index, &change.path)?;
            return Ok(if replaceable { Found::Replaceable } else { Found::Untracked });
        }
        let tracked = index.get(&change.path, Stage::Normal);
        if let (Some(entry), Some(old)) = (tracked, &change.old) {
            let same_record = entry.content == old.content && entry.mode == old.mode;
            let same_mode = meta.kind().mode() == Some(entry.mode);
            if same_record && same_mode && entry.is_unmodified(&FileStat::from(&meta)) {
                return Ok(Found::Replaceable);
            }
        }
        if let Some(new) = &change.new
            && self.holds(&change.path, &meta, new)?
        {
            return Ok(Found::InPlace);
        }
        match &change.old {
            Some(old) if self.holds(&change.path, &meta, old)? => Ok(Found::Replaceable),
            Some(_) => Ok(Found::Changed),
            None => Ok(Found::Untracked),
        }
    }

    /// Whether a folder that is to become a file has anything in it that is not tracked.
    fn holds_untracked(&self, index: &Index, folder: &RepoPath) -> Result<bool, RepoError> {
        let mut folders = vec![folder.clone()];
        while let Some(folder) = folders.pop() {
            for name in self.dirs.names_in(&folder)? {
                let Ok(path) = folder.join(&name) else { return Ok(true) };
                match self.dirs.stat(&path)? {
                    Some(meta) if meta.is_dir() => folders.push(path),
                    Some(_) if index.get(&path, Stage::Normal).is_none() => return Ok(true),
                    _ => {}
                }
            }
        }
        Ok(false)
    }

    /// Whether an untracked file stands where a parent folder of `path` would have to be.
    fn file_above(&self, index: &Index, path: &RepoPath, change: &Change) -> Result<bool, RepoError> {
        if change.new.is_none() {
            return Ok(false);
        }
        let mut folder = path.parent();
        while let Some(parent) = folder {
            if let Some(meta) = self.dirs.stat(&parent)? {
                return Ok(!meta.is_dir() && index.get(&parent, Stage::Normal).is_none());
            }
            folder = parent.parent();
        }
        Ok(false)
    }

    /// Whether the file in the worktree is this version, byte for byte.
    pub(crate) fn holds(&self, path: &RepoPath, meta: &Meta, version: &FileVersion) -> Result<bool, RepoError> {
        if meta.kind().mode() != Some(version.mode) || meta.size != version.size {
            return Ok(false);
        }
        if let Content::Symlink(target) = &version.content {
            return Ok(self.dirs.read_link(path)? == *target);
        }
        let (mut file, _) = self.dirs.open_file(path)?;
        let outcome = compare(self.repo.store(), &mut file, version.size, &version.content, self.progress);
        Ok(outcome.map_err(|e| RepoError::comparing(path, e))? == Comparison::Same)
    }

    fn remove_all(
        &self,
        index: &mut LockedIndex,
        paths: &[&RepoPath],
        report: &mut CheckoutReport,
    ) -> Result<(), RepoError> {
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

    /// Writes all files, several at a time, and records them; returns the file system's clock at the end.
    fn write_all(
        &self,
        index: &mut LockedIndex,
        todo: &[&Change],
        report: &mut CheckoutReport,
    ) -> Result<(i64, u32), RepoError> {
        let temp = self.repo.layout().temp();
        crate::durable::create_dir_all(&temp)?;
        for change in todo {
            self.clear_way(index, &change.path)?;
        }
        let (large, small): (Vec<&Change>, Vec<&Change>) =
            todo.iter().copied().partition(|c| c.new.as_ref().is_some_and(|v| v.size >= LARGE));
        let done = Mutex::new(Vec::with_capacity(todo.len()));
        let failure = Mutex::new(None);
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(change) = small.get(next.fetch_add(1, Ordering::Relaxed)) {
                match self.write_one(change, 1) {
                    Ok(meta) => lock(&done).push((*change, meta)),
                    Err(error) => {
                        next.store(usize::MAX / 2, Ordering::Relaxed);
                        lock(&failure).get_or_insert(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.repo.threads().min(small.len()) {
                scope.spawn(work);
            }
            work();
        });
        let mut done = done.into_inner().unwrap_or_else(|e| e.into_inner());
        let mut failed = failure.into_inner().unwrap_or_else(|e| e.into_inner());
        for change in large {
            if failed.is_none() {
                match self.write_one(change, self.repo.threads()) {
                    Ok(meta) => done.push((change, meta)),
                    Err(error) => failed = Some(error),
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let clock = fs_clock(&temp)?;
        for (change, meta) in done {
            if let Some(new) = &change.new {
                report.written += 1;
                report.bytes += new.size;
                index.put(entry(&change.path, new, &meta, clock))?;
            }
        }
        Ok(clock)
    }

    /// Removes tracked files where folders are needed, and folders of tracked files where a file is needed.
    fn clear_way(&self, index: &mut LockedIndex, path: &RepoPath) -> Result<(), RepoError> {
        let mut folder = path.parent();
        while let Some(parent) = folder {
            if self.dirs.stat(&parent)?.is_some_and(|meta| !meta.is_dir()) {
                self.dirs.unlink(&parent)?;
                index.remove_all(&parent);
            }
            folder = parent.parent();
        }
        if self.dirs.stat(path)?.is_some_and(|meta| meta.is_dir()) {
            self.dirs.remove_empty_tree(path)?;
        }
        Ok(())
    }

    fn write_one(&self, change: &Change, threads: usize) -> Result<Meta, RepoError> {
        let Some(new) = &change.new else { return Err(RepoError::UnknownPath { path: change.path.clone() }) };
        self.progress.check()?;
        write_version(self.repo, &self.dirs, &change.path, new, self.progress, threads)
    }
}

/// Puts one version of a file into the worktree, replacing what is there.
///
/// # Errors
/// When the content cannot be read or the file cannot be written; the old file is then still there.
pub fn write_version(
    repo: &Repository,
    dirs: &WorkDirs,
    path: &RepoPath,
    version: &FileVersion,
    progress: &dyn Progress,
    threads: usize,
) -> Result<Meta, RepoError> {
    let temp = repo.layout().temp();
    if let Content::Symlink(target) = &version.content {
        let link = tempfile::Builder::new()
            .prefix("checkout-")
            .make_in(&temp, |at| std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), at));
        let link = link.at("create a link in", &temp)?.into_temp_path();
        dirs.rename_into(&link, path, Replace::Yes)?;
        // It has been renamed: there is nothing left to remove.
        let _ = link.keep();
    } else {
        let mut builder = tempfile::Builder::new();
        let mode = if version.mode == Mode::Executable { 0o777 } else { 0o666 };
        // The umask of the user takes its part, as for any new file.
        let file = builder.prefix("checkout-").permissions(PermissionsExt::from_mode(mode)).tempfile_in(&temp);
        let file = file.at("create a file in", &temp)?;
        export(repo, version, file.as_file(), path, progress, threads)?;
        let named = file.into_temp_path();
        dirs.rename_into(&named, path, Replace::Yes)?;
        let _ = named.keep();
    }
    progress.advance(0, 1);
    let meta = dirs.stat(path)?;
    meta.ok_or_else(|| RepoError::Vanished { path: path.clone() })
}

fn export(
    repo: &Repository,
    version: &FileVersion,
    file: &File,
    path: &RepoPath,
    progress: &dyn Progress,
    threads: usize,
) -> Result<(), RepoError> {
    let shown = PathBuf::from(path.as_path());
    Exporter::new(repo.store(), progress, threads).export(&version.content, version.size, file, &shown)
}

/// What a checkout has to do, apart from removing files.
#[derive(Default)]
struct Plan<'c> {
    /// Files to write.
    write: Vec<&'c Change>,
    /// Files that are already what they shall be: only to be recorded.
    in_place: Vec<&'c Change>,
}

enum Found {
    /// Already what it shall be.
    InPlace,
    /// Nothing is lost if it is replaced or removed.
    Replaceable,
    /// Tracked, with changes.
    Changed,
    /// Not tracked.
    Untracked,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// The entry for a file that was just found or put in the worktree.
#[must_use]
pub fn entry(path: &RepoPath, version: &FileVersion, meta: &Meta, clock: (i64, u32)) -> Entry {
    let stat = FileStat::from(meta);
    let flags = Flags { racy: stat.is_racy(clock), ..Flags::default() };
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
