//! Ranges of files that were made or changed in a mount: of the base content, of what was written, and of zeros.

use bytes::Bytes;
use dits_core::overlay::Fill;
use dits_core::store::Store;
use rustix::io::Errno;

use super::{Gathered, OpenFile, gather};
use crate::chunks::Chunks;
use crate::error::{Reach, ReadError};
use crate::overlay::{Snapshot, read_data};

/// Zeros come in pieces of this size.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl OpenFile {
    /// Gathers what a snapshot is of.
    ///
    /// # Errors
    /// As [`OpenFile::gather`].
    pub fn gather_mixed(
        &self,
        store: &Store,
        chunks: &Chunks,
        snapshot: &Snapshot,
        reach: Reach,
    ) -> Result<Gathered, ReadError> {
        let recipe = self.recipe_of(&snapshot.base.0, snapshot.base.1)?;
        let mut parts: Vec<(u64, Bytes)> = Vec::new();
        for (range, fill) in &snapshot.pieces {
            match (fill, &snapshot.data) {
                (None, _) => {
                    let gathered = gather(&recipe, store, chunks, range.clone(), reach)?;
                    parts.extend(gathered.cut());
                }
                (Some(Fill::Data), Some(file)) => {
                    if reach == Reach::Memory {
                        return Err(ReadError::OutOfReach);
                    }
                    let len = usize::try_from(range.end - range.start).map_err(|_| Errno::INVAL)?;
                    let bytes = read_data(file, range.start, len);
                    let bytes = bytes.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
                    parts.push((range.start, bytes.into()));
                }
                (Some(_), _) => {
                    let mut at = range.start;
                    while at < range.end {
                        let len = (range.end - at).min(ZEROS.len() as u64);
                        parts.push((at, Bytes::from_static(&ZEROS[..len as usize])));
                        at += len;
                    }
                }
            }
        }
        let start = parts.first().map_or(0, |(start, _)| *start);
        let end = parts.last().map_or(start, |(start, bytes)| start + bytes.len() as u64);
        Ok(Gathered { range: start..end, chunks: parts })
    }
}

impl Gathered {
    /// Its chunks, without what lies outside of the range.
    fn cut(self) -> impl Iterator<Item = (u64, Bytes)> {
        let Self { range, chunks } = self;
        chunks.into_iter().map(move |(start, bytes)| {
            let within = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
            (start.max(range.start), bytes.slice(within(range.start)..within(range.end)))
        })
    }
}
