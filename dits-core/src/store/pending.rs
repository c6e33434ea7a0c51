//! What an unfinished pack holds, found by digest: one record each, without the digest a second time as a key.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use super::pack::page::Entry;
use crate::object::Digest;

/// The size of chunks that room is made for.
const CHUNK: u64 = 64 << 10;
/// No more room than for this many is made in advance.
const IN_ADVANCE: u64 = 1 << 14;

/// The entries of the pack in hand.
#[derive(Default)]
pub(super) struct Pending(HashSet<ByDigest>);

struct ByDigest(Entry);

impl Borrow<Digest> for ByDigest {
    fn borrow(&self) -> &Digest {
        &self.0.digest
    }
}

impl PartialEq for ByDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for ByDigest {}

impl Hash for ByDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.digest.hash(state);
    }
}

impl Pending {
    /// Makes room for what a pack of `bytes` will hold, so that memory is the same for a large file and a huge one.
    pub fn reserve(&mut self, bytes: u64) {
        let expected = (bytes / CHUNK).min(IN_ADVANCE) as usize;
        self.0.reserve(expected.saturating_sub(self.0.len()));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn contains(&self, digest: &Digest) -> bool {
        self.0.contains(digest)
    }

    pub fn get(&self, digest: &Digest) -> Option<Entry> {
        self.0.get(digest).map(|found| found.0)
    }

    pub fn insert(&mut self, entry: Entry) {
        self.0.insert(ByDigest(entry));
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.0.iter().map(|found| found.0).collect()
    }
}
