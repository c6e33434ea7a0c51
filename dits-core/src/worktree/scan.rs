//! What is in the worktree, compared with the staging area.
//!
//! Stat data is trusted the way git trusts it: an entry whose recorded times, inode and size are those of the file is
//! unmodified, unless it was recorded so close to the file's last change that another could hide behind it (racy).
//! Everything else is settled by content. What cannot be looked at is a problem, never "unmodified" or "gone".

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Meta, Problem, Selection, Visit, Walk, WorkDirs};
use crate::content::{Comparison, compare};
use crate::index::{Entry, FileStat, Index, Stage};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::tree::{Content, Mode};

/// How far a scan goes.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// Looks for files that are not tracked.
    pub untracked: bool,
    /// Lists ignored files too.
    pub ignored: bool,
    /// Lists every untracked file, not only the folder when nothing in it is tracked.
    pub each_untracked: bool,
}

impl ScanOptions {
    /// Only files that are in the staging area.
    #[must_use]
    pub fn tracked_only() -> Self {
        Self { untracked: false, ignored: false, each_untracked: false }
    }
}

/// What a scan found. All lists are sorted.
#[derive(Debug, Default)]
pub struct Scan {
    /// Tracked files whose content, mode or type changed.
    pub modified: Vec<RepoPath>,
    /// Tracked files whose stat data proves nothing and whose content is as recorded.
    pub racy: Vec<RepoPath>,
    /// Tracked files that are gone.
    pub deleted: Vec<RepoPath>,
    /// Paths in conflict that have a file.
    pub conflicted: Vec<RepoPath>,
    /// Files, and folders in whole, that are not tracked.
    pub untracked: Vec<RepoPath>,
    /// The folders among `untracked`.
    pub untracked_folders: HashSet<RepoPath>,
    /// Files and folders that are not tracked because they are ignored.
    pub ignored: Vec<RepoPath>,
    /// What was passed over.
    pub skipped: Vec<Problem>,
    /// What could not be looked at.
    pub unreadable: Vec<Problem>,
    /// What the racy files look like now, for refreshing the staging area.
    pub refreshed: Vec<(RepoPath, FileStat)>,
}

impl Scan {
    /// Fails if there is anything that could not be looked at.
    ///
    /// # Errors
    /// [`RepoError::Unreadable`], naming the first.
    pub fn fail_on_unreadable(&self) -> Result<(), RepoError> {
        match self.unreadable.first() {
            Some(problem) => Err(RepoError::Unreadable(problem.clone())),
            None => Ok(()),
        }
    }
}
