//! Cutting content into chunks whose boundaries depend on the content only.
//!
//! `docs/format/chunking.md` describes what is frozen here.

pub mod profile;
pub mod rechunk;
pub mod stream;

#[cfg(test)]
mod golden;

use bincode::de::Decoder;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};

pub use profile::{Profile, ProfileError};
pub use rechunk::{Edit, OldChunks, ReadAt, RechunkError, Splice, rechunk};
pub use stream::{Cutter, SliceChunks, StreamChunker, first_cut};

use crate::object::{ChunkId, MAX_CHUNK};

/// One piece of a file: which bytes, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode)]
pub struct ChunkRef {
    /// Names the bytes.
    pub id: ChunkId,
    /// How many bytes there are: 1 to [`MAX_CHUNK`].
    pub len: u32,
}

impl ChunkRef {
    /// The reference to the chunk with these bytes.
    ///
    /// # Panics
    /// When there are more bytes than a `u32` counts; no chunk is that long.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { id: ChunkId::of(bytes), len: u32::try_from(bytes.len()).expect("a chunk has at most MAX_CHUNK bytes") }
    }
}

impl<C> Decode<C> for ChunkRef {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let id = ChunkId::decode(decoder)?;
        let len = u32::decode(decoder)?;
        if len == 0 || len as usize > MAX_CHUNK {
            return Err(DecodeError::Other("a chunk has 1 byte to 8 MiB"));
        }
        Ok(Self { id, len })
    }
}

bincode::impl_borrow_decode!(ChunkRef);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn a_reference_comes_back() {
        let chunk = ChunkRef::of(b"some bytes");
        let bytes = codec::encode(&chunk);
        assert_eq!(bytes.len(), 33);
        assert_eq!(codec::decode::<ChunkRef, 64>(&bytes).unwrap(), chunk);
    }

    #[test]
    fn a_reference_to_nothing_or_too_much_is_refused() {
        for len in [0, MAX_CHUNK as u32 + 1, u32::MAX] {
            let bytes = codec::encode(&ChunkRef { id: ChunkId::of(b""), len });
            assert!(codec::decode::<ChunkRef, 64>(&bytes).is_err(), "{len}");
        }
    }
}
