//! What a store lacks on purpose (`docs/format/partial.md`), once somebody has asked.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use super::frame::Header;
use super::{Store, StoreError};
use crate::maintain::Reached;
use crate::object::{CommitId, Digest, ObjectKind};
use crate::partial::{Promised, Promises, Shallow};
use crate::record::RecordError;
use crate::repo::RepoError;

#[derive(Clone, Default)]
pub(super) struct Lacking(Arc<RwLock<Known>>);

#[derive(Clone, Default)]
struct Known {
    shallow: Option<Arc<Shallow>>,
    promised: Option<Arc<Reached>>,
}

fn of_record(error: RecordError) -> StoreError {
    match error {
        RecordError::Io(error) => error.into(),
        RecordError::Corrupt { file, what } => StoreError::Corrupt { file, what: what.to_owned() },
    }
}

impl Lacking {
    fn known(&self) -> Known {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, learn: impl FnOnce(&mut Known)) {
        learn(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn forget(&self) {
        self.learn(|known| *known = Known::default());
    }

    /// Whether history ends with this commit.
    pub fn is_shallow(&self, dits_dir: &Path, commit: &CommitId) -> Result<bool, StoreError> {
        if let Some(shallow) = self.known().shallow {
            return Ok(shallow.contains(commit));
        }
        let shallow = Arc::new(Shallow::load(dits_dir).map_err(of_record)?);
        self.learn(|known| known.shallow = Some(Arc::clone(&shallow)));
        Ok(shallow.contains(commit))
    }

    /// Makes of a chunk that is missing one that is absent, if it was promised.
    pub fn explain(&self, store: &Store, error: StoreError) -> StoreError {
        let StoreError::Missing { kind: ObjectKind::Chunk, digest } = error else { return error };
        match self.promised_chunks(store) {
            Ok(promised) if promised.contains(&digest) => StoreError::Absent { digest },
            // What stands in the way of asking is not what is wrong here.
            Ok(_) | Err(_) => StoreError::Missing { kind: ObjectKind::Chunk, digest },
        }
    }

    fn promised_chunks(&self, store: &Store) -> Result<Arc<Reached>, RepoError> {
        if let Some(promised) = self.known().promised {
            return Ok(promised);
        }
        let promised = Promised::new(store, &Promises::load(store.dits_dir())?).chunks()?;
        self.learn(|known| known.promised = Some(Arc::clone(&promised)));
        Ok(promised)
    }
}

impl Store {
    /// Fails if a chunk that is not here may not be absent.
    ///
    /// # Errors
    /// [`StoreError::Missing`], then.
    pub(crate) fn check_absent(&self, digest: &Digest) -> Result<(), StoreError> {
        match self.lacking.explain(self, StoreError::Missing { kind: ObjectKind::Chunk, digest: *digest }) {
            StoreError::Absent { .. } => Ok(()),
            lost => Err(lost),
        }
    }

    /// Reads an object as it is stored.
    ///
    /// # Errors
    /// [`StoreError::Absent`] for a chunk that is not here and was promised; else as for [`super::Odb::read_frame`].
    pub fn read_frame(&self, kind: ObjectKind, digest: &Digest, frame: &mut Vec<u8>) -> Result<Header, StoreError> {
        self.odb(kind).read_frame(kind, digest, frame).map_err(|error| self.lacking.explain(self, error))
    }

    /// Reads a chunk, verified, into `out`, replacing what is there.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when it is not here and was promised; else as for [`super::Odb::read`].
    pub fn read_chunk_into(&self, digest: &Digest, out: &mut Vec<u8>) -> Result<(), StoreError> {
        self.content.read_into(ObjectKind::Chunk, digest, out).map_err(|error| self.lacking.explain(self, error))
    }
}
