//! What is written of a pack, in blocks: full ones go into the file by a thread of their own, past the page cache where the
//! file system can do that. Writing through the cache costs more time of the processor than cutting, hashing and copying
//! together, and would fill memory with what is hardly read again soon.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};
use memmap2::MmapMut;
use rustix::fs::{Advice, OFlags, fadvise};
use tempfile::NamedTempFile;

use crate::durable::{IoContext, IoError};

/// How many bytes a block holds: whole pages, as direct writes ask for, and enough for a disk to work well. What is in blocks
/// is lost when the process is killed, and has to be brought again where it came over a network.
const BLOCK: usize = 512 << 10;
/// The same of the first block of a pack: what fits into it is in no file until it is sealed.
const FIRST: usize = 1 << 20;

/// The size of a huge page. A direct write from one needs no look at every small page, and may be one request to the disk.
const HUGE: usize = 2 << 20;

/// Bytes that go into a file together, in memory that begins at a page.
pub(super) struct Block {
    /// Made with the first byte.
    memory: Option<Memory>,
    len: usize,
    limit: usize,
}

struct Memory {
    map: MmapMut,
    /// Where what is used of it begins.
    start: usize,
}

impl Memory {
    /// Of small pages, which are taken as they are touched: most packs are smaller than a block.
    fn small(len: usize) -> io::Result<Self> {
        Ok(Self { map: MmapMut::map_anon(len)?, start: 0 })
    }

    /// Of a huge page, if the system gives one.
    fn huge() -> io::Result<Self> {
        let map = MmapMut::map_anon(2 * HUGE)?;
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self { start: map.as_ptr().align_offset(HUGE) % HUGE, map })
    }
}

impl Block {
    pub(super) fn new() -> Self {
        Self { memory: None, len: 0, limit: BLOCK }
    }

    /// The first of a pack.
    pub(super) fn first() -> Self {
        Self { memory: None, len: 0, limit: FIRST }
    }

    /// Takes as many bytes as fit, and says how many these were.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<usize, IoError> {
        let memory = match self.memory.take() {
            Some(memory) => memory,
            None if self.is_first() => Memory::small(self.limit).at("get memory for", Path::new("a pack"))?,
            None => Memory::huge().at("get memory for", Path::new("a pack"))?,
        };
        let memory = self.memory.insert(memory);
        let count = bytes.len().min(self.limit - self.len);
        let begin = memory.start + self.len;
        memory.map[begin..begin + count].copy_from_slice(&bytes[..count]);
        self.len += count;
        Ok(count)
    }

    fn is_first(&self) -> bool {
        self.limit == FIRST
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == self.limit
    }

    pub(super) fn filled(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], |memory| &memory.map[memory.start..memory.start + self.len])
    }
}

/// Where blocks go.
#[derive(Clone)]
pub(super) struct Outlet {
    file: Arc<File>,
    /// The same file for writing past the page cache; `None` where that cannot be done.
    direct: Option<Arc<File>>,
    path: PathBuf,
}

impl Outlet {
    /// Into a file; `aligned` if all blocks begin at multiples of the page size in it.
    pub(super) fn new(draft: &NamedTempFile, aligned: bool) -> Result<Self, IoError> {
        let path = draft.path().to_owned();
        let file = Arc::new(draft.as_file().try_clone().at("open", &path)?);
        let flags = OFlags::DIRECT.bits() as i32;
        let direct = || OpenOptions::new().write(true).custom_flags(flags).open(&path).ok();
        let direct = aligned.then(direct).flatten().map(Arc::new);
        Ok(Self { file, direct, path })
    }

    fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), IoError> {
        if let Some(direct) = &self.direct {
            match direct.write_all_at(bytes, offset) {
                // The file system opens files so, and then wants other blocks than these or none.
                Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                    self.direct = None;
                }
                done => return done.at("write", &self.path),
            }
        }
        self.file.write_all_at(bytes, offset).at("write", &self.path)?;
        // Tells the kernel to begin to write now (the pages are dirty, so none is dropped): the disk works while the next
        // chunks are being hashed, and the final sync has little left to wait for. Only advice, so no failure matters.
        let _ = fadvise(&*self.file, offset, NonZeroU64::new(bytes.len() as u64), Advice::DontNeed);
        Ok(())
    }
}

struct Job {
    outlet: Outlet,
    offset: u64,
    block: Arc<Block>,
}

/// The way of full blocks into files. Dropping it waits for the block that is being written.
#[derive(Default)]
pub(super) struct Flow {
    thread: Option<Thread>,
    /// What was handed over last, and where it goes: it is perhaps not in its file yet.
    waiting: Option<(u64, Arc<Block>)>,
    spare: Option<Block>,
}

struct Thread {
    jobs: Option<Sender<Job>>,
    done: Receiver<Result<(), IoError>>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    fn start() -> io::Result<Self> {
        let ((jobs, todo), (report, done)) = (unbounded::<Job>(), unbounded());
        let work = move || {
            for Job { mut outlet, offset, block } in todo {
                let written = outlet.write(block.filled(), offset);
                drop(block);
                let failed = written.is_err();
                if report.send(written).is_err() || failed {
                    return;
                }
            }
        };
        let handle = std::thread::Builder::new().name("pack".to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), done, handle: Some(handle) })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(handle) = self.handle.take() {
            // It reports what goes wrong, and does nothing else that could panic.
            let _ = handle.join();
        }
    }
}

impl Flow {
    /// Has a block written, once the one before it is, and gives an empty one for it. What it reports is about the earlier block; after that nobody
    /// knows what the file holds.
    pub(super) fn put(&mut self, outlet: &Outlet, offset: u64, block: Block) -> Result<Block, IoError> {
        self.drain(&outlet.path)?;
        let thread = match self.thread.take() {
            Some(thread) => thread,
            None => Thread::start().at("start a thread to write", &outlet.path)?,
        };
        let thread = self.thread.insert(thread);
        let block = Arc::new(block);
        let job = Job { outlet: outlet.clone(), offset, block: Arc::clone(&block) };
        if thread.jobs.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
            // It ended with an error, which was reported before.
            return Err(gone()).at("write", &outlet.path);
        }
        self.waiting = Some((offset, block));
        Ok(self.spare.take().unwrap_or_else(Block::new))
    }

    /// Waits until everything is written.
    pub(super) fn drain(&mut self, path: &Path) -> Result<(), IoError> {
        if self.waiting.is_none() {
            return Ok(());
        }
        let done = self.thread.as_ref().and_then(|thread| thread.done.recv().ok());
        done.unwrap_or_else(|| Err(gone()).at("write", path))?;
        let written = self.waiting.take().and_then(|(_, block)| Arc::into_inner(block));
        self.spare = written.filter(|block| !block.is_first()).map(|block| Block { len: 0, ..block });
        Ok(())
    }

    /// The block that has the byte at `offset`, with where it begins, unless that is in the file already.
    pub(super) fn find(&self, offset: u64) -> Option<(u64, &[u8])> {
        let (start, block) = self.waiting.as_ref()?;
        (*start..*start + block.len as u64).contains(&offset).then(|| (*start, block.filled()))
    }

    /// Where the block begins that is perhaps not in its file yet.
    pub(super) fn begins(&self) -> Option<u64> {
        self.waiting.as_ref().map(|(start, _)| *start)
    }
}

fn gone() -> io::Error {
    io::Error::other("an earlier write failed")
}
