//! Pieces of file content.

use bincode::{Decode, Encode};

use crate::object::ChunkId;

/// How a file is cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Profile {
    /// The algorithm and its version: 1 is FastCDC v2020.
    pub algorithm: u8,
    /// FastCDC's normalisation level.
    pub normalization: u8,
    /// The seed of the gear table.
    pub seed: u64,
    /// The shortest chunk, in bytes.
    pub min: u32,
    /// The chunk length aimed at, in bytes.
    pub avg: u32,
    /// The longest chunk, in bytes.
    pub max: u32,
}

/// A chunk as a manifest names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct ChunkRef {
    /// The chunk.
    pub id: ChunkId,
    /// Its length in bytes, 1 to [`crate::object::MAX_CHUNK`].
    pub len: u32,
}

/// Chunking a changed file again.
pub mod rechunk {
    use std::ops::Range;

    use super::ChunkRef;

    /// Old chunks and those that take their place.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Splice {
        /// The bytes of the old file that go, on old chunk boundaries.
        pub old: Range<u64>,
        /// The chunks that come in their place.
        pub new: Vec<ChunkRef>,
    }
}
