//! Where absent content comes from. Core asks; whoever can reach a remote answers.

use crate::chunk::ChunkRef;
use crate::object::ChunkId;
use crate::progress::{Interrupted, Progress};
use crate::store::frame::Header;
use crate::store::{StoreError, StoreWriter};

/// Why content could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Whoever has it cannot be reached, or refuses.
    #[error("{from}: {error}")]
    Unavailable {
        /// Who.
        from: String,
        /// What went wrong.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Whoever promised to have it has it no more.
    #[error("{from} does not have chunk {chunk} any more")]
    Gone {
        /// Who.
        from: String,
        /// The chunk.
        chunk: ChunkId,
    },
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user stopped it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// What was brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Chunks.
    pub chunks: u64,
    /// Their bytes as they travelled.
    pub bytes: u64,
}

/// A chunk that has come: verified, and as it travelled.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// The frame's header, which names the chunk.
    pub header: Header,
    /// The frame, whose payload was decoded and found to be what the name says.
    pub frame: &'a [u8],
    /// The chunk's own bytes.
    pub plain: Vec<u8>,
}

/// What takes chunks as they come.
pub trait ChunkSink: Sync {
    /// Takes one.
    ///
    /// # Errors
    /// When it cannot be kept. No more will come.
    fn take(&self, chunk: Arrived<'_>) -> Result<(), StoreError>;
}

impl ChunkSink for StoreWriter {
    fn take(&self, chunk: Arrived<'_>) -> Result<(), StoreError> {
        self.content.put_frame(&chunk.header, chunk.frame).map(|_| ())
    }
}

/// A place that has chunks: a remote, a cache, another repository.
pub trait ChunkSource: Send + Sync {
    /// Hands these chunks, each once, to `into`, verified against their names. Those that come before an error stay taken:
    /// the caller asks again only for the rest. Several threads may ask at once.
    ///
    /// # Errors
    /// When not all of them could be brought; [`SourceError::Interrupted`] as soon as `progress` says so.
    fn fetch(&self, chunks: &[ChunkRef], into: &dyn ChunkSink, progress: &dyn Progress)
    -> Result<Fetched, SourceError>;

    /// Bytes that came from there so far, as far as that is known.
    fn received(&self) -> u64 {
        0
    }
}
