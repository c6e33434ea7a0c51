//! A repository's store: content and metadata, each in an object database of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StoreError;
use super::lacking::Lacking;
use super::odb::{Odb, OdbOptions};
use super::writer::{Hint, Put, WriteStats, Writer, WriterOptions};
use super::writers::WriterGuard;
use crate::object::{CommitId, Digest, ObjectKind, ObjectRead, ObjectWrite};

/// Bytes of metadata that are remembered once read.
const META_CACHE: usize = 16 << 20;

/// Content in `.dits/objects`, metadata in `.dits/manifests`. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Store {
    /// Chunks.
    pub content: Odb,
    /// Everything else.
    pub meta: Odb,
    dits_dir: PathBuf,
    pub(super) lacking: Lacking,
}

/// How a [`StoreWriter`] stores objects.
#[derive(Clone, Copy, Debug)]
pub struct StoreWriterOptions {
    /// The zstd level of chunks, 1 to 22; 0 stores them raw.
    pub content_level: i32,
    /// The zstd level of metadata.
    pub meta_level: i32,
    /// Bytes after which a new pack is begun.
    pub pack_limit: u64,
}

impl Default for StoreWriterOptions {
    fn default() -> Self {
        Self { content_level: 1, meta_level: 1, pack_limit: WriterOptions::default().pack_limit }
    }
}

impl Store {
    /// Opens the store in a `.dits` folder. Nothing is created.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(dits_dir: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::open_with(dits_dir, true)
    }

    /// Opens the store, and says whether indexes may be mapped into memory: a server says no.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open_with(dits_dir: impl Into<PathBuf>, map: bool) -> Result<Self, StoreError> {
        let dits_dir = dits_dir.into();
        let content = Odb::open(dits_dir.join("objects"), OdbOptions { map, cache_bytes: 0 })?;
        let meta = Odb::open(dits_dir.join("manifests"), OdbOptions { map, cache_bytes: META_CACHE })?;
        Ok(Self { content, meta, dits_dir, lacking: Lacking::default() })
    }

    /// Forgets what is known of the content and the history that may be absent: it is read again when somebody asks.
    pub fn forget_lacking(&self) {
        self.lacking.forget();
    }

    /// The `.dits` folder.
    #[must_use]
    pub fn dits_dir(&self) -> &Path {
        &self.dits_dir
    }

    /// The database that holds objects of this kind.
    #[must_use]
    pub fn odb(&self, kind: ObjectKind) -> &Odb {
        if kind.is_content() { &self.content } else { &self.meta }
    }

    /// Registers a writer and begins to write.
    ///
    /// # Errors
    /// When the writer cannot be registered, or the store cannot be read.
    pub fn writer(&self, options: StoreWriterOptions) -> Result<StoreWriter, StoreError> {
        // In this order: the packs are listed after the condemned list was read, so nothing that a finished garbage
        // collection removed is taken as present.
        let (guard, list) = WriterGuard::register(&self.dits_dir)?;
        let pack_limit = options.pack_limit;
        let with = |level, condemned| WriterOptions { level, pack_limit, condemned, packs_only: false };
        let content = self.content.writer(with(options.content_level, Arc::clone(&list.content.digests)))?;
        let meta = self.meta.writer(with(options.meta_level, Arc::clone(&list.meta.digests)))?;
        Ok(StoreWriter { content, meta, guard, lacking: self.lacking.clone(), dits_dir: self.dits_dir.clone() })
    }
}

impl ObjectRead for Store {
    fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        self.odb(kind).read(kind, digest).map_err(|error| self.lacking.explain(self, error))
    }

    fn is_shallow(&self, commit: &CommitId) -> Result<bool, StoreError> {
        self.lacking.is_shallow(&self.dits_dir, commit)
    }
}

/// Takes content and metadata from any number of threads.
pub struct StoreWriter {
    /// Takes chunks.
    pub content: Writer,
    /// Takes everything else.
    pub meta: Writer,
    guard: WriterGuard,
    lacking: Lacking,
    dits_dir: PathBuf,
}

/// What a [`StoreWriter`] did.
#[derive(Debug)]
pub struct Finished {
    /// To chunks.
    pub content: WriteStats,
    /// To everything else.
    pub meta: WriteStats,
    /// Keeps garbage collection away from what was written. Drop it once refs or the index name that.
    pub guard: WriterGuard,
}

impl StoreWriter {
    /// The half that takes objects of this kind.
    #[must_use]
    pub fn half(&self, kind: ObjectKind) -> &Writer {
        if kind.is_content() { &self.content } else { &self.meta }
    }

    /// Stores an object unless it is there. `digest` is its name, which the caller has computed.
    ///
    /// # Errors
    /// As for [`Writer::put`].
    pub fn put(&self, kind: ObjectKind, digest: Digest, plain: &[u8], hint: Hint) -> Result<Put, StoreError> {
        self.half(kind).put(kind, digest, plain, hint)
    }

    /// Publishes everything durably, content before the metadata that refers to it.
    ///
    /// # Errors
    /// As for [`Writer::finish`].
    pub fn finish(self) -> Result<Finished, StoreError> {
        let content = self.content.finish()?;
        let meta = self.meta.finish()?;
        Ok(Finished { content, meta, guard: self.guard })
    }
}

impl ObjectRead for StoreWriter {
    fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        self.half(kind).read(kind, digest)
    }

    fn is_shallow(&self, commit: &CommitId) -> Result<bool, StoreError> {
        self.lacking.is_shallow(&self.dits_dir, commit)
    }
}

impl ObjectWrite for StoreWriter {
    fn write(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Digest, StoreError> {
        self.half(kind).write(kind, bytes)
    }
}
