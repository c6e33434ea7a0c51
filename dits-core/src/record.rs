//! Small files that a program writes for itself: a magic number, a version, a length, a payload and a checksum.
//!
//! ```text
//! 0   8  magic, names the kind of record
//! 8   4  version, little endian
//! 12  4  length of the payload, little endian
//! 16  n  payload
//! 16+n 4 CRC-32 of everything before, little endian
//! ```

use std::path::{Path, PathBuf};

use crate::durable::{self, IoError};

/// Longest payload, in bytes.
const LIMIT: usize = 64 << 20;

/// A record that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file is not such a record, or was damaged.
    #[error("{} is damaged: {what}", .file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// A kind of record.
#[derive(Clone, Copy, Debug)]
pub struct RecordKind {
    /// The first eight bytes.
    pub magic: [u8; 8],
    /// The version written; others are refused.
    pub version: u32,
}

impl RecordKind {
    /// Frames a payload.
    #[must_use]
    pub fn encode(self, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_le_bytes();
        let mut bytes = [&self.magic[..], &self.version.to_le_bytes(), &length, payload].concat();
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// The payload of a framed record.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(self, bytes: &[u8]) -> Result<&[u8], &'static str> {
        let (framed, sum) = bytes.split_last_chunk::<4>().ok_or("it is too short")?;
        if framed.len() < 16 || framed[..8] != self.magic {
            return Err("it is not a record of this kind");
        }
        if crc32fast::hash(framed) != u32::from_le_bytes(*sum) {
            return Err("its checksum does not match");
        }
        if framed[8..12] != self.version.to_le_bytes() {
            return Err("it was written by another version of dits");
        }
        if framed[12..16] != ((framed.len() - 16) as u32).to_le_bytes() {
            return Err("its length does not match");
        }
        Ok(&framed[16..])
    }

    /// Writes a record durably and all at once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(self, file: &Path, payload: &[u8]) -> Result<(), RecordError> {
        Ok(durable::write_atomic(file, &self.encode(payload))?)
    }

    /// Reads a record; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn read(self, file: &Path) -> Result<Option<Vec<u8>>, RecordError> {
        let Some(bytes) = durable::read_limited(file, LIMIT as u64)? else { return Ok(None) };
        match self.decode(&bytes) {
            Ok(payload) => Ok(Some(payload.to_vec())),
            Err(what) => Err(RecordError::Corrupt { file: file.to_owned(), what }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RecordKind;

    #[test]
    fn every_flipped_byte_and_every_length_is_noticed() {
        let kind = RecordKind { magic: *b"DITSTEST", version: 3 };
        let bytes = kind.encode(b"payload");
        assert_eq!(kind.decode(&bytes), Ok(&b"payload"[..]));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(kind.decode(&damaged).is_err(), "flip at {at} went unnoticed");
            assert!(kind.decode(&bytes[..at]).is_err(), "cut at {at} went unnoticed");
        }
    }
}
