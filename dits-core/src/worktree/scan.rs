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
use super::{EntryKind, Meta, Selection};
use crate::ignore::Match;
use crate::index::{EntryView, FileStat, Index, Stage};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::tree::Mode;

mod collapse;
mod found;
mod settle;

use collapse::{Collapse, collapse_ignored};
pub use found::{Scan, Skipped, Unchanged};
use settle::settle;

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
    scanner.look_into_nested(repo)?;
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
    collapse: Mutex<Collapse>,
    unsure: Mutex<Vec<(usize, Meta)>>,
    ghosts: AtomicUsize,
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
        let (found, collapse, unsure) = (Mutex::default(), Mutex::default(), Mutex::default());
        let ghosts = AtomicUsize::new(0);
        Self {
            entries,
            by_path,
            folders,
            conflicts,
            seen,
            selection,
            options,
            progress,
            found,
            collapse,
            unsure,
            ghosts,
        }
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
        // A link in place of a file may be its ghost. What the entry says of its looks is about one of the two.
        let link = kind == EntryKind::Symlink && entry.mode != Mode::Symlink;
        let looks = if entry.flags.ghost { link } else { same_mode };
        if looks && entry.is_unmodified(&stat) {
            self.ghosts.fetch_add(usize::from(link), Ordering::Relaxed);
            return;
        }
        let path = entry.repo_path();
        if !self.selection.includes(&path) {
            return;
        }
        let open = link || same_mode && entry.size == meta.size;
        if !open || entry.flags.intent_to_add {
            let mut found = self.found();
            if (kind == EntryKind::Symlink) != (entry.mode == Mode::Symlink) {
                found.retyped.push(path.clone());
            }
            found.modified.push(path);
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
        if !self.options.untracked {
            return;
        }
        let ignored = matched().is_some_and(|found| !found.negated);
        // Asked last: a selection counts what it selects as found.
        if ignored && !self.options.ignored || !self.selection.includes(&path) {
            return;
        }
        if ignored {
            self.collapse().saw_ignored(&path);
            self.found().ignored.push(path);
            return;
        }
        match self.collapses_into(&path) {
            Some(folder) => self.collapse().saw_untracked(folder, self.options.ignored.then_some(&path)),
            None => self.found().untracked.push(path),
        }
    }

    fn collapse(&self) -> MutexGuard<'_, Collapse> {
        self.collapse.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// A walk does not enter repositories inside the repository, but a folder may have become one with tracked files in
    /// it: these are looked at one by one.
    fn look_into_nested(&self, repo: &Repository) -> Result<(), RepoError> {
        let nested: Vec<RepoPath> = self.found().skipped.iter().filter_map(Skipped::nested).cloned().collect();
        if nested.iter().all(|folder| !self.folders.contains(folder.as_bytes())) {
            return Ok(());
        }
        let dirs = repo.work_dirs()?;
        for (number, entry) in self.entries.iter().enumerate() {
            let path = entry.repo_path();
            if !nested.iter().any(|folder| path.is_within(folder)) {
                continue;
            }
            match dirs.stat(&path) {
                Ok(Some(meta)) if !meta.is_dir() => self.tracked(number, meta.kind(), &meta),
                Ok(_) => {}
                Err(error) => self.found().unreadable.push((path, error)),
            }
        }
        Ok(())
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
        let there: HashSet<&[u8]> = scan.conflicted.iter().map(RepoPath::as_bytes).collect();
        let gone = self.conflicts.iter().filter(|path| !there.contains(*path)).map(|path| RepoPath::from_checked(path));
        let gone = gone.filter(|path| !scan.unreadable.iter().any(|(blocked, _)| path.is_within(blocked)));
        scan.conflicted_gone = gone.filter(|path| self.selection.includes(path)).collect();
        let collapse = self.collapse.into_inner().unwrap_or_else(PoisonError::into_inner);
        if self.options.ignored && !self.options.each_untracked {
            (scan.ignored, scan.ignored_folders) = collapse_ignored(scan.ignored, &self.folders, &collapse);
        }
        scan.untracked_folders = collapse.into_folders();
        scan.ghosts = self.ghosts.into_inner();
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
        if ignored.is_some() {
            // One file is enough to list an ignored folder as a whole.
            return self.options.ignored && (self.options.each_untracked || self.collapse().enters_ignored(folder));
        }
        match self.collapses_into(folder).or_else(|| (!self.options.each_untracked).then(|| folder.clone())) {
            // The same holds for an untracked one, unless there could be ignored files in it to be listed.
            Some(outermost) => self.options.ignored || !self.collapse().is_listed(&outermost),
            None => true,
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
