//! Taking in a file of which is known where it differs from content that the store has: what is read are the changes and
//! what surrounds them, and what comes of it is what reading all of it would give.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::ops::Range;

use super::ingest::{How, IngestError, Ingested, Ingestor, Source};
use crate::chunk::{ChunkRef, Edit, ReadAt, RechunkError, rechunk};
use crate::manifest::{self, Manifest};
use crate::object::ManifestId;
use crate::tree::Content;

#[cfg(test)]
mod tests;

/// So many bytes are read at once, at least: each read is a request to a daemon, and perhaps to a server.
const STEP: usize = 128 << 10;

impl From<RechunkError> for IngestError {
    fn from(error: RechunkError) -> Self {
        match error {
            RechunkError::Read(error) => Self::Read(error),
            edits @ RechunkError::Edits { .. } => Self::Read(io::Error::new(io::ErrorKind::InvalidInput, edits)),
        }
    }
}

/// A file by its differences from stored content.
#[derive(Clone, Copy, Debug)]
pub struct Edited<'a> {
    /// The stored content.
    pub base: &'a Content,
    /// Its size, in bytes.
    pub base_size: u64,
    /// The size of the file, in bytes.
    pub size: u64,
    /// The bytes of the file that may differ from those at the same place of the stored content: sorted and disjoint.
    /// What one of the two has beyond the other differs without being named.
    pub changed: &'a [Range<u64>],
}

impl Edited<'_> {
    fn edits(&self) -> Vec<Edit> {
        let common = self.base_size.min(self.size);
        let within = self.changed.iter().map(|range| range.start..range.end.min(common));
        let in_place = |old: Range<u64>| Edit { new_len: old.end - old.start, old };
        let mut edits: Vec<Edit> = within.filter(|range| range.start < range.end).map(in_place).collect();
        if self.base_size != self.size {
            edits.push(Edit { old: common..self.base_size, new_len: self.size - common });
        }
        edits
    }
}

impl Ingestor<'_> {
    /// Takes in a file that is known by its differences from content that the store has, and keeps. The outcome is that
    /// of [`Ingestor::ingest`], but it is read only around the changes, if the file is still to be cut as the stored
    /// content was and the changes are the lesser part of it.
    ///
    /// # Errors
    /// As there; [`io::ErrorKind::UnexpectedEof`] when the file is shorter than said.
    pub fn ingest_edited(&self, file: &mut File, edited: &Edited<'_>, source: Source) -> Result<Ingested, IngestError> {
        let how = self.how(file, edited.size, source)?;
        let edits = edited.edits();
        let new: u64 = edits.iter().map(|edit| edit.new_len).sum();
        if let Content::Manifest(id) = edited.base
            && new <= edited.size / 2
        {
            let old = Manifest::open_sized(self.writer, *id, edited.base_size)?;
            if old.profile() == how.profile {
                return self.splice(file, (*id, &old), &edits, &how);
            }
        }
        self.ingest_all(file, edited.size, &how)
    }

    fn splice(
        &self,
        file: &File,
        (id, old): (ManifestId, &Manifest<'_>),
        edits: &[Edit],
        how: &How,
    ) -> Result<Ingested, IngestError> {
        let (mut read, mut new_bytes) = (0, 0);
        let sink = |_: &ChunkRef, bytes: &[u8]| -> Result<(), IngestError> {
            self.progress.check()?;
            let (chunk, new) = self.store(bytes, how.hint)?;
            read += u64::from(chunk.len);
            new_bytes += new;
            Ok(())
        };
        let splices = rechunk(&how.profile, old, edits, &InSteps::new(file), sink)?;
        let content = manifest::splice(self.writer, id, &splices)?;
        let (gone, come) = edits
            .iter()
            .fold((0, 0), |(gone, come), edit| (gone + (edit.old.end - edit.old.start), come + edit.new_len));
        let size = old.len() - gone + come;
        // What was not read is done, too.
        self.progress.advance(size.saturating_sub(read), 0);
        Ok(Ingested { size, content, file_type: how.file_type, new_bytes })
    }
}

/// Content that is read in steps of some length, however little is asked for.
struct InSteps<'a, R: ?Sized> {
    inner: &'a R,
    /// Where what was read last begins, and what it is.
    last: RefCell<(u64, Vec<u8>)>,
}

impl<'a, R: ReadAt + ?Sized> InSteps<'a, R> {
    fn new(inner: &'a R) -> Self {
        Self { inner, last: RefCell::default() }
    }
}

impl<R: ReadAt + ?Sized> ReadAt for InSteps<'_, R> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut last = self.last.borrow_mut();
        let (start, bytes) = &mut *last;
        let held = |start: u64, bytes: &[u8]| offset >= start && offset - start < bytes.len() as u64;
        if !held(*start, bytes) {
            if buf.len() >= STEP {
                return self.inner.read_at(offset, buf);
            }
            bytes.resize(STEP, 0);
            let read = self.inner.read_at(offset, bytes);
            // Nothing is held that was not read.
            bytes.truncate(*read.as_ref().unwrap_or(&0));
            *start = offset;
            read?;
        }
        let rest = bytes.get(usize::try_from(offset - *start).unwrap_or(usize::MAX)..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}
