//! What a file's chunks are in the store, and which other files have them too.

use std::collections::HashMap;

use crate::chunk::ChunkRef;
use crate::manifest::Manifest;
use crate::object::{ChunkId, ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::RepoError;
use crate::store::{Odb, StoreError};
use crate::tree::{self, Content};

/// How many chunks of one file are remembered: beyond that a sample stands for all.
const MAX_SAMPLE: usize = 1 << 20;

/// How much of some content the store has, counting each chunk as often as it occurs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InStore {
    /// Chunks that are there.
    pub chunks: u64,
    /// Their plain bytes.
    pub bytes: u64,
    /// What they take in the store; a chunk that occurs twice is stored once.
    pub stored: u64,
}

/// Looks a chunk up and counts it in `seen`; returns the bytes it takes, or `None` if the store lacks it. `first` says
/// that it did not occur before.
///
/// # Errors
/// When the store cannot be read.
pub fn in_store(store: &Odb, chunk: &ChunkRef, first: bool, seen: &mut InStore) -> Result<Option<u32>, StoreError> {
    let info = store.info(chunk.id.digest())?;
    if let Some(info) = info {
        seen.chunks += 1;
        seen.bytes += u64::from(chunk.len);
        seen.stored += if first { u64::from(info.stored_len) } else { 0 };
    }
    Ok(info.map(|info| info.stored_len))
}

/// The chunks of a file, in bounded memory: all of them, or of a very large file those whose ids a random choice hits.
#[derive(Debug)]
pub struct ChunkSample {
    /// How long each chunk is, and how often it occurred.
    chunks: HashMap<ChunkId, (u32, u32)>,
    /// One of how many is kept; a power of two.
    one_of: u64,
}

impl Default for ChunkSample {
    fn default() -> Self {
        Self { chunks: HashMap::new(), one_of: 1 }
    }
}

impl ChunkSample {
    /// Adds a chunk; returns whether it is not known to have occurred before.
    pub fn add(&mut self, chunk: &ChunkRef) -> bool {
        if !self.keeps(chunk.id) {
            return true;
        }
        let known = self.chunks.entry(chunk.id).or_insert((chunk.len, 0));
        known.1 += 1;
        let first = known.1 == 1;
        if self.chunks.len() > MAX_SAMPLE {
            self.one_of *= 2;
            let one_of = self.one_of;
            self.chunks.retain(|id, _| is_kept(*id, one_of));
        }
        first
    }

    fn keeps(&self, id: ChunkId) -> bool {
        is_kept(id, self.one_of)
    }

    /// Whether only a part of the chunks is remembered, so that what is computed from them is an estimate.
    #[must_use]
    pub fn is_estimate(&self) -> bool {
        self.one_of > 1
    }

    /// Bytes that the file repeats within itself.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        let repeats = self.chunks.values().map(|(len, count)| u64::from(*len) * u64::from(count - 1));
        repeats.sum::<u64>().saturating_mul(self.one_of)
    }
}

/// Ids are uniformly distributed, so their low bits are a fair choice.
fn is_kept(id: ChunkId, one_of: u64) -> bool {
    id.digest().prefix_u64().is_multiple_of(one_of)
}

/// A file that has chunks in common with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// The file.
    pub path: RepoPath,
    /// Bytes of it that the other has too.
    pub bytes: u64,
}

/// The files of a version that share chunks with the sample, the one that shares most first. `skip` is left out.
///
/// # Errors
/// When a tree or manifest cannot be read, or the user stops it.
pub fn sharing(
    read: &dyn ObjectRead,
    tree: TreeId,
    sample: &ChunkSample,
    skip: Option<&RepoPath>,
    progress: &dyn Progress,
) -> Result<Vec<Sharing>, RepoError> {
    let mut found = Vec::new();
    if sample.chunks.is_empty() {
        return Ok(found);
    }
    for change in tree::diff_recursive(read, None, Some(tree)) {
        progress.check()?;
        let change = change?;
        let Some(entry) = change.new.filter(|_| Some(&change.path) != skip) else { continue };
        let bytes = match &entry.content {
            Content::Chunk(id) if sample.chunks.contains_key(id) => entry.size,
            Content::Manifest(id) => shared_bytes(&Manifest::open(read, *id)?, sample)?,
            _ => 0,
        };
        progress.advance(0, 1);
        if bytes > 0 {
            found.push(Sharing { path: change.path, bytes: bytes.saturating_mul(sample.one_of).min(entry.size) });
        }
    }
    found.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
    Ok(found)
}

fn shared_bytes(manifest: &Manifest<'_>, sample: &ChunkSample) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for item in manifest.iter_from(0)? {
        let (_, chunk) = item?;
        bytes += if sample.chunks.contains_key(&chunk.id) { u64::from(chunk.len) } else { 0 };
    }
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_and_a_sample_stays_small() {
        let mut sample = ChunkSample::default();
        let chunk = ChunkRef::of(b"twice");
        assert!(sample.add(&chunk) && !sample.add(&chunk));
        assert_eq!((sample.repeated(), sample.is_estimate()), (5, false));
        sample.one_of = 4;
        let kept = (0..4000u32).filter(|n| sample.keeps(ChunkRef::of(&n.to_le_bytes()).id)).count();
        assert!((800..1200).contains(&kept), "{kept}");
    }
}
