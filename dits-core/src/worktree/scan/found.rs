//! What a scan finds.

use crate::durable::IoError;
use crate::index::FileStat;
use crate::path::{PathError, RepoPath};
use crate::repo::RepoError;

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

impl Skipped {
    pub(super) fn nested(&self) -> Option<&RepoPath> {
        match self {
            Self::Nested(path) => Some(path),
            _ => None,
        }
    }

    fn sort_key(&self) -> (&[u8], &[u8]) {
        match self {
            Self::Nested(path) | Self::Special(path) => (path.as_bytes(), b""),
            Self::Refused(folder, name, _) => (folder.as_ref().map_or(b"", |folder| folder.as_bytes()), name),
        }
    }
}

/// What a scan found. All lists are sorted.
#[derive(Debug, Default)]
pub struct Scan {
    /// Tracked files whose content, mode or type changed.
    pub modified: Vec<RepoPath>,
    /// Those of them that became a link, or stopped being one.
    pub retyped: Vec<RepoPath>,
    /// Tracked files whose stat data proves nothing, when the scan does not settle by content.
    pub unsure: Vec<RepoPath>,
    /// Tracked files that are gone.
    pub deleted: Vec<RepoPath>,
    /// Paths in conflict that have a file.
    pub conflicted: Vec<RepoPath>,
    /// Paths in conflict that have none.
    pub conflicted_gone: Vec<RepoPath>,
    /// Files that are not tracked.
    pub untracked: Vec<RepoPath>,
    /// Folders in which nothing is tracked and something is not ignored.
    pub untracked_folders: Vec<RepoPath>,
    /// Files that are not tracked because they are ignored.
    pub ignored: Vec<RepoPath>,
    /// Folders in which everything is ignored and there is something.
    pub ignored_folders: Vec<RepoPath>,
    /// What was passed over.
    pub skipped: Vec<Skipped>,
    /// What could not be looked at.
    pub unreadable: Vec<(RepoPath, IoError)>,
    /// Files that turned out to be as recorded, and what they look like now: for refreshing the staging area.
    pub unchanged: Vec<Unchanged>,
    /// How many tracked files, as far as they are selected, are ghosts as recorded: their content is not in the
    /// worktree.
    pub ghosts: usize,
}

/// A file that was looked into and turned out to be as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchanged {
    /// The file.
    pub path: RepoPath,
    /// What the system says of it.
    pub stat: FileStat,
    /// Whether it is a ghost.
    pub ghost: bool,
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

    /// Whether a tracked file is not as recorded, or gone.
    #[must_use]
    pub fn is_changed(&self, path: &RepoPath) -> bool {
        [&self.modified, &self.unsure, &self.deleted].iter().any(|list| list.binary_search(path).is_ok())
    }

    /// Whether a file was looked into, turned out to be as recorded, and still looks the same.
    #[must_use]
    pub fn is_unchanged(&self, path: &RepoPath, now: &FileStat) -> bool {
        let at = self.unchanged.binary_search_by(|known| known.path.cmp(path));
        at.is_ok_and(|at| self.unchanged[at].stat.matches(now))
    }

    pub(super) fn sort(&mut self) {
        for list in [
            &mut self.modified,
            &mut self.retyped,
            &mut self.unsure,
            &mut self.deleted,
            &mut self.conflicted,
            &mut self.conflicted_gone,
            &mut self.untracked,
            &mut self.untracked_folders,
            &mut self.ignored,
            &mut self.ignored_folders,
        ] {
            list.sort_unstable();
            list.dedup();
        }
        self.unchanged.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.skipped.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        self.unreadable.sort_by(|a, b| a.0.cmp(&b.0));
    }
}
