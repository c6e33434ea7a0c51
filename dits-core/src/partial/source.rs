//! Where absent content comes from. Core asks; whoever can reach a remote answers.

use crate::chunk::ChunkRef;
use crate::object::ChunkId;
use crate::progress::{Interrupted, Progress};
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

/// A place that has chunks: a remote, a cache, another repository.
pub trait ChunkSource: Send + Sync {
    /// Puts these chunks into a store, each verified against its id before it is written. Chunks come in the order in
    /// which files need them; one may be there already. What was written before an error stays written: the caller
    /// finishes the writer all the same, and asks again only for the rest.
    ///
    /// # Errors
    /// When not all of them could be brought.
    fn fetch(&self, chunks: &[ChunkRef], into: &StoreWriter, progress: &dyn Progress) -> Result<Fetched, SourceError>;
}
