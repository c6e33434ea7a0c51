//! Walking over a worktree with several threads, folder by folder.
//!
//! Every folder is opened relative to one around it and never through a symbolic link, so the walk cannot leave the
//! tree. What it cannot see is reported, never left out in silence. Neither the stack nor the number of open folders
//! grows with the depth of the tree.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::durable::IoError;
use crate::ignore::{IgnoreRules, Match};
use crate::path::{PathError, RepoPath};
use crate::progress::{Interrupted, Progress};
use crate::rules_file::RulesError;

use super::{EntryKind, Meta};

mod folder;

#[cfg(test)]
mod tests;

use folder::Handle;

/// How a walk is done.
pub struct WalkOptions<'a> {
    /// How many threads walk; 2 does well, since the work is the kernel's.
    pub threads: usize,
    /// The rules that hold everywhere; those of folders are read on the way.
    pub ignore: IgnoreRules,
    /// Asked now and then whether to stop.
    pub progress: &'a dyn Progress,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, a valid component of a path.
    pub name: Box<[u8]>,
    /// What it is.
    pub kind: EntryKind,
    /// What the system says about it.
    pub meta: Meta,
}

/// A folder that is being visited.
#[derive(Debug)]
pub struct Folder<'a> {
    /// Its path; `None` is the top.
    pub path: Option<&'a RepoPath>,
    /// The ignore rules in force in it.
    pub rules: &'a IgnoreRules,
}

impl Folder<'_> {
    /// The path of an entry; `None` if it gets longer than a path may be, which the walk has then reported.
    #[must_use]
    pub fn path_of(&self, entry: &Entry) -> Option<RepoPath> {
        RepoPath::join_to(self.path, &entry.name).ok()
    }

    /// The ignore rule that decides about an entry. Ask only about what is not versioned: it takes time.
    #[must_use]
    pub fn matched(&self, entry: &Entry) -> Option<Match> {
        self.rules.matched(&self.path_of(entry)?, entry.kind == EntryKind::Folder)
    }
}

/// Something in the worktree that cannot be versioned or looked at.
#[derive(Debug)]
pub enum Problem {
    /// A folder that cannot be opened or read, or an entry that cannot be looked at. What it holds is not known: it
    /// must not be taken for absent or unchanged.
    Unreadable {
        /// Which.
        path: RepoPath,
        /// What the system said.
        error: IoError,
    },
    /// A repository inside the repository. It was not entered.
    Nested {
        /// Its folder.
        path: RepoPath,
    },
    /// A name that no path of a repository can have.
    Refused {
        /// The folder it is in; `None` is the top.
        folder: Option<RepoPath>,
        /// The name.
        name: Box<[u8]>,
        /// Why.
        why: PathError,
    },
}

/// What takes the walk's findings. The methods are called from several threads at once.
pub trait Visitor: Sync {
    /// Whether to look into a folder. `ignored` is the rule by which it is ignored, if it is; a folder with versioned
    /// files in it must be entered all the same.
    fn enter(&self, folder: &RepoPath, ignored: Option<&Match>) -> bool {
        let _ = folder;
        ignored.is_none()
    }

    /// Takes a folder's entries, sorted by name, once for every folder entered, and before anything below it.
    /// `.dits` and `.git`, problems, and what vanished meanwhile are not among them. Breaking ends the whole walk.
    fn visit(&self, folder: &Folder<'_>, entries: &[Entry]) -> ControlFlow<()>;

    /// Takes something that went wrong. The walk goes on.
    fn problem(&self, problem: Problem);
}

/// What ends a walk early.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The top folder cannot be read.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A `.ditsignore` cannot be used; without it the walk would find what it must not.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The user wants to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Walks over everything below `root`. Returns once every thread has ended.
///
/// # Errors
/// When the top folder cannot be read, ignore rules cannot be used, or the user interrupts.
pub fn walk(root: &Path, options: &WalkOptions<'_>, visitor: &dyn Visitor) -> Result<(), WalkError> {
    let budget = Arc::new(AtomicUsize::new(0));
    let top = Job { path: None, handle: Handle::root(root, &budget)?, rules: options.ignore.clone() };
    let walk = Walk {
        root: root.to_owned(),
        options,
        visitor,
        queue: Mutex::new(Queue { jobs: VecDeque::from([top]), busy: 0, stop: false, error: None }),
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 1..options.threads.clamp(1, 64) {
            scope.spawn(|| walk.work());
        }
        walk.work();
    });
    let error = walk.lock().error.take();
    error.map_or(Ok(()), Err)
}

/// A folder to be visited.
struct Job {
    path: Option<RepoPath>,
    handle: Handle,
    /// The rules in force around it.
    rules: IgnoreRules,
}

struct Queue {
    /// Taken from the back: depth first keeps the queue short.
    jobs: VecDeque<Job>,
    busy: usize,
    stop: bool,
    error: Option<WalkError>,
}

struct Walk<'a> {
    root: PathBuf,
    options: &'a WalkOptions<'a>,
    visitor: &'a dyn Visitor,
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// Counts a worker as busy; also when it panics, so that the others do not wait for ever.
struct Busy<'a, 'b>(&'a Walk<'b>);

impl Drop for Busy<'_, '_> {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.busy -= 1;
        queue.stop |= std::thread::panicking();
        self.0.changed.notify_all();
    }
}

impl Walk<'_> {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            let busy = Busy(self);
            let done = self.options.progress.check().map_err(WalkError::from).and_then(|()| self.visit(job));
            let mut queue = self.lock();
            match done {
                Ok(ControlFlow::Continue(more)) => queue.jobs.extend(more),
                Ok(ControlFlow::Break(())) => queue.stop = true,
                Err(error) => {
                    queue.stop = true;
                    queue.error.get_or_insert(error);
                }
            }
            drop(queue);
            drop(busy);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.stop {
                return None;
            }
            if let Some(job) = queue.jobs.pop_back() {
                queue.busy += 1;
                return Some(job);
            }
            if queue.busy == 0 {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Visits one folder and returns those in it, last name first, so that the first is taken next.
    fn visit(&self, job: Job) -> Result<ControlFlow<(), Vec<Job>>, WalkError> {
        let Some(found) = self.read(&job)? else { return Ok(ControlFlow::Continue(Vec::new())) };
        let rules = job.rules.enter(job.path.as_ref(), found.ignore_file.as_deref());
        let folder = Folder { path: job.path.as_ref(), rules: &rules };
        if self.visitor.visit(&folder, &found.entries).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let mut inner = Vec::new();
        for entry in found.entries.iter().rev().filter(|entry| entry.kind == EntryKind::Folder) {
            let Some(path) = folder.path_of(entry) else { continue };
            let ignored = rules.matched(&path, true).filter(|found| !found.negated);
            if self.visitor.enter(&path, ignored.as_ref()) {
                inner.push(Job { path: Some(path), handle: found.handle.below(&entry.name), rules: rules.clone() });
            }
        }
        Ok(ControlFlow::Continue(inner))
    }

    /// Opens and reads a folder; `None` when there is nothing to visit.
    fn read(&self, job: &Job) -> Result<Option<folder::Found>, WalkError> {
        let shown = job.path.as_ref().map_or_else(|| self.root.clone(), |path| self.root.join(path.as_path()));
        let read = folder::read(&job.handle, job.path.as_ref(), &shown, self.options.threads, self.visitor);
        match (read, &job.path) {
            (Ok(folder::Read::Found(found)), _) => Ok(Some(found)),
            (Ok(folder::Read::Gone), _) => Ok(None),
            (Ok(folder::Read::Nested), Some(path)) => {
                self.visitor.problem(Problem::Nested { path: path.clone() });
                Ok(None)
            }
            (Ok(folder::Read::Nested), None) => Ok(None),
            (Err(folder::ReadError::Io(error)), Some(path)) => {
                self.visitor.problem(Problem::Unreadable { path: path.clone(), error });
                Ok(None)
            }
            (Err(folder::ReadError::Io(error)), None) => Err(error.into()),
            (Err(folder::ReadError::Rules(error)), _) => Err(error.into()),
        }
    }
}
