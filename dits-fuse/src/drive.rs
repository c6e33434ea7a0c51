//! A mounted commit: its folders, its files, and the threads that bring what is not in memory.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dits_core::object::TreeId;
use dits_core::partial::ChunkSource;
use dits_core::store::{ChunkCache, Store};

use crate::chunks::Chunks;
use crate::error::{Reach, ReadError};
use crate::pool::Pool;
use crate::read::{Budget, Gathered, OpenFile};
use crate::view::{LINK, View};

/// Threads that wait for a remote on behalf of readers.
const WAITERS: usize = 64;
/// Threads that wait for a remote on behalf of what is read ahead,
const AHEAD: usize = 8;
/// and how much each asks for at a time.
const AHEAD_BLOCK: u64 = 2 << 20;
/// With that many blocks waiting to be read ahead, no more are added.
const AHEAD_QUEUE: usize = 64;

/// What a drive is made of.
pub struct DriveOptions {
    /// Bytes of content in memory.
    pub ram: u64,
    /// How many threads read store and cache.
    pub threads: usize,
    /// How long a read may wait for a remote.
    pub timeout: Duration,
    /// What a remote brings is kept here.
    pub disk: Option<ChunkCache>,
    /// Where absent content comes from.
    pub remote: Option<Arc<dyn ChunkSource>>,
    /// What the root's `.dits` says; without it there is none.
    pub link: Option<Vec<u8>>,
    /// Is told how many bytes came from remotes when somebody opens `.dits`.
    pub asked: Box<dyn Fn(u64) + Send + Sync>,
    /// Is told of reads that failed.
    pub report: Box<dyn Fn(&ReadError) + Send + Sync>,
}

/// A mounted commit.
pub struct Drive {
    /// Its folders.
    pub view: View,
    chunks: Chunks,
    budget: Budget,
    timeout: Duration,
    asked: Box<dyn Fn(u64) + Send + Sync>,
    report: Box<dyn Fn(&ReadError) + Send + Sync>,
    workers: Pool,
    waiters: Pool,
    ahead: Pool,
}

impl Drive {
    /// Shows a tree of a store.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn new(store: Store, tree: TreeId, options: DriveOptions) -> io::Result<Arc<Self>> {
        let DriveOptions { ram, threads, timeout, disk, remote, link, asked, report } = options;
        Ok(Arc::new(Self {
            view: View::new(store.clone(), tree).with_link(link),
            chunks: Chunks::new(store, ram, disk, remote),
            budget: Budget::new(ram / 2),
            timeout,
            asked,
            report,
            workers: Pool::new("read", threads)?,
            waiters: Pool::new("wait", WAITERS)?,
            ahead: Pool::new("ahead", AHEAD)?,
        }))
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
        let range = file.clip(offset, len);
        let ahead = file.note(&range, &self.budget);
        let gather = {
            let (drive, file) = (Arc::clone(self), Arc::clone(file));
            move |reach| file.gather(drive.view.store(), &drive.chunks, range.clone(), reach)
        };
        match gather(Reach::Memory) {
            Err(ReadError::OutOfReach) => {
                let drive = Arc::clone(self);
                self.workers.submit(move || match gather(Reach::Disk) {
                    Err(ReadError::OutOfReach) => {
                        let waiters = drive.waiters.clone();
                        waiters.submit(move || answer(drive.told(gather(Reach::Remote(until)))));
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
                let _ = file.gather(drive.view.store(), &drive.chunks, block, Reach::Remote(until));
            });
        }
    }

    /// Opens a file.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn open(&self, ino: u64, reach: Reach) -> Result<OpenFile, ReadError> {
        let Some(link) = self.view.link().filter(|_| ino == LINK) else {
            return OpenFile::new(ino, &self.view.entry(ino, reach)?);
        };
        if reach == Reach::Memory {
            return Err(ReadError::OutOfReach);
        }
        (self.asked)(self.chunks.received());
        Ok(OpenFile::of_bytes(ino, link.clone()))
    }

    /// Nobody reads a file any more.
    pub fn close(&self, file: &OpenFile) {
        file.close(&self.budget);
    }
}
