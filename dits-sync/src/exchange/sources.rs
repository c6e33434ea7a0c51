//! Where a receiver can have objects without asking the sender.

use dits_core::maintain::{Reached, references};
use dits_core::object::{CommitId, Digest, ObjectKind, ObjectRead};
use dits_core::store::{StoreError, StoreWriter};

use super::receive::{Chunks, Receive, Received};
use crate::error::SyncError;
use crate::transfer::{ContentFilter, FilteredChunk, Holdings, Violation};

/// Whether a chunk is there, which must be as long as what names it says.
pub(super) fn has_length(writer: &StoreWriter, digest: &Digest, len: u64) -> Result<bool, SyncError> {
    let Some(real) = writer.content.plain_len(digest)? else { return Ok(false) };
    if u64::from(real) == len {
        return Ok(true);
    }
    let what = format!("it has {real} bytes, and is said to have {len}");
    Err(SyncError::DamagedObject { kind: ObjectKind::Chunk, digest: *digest, what })
}

/// Reads what will stay: what garbage collection has condemned counts as missing, because it may go before refs move.
pub(super) struct Kept<'a>(pub &'a StoreWriter);

impl ObjectRead for Kept<'_> {
    fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        if !self.0.half(kind).contains(digest)? {
            return Err(StoreError::Missing { kind, digest: *digest });
        }
        self.0.read(kind, digest)
    }

    fn is_shallow(&self, commit: &CommitId) -> Result<bool, StoreError> {
        self.0.is_shallow(commit)
    }
}

/// Where objects can be had without asking the sender.
pub(super) struct Sources<'a> {
    pub job: &'a Receive<'a>,
    pub filter: ContentFilter,
    pub stats: Received,
    pub frame: Vec<u8>,
    /// In a dry run, what was counted.
    pub counted: Reached,
}

impl Sources<'_> {
    /// Copies a chunk from an alternate; one that is damaged there is none.
    fn borrow(&mut self, digest: &Digest, len: u64) -> Result<bool, SyncError> {
        let mut plain = Vec::new();
        for store in self.job.alternates {
            let Ok(header) = store.content.read_frame(ObjectKind::Chunk, digest, &mut self.frame) else { continue };
            if u64::from(header.plain_len) == len && header.open(&self.frame, &mut plain).is_ok() {
                self.job.writer.content.put_frame(&header, &self.frame)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Holdings<SyncError> for Sources<'_> {
    fn has_chunk(&mut self, digest: &Digest, len: u64) -> Result<bool, SyncError> {
        let count = |(chunks, bytes): &mut (u64, u64)| {
            *chunks += 1;
            *bytes += len;
        };
        if has_length(self.job.writer, digest, len)? {
            count(&mut self.stats.known);
            return Ok(true);
        }
        if self.job.chunks == Chunks::Count {
            if self.counted.insert(*digest) {
                self.stats.chunks += 1;
                self.stats.plain += len;
            }
            return Ok(true);
        }
        let borrowed = self.borrow(digest, len)?;
        if borrowed {
            count(&mut self.stats.borrowed);
        }
        Ok(borrowed)
    }

    fn held(&mut self, kind: ObjectKind, digest: &Digest) -> Result<Option<Vec<FilteredChunk>>, SyncError> {
        let bytes = match Kept(self.job.writer).read(kind, digest) {
            Err(StoreError::Missing { .. } | StoreError::WrongKind { .. }) => return Ok(None),
            read => read?,
        };
        let names = references(kind, digest, &bytes)?;
        if !names.meta.is_empty() {
            return Err(Violation(format!("{kind} {digest} names metadata, and was not sent")).into());
        }
        Ok(Some(self.filter.chunks(kind, digest, &bytes, &names)?))
    }
}
