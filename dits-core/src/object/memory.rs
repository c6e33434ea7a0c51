//! Objects in memory: for tests, and for working out what an operation would write without writing it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Digest, ObjectKind, ObjectRead, ObjectWrite};
use crate::store::StoreError;

/// A number of objects and the sum of their plain bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many objects.
    pub objects: u64,
    /// Their plain bytes.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, len: usize) {
        self.objects += 1;
        self.bytes += len as u64;
    }
}

#[derive(Default)]
struct State {
    objects: HashMap<Digest, (ObjectKind, Vec<u8>)>,
    read: Tally,
    written: Tally,
}

/// A store in memory that counts what is read and what is written anew.
#[derive(Default)]
pub struct MemoryObjects(Mutex<State>);

impl MemoryObjects {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read since the last [`MemoryObjects::reset`].
    #[must_use]
    pub fn read_tally(&self) -> Tally {
        self.state().read
    }

    /// What was written since the last [`MemoryObjects::reset`]; objects that were there already do not count.
    #[must_use]
    pub fn written_tally(&self) -> Tally {
        self.state().written
    }

    /// Sets both tallies to zero.
    pub fn reset(&self) {
        let mut state = self.state();
        (state.read, state.written) = (Tally::default(), Tally::default());
    }

    /// How many objects are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().objects.len()
    }

    /// Whether no object is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state().objects.is_empty()
    }

    /// Whether the object is held; does not count as a read.
    #[must_use]
    pub fn contains(&self, digest: &Digest) -> bool {
        self.state().objects.contains_key(digest)
    }

    /// Forgets an object, as a store that lost it would.
    pub fn remove(&self, digest: &Digest) {
        self.state().objects.remove(digest);
    }
}

impl ObjectRead for MemoryObjects {
    fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let mut state = self.state();
        let (found, bytes) = match state.objects.get(digest) {
            Some((found, bytes)) => (*found, bytes.clone()),
            None => return Err(StoreError::Missing { kind, digest: *digest }),
        };
        if found != kind {
            return Err(StoreError::WrongKind { digest: *digest, wanted: kind, found });
        }
        state.read.add(bytes.len());
        Ok(bytes)
    }
}

impl ObjectWrite for MemoryObjects {
    fn write(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = kind.digest(bytes);
        let mut state = self.state();
        if state.objects.insert(digest, (kind, bytes.to_vec())).is_none() {
            state.written.add(bytes.len());
        }
        Ok(digest)
    }
}
