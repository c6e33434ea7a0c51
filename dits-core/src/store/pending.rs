//! What an unfinished pack holds, found by digest. The records lie in one list that is used again for pack after pack
//! and sorted in place, so that the memory of a writer does not grow with what is written.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::pack::page::Entry;
use crate::object::Digest;

/// The size of chunks that room is made for.
const CHUNK: u64 = 64 << 10;
/// No more room than for this many is made in advance.
const IN_ADVANCE: u64 = 1 << 14;

/// The entries of the pack in hand.
#[derive(Default)]
pub(super) struct Pending {
    entries: Vec<Entry>,
    /// Places in `entries`.
    places: HashTable<u32>,
    hasher: RandomState,
}

impl Pending {
    /// Makes room for what a pack of `bytes` will hold, so that memory is the same for a large file and a huge one.
    pub fn reserve(&mut self, bytes: u64) {
        let expected = (bytes / CHUNK).min(IN_ADVANCE) as usize;
        let more = expected.saturating_sub(self.entries.len());
        self.entries.reserve(more);
        self.places.reserve(more, |place| self.hasher.hash_one(self.entries[*place as usize].digest));
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn contains(&self, digest: &Digest) -> bool {
        self.get(digest).is_some()
    }

    pub fn get(&self, digest: &Digest) -> Option<Entry> {
        let is_it = |place: &u32| self.entries[*place as usize].digest == *digest;
        let place = self.places.find(self.hasher.hash_one(digest), is_it)?;
        Some(self.entries[*place as usize])
    }

    /// Adds an entry whose digest is not there.
    pub fn insert(&mut self, entry: Entry) {
        let place = self.entries.len() as u32;
        self.entries.push(entry);
        let hash = |place: &u32| self.hasher.hash_one(self.entries[*place as usize].digest);
        self.places.insert_unique(hash(&place), place, hash);
    }

    /// The entries, to be put in another order: no digest is found any more.
    pub fn entries_mut(&mut self) -> &mut [Entry] {
        self.places.clear();
        &mut self.entries
    }

    pub fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
    }
}
