//! The one place that knows how structures become bytes.
//!
//! The encoding is that of bincode 2.0.1 with its standard configuration (little endian, variable-length integers),
//! described in `docs/format/encoding.md` and frozen by golden files. Nothing outside this module names bincode's
//! functions, so the crate can be replaced without touching a format.

use bincode::{Decode, Encode};

/// Bytes that are not the canonical encoding of the value asked for.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than the kind of value may have.
    #[error("{len} bytes, where at most {limit} are allowed")]
    TooLong {
        /// How many there are.
        len: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The bytes do not describe such a value.
    #[error("cannot be decoded: {0}")]
    Malformed(#[from] bincode::error::DecodeError),
    /// The bytes describe a value in another way than the one an encoder would have chosen.
    #[error("is not in canonical form")]
    NotCanonical,
}

/// Encodes a value. The same value always gives the same bytes.
///
/// # Panics
/// For a type whose length is not known in advance; no format has one.
#[must_use]
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    bincode::encode_to_vec(value, bincode::config::standard()).expect("encoding to memory cannot fail")
}

/// Decodes what [`encode`] made, and nothing else: other bytes for the same value are refused, as are bytes left over.
/// Whatever lengths the bytes claim, it allocates 512 KiB at most where `LIMIT` is a node's, 64 MiB where it is more.
///
/// # Errors
/// When there are more than `LIMIT` bytes, or they are not the canonical encoding of a `T`.
pub fn decode<T: Encode + Decode<()>, const LIMIT: usize>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > LIMIT {
        return Err(DecodeError::TooLong { len: bytes.len(), limit: LIMIT });
    }
    // bincode charges a sequence its size in memory, which is a small multiple of its size in bytes.
    let standard = bincode::config::standard();
    let (value, used): (T, usize) = if LIMIT <= 16 << 10 {
        bincode::decode_from_slice(bytes, standard.with_limit::<{ 512 << 10 }>())?
    } else {
        bincode::decode_from_slice(bytes, standard.with_limit::<{ 64 << 20 }>())?
    };
    if used != bytes.len() || encode(&value) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}
