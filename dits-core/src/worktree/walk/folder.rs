//! Opening one folder of a walk and reading what is in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bstr::ByteSlice;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{Entry, Meta, Problem, RepoPath, Visitor};
use crate::durable::{IoContext, IoError};
use crate::ignore::IGNORE_FILE;
use crate::rules_file::{self, RulesError};

/// How many folders a walk keeps open for the sake of those below; a process may often have no more than 256 files.
const MAX_HELD: usize = 64;

/// From this many entries on they are looked at by several threads.
const MANY: usize = 4096;

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// An open folder, counted.
struct Held {
    fd: OwnedFd,
    budget: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How to get to a folder: from an open one, name by name.
#[derive(Clone)]
pub(super) struct Handle {
    base: Arc<Held>,
    /// Components from `base` on, each with a slash behind it.
    names: Vec<u8>,
}

impl Handle {
    /// The top folder of a walk. Its own path may go through symbolic links: it is the caller's choice.
    pub(super) fn root(root: &Path, budget: &Arc<AtomicUsize>) -> Result<Self, IoError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(root, flags, Mode::empty()).at("open", root)?;
        budget.fetch_add(1, Ordering::Relaxed);
        Ok(Self { base: Arc::new(Held { fd, budget: budget.clone() }), names: Vec::new() })
    }

    /// A folder in this one.
    pub(super) fn below(&self, name: &[u8]) -> Self {
        Self { base: self.base.clone(), names: [&self.names, name, b"/"].concat() }
    }

    fn open(&self) -> Result<OwnedFd, Errno> {
        let mut names = self.names.split(|b| *b == b'/').filter(|name| !name.is_empty());
        let first = names.next().unwrap_or(b".");
        let first = rustix::fs::openat(&self.base.fd, first, FOLDER, Mode::empty())?;
        names.try_fold(first, |fd, name| rustix::fs::openat(&fd, name, FOLDER, Mode::empty()))
    }

    /// What folders below start from: this one, kept open, unless too many are.
    fn keep(&self, fd: OwnedFd) -> Self {
        let budget = &self.base.budget;
        if budget.fetch_add(1, Ordering::Relaxed) >= MAX_HELD {
            budget.fetch_sub(1, Ordering::Relaxed);
            return self.clone();
        }
        Self { base: Arc::new(Held { fd, budget: budget.clone() }), names: Vec::new() }
    }
}

pub(super) struct Found {
    pub handle: Handle,
    /// Sorted by name.
    pub entries: Vec<Entry>,
    /// The content of the folder's `.ditsignore`.
    pub ignore_file: Option<Vec<u8>>,
}

pub(super) enum Read {
    Found(Found),
    /// The folder vanished since it was seen.
    Gone,
    /// It is a repository of its own.
    Nested,
}

pub(super) enum ReadError {
    Io(IoError),
    Rules(RulesError),
}

impl From<IoError> for ReadError {
    fn from(error: IoError) -> Self {
        Self::Io(error)
    }
}

impl From<RulesError> for ReadError {
    fn from(error: RulesError) -> Self {
        Self::Rules(error)
    }
}

/// Reads a folder. Problems with single entries go to the visitor. `threads` may be used for a very large one.
pub(super) fn read(
    handle: &Handle,
    folder: Option<&RepoPath>,
    shown: &Path,
    threads: usize,
    visitor: &dyn Visitor,
) -> Result<Read, ReadError> {
    let fd = match handle.open() {
        Err(Errno::NOENT) if folder.is_some() => return Ok(Read::Gone),
        opened => opened.at("open the folder", shown)?,
    };
    let Some(names) = names(&fd, folder, shown, visitor)? else { return Ok(Read::Nested) };
    let has_rules = names.iter().any(|name| **name == *IGNORE_FILE.as_bytes());
    let ignore_file = if has_rules {
        let path = folder.map_or_else(Default::default, |f| f.as_path().to_owned()).join(IGNORE_FILE);
        rules_file::read_at(fd.as_fd(), IGNORE_FILE, &path)?
    } else {
        None
    };
    let looked_at = look_at_all(fd.as_fd(), names, threads);
    let mut entries = Vec::with_capacity(looked_at.len());
    for (name, meta) in looked_at {
        match meta {
            Ok(meta) => entries.push(Entry { name, kind: meta.kind(), meta }),
            // Gone between being listed and being looked at.
            Err(Errno::NOENT) => {}
            Err(errno) => {
                let full = shown.join(name.to_path_lossy());
                let error = IoError { op: "look at", path: full, source: errno.into() };
                if let Ok(path) = RepoPath::join_to(folder, &name) {
                    visitor.problem(Problem::Unreadable { path, error });
                }
            }
        }
    }
    Ok(Read::Found(Found { handle: handle.keep(fd), entries, ignore_file }))
}

/// The names in a folder that a path can have, sorted. `None` when the folder is a repository inside the repository.
fn names(
    fd: &OwnedFd,
    folder: Option<&RepoPath>,
    shown: &Path,
    visitor: &dyn Visitor,
) -> Result<Option<Vec<Box<[u8]>>>, IoError> {
    let (mut names, mut refused) = (Vec::new(), Vec::new());
    let listing = fd.try_clone().at("read the folder", shown)?;
    for entry in rustix::fs::Dir::new(listing).at("read the folder", shown)? {
        let entry = entry.at("read the folder", shown)?;
        let name = entry.file_name().to_bytes();
        match name {
            b"." | b".." => continue,
            b".dits" | b".git" if folder.is_some() => return Ok(None),
            b".dits" | b".git" => continue,
            _ => {}
        }
        match RepoPath::join_to(folder, name) {
            Ok(_) => names.push(name.into()),
            Err(why) => refused.push(Problem::Refused { folder: folder.cloned(), name: name.into(), why }),
        }
    }
    refused.into_iter().for_each(|problem| visitor.problem(problem));
    names.sort_unstable();
    Ok(Some(names))
}

type LookedAt = (Box<[u8]>, Result<Meta, Errno>);

fn look_at_all(fd: BorrowedFd<'_>, names: Vec<Box<[u8]>>, threads: usize) -> Vec<LookedAt> {
    let look = |name: Box<[u8]>| {
        let meta = rustix::fs::statat(fd, &*name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Meta::of(&stat));
        (name, meta)
    };
    if names.len() < MANY || threads < 2 {
        return names.into_iter().map(look).collect();
    }
    let mut all: Vec<LookedAt> = names.into_iter().map(|name| (name, Err(Errno::NOENT))).collect();
    let share = all.len().div_ceil(threads.min(8));
    std::thread::scope(|scope| {
        for part in all.chunks_mut(share) {
            scope.spawn(move || part.iter_mut().for_each(|slot| *slot = look(std::mem::take(&mut slot.0))));
        }
    });
    all
}
