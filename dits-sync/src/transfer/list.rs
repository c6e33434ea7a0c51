//! The list of chunks that both ends number.

use std::collections::HashSet;

use dits_core::object::Digest;

/// Chunks in the order in which they were first named.
#[derive(Debug)]
pub(super) struct ChunkList<T> {
    chunks: Vec<T>,
    seen: HashSet<Digest>,
}

impl<T> ChunkList<T> {
    pub(super) fn push(&mut self, digest: Digest, chunk: T) {
        if self.seen.insert(digest) {
            self.chunks.push(chunk);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn take(&mut self) -> Vec<T> {
        self.seen.clear();
        std::mem::take(&mut self.chunks)
    }
}

impl<T> Default for ChunkList<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), seen: HashSet::new() }
    }
}
