//! A mounted commit: its folders, its files, and the threads that bring what is not in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dits_core::object::TreeId;
use dits_core::partial::ChunkSource;
use dits_core::store::{ChunkCache, Store};
use dits_core::tree::Content;
use rustix::io::Errno;

use crate::chunks::{Chunks, tally};
use crate::error::{Reach, ReadError};
use crate::locks::{Keeper, Locker};
use crate::overlay::{OpenError, Overlay};
use crate::policy::{Guard, Opener};
use crate::pool::Pool;
use crate::read::{Budget, Gathered, OpenFile};
use crate::stat::{Defaults, Stat};
use crate::view::{Attr, LINK, View};
use crate::whole::Copier;

/// Threads that wait for a remote on behalf of readers.
const WAITERS: usize = 64;
/// Threads that wait for a remote on behalf of what is read ahead,
const AHEAD: usize = 8;
/// and how much each asks for at a time.
const AHEAD_BLOCK: u64 = 2 << 20;
/// What a reply takes while it is put together, at most.
const REPLY: u64 = 1 << 20;
/// With that many blocks waiting to be read ahead, no more are added.
const AHEAD_QUEUE: usize = 64;

/// What a drive is made of.
pub struct DriveOptions {
    /// Who mounts, and the commit's time.
    pub defaults: Defaults,
    /// The folder of the overlay, if the drive is to be written to.
    pub overlay: Option<PathBuf>,
    /// Bytes of content in memory, also of what is being read or replied.
    pub ram: u64,
    /// How many threads read store and cache.
    pub threads: usize,
    /// How long a read may wait for a remote.
    pub timeout: Duration,
    /// What a remote brings is kept here.
    pub disk: Option<ChunkCache>,
    /// Where absent content comes from.
    pub remote: Option<Arc<dyn ChunkSource>>,
    /// Knows who has locked what; without it nobody has.
    pub locker: Option<Arc<dyn Locker>>,
    /// What the root's `.dits` says; without it there is none.
    pub link: Option<Vec<u8>>,
    /// What programs may do, and who had what brought.
    pub guard: Arc<Guard>,
    /// Is called when somebody opens `.dits`, before they read it.
    pub asked: Box<dyn Fn(&Chunks) + Send + Sync>,
    /// Is told of reads that failed.
    pub report: Box<dyn Fn(&ReadError) + Send + Sync>,
}

/// A mounted commit.
pub struct Drive {
    /// Its folders.
    pub view: View,
    defaults: Defaults,
    overlay: Option<Overlay>,
    chunks: Chunks,
    budget: Budget,
    timeout: Duration,
    guard: Arc<Guard>,
    asked: Box<dyn Fn(&Chunks) + Send + Sync>,
    report: Box<dyn Fn(&ReadError) + Send + Sync>,
    workers: Pool,
    waiters: Pool,
    ahead: Pool,
    pub(crate) copier: Copier,
    pub(crate) keeper: Option<Keeper>,
}

impl Drive {
    /// Shows a tree of a store.
    ///
    /// # Errors
    /// When the overlay cannot be opened, or threads not be started.
    pub fn new(store: Store, tree: TreeId, options: DriveOptions) -> Result<Arc<Self>, OpenError> {
        let DriveOptions { defaults, overlay, ram, threads, timeout, disk, remote, locker, link, guard, asked, report } =
            options;
        let view = View::new(store.clone(), tree).with_link(link);
        let overlay = overlay.map(|dir| Overlay::open(&dir, &view, defaults)).transpose()?;
        let started = |error| OpenError::Threads(error);
        // Little memory is for content first.
        let kept = ram.saturating_sub(AHEAD as u64 * AHEAD_BLOCK + threads as u64 * REPLY).max(ram / 2);
        Ok(Arc::new(Self {
            view,
            defaults,
            overlay,
            chunks: Chunks::new(store, kept, disk, remote),
            budget: Budget::new(kept / 2),
            timeout,
            guard,
            asked,
            report,
            workers: Pool::new("read", threads).map_err(started)?,
            waiters: Pool::new("wait", WAITERS).map_err(started)?,
            ahead: Pool::new("ahead", AHEAD).map_err(started)?,
            copier: Copier::new().map_err(started)?,
            keeper: locker.map(Keeper::new),
        }))
    }

    /// What was made or changed in it, if it is one that can be written to.
    #[must_use]
    pub fn overlay(&self) -> Option<&Overlay> {
        self.overlay.as_ref()
    }

    /// What everything has that is as it was committed.
    #[must_use]
    pub fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// The overlay.
    ///
    /// # Errors
    /// `EROFS` when there is none.
    pub fn writable(&self) -> Result<&Overlay, ReadError> {
        self.overlay.as_ref().ok_or_else(|| Errno::ROFS.into())
    }

    /// What is told of an inode.
    ///
    /// # Errors
    /// When there is none, or its folder cannot be read.
    pub fn stat(&self, ino: u64, reach: Reach) -> Result<Stat, ReadError> {
        match &self.overlay {
            Some(overlay) => self.with_lock(overlay.stat(&self.view, ino, reach)?, reach),
            None => Ok(self.defaults.stat(&self.view.attr(ino, reach)?)),
        }
    }

    /// The same for an entry of the base.
    pub(crate) fn stat_of(&self, attr: &Attr) -> Stat {
        let changed = self.overlay.as_ref().and_then(|overlay| overlay.known(attr.ino));
        let stat = changed.unwrap_or_else(|| self.defaults.stat(attr));
        self.with_lock(stat, Reach::Disk).unwrap_or(stat)
    }

    /// What a folder has under a name.
    ///
    /// # Errors
    /// When it is no folder, or cannot be read.
    pub fn lookup(&self, folder: u64, name: &[u8], reach: Reach) -> Result<Option<Stat>, ReadError> {
        // The kernel lets longer ones through.
        if name.len() > 255 {
            return Err(Errno::NAMETOOLONG.into());
        }
        match &self.overlay {
            Some(overlay) => {
                let found = overlay.lookup(&self.view, folder, name, reach)?;
                found.map(|stat| self.with_lock(stat, reach)).transpose()
            }
            None => Ok(self.view.lookup(folder, name, reach)?.map(|attr| self.defaults.stat(&attr))),
        }
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn target(&self, ino: u64, reach: Reach) -> Result<Vec<u8>, ReadError> {
        if let Some(overlay) = &self.overlay {
            return overlay.target(&self.view, ino, reach);
        }
        match self.view.entry(ino, reach)?.content {
            Content::Symlink(target) => Ok(target),
            _ => Err(Errno::INVAL.into()),
        }
    }

    /// Has something done by a worker: what may take its time, as syncing does.
    pub fn work(self: &Arc<Self>, work: impl FnOnce(&Self) + Send + 'static) {
        let drive = Arc::clone(self);
        self.workers.submit(move || work(&drive));
    }

    /// Has something done by a thread that may wait for others.
    pub(crate) fn wait(self: &Arc<Self>, work: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let drive = Arc::clone(self);
        self.waiters.submit(move || work(&drive));
    }

    /// Where chunks come from.
    #[must_use]
    pub fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    /// Answers a question about folders: at once if what it needs is in memory, else from a worker.
    pub fn ask<T: 'static>(
        self: &Arc<Self>,
        question: impl Fn(&Self, Reach) -> Result<T, ReadError> + Send + 'static,
        answer: impl FnOnce(Result<T, ReadError>) + Send + 'static,
    ) {
        match question(self, Reach::Memory) {
            Err(ReadError::OutOfReach) => {
                let drive = Arc::clone(self);
                self.workers.submit(move || answer(question(&drive, Reach::Disk)));
            }
            result => answer(result),
        }
    }

    /// Reads a range of a file: at once what is in memory, from a worker what is on this machine, and what is not from a
    /// thread that waits for the remote.
    pub fn read(
        self: &Arc<Self>,
        file: &Arc<OpenFile>,
        offset: u64,
        len: u32,
        answer: impl FnOnce(Result<Gathered, ReadError>) + Send + 'static,
    ) {
        let until = Instant::now() + self.timeout;
        let overlaid = self.overlay.as_ref().map(|overlay| overlay.snapshot(file.ino, offset, len.into()));
        let snapshot = match overlaid.transpose() {
            Ok(snapshot) => snapshot.flatten(),
            Err(error) => return answer(self.told(Err(error))),
        };
        let range = file.clip(offset, len);
        if file.count(&range) {
            self.make_copy(file);
        }
        let may_hydrate = file.opener().may_hydrate();
        let ahead = if may_hydrate { file.note(&range, &self.budget) } else { None };
        let gather = {
            let (drive, file) = (Arc::clone(self), Arc::clone(file));
            move |reach| match &snapshot {
                Some(snapshot) => file.gather_mixed(drive.view.store(), &drive.chunks, snapshot, reach),
                None => file.gather(drive.view.store(), &drive.chunks, range.clone(), reach),
            }
        };
        match gather(Reach::Memory) {
            Err(ReadError::OutOfReach) => {
                let (drive, file) = (Arc::clone(self), Arc::clone(file));
                self.workers.submit(move || match gather(Reach::Disk) {
                    Err(ReadError::OutOfReach) if !may_hydrate => answer(Err(Errno::ACCESS.into())),
                    Err(ReadError::OutOfReach) => {
                        let waiters = drive.waiters.clone();
                        waiters.submit(move || {
                            let brought = drive.counted(&file, || gather(Reach::Remote(until)));
                            answer(drive.told(brought));
                        });
                    }
                    result => answer(drive.told(result)),
                });
            }
            result => answer(result),
        }
        if let Some(range) = ahead {
            self.read_ahead(file, range);
        }
    }

    /// Reads, and counts what had to be brought for it.
    fn counted<T>(&self, file: &OpenFile, read: impl FnOnce() -> T) -> T {
        tally::take();
        let read = read();
        file.opener().hydrated(tally::take(), || self.path_of(file.ino));
        read
    }

    fn told<T>(&self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        result.inspect_err(|error| (self.report)(error))
    }

    fn read_ahead(self: &Arc<Self>, file: &Arc<OpenFile>, range: std::ops::Range<u64>) {
        let mut from = range.start;
        while from < range.end && self.ahead.waiting() < AHEAD_QUEUE {
            let block = from..range.end.min(from + AHEAD_BLOCK);
            from = block.end;
            let (drive, file) = (Arc::clone(self), Arc::clone(file));
            self.ahead.submit(move || {
                // Whoever reads it learns why it cannot be read.
                let until = Instant::now() + drive.timeout;
                let gather = || file.gather(drive.view.store(), &drive.chunks, block, Reach::Remote(until));
                let _ = drive.counted(&file, gather);
            });
        }
    }

    /// Lets a process open something.
    ///
    /// # Errors
    /// `EACCES` when it may not.
    pub fn admit(&self, pid: u32) -> Result<Opener, ReadError> {
        Ok(self.guard.admit(pid)?)
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn open(&self, ino: u64, reach: Reach) -> Result<OpenFile, ReadError> {
        if let Some(link) = self.view.link().filter(|_| ino == LINK) {
            if reach == Reach::Memory {
                return Err(ReadError::OutOfReach);
            }
            (self.asked)(&self.chunks);
            return Ok(OpenFile::of_bytes(ino, link.clone()));
        }
        let Some(overlay) = &self.overlay else { return OpenFile::new(ino, &self.view.entry(ino, reach)?) };
        overlay.opened(&self.view, ino, reach)?;
        let opened = match overlay.snapshot(ino, 0, 0) {
            Ok(Some(changed)) => OpenFile::of(ino, &changed.base.0, changed.base.1),
            Ok(None) => self.view.entry(ino, reach).and_then(|entry| OpenFile::new(ino, &entry)),
            Err(error) => Err(error),
        };
        if opened.is_err() {
            overlay.closed(ino);
        }
        opened
    }

    /// Nobody reads a file any more.
    pub fn close(self: &Arc<Self>, file: &Arc<OpenFile>) {
        file.close(&self.budget);
        if file.is_read() {
            // What was not here when it was tried before may have come.
            self.make_copy(file);
        }
        if let Some(overlay) = &self.overlay {
            overlay.closed(file.ino);
            self.let_lock_go(file.ino);
        }
    }
}
