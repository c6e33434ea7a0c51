//! Working out what taking in a file would make of it, without storing anything.

use std::io::Read;

use super::IngestError;
use crate::chunk::{ChunkRef, Profile, StreamChunker};
use crate::manifest::ManifestBuilder;
use crate::object::memory::MemoryObjects;
use crate::object::{CommitId, Digest, ObjectKind, ObjectRead, ObjectWrite};
use crate::progress::Progress;
use crate::store::{Store, StoreError};
use crate::tree::Content;

/// Sees every chunk with its bytes as a file is cut.
pub type EachChunk<'f> = dyn FnMut(ChunkRef, &[u8]) -> Result<(), StoreError> + 'f;

/// A store for metadata that forgets: what the real store has is read from there, what it lacks is kept in memory (about
/// 50 bytes for each chunk in a node that is new).
pub struct Rehearsal<'a> {
    store: &'a Store,
    made: MemoryObjects,
}

impl<'a> Rehearsal<'a> {
    /// Nothing beyond what `store` has.
    #[must_use]
    pub fn new(store: &'a Store) -> Self {
        Self { store, made: MemoryObjects::new() }
    }

    /// What [`super::Ingestor::ingest`] would return for these bytes cut by `profile`: their length and what refers to
    /// them. `each` sees every chunk with its bytes.
    ///
    /// # Errors
    /// When the file or the store cannot be read, or the user stops it.
    pub fn take(
        &self,
        file: &mut dyn Read,
        profile: Profile,
        progress: &dyn Progress,
        each: &mut EachChunk<'_>,
    ) -> Result<(Content, u64), IngestError> {
        let mut chunker = StreamChunker::new(&profile, file);
        let mut manifest = ManifestBuilder::new(profile);
        while let Some(bytes) = chunker.next()? {
            progress.check()?;
            let chunk = ChunkRef::of(bytes);
            each(chunk, bytes)?;
            progress.advance(u64::from(chunk.len), 0);
            manifest.push(chunk, self)?;
        }
        let size = manifest.bytes();
        Ok((manifest.finish(self)?, size))
    }
}

impl ObjectRead for Rehearsal<'_> {
    fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        match self.made.read(kind, digest) {
            Err(StoreError::Missing { .. }) => self.store.read(kind, digest),
            found => found,
        }
    }

    fn is_shallow(&self, commit: &CommitId) -> Result<bool, StoreError> {
        self.store.is_shallow(commit)
    }
}

impl ObjectWrite for Rehearsal<'_> {
    fn write(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = kind.digest(bytes);
        if self.store.odb(kind).contains(&digest)? { Ok(digest) } else { self.made.write(kind, bytes) }
    }
}
