//! Lockable files are read-only until they are locked. Which of them this clone has, it knows by itself (`lock::LockView`).
//!
//! Only the bits that allow writing change, and the executable bit never does. The change time that this leaves is noted in
//! the staging area, so that no large file has to be read to know that its content is the same. In a mount the daemon
//! decides.

use std::collections::HashSet;

use super::{EntryKind, Everything, Meta, Selection, WorkDirs};
use crate::attributes::ATTRIBUTES_FILE;
use crate::diff::Change;
use crate::index::{Entry, FileStat, Index, Stage, fs_clock, fs_clock_past};
use crate::lock::LockView;
use crate::path::RepoPath;
use crate::repo::{RepoError, Repository};

/// The bits that allow writing.
const WRITE: u32 = 0o222;
/// The owner's.
const OWNER_WRITE: u32 = 0o200;

/// From how many bytes on the new times of files are noted, so that nobody has to read them.
const WORTH_NOTING: u64 = 8 << 20;

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected {
    /// Files that are read-only now.
    pub read_only: Vec<RepoPath>,
    /// Files that can be written now.
    pub writable: Vec<RepoPath>,
}

/// Which files that are not lockable are made writable.
#[derive(Clone, Copy)]
pub enum Loosen<'a> {
    /// None: who made them read-only meant it.
    None,
    /// Those that were lockable before.
    These(&'a HashSet<RepoPath>),
    /// All.
    All,
}

impl Repository {
    /// Makes the selected files that are staged read-only or writable, as rules and locks have it now.
    ///
    /// # Errors
    /// When rules or the staging area cannot be read, or a file cannot be changed.
    pub fn protect(&self, selection: &dyn Selection, loosen: Loosen<'_>) -> Result<Protected, RepoError> {
        self.protect_with(loosen, |index| staged(index, selection))
    }

    /// The same for certain files: their number decides how long it takes, and not that of all.
    ///
    /// # Errors
    /// As [`Repository::protect`].
    pub fn protect_files(&self, paths: &[RepoPath]) -> Result<Protected, RepoError> {
        self.protect_with(Loosen::None, |index| {
            let found = paths.iter().filter_map(|path| index.get(path, Stage::Normal));
            found.filter(|entry| !entry.flags.ghost).map(|entry| entry.to_entry()).collect()
        })
    }

    fn protect_with(
        &self,
        loosen: Loosen<'_>,
        choose: impl FnOnce(&Index) -> Vec<Entry>,
    ) -> Result<Protected, RepoError> {
        if self.layout().is_mount() || self.layout().worktree.is_none() {
            return Ok(Protected::default());
        }
        let dirs = self.work_dirs()?;
        let mut index = self.lock_index()?;
        let view = LockView::new(self, &dirs, None)?;
        let chosen = choose(&index);
        let done = protect_entries(self, &dirs, &view, &mut index, chosen, loosen)?;
        index.commit()?;
        Ok(done)
    }
}

fn staged(index: &Index, selection: &dyn Selection) -> Vec<Entry> {
    let files = index.entries().filter(|entry| entry.stage == Stage::Normal && !entry.flags.ghost);
    files.filter(|entry| selection.includes(&entry.repo_path())).map(|entry| entry.to_entry()).collect()
}

/// Changes files and, in memory, the staging area.
fn protect_entries(
    repo: &Repository,
    dirs: &WorkDirs,
    view: &LockView<&WorkDirs>,
    index: &mut Index,
    chosen: Vec<Entry>,
    loosen: Loosen<'_>,
) -> Result<Protected, RepoError> {
    let mut done = Protected::default();
    let mut touched = Vec::new();
    for entry in chosen {
        let Some(before) = dirs.stat(&entry.path)? else { continue };
        let Some(mode) = mode_for(view, &entry.path, &before, loosen) else { continue };
        let Some(after) = change_mode(dirs, &entry.path, &before, mode)? else { continue };
        let list = if mode & WRITE == 0 { &mut done.read_only } else { &mut done.writable };
        list.push(entry.path.clone());
        if entry.view().is_unmodified(&FileStat::from(&before)) {
            touched.push((entry, after));
        }
    }
    // Comparing so little once is sooner done than waiting for a tick of the clock and for the disk.
    if touched.iter().map(|(entry, _)| entry.size).sum::<u64>() >= WORTH_NOTING {
        let private = &repo.layout().private;
        let clock = fs_clock_past(private, fs_clock(private)?)?;
        for (entry, after) in touched {
            index.put(entry.with_stat(FileStat::from(&after), clock))?;
        }
    }
    Ok(done)
}

/// Gives a file that was just put in place the mode that it is to have, and says what it looks like then.
///
/// # Errors
/// When the mode cannot be changed.
pub(crate) fn protect_new(
    dirs: &WorkDirs,
    view: &LockView<&WorkDirs>,
    path: &RepoPath,
    meta: Meta,
) -> Result<Meta, RepoError> {
    let changed = match mode_for(view, path, &meta, Loosen::None) {
        Some(mode) if !dirs.is_mount() => change_mode(dirs, path, &meta, mode)?,
        _ => None,
    };
    Ok(changed.unwrap_or(meta))
}

/// The lockable files, if these changes bring other rules.
pub(super) fn lockable_before(
    repo: &Repository,
    dirs: &WorkDirs,
    index: &Index,
    changes: &[Change],
) -> Result<Option<HashSet<RepoPath>>, RepoError> {
    if dirs.is_mount() || !changes.iter().any(|change| change.path.name() == ATTRIBUTES_FILE.as_bytes()) {
        return Ok(None);
    }
    let Ok(view) = LockView::new(repo, dirs, None) else { return Ok(None) };
    let mut lockable = HashSet::new();
    for entry in index.entries() {
        let path = entry.repo_path();
        // Rules that cannot be read are perhaps what is to be replaced.
        if view.rules(&path).is_ok_and(|rules| rules.lockable) {
            lockable.insert(path);
        }
    }
    Ok(Some(lockable))
}

/// Applies rules that have changed to all files.
pub(super) fn protect_all(
    repo: &Repository,
    dirs: &WorkDirs,
    index: &mut Index,
    before: &HashSet<RepoPath>,
) -> Result<(), RepoError> {
    let view = LockView::new(repo, dirs, None)?;
    let all = staged(index, &Everything);
    protect_entries(repo, dirs, &view, index, all, Loosen::These(before)).map(drop)
}

/// The permissions that a file is to have, if they are others than those it has.
fn mode_for(view: &LockView<&WorkDirs>, path: &RepoPath, meta: &Meta, loosen: Loosen<'_>) -> Option<u32> {
    if !matches!(meta.kind(), EntryKind::File { .. }) {
        return None;
    }
    let loose = |path| match loosen {
        Loosen::None => false,
        Loosen::These(paths) => paths.contains(path),
        Loosen::All => true,
    };
    // Rules that cannot be understood are told by `add`; a checkout of whatever repairs them has to get through.
    let editable = match view.rules(path).unwrap_or_default().lockable {
        false if !loose(path) => return None,
        false => true,
        true => view.standing(path).1.is_editable(),
    };
    let mode = meta.mode & 0o7777;
    match editable {
        true if mode & OWNER_WRITE == 0 => Some(mode | OWNER_WRITE),
        false if mode & WRITE != 0 => Some(mode & !WRITE),
        _ => None,
    }
}

/// Changes permissions. If anything else about the file has changed meanwhile, it looks as before to those who compare.
fn change_mode(dirs: &WorkDirs, path: &RepoPath, before: &Meta, mode: u32) -> Result<Option<Meta>, RepoError> {
    let Some(after) = dirs.set_mode(path, mode)? else { return Ok(None) };
    let key = |meta: &Meta| (meta.mtime, meta.size, meta.ino);
    Ok(Some(if key(before) == key(&after) { after } else { *before }))
}
