//! Bounded random access to a file's headers.

use std::io::{self, Read, SeekFrom};

use super::super::bytes::Bytes;
use super::ReadSeek;

/// Bytes per read; nothing longer can be asked for at once.
pub(super) const WINDOW: usize = 4096;
/// Reads from the file before parsing stops: 16 MiB.
const MAX_READS: u32 = 4096;
/// Lookups before parsing stops. Every loop of a parser looks something up, so this bounds all of them.
const MAX_LOOKUPS: u32 = 200_000;

/// Why a parser ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file ends too soon, contradicts itself, or asks for too much work.
    Malformed,
    /// Reading failed.
    Io(io::Error),
}

/// What a parser returns.
pub(super) type Parse<T> = Result<T, Stop>;

/// A file seen through one small window, with a budget.
pub(super) struct Source<'a> {
    inner: &'a mut dyn ReadSeek,
    len: u64,
    window: Vec<u8>,
    start: u64,
    reads: u32,
    lookups: u32,
}

impl<'a> Source<'a> {
    pub(super) fn new(inner: &'a mut dyn ReadSeek, len: u64) -> Self {
        Source { inner, len, window: Vec::new(), start: 0, reads: 0, lookups: 0 }
    }

    /// The length of the file in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The `len` (at most [`WINDOW`]) bytes at `at`.
    pub(super) fn get(&mut self, at: u64, len: usize) -> Parse<Bytes<'_>> {
        self.lookups += 1;
        let end = at.checked_add(len as u64).ok_or(Stop::Malformed)?;
        if len > WINDOW || end > self.len || self.lookups > MAX_LOOKUPS {
            return Err(Stop::Malformed);
        }
        if at < self.start || end > self.start + self.window.len() as u64 {
            self.fill(at)?;
        }
        let from = (at - self.start) as usize;
        self.window.get(from..from + len).map(Bytes).ok_or(Stop::Malformed)
    }

    /// Like [`Source::get`], but shorter where the file ends.
    pub(super) fn up_to(&mut self, at: u64, len: usize) -> Parse<Bytes<'_>> {
        let there = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        self.get(at, len.min(there))
    }

    fn fill(&mut self, at: u64) -> Parse<()> {
        self.reads += 1;
        if self.reads > MAX_READS {
            return Err(Stop::Malformed);
        }
        self.window.clear();
        self.start = at;
        self.inner.seek(SeekFrom::Start(at)).map_err(Stop::Io)?;
        (&mut *self.inner).take(WINDOW as u64).read_to_end(&mut self.window).map_err(Stop::Io)?;
        Ok(())
    }

    pub(super) fn u8(&mut self, at: u64) -> Parse<u8> {
        self.get(at, 1)?.u8(0).ok_or(Stop::Malformed)
    }

    pub(super) fn tag(&mut self, at: u64) -> Parse<[u8; 4]> {
        self.get(at, 4)?.tag(0).ok_or(Stop::Malformed)
    }

    pub(super) fn be16(&mut self, at: u64) -> Parse<u16> {
        self.get(at, 2)?.be16(0).ok_or(Stop::Malformed)
    }

    pub(super) fn le16(&mut self, at: u64) -> Parse<u16> {
        self.get(at, 2)?.le16(0).ok_or(Stop::Malformed)
    }

    pub(super) fn be32(&mut self, at: u64) -> Parse<u32> {
        self.tag(at).map(u32::from_be_bytes)
    }

    pub(super) fn le32(&mut self, at: u64) -> Parse<u32> {
        self.tag(at).map(u32::from_le_bytes)
    }

    pub(super) fn be64(&mut self, at: u64) -> Parse<u64> {
        self.get(at, 8)?.be64(0).ok_or(Stop::Malformed)
    }

    pub(super) fn le64(&mut self, at: u64) -> Parse<u64> {
        self.be64(at).map(u64::swap_bytes)
    }
}

/// `at + by`, unless that overflows.
pub(super) fn past(at: u64, by: u64) -> Parse<u64> {
    at.checked_add(by).ok_or(Stop::Malformed)
}
