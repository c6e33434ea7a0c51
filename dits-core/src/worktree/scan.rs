//! What is in the worktree, compared with the staging area.
//!
//! Stat data is trusted the way git trusts it: an entry whose recorded times, inode and size are those of the file is
//! unmodified, unless it was recorded so close to the file's last change that another could hide behind it (racy).
//! Everything else is settled by content. What cannot be looked at is a problem, never "unmodified" or "gone".

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::walk::{self, Folder, Problem, Visitor, WalkOptions};
use super::{EntryKind, Meta, Selection, WorkDirs};
use crate::content::{Comparison, compare};
use crate::durable::IoError;
use crate::ignore::Match;
use crate::index::{EntryView, FileStat, Index, Stage};
use crate::path::{PathError, RepoPath};
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::tree::Content;

/// How far a scan goes.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// Looks for files that are not tracked.
    pub untracked: bool,
    /// Lists ignored files too.
    pub ignored: bool,
    /// Lists every untracked and ignored file, not only the folder when nothing in it is tracked.
    pub each_untracked: bool,
    /// Settles by content what stat data leaves open; without it such files are [`Scan::unsure`].
    pub settle: bool,
}

impl ScanOptions {
    /// Only files that are in the staging area.
    #[must_use]
    pub fn tracked_only() -> Self {
        Self { untracked: false, ignored: false, each_untracked: false, settle: true }
    }
}

/// Something in the worktree that is not versioned, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// A repository inside the repository.
    Nested(RepoPath),
    /// A pipe, socket or device.
    Special(RepoPath),
    /// A name that no path of a repository can have: the folder it is in, the name, and why.
    Refused(Option<RepoPath>, Vec<u8>, PathError),
}

/// What a scan found. All lists are sorted.
#[derive(Debug, Default)]
pub struct Scan {
    /// Tracked files whose content, mode or type changed.
    pub modified: Vec<RepoPath>,
    /// Tracked files whose stat data proves nothing, when the scan does not settle by content.
    pub unsure: Vec<RepoPath>,
    /// Tracked files that are gone.
    pub deleted: Vec<RepoPath>,
    /// Paths in conflict that have a file.
    pub conflicted: Vec<RepoPath>,
    /// Files that are not tracked.
    pub untracked: Vec<RepoPath>,
    /// Folders in which nothing is tracked and something is not ignored.
    pub untracked_folders: Vec<RepoPath>,
    /// Files that are not tracked because they are ignored.
    pub ignored: Vec<RepoPath>,
    /// Ignored folders in which nothing is tracked.
    pub ignored_folders: Vec<RepoPath>,
    /// What was passed over.
    pub skipped: Vec<Skipped>,
    /// What could not be looked at.
    pub unreadable: Vec<(RepoPath, IoError)>,
    /// Files that turned out to be as recorded, and what they look like now: for refreshing the staging area.
    pub unchanged: Vec<(RepoPath, FileStat)>,
}

impl Scan {
    /// Fails if there is anything that could not be looked at.
    ///
    /// # Errors
    /// [`RepoError::Unreadable`], naming the first.
    pub fn fail_on_unreadable(&mut self) -> Result<(), RepoError> {
        match self.unreadable.drain(..).next() {
            Some((path, error)) => Err(RepoError::Unreadable { path, error }),
            None => Ok(()),
        }
    }

    fn sort(&mut self) {
        for list in [
            &mut self.modified,
            &mut self.unsure,
            &mut self.deleted,
            &mut self.conflicted,
            &mut self.untracked,
            &mut self.untracked_folders,
            &mut self.ignored,
            &mut self.ignored_folders,
        ] {
            list.sort_unstable();
            list.dedup();
        }
        self.unchanged.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        self.unreadable.sort_by(|a, b| a.0.cmp(&b.0));
    }
}

/// Compares the worktree with an index.
///
/// # Errors
/// When the walk cannot be made at all, or is interrupted; single files that cannot be looked at are in the result.
pub fn scan(
    repo: &Repository,
    index: &Index,
    selection: &dyn Selection,
    options: ScanOptions,
    progress: &dyn Progress,
) -> Result<Scan, RepoError> {
    progress.stage("Looking at files", None, None);
    let scanner = Scanner::new(index, selection, options, progress);
    let walk_options = WalkOptions { threads: repo.threads(), ignore: repo.ignore_rules()?, progress };
    walk::walk(repo.worktree()?, &walk_options, &scanner)?;
    let (mut scan, unsure) = scanner.finish();
    if options.settle {
        settle(repo, &unsure, &mut scan, progress)?;
    } else {
        scan.unsure = unsure.into_iter().map(|(entry, _)| entry.repo_path()).collect();
    }
    scan.sort();
    Ok(scan)
}

struct Scanner<'a> {
    entries: Vec<EntryView<'a>>,
    by_path: HashMap<&'a [u8], usize>,
    folders: HashSet<&'a [u8]>,
    conflicts: HashSet<&'a [u8]>,
    seen: Vec<AtomicBool>,
    selection: &'a dyn Selection,
    options: ScanOptions,
    progress: &'a dyn Progress,
    found: Mutex<Scan>,
    unsure: Mutex<Vec<(usize, Meta)>>,
}

impl<'a> Scanner<'a> {
    fn new(index: &'a Index, selection: &'a dyn Selection, options: ScanOptions, progress: &'a dyn Progress) -> Self {
        let mut entries = Vec::new();
        let mut conflicts = HashSet::new();
        let mut folders = HashSet::new();
        for entry in index.entries() {
            let mut folder = entry.path;
            while let Some(slash) = folder.iter().rposition(|byte| *byte == b'/') {
                folder = &folder[..slash];
                if !folders.insert(folder) {
                    break;
                }
            }
            match entry.stage {
                Stage::Normal => entries.push(entry),
                _ => {
                    conflicts.insert(entry.path);
                }
            }
        }
        let by_path = entries.iter().enumerate().map(|(i, entry)| (entry.path, i)).collect();
        let seen = entries.iter().map(|_| AtomicBool::new(false)).collect();
        let (found, unsure) = (Mutex::default(), Mutex::default());
        Self { entries, by_path, folders, conflicts, seen, selection, options, progress, found, unsure }
    }

    fn found(&self) -> MutexGuard<'_, Scan> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at one file whose path is tracked.
    fn tracked(&self, number: usize, kind: EntryKind, meta: &Meta) {
        self.seen[number].store(true, Ordering::Relaxed);
        let entry = &self.entries[number];
        let stat = FileStat::from(meta);
        let same_mode = kind.mode() == Some(entry.mode);
        if same_mode && entry.is_unmodified(&stat) {
            return;
        }
        let path = entry.repo_path();
        if !self.selection.includes(&path) {
            return;
        }
        if !same_mode || entry.size != meta.size || entry.flags.intent_to_add {
            self.found().modified.push(path);
        } else {
            self.unsure.lock().unwrap_or_else(PoisonError::into_inner).push((number, *meta));
        }
    }

    fn untracked(&self, path: RepoPath, kind: EntryKind, matched: impl FnOnce() -> Option<Match>) {
        if kind == EntryKind::Special {
            if self.selection.includes(&path) {
                self.found().skipped.push(Skipped::Special(path));
            }
            return;
        }
        if !self.options.untracked || !self.selection.includes(&path) {
            return;
        }
        let ignored = matched().is_some_and(|found| !found.negated);
        match (ignored, self.collapses_into(&path)) {
            (true, _) if self.options.ignored => self.found().ignored.push(path),
            (true, _) => {}
            (false, Some(folder)) => self.found().untracked_folders.push(folder),
            (false, None) => self.found().untracked.push(path),
        }
    }

    /// The outermost folder around `path` in which nothing is tracked, when such folders are listed as a whole.
    fn collapses_into(&self, path: &RepoPath) -> Option<RepoPath> {
        if self.options.each_untracked {
            return None;
        }
        let mut outermost = None;
        let mut folder = path.parent();
        while let Some(around) = folder.filter(|folder| !self.folders.contains(folder.as_bytes())) {
            folder = around.parent();
            outermost = Some(around);
        }
        outermost
    }

    fn finish(self) -> (Scan, Vec<(EntryView<'a>, Meta)>) {
        let mut scan = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (entry, seen) in self.entries.iter().zip(&self.seen) {
            if seen.load(Ordering::Relaxed) {
                continue;
            }
            let path = entry.repo_path();
            let unknown = scan.unreadable.iter().any(|(blocked, _)| path.is_within(blocked));
            if !unknown && self.selection.includes(&path) {
                scan.deleted.push(path);
            }
        }
        let unsure = self.unsure.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unsure = unsure.into_iter().map(|(number, meta)| (self.entries[number].clone(), meta)).collect();
        (scan, unsure)
    }
}

impl Visitor for Scanner<'_> {
    fn enter(&self, folder: &RepoPath, ignored: Option<&Match>) -> bool {
        if !self.selection.enters(folder) {
            return false;
        }
        if self.folders.contains(folder.as_bytes()) {
            return true;
        }
        if !self.options.untracked {
            return false;
        }
        let each_ignored = self.options.ignored && self.options.each_untracked;
        if ignored.is_some() && !each_ignored {
            if self.options.ignored {
                self.found().ignored_folders.push(folder.clone());
            }
            return false;
        }
        // One file is enough to list a folder as a whole.
        let mut found = self.found();
        match self.collapses_into(folder) {
            Some(around) => !found.untracked_folders.contains(&around),
            None => !found.untracked_folders.iter_mut().any(|known| known == folder),
        }
    }

    fn visit(&self, folder: &Folder<'_>, entries: &[walk::Entry]) -> ControlFlow<()> {
        let mut path = folder.path.map(|path| [path.as_bytes(), b"/"].concat()).unwrap_or_default();
        let start = path.len();
        for entry in entries {
            path.truncate(start);
            path.extend_from_slice(&entry.name);
            let tracked = self.by_path.get(&path[..]);
            match (tracked, entry.kind) {
                (_, EntryKind::Folder) => {}
                (Some(number), kind) => self.tracked(*number, kind, &entry.meta),
                (None, kind) => {
                    let Some(full) = folder.path_of(entry) else { continue };
                    if self.conflicts.contains(&path[..]) {
                        if self.selection.includes(&full) {
                            self.found().conflicted.push(full);
                        }
                    } else {
                        self.untracked(full, kind, || folder.matched(entry));
                    }
                }
            }
        }
        self.progress.advance(0, entries.len() as u64);
        ControlFlow::Continue(())
    }

    fn problem(&self, problem: Problem) {
        let mut found = self.found();
        match problem {
            Problem::Unreadable { path, error } => found.unreadable.push((path, error)),
            Problem::Nested { path } => found.skipped.push(Skipped::Nested(path)),
            Problem::Refused { folder, name, why } => {
                found.skipped.push(Skipped::Refused(folder, name.into_vec(), why));
            }
        }
    }
}

/// Reads the files that stat data says nothing about.
fn settle(
    repo: &Repository,
    unsure: &[(EntryView<'_>, Meta)],
    scan: &mut Scan,
    progress: &dyn Progress,
) -> Result<(), RepoError> {
    if unsure.is_empty() {
        return Ok(());
    }
    let bytes = unsure.iter().map(|(entry, _)| entry.size).sum();
    progress.stage("Comparing contents", Some(bytes), Some(unsure.len() as u64));
    let dirs = repo.work_dirs()?;
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(unsure.len()));
    let work = || {
        while let Some((entry, _)) = unsure.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = holds(repo, &dirs, entry, progress);
            progress.advance(entry.size, 1);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((entry.repo_path(), outcome));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..repo.threads().min(unsure.len()) {
            scope.spawn(work);
        }
        work();
    });
    for (path, outcome) in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match outcome {
            Ok(Some(stat)) => scan.unchanged.push((path, stat)),
            Ok(None) => scan.modified.push(path),
            Err(RepoError::Io(error)) => scan.unreadable.push((path, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What a file looks like now, if it holds what was recorded.
fn holds(
    repo: &Repository,
    dirs: &WorkDirs,
    entry: &EntryView<'_>,
    progress: &dyn Progress,
) -> Result<Option<FileStat>, RepoError> {
    let path = entry.repo_path();
    if let Content::Symlink(target) = &entry.content {
        let same = dirs.read_link(&path)? == *target;
        let meta = dirs.stat(&path)?;
        return Ok(meta.filter(|_| same).map(|meta| FileStat::from(&meta)));
    }
    let (mut file, before) = dirs.open_file(&path)?;
    let outcome = compare(repo.store(), &mut file, entry.size, &entry.content, progress);
    let same = outcome.map_err(|e| RepoError::comparing(&path, e))? == Comparison::Same;
    Ok(same.then(|| FileStat::from(&before)))
}
