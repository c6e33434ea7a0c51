//! What was made or changed in a mount, above the tree of its base commit: `docs/design/0006-writing-in-a-mount.md`.
//!
//! Every operation looks at the state and the tree, makes a batch of records, and has it logged and applied. A question
//! that needs a part of the tree which is not in memory fails with [`ReadError::OutOfReach`] before anything has changed.

mod attributes;
mod bytes;
mod clean;
mod data;
mod inner;
mod keep;
mod nameless;
mod names;
mod places;
mod settle;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use dits_core::durable;
use dits_core::overlay::{Boot, Kind, Log, LogError, Node, Record, State, Time};
use dits_core::tree::Content;
use rustix::io::Errno;

pub use attributes::Changes;
pub(crate) use attributes::can_be_kept;
pub use bytes::Snapshot;
pub(crate) use data::read as read_data;
pub use names::{Entry, Maker, Rename};

use crate::error::{Reach, ReadError};
use crate::stat::{Defaults, Stat};
use crate::view::View;
use data::Data;
use inner::{Inner, forget_names, stat_of};

/// The overlay of a mount.
pub struct Overlay {
    dir: PathBuf,
    defaults: Defaults,
    data: Data,
    inner: RwLock<Inner>,
    /// How many writes there were.
    writes: AtomicU64,
    /// A sync has failed: what it was about may be lost, and no later one may say otherwise.
    failed: AtomicBool,
}

impl Overlay {
    /// Opens the overlay in a folder, or begins one. The numbers of `view`'s folders are those of the log from then on.
    ///
    /// # Errors
    /// When the log or a folder of the base cannot be read, or the folder not be written.
    pub fn open(dir: &Path, view: &View, defaults: Defaults) -> Result<Self, OpenError> {
        Self::open_in(boot(), dir, view, defaults)
    }

    /// [`Overlay::open`], since the machine was started this time.
    fn open_in(boot: Option<Boot>, dir: &Path, view: &View, defaults: Defaults) -> Result<Self, OpenError> {
        let data = dir.join("data");
        durable::create_dir_all(&data).map_err(LogError::from)?;
        let since = now();
        let mut state = State::new(since.0.unsigned_abs().saturating_mul(1_000_000_000) + u64::from(since.1), boot);
        let mut log = Log::open(&dir.join("log"), &mut state)?;
        let cut = log.was_cut();
        view.restore(&state.numbers)?;
        state.forget_orphans();
        forget_names(&mut state, view)?;
        let files = Data::new(data);
        // What a daemon that died had written is on the disk before the log that says so.
        files.sync_all().map_err(|error| OpenError::Sweep { path: dir.to_owned(), error })?;
        state.all_is_synced();
        log.rewrite(&state)?;
        let afresh = log.len();
        let places = places::of(&state);
        let inner = Inner {
            state,
            log,
            afresh,
            opens: HashMap::new(),
            garbage: Vec::new(),
            cuts: HashSet::new(),
            gone: HashSet::new(),
            leaving: Default::default(),
            accessed: HashMap::new(),
            moves: 0,
            places,
        };
        let overlay = Self {
            dir: dir.to_owned(),
            defaults,
            data: files,
            writes: AtomicU64::new(0),
            inner: RwLock::new(inner),
            failed: AtomicBool::new(false),
        };
        let swept = if cut { Ok(()) } else { overlay.sweep() };
        swept.map_err(|error| OpenError::Sweep { path: dir.to_owned(), error })?;
        Ok(overlay)
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing was made or changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read().state.is_empty()
    }

    /// The folder it is in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is told of an inode.
    ///
    /// # Errors
    /// When there is none, or its folder cannot be read.
    pub fn stat(&self, view: &View, ino: u64, reach: Reach) -> Result<Stat, ReadError> {
        self.read().stat(view, &self.defaults, ino, reach)
    }

    /// What is told of an inode, if it was made or changed.
    pub(crate) fn known(&self, ino: u64) -> Option<Stat> {
        let inner = self.read();
        let atime = inner.accessed.get(&ino).copied();
        inner.state.nodes.get(&ino).map(|node| Stat { atime, ..stat_of(ino, node) })
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn target(&self, view: &View, ino: u64, reach: Reach) -> Result<Vec<u8>, ReadError> {
        match self.read().state.nodes.get(&ino).map(|node| &node.kind) {
            Some(Kind::Link(target)) => return Ok(target.clone()),
            Some(_) => return Err(Errno::INVAL.into()),
            None => {}
        }
        match view.entry(ino, reach)?.content {
            Content::Symlink(target) => Ok(target),
            _ => Err(Errno::INVAL.into()),
        }
    }

    /// Somebody opens a file.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn opened(&self, view: &View, ino: u64, reach: Reach) -> Result<(), ReadError> {
        let mut inner = self.write();
        match inner.state.nodes.get(&ino) {
            Some(Node { kind: Kind::Folder, .. }) => return Err(ReadError::IsAFolder),
            Some(_) => {}
            // Whoever looks the name up again finds what is there now.
            None if inner.gone.contains(&ino) => return Err(Errno::STALE.into()),
            None => _ = view.entry(ino, reach)?,
        }
        *inner.opens.entry(ino).or_default() += 1;
        Ok(())
    }

    /// Somebody has closed a file.
    pub fn closed(&self, ino: u64) {
        let mut inner = self.write();
        let Some(count) = inner.opens.get_mut(&ino) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        inner.opens.remove(&ino);
        self.data.close(ino);
        if inner.state.nodes.get(&ino).is_some_and(|node| !node.linked) && !inner.is_leaving(ino) {
            // If it cannot be logged, it is forgotten when the overlay is opened again.
            let _ = self.forget(&mut inner, ino);
        }
    }

    /// Forgets an inode that no name leads to and nobody has open.
    fn forget(&self, inner: &mut Inner, ino: u64) -> Result<(), ReadError> {
        let layer = inner.state.file(ino).map(|file| file.layer);
        inner.commit_known(vec![Record::Gone { ino }])?;
        inner.no_more(ino);
        inner.garbage.extend(layer.map(|layer| self.data.path(ino, layer)));
        Ok(())
    }

    /// How often names have changed.
    pub(crate) fn moves(&self) -> u64 {
        self.read().moves
    }

    /// Whether a name still leads to this inode.
    pub(crate) fn leads(&self, view: &View, folder: u64, name: &[u8], ino: u64) -> Result<bool, ReadError> {
        Ok(self.read().lookup(view, folder, name, Reach::Disk)? == Some(ino))
    }

    /// Bytes of the file system that the overlay is on: in all, free, and free for this user; and inodes likewise.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn room(&self) -> Result<rustix::fs::StatVfs, ReadError> {
        Ok(rustix::fs::statvfs(&self.dir)?)
    }
}

/// Why an overlay cannot be opened or tidied.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The base.
    #[error("the commit below the overlay cannot be read: {0}")]
    Base(#[from] ReadError),
    /// Threads cannot be started.
    #[error("threads cannot be started: {0}")]
    Threads(io::Error),
    /// A data file that is not needed cannot be removed.
    #[error("{}: {error}", path.display())]
    Sweep {
        /// The overlay.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// What the machine calls the time since it was started.
fn boot() -> Option<Boot> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    u128::from_str_radix(&text.trim().replace('-', ""), 16).ok().map(u128::to_be_bytes)
}

/// The time.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

#[cfg(test)]
mod tests;
