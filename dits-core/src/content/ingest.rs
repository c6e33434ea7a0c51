//! File content on its way in: read, cut, hash, store.
//!
//! A small file is done by one thread. A large one is read and cut by the calling thread, which hands batches of whole chunks
//! to workers that hash and store them; a fixed set of buffers goes round, so memory does not depend on the file's size.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::chunk::{ChunkRef, Cutter, Profile, StreamChunker};
use crate::manifest::{ManifestBuilder, ManifestError};
use crate::media::{self, FileType, Preset};
use crate::object::{ChunkId, ObjectKind};
use crate::progress::{Interrupted, Progress};
use crate::store::{Hint, StoreError, StoreWriter};
use crate::tree::Content;

/// From this size on a file's chunks are hashed by several threads.
const PIPELINED_FROM: u64 = 8 << 20;

/// How many bytes of whole chunks go to a worker at once, at least. What follows them in a buffer, less than a chunk, is copied.
const BATCH: usize = 2 << 20;

/// How many bytes at the front of a file decide its type.
pub(super) const HEAD: usize = 64 << 10;

/// Why a file's content could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The file could not be read.
    #[error("cannot read: {0}")]
    Read(#[from] io::Error),
    /// The store could not take the content.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The list of chunks could not be made.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The user stopped the operation.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// What is wished for a file beyond what its content says; from `.ditsattributes`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source {
    /// Cuts by this profile whatever the content is.
    pub profile: Option<Profile>,
    /// Compresses at this level whatever the content is; 0 is not at all.
    pub compression: Option<i32>,
}

/// Content that has been taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// How many bytes there were.
    pub size: u64,
    /// What to refer to them by.
    pub content: Content,
    /// What they were recognised as.
    pub file_type: FileType,
    /// Bytes of chunks the store did not have.
    pub new_bytes: u64,
}

/// How a file is cut and stored.
pub(super) struct How {
    pub file_type: FileType,
    pub profile: Profile,
    pub hint: Hint,
}

impl From<Ingested> for (Content, u64) {
    fn from(ingested: Ingested) -> Self {
        (ingested.content, ingested.size)
    }
}

/// Takes in files, with as many threads per large file as asked for.
pub struct Ingestor<'a> {
    pub(super) writer: &'a StoreWriter,
    pub(super) progress: &'a dyn Progress,
    threads: usize,
    default_profile: Option<Profile>,
}

impl<'a> Ingestor<'a> {
    /// Takes content into `writer`. `default_profile` overrides what is chosen by content (`core.chunking`).
    #[must_use]
    pub fn new(
        writer: &'a StoreWriter,
        progress: &'a dyn Progress,
        threads: usize,
        default_profile: Option<Profile>,
    ) -> Self {
        Self { writer, progress, threads: threads.max(1), default_profile }
    }

    /// Takes in everything that `file` holds, from its beginning. `size` is what it is expected to hold.
    ///
    /// # Errors
    /// When the file cannot be read or the store cannot take it. What was already stored is harmless: nothing refers to
    /// it.
    pub fn ingest(&self, file: &mut File, size: u64, source: Source) -> Result<Ingested, IngestError> {
        let how = self.how(file, size, source)?;
        self.ingest_all(file, size, &how)
    }

    /// How a file is to be cut and stored, by its first bytes and its size.
    pub(super) fn how(&self, file: &mut File, size: u64, source: Source) -> Result<How, IngestError> {
        let head = read_head(file)?;
        let file_type = media::detect(&head, size);
        let chosen = profile_of(file_type.preset(size));
        let profile = source.profile.or(self.default_profile).unwrap_or(chosen);
        let hint = Hint { precompressed: file_type.is_precompressed(), level: source.compression };
        Ok(How { file_type, profile, hint })
    }

    pub(super) fn ingest_all(&self, file: &mut File, size: u64, how: &How) -> Result<Ingested, IngestError> {
        let How { file_type, profile, hint } = *how;
        file.seek(SeekFrom::Start(0))?;
        let (content, size, new_bytes) = if size >= PIPELINED_FROM && self.threads > 1 {
            self.pipelined(file, profile, hint)?
        } else {
            self.inline(file, profile, hint)?
        };
        Ok(Ingested { size, content, file_type, new_bytes })
    }

    pub(super) fn store(&self, chunk: &[u8], hint: Hint) -> Result<(ChunkRef, u64), IngestError> {
        let id = ChunkId::of(chunk);
        let put = self.writer.content.put(ObjectKind::Chunk, *id.digest(), chunk, hint)?;
        self.progress.advance(chunk.len() as u64, 0);
        let new_bytes = if put.new { chunk.len() as u64 } else { 0 };
        Ok((ChunkRef { id, len: chunk.len() as u32 }, new_bytes))
    }

    fn inline(&self, file: &mut File, profile: Profile, hint: Hint) -> Result<(Content, u64, u64), IngestError> {
        let mut chunker = StreamChunker::new(&profile, file);
        let mut manifest = ManifestBuilder::new(profile);
        let (mut size, mut new_bytes) = (0, 0);
        while let Some(chunk) = chunker.next()? {
            self.progress.check()?;
            let (chunk, new) = self.store(chunk, hint)?;
            size += u64::from(chunk.len);
            new_bytes += new;
            manifest.push(chunk, self.writer)?;
        }
        Ok((manifest.finish(self.writer)?, size, new_bytes))
    }

    fn pipelined(&self, file: &mut File, profile: Profile, hint: Hint) -> Result<(Content, u64, u64), IngestError> {
        let (work, todo) = bounded::<Batch>(self.threads * 2);
        let (done, results) = unbounded::<Done>();
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                let (todo, done) = (todo.clone(), done.clone());
                scope.spawn(move || self.hash_batches(&todo, &done, hint));
            }
            drop((todo, done));
            let buffers = (0..self.threads * 2 + 1).map(|_| Batch::new(&profile)).collect();
            let mut collector = Collector {
                ingestor: self,
                manifest: ManifestBuilder::new(profile),
                buffers,
                waiting: BTreeMap::new(),
                next: 0,
                size: 0,
                new_bytes: 0,
            };
            self.cut_batches(file, profile, &work, &results, &mut collector)?;
            drop(work);
            for done in results {
                collector.take(done)?;
            }
            Ok((collector.manifest.finish(self.writer)?, collector.size, collector.new_bytes))
        })
    }

    fn cut_batches(
        &self,
        file: &mut File,
        profile: Profile,
        work: &Sender<Batch>,
        results: &Receiver<Done>,
        collector: &mut Collector<'_, '_>,
    ) -> Result<(), IngestError> {
        let cutter = Cutter::new(&profile);
        let mut batch = collector.free_buffer(results)?;
        let mut held = 0;
        for number in 0.. {
            let at_eof = fill(file, &mut batch.bytes, &mut held)?;
            self.progress.check()?;
            let mut cut = 0;
            // A cut is certain with as many bytes as the longest chunk, or all that are left.
            while held - cut >= cutter.max() || (at_eof && cut < held) {
                let length = cutter.first_cut(&batch.bytes[cut..held]);
                batch.lengths.push(length);
                cut += length;
            }
            batch.number = number;
            let mut next = collector.free_buffer(results)?;
            next.bytes[..held - cut].copy_from_slice(&batch.bytes[cut..held]);
            held -= cut;
            // Workers only stop early after reporting an error, which the collector will meet.
            let _ = work.send(std::mem::replace(&mut batch, next));
            if at_eof {
                break;
            }
        }
        Ok(())
    }

    fn hash_batches(&self, todo: &Receiver<Batch>, done: &Sender<Done>, hint: Hint) {
        for mut batch in todo {
            let mut rest = &batch.bytes[..];
            let mut chunks = Vec::with_capacity(batch.lengths.len());
            let stored = batch.lengths.iter().try_for_each(|length| {
                let (chunk, after) = rest.split_at(*length);
                rest = after;
                chunks.push(self.store(chunk, hint)?);
                Ok(())
            });
            let failed = stored.is_err();
            batch.lengths.clear();
            let number = batch.number;
            if done.send(Done { number, buffer: batch, chunks: stored.map(|()| chunks) }).is_err() || failed {
                return;
            }
        }
    }
}

/// Whole chunks, back to back, at the front of a buffer.
struct Batch {
    number: u64,
    bytes: Vec<u8>,
    lengths: Vec<usize>,
}

impl Batch {
    fn new(profile: &Profile) -> Self {
        Self { number: 0, bytes: vec![0; BATCH + profile.max as usize], lengths: Vec::new() }
    }
}

/// Reads until the buffer is full; whether the file ends here.
fn fill(file: &mut File, buffer: &mut [u8], held: &mut usize) -> io::Result<bool> {
    while *held < buffer.len() {
        match file.read(&mut buffer[*held..]) {
            Ok(0) => return Ok(true),
            Ok(count) => *held += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

struct Done {
    number: u64,
    buffer: Batch,
    chunks: Result<Vec<(ChunkRef, u64)>, IngestError>,
}

/// Puts finished batches back into order and lists their chunks.
struct Collector<'i, 'a> {
    ingestor: &'i Ingestor<'a>,
    manifest: ManifestBuilder,
    buffers: Vec<Batch>,
    waiting: BTreeMap<u64, Vec<(ChunkRef, u64)>>,
    next: u64,
    size: u64,
    new_bytes: u64,
}

impl Collector<'_, '_> {
    /// An empty buffer, waiting for a worker to finish with one if need be: this is what bounds memory.
    fn free_buffer(&mut self, results: &Receiver<Done>) -> Result<Batch, IngestError> {
        while let Ok(done) = results.try_recv() {
            self.take(done)?;
        }
        loop {
            if let Some(buffer) = self.buffers.pop() {
                return Ok(buffer);
            }
            match results.recv() {
                Ok(done) => self.take(done)?,
                Err(_) => return Err(io::Error::other("all workers stopped").into()),
            }
        }
    }

    fn take(&mut self, done: Done) -> Result<(), IngestError> {
        self.buffers.push(done.buffer);
        self.waiting.insert(done.number, done.chunks?);
        while let Some(chunks) = self.waiting.remove(&self.next) {
            self.next += 1;
            for (chunk, new_bytes) in chunks {
                self.size += u64::from(chunk.len);
                self.new_bytes += new_bytes;
                self.manifest.push(chunk, self.ingestor.writer)?;
            }
        }
        Ok(())
    }
}

fn read_head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    file.seek(SeekFrom::Start(0))?;
    file.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The profile that a preset stands for.
#[must_use]
pub fn profile_of(preset: Preset) -> Profile {
    match preset {
        Preset::Default => Profile::DEFAULT,
        Preset::Video => Profile::VIDEO,
        Preset::Project => Profile::PROJECT,
        Preset::Small => Profile::SMALL,
    }
}
