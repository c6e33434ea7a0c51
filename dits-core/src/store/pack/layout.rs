//! The fixed parts of a pack: header, trailer, name. See `docs/format/pack.md`.

use std::fmt;
use std::str::FromStr;

use super::index::Index;
use super::page::PAGE;
use crate::object::{Digest, ParseIdError};

/// The first bytes of a pack.
pub const MAGIC: [u8; 8] = *b"ditspack";
/// The last bytes of a finished pack.
pub const END_MAGIC: [u8; 8] = *b"ditsfoot";
/// The version of the layout.
pub const VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER_LEN: usize = 32;
/// Bytes of the trailer.
pub const TRAILER_LEN: usize = 64;

/// Names a pack: BLAKE3 of its header and footer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackId(pub Digest);

impl PackId {
    /// The file that holds this pack.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.pack", self.0)
    }

    /// The pack that a file of this name holds.
    #[must_use]
    pub fn of_file_name(name: &str) -> Option<Self> {
        let hex = name.strip_suffix(".pack")?;
        // One spelling per pack: upper case is somebody else's file.
        if hex.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        hex.parse().ok()
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pack:{}", self.0)
    }
}

impl FromStr for PackId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        text.parse().map(Self)
    }
}

/// Why bytes are not the header or trailer of a pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The marker or the checksum is wrong.
    #[error("its {0} is damaged")]
    Damaged(&'static str),
    /// The pack does not end as a finished one does.
    #[error("it has no footer")]
    NoFooter,
    /// The lengths and offsets contradict each other or the length of the file.
    #[error("its footer does not fit its length")]
    Misfit,
    /// A newer version wrote it.
    #[error("pack version {0}")]
    TooNew(u32),
}

/// The header. The nonce makes two packs of the same objects two packs, with two names: see `docs/format/store.md`.
#[must_use]
pub fn encode_header(nonce: [u8; 16]) -> [u8; HEADER_LEN] {
    let mut out = [0; HEADER_LEN];
    out[..8].copy_from_slice(&MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..28].copy_from_slice(&nonce);
    let crc = crc32fast::hash(&out[..28]);
    out[28..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Checks a header.
///
/// # Errors
/// When it is damaged or of another version.
pub fn decode_header(bytes: &[u8]) -> Result<(), LayoutError> {
    let damaged = LayoutError::Damaged("header");
    let bytes = bytes.get(..HEADER_LEN).ok_or_else(|| damaged.clone())?;
    if bytes[..8] != MAGIC || crc32fast::hash(&bytes[..28]).to_le_bytes() != bytes[28..] {
        return Err(damaged);
    }
    match u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) {
        VERSION => Ok(()),
        newer => Err(LayoutError::TooNew(newer)),
    }
}

/// The end of a finished pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Where the index pages begin: a multiple of 4096.
    pub footer: u64,
    /// How many objects there are.
    pub entries: u64,
    /// The pack's name.
    pub id: PackId,
}

impl Trailer {
    /// The bytes of the trailer.
    #[must_use]
    pub fn encode(&self) -> [u8; TRAILER_LEN] {
        let mut out = [0; TRAILER_LEN];
        out[..8].copy_from_slice(&self.footer.to_le_bytes());
        out[8..16].copy_from_slice(&self.entries.to_le_bytes());
        out[16..48].copy_from_slice(&self.id.0.0);
        out[48..52].copy_from_slice(&VERSION.to_le_bytes());
        let crc = crc32fast::hash(&out[..52]);
        out[52..56].copy_from_slice(&crc.to_le_bytes());
        out[56..].copy_from_slice(&END_MAGIC);
        out
    }

    /// Reads the last [`TRAILER_LEN`] bytes of a pack that is `file_len` long in all.
    ///
    /// # Errors
    /// When they are damaged, of another version, or do not fit the file.
    pub fn decode(bytes: &[u8; TRAILER_LEN], file_len: u64) -> Result<Self, LayoutError> {
        if bytes[56..] != END_MAGIC {
            return Err(LayoutError::NoFooter);
        }
        if crc32fast::hash(&bytes[..52]).to_le_bytes() != bytes[52..56] {
            return Err(LayoutError::Damaged("trailer"));
        }
        let version = u32::from_le_bytes([bytes[48], bytes[49], bytes[50], bytes[51]]);
        if version != VERSION {
            return Err(LayoutError::TooNew(version));
        }
        let number = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(eight)
        };
        let mut id = PackId(Digest([0; 32]));
        id.0.0.copy_from_slice(&bytes[16..48]);
        let trailer = Self { footer: number(0), entries: number(8), id };
        let fits = trailer.footer % PAGE as u64 == 0 && trailer.footer > 0 && trailer.end() == Some(file_len);
        if fits { Ok(trailer) } else { Err(LayoutError::Misfit) }
    }

    /// The length of the whole pack.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        Index::bytes_for(self.entries)?.checked_add(self.footer)?.checked_add(TRAILER_LEN as u64)
    }
}
