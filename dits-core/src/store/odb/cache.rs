//! A small memory of objects that were read lately, for metadata that tree walks read again and again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::object::{Digest, ObjectKind};

/// Remembers at most `limit` bytes of objects: two generations, of which the older is forgotten when the younger has
/// half of the limit.
pub(super) struct Cache {
    limit: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Digest, (ObjectKind, Arc<[u8]>)>,
    old: HashMap<Digest, (ObjectKind, Arc<[u8]>)>,
    young_bytes: usize,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, generations: Mutex::default() }
    }

    /// The verified bytes of an object read before.
    pub(super) fn get(&self, kind: ObjectKind, digest: &Digest) -> Option<Arc<[u8]>> {
        if self.limit == 0 {
            return None;
        }
        let found = {
            let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
            match generations.young.get(digest) {
                Some((known, bytes)) => return (*known == kind).then(|| Arc::clone(bytes)),
                None => generations.old.remove(digest),
            }
        };
        let (known, bytes) = found?;
        self.put(known, *digest, Arc::clone(&bytes));
        (known == kind).then_some(bytes)
    }

    pub(super) fn put(&self, kind: ObjectKind, digest: Digest, bytes: Arc<[u8]>) {
        // What fills the memory on its own is not worth remembering.
        if bytes.len() > self.limit / 8 {
            return;
        }
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        // An entry costs its key and the tables too.
        let cost = bytes.len() + 128;
        if generations.young_bytes + cost > self.limit / 2 {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_bytes = 0;
        }
        if generations.young.insert(digest, (kind, bytes)).is_none() {
            generations.young_bytes += cost;
        }
    }

    pub(super) fn clear(&self) {
        *self.generations.lock().unwrap_or_else(PoisonError::into_inner) = Generations::default();
    }
}
