//! File content on its way out: read, verify, write.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::chunk::ChunkRef;
use crate::durable::{IoContext, IoError};
use crate::manifest::Manifest;
use crate::object::{ObjectKind, ObjectRead};
use crate::progress::Progress;
use crate::repo::RepoError;
use crate::store::{Store, StoreError};
use crate::tree::Content;

/// How many bytes of one file a thread takes on at a time.
const SEGMENT: u64 = 16 << 20;

/// How many bytes are gathered before they are written.
const GATHER: usize = 1 << 20;

/// Writes stored content into files. Every chunk is verified before it is written.
pub struct Exporter<'a> {
    store: &'a Store,
    progress: &'a dyn Progress,
    threads: usize,
}

impl<'a> Exporter<'a> {
    /// Reads from `store`, with up to `threads` threads for one large file.
    #[must_use]
    pub fn new(store: &'a Store, progress: &'a dyn Progress, threads: usize) -> Self {
        Self { store, progress, threads: threads.max(1) }
    }

    /// Writes content into an empty file; `path` is for messages. Chunks that are all zero become holes.
    ///
    /// # Errors
    /// When a chunk is missing or damaged, or the file cannot be written.
    pub fn export(&self, content: &Content, size: u64, file: &File, path: &Path) -> Result<(), RepoError> {
        let set_len = || file.set_len(size).at("set the length of", path);
        match content {
            Content::Empty => Ok(()),
            Content::Chunk(id) => {
                set_len()?;
                let chunk = ChunkRef { id: *id, len: size as u32 };
                self.write_run(std::iter::once(Ok((0, chunk))), u64::MAX, file, path)
            }
            Content::Manifest(id) => {
                // Before the file gets its length: a size that lies fills no disk.
                let manifest = Manifest::open_sized(self.store, *id, size)?;
                set_len()?;
                self.write_segments(&manifest, file, path)
            }
            other => Err(RepoError::NotAFile { content: format!("{other:?}") }),
        }
    }

    fn write_segments(&self, manifest: &Manifest<'_>, file: &File, path: &Path) -> Result<(), RepoError> {
        let next = AtomicU64::new(0);
        let failure = Mutex::new(None);
        let work = || {
            loop {
                let start = next.fetch_add(SEGMENT, Ordering::Relaxed);
                if start >= manifest.len() {
                    return;
                }
                // A chunk belongs to the segment it begins in.
                let chunks = manifest.iter_from(start).map_err(RepoError::from);
                let chunks = chunks.map(|chunks| chunks.skip_while(|c| matches!(c, Ok((at, _)) if *at < start)));
                let written = chunks.and_then(|chunks| self.write_run(chunks, start + SEGMENT, file, path));
                if let Err(error) = written {
                    next.store(u64::MAX / 2, Ordering::Relaxed);
                    failure.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
                    return;
                }
            }
        };
        let threads = self.threads.min(manifest.len().div_ceil(SEGMENT) as usize);
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        failure.into_inner().unwrap_or_else(|e| e.into_inner()).map_or(Ok(()), Err)
    }

    /// Writes the chunks that begin before `end`.
    fn write_run(
        &self,
        chunks: impl Iterator<Item = Result<(u64, ChunkRef), StoreError>>,
        end: u64,
        file: &File,
        path: &Path,
    ) -> Result<(), RepoError> {
        let mut run = Run { file, path, start: 0, bytes: Vec::with_capacity(GATHER + (256 << 10)) };
        let mut chunk = Vec::new();
        for item in chunks {
            let (at, wanted) = item?;
            if at >= end {
                break;
            }
            self.progress.check()?;
            self.store.read_chunk_into(wanted.id.digest(), &mut chunk)?;
            if chunk.len() != wanted.len as usize {
                return Err(length_mismatch(&wanted, chunk.len()).into());
            }
            run.put(at, &chunk)?;
            self.progress.advance(u64::from(wanted.len), 0);
        }
        Ok(run.flush()?)
    }
}

fn length_mismatch(wanted: &ChunkRef, found: usize) -> StoreError {
    StoreError::Malformed {
        kind: ObjectKind::Chunk,
        digest: *wanted.id.digest(),
        what: format!("a manifest says it has {} bytes, but it has {found}", wanted.len),
    }
}

/// Bytes that belong together in the file, not yet written.
struct Run<'f> {
    file: &'f File,
    path: &'f Path,
    start: u64,
    bytes: Vec<u8>,
}

impl Run<'_> {
    fn put(&mut self, at: u64, chunk: &[u8]) -> Result<(), IoError> {
        let hole = is_zero(chunk);
        if hole || at != self.start + self.bytes.len() as u64 || self.bytes.len() >= GATHER {
            self.flush()?;
            self.start = at;
        }
        if hole {
            self.start = at + chunk.len() as u64;
        } else {
            self.bytes.extend_from_slice(chunk);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), IoError> {
        let written = self.file.write_all_at(&self.bytes, self.start).at("write", self.path);
        self.bytes.clear();
        written
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0) && bytes.chunks(4096).all(|part| part.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Writes stored content to a stream, in order.
///
/// # Errors
/// When a chunk is missing or damaged, or the stream cannot take it.
pub fn copy_to(read: &dyn ObjectRead, content: &Content, out: &mut dyn Write) -> Result<(), RepoError> {
    let stream = |e: io::Error| IoError { op: "write", path: PathBuf::from("output"), source: e };
    match content {
        Content::Empty => Ok(()),
        Content::Symlink(target) => Ok(out.write_all(target).map_err(stream)?),
        Content::Chunk(id) => Ok(out.write_all(&read.read(ObjectKind::Chunk, id.digest())?).map_err(stream)?),
        Content::Manifest(id) => {
            for item in Manifest::open(read, *id)?.iter_from(0)? {
                let bytes = read.read(ObjectKind::Chunk, item?.1.id.digest())?;
                out.write_all(&bytes).map_err(stream)?;
            }
            Ok(())
        }
        other => Err(RepoError::NotAFile { content: format!("{other:?}") }),
    }
}
