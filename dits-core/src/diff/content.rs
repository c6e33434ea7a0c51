//! How two contents differ, by their lists of chunks alone: no chunk is read.

use std::collections::HashSet;
use std::ops::Range;

use crate::chunk::ChunkRef;
use crate::manifest::{self, Manifest, Span};
use crate::object::{ChunkId, ObjectRead};
use crate::store::StoreError;
use crate::tree::Content;

/// A number of chunks and the bytes they stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// How many chunks.
    pub chunks: u64,
    /// Their plain bytes.
    pub bytes: u64,
}

impl Extent {
    fn of(spans: &[Span]) -> Self {
        Self { chunks: spans.len() as u64, bytes: spans.iter().map(|span| u64::from(span.chunk.len)).sum() }
    }

    fn without(self, part: Self) -> Self {
        Self { chunks: self.chunks.saturating_sub(part.chunks), bytes: self.bytes.saturating_sub(part.bytes) }
    }
}

/// A stretch of the old content and what stands in its place in the new one. An empty one on the old side is an
/// insertion, on the new side a removal. The ends lie on chunk boundaries, so a stretch may hold bytes that are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Bytes of the old content.
    pub old: Range<u64>,
    /// Bytes of the new content.
    pub new: Range<u64>,
}

/// How two contents differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentDiff {
    /// All of the old content.
    pub old: Extent,
    /// All of the new content.
    pub new: Extent,
    /// What only the old content has.
    pub gone: Extent,
    /// What only the new content has.
    pub added: Extent,
    /// Where they differ, in order.
    pub regions: Vec<Region>,
}

impl ContentDiff {
    /// What of the new content the old one has too.
    #[must_use]
    pub fn shared(&self) -> Extent {
        self.new.without(self.added)
    }
}

/// Compares two contents of files; the numbers are the lengths that their entries state. Reads only nodes of manifests
/// that the two do not share. Anything that is no file counts as empty.
///
/// # Errors
/// When a manifest cannot be read.
pub fn contents(
    read: &dyn ObjectRead,
    (old, old_size): (&Content, u64),
    (new, new_size): (&Content, u64),
) -> Result<ContentDiff, StoreError> {
    let (old_extent, new_extent) = (extent(read, old, old_size)?, extent(read, new, new_size)?);
    let (only_old, only_new) = match (old, new) {
        _ if old == new => (Vec::new(), Vec::new()),
        (Content::Manifest(old), Content::Manifest(new)) => {
            let diff = manifest::diff(read, *old, *new)?;
            (diff.only_old, diff.only_new)
        }
        // Where one side has no chunk, all of the other differs, however many chunks that is.
        _ if old_extent.chunks == 0 || new_extent.chunks == 0 => {
            let region = Region { old: 0..old_extent.bytes, new: 0..new_extent.bytes };
            let (gone, added) = (old_extent, new_extent);
            return Ok(ContentDiff { old: old_extent, new: new_extent, gone, added, regions: vec![region] });
        }
        _ => {
            let (old, new) = (spans(read, old, old_size)?, spans(read, new, new_size)?);
            (without(&old, &new), without(&new, &old))
        }
    };
    Ok(ContentDiff {
        old: old_extent,
        new: new_extent,
        gone: Extent::of(&only_old),
        added: Extent::of(&only_new),
        regions: regions(&only_old, &only_new),
    })
}

/// How many chunks a content has; reads one node at most.
///
/// # Errors
/// When it cannot be read.
pub fn extent(read: &dyn ObjectRead, content: &Content, size: u64) -> Result<Extent, StoreError> {
    Ok(match content {
        Content::Chunk(_) => Extent { chunks: 1, bytes: size },
        Content::Manifest(id) => {
            let manifest = Manifest::open(read, *id)?;
            Extent { chunks: manifest.chunk_count(), bytes: manifest.len() }
        }
        _ => Extent::default(),
    })
}

/// All chunks of a content, in order.
///
/// # Errors
/// When its manifest cannot be read.
pub fn spans(read: &dyn ObjectRead, content: &Content, size: u64) -> Result<Vec<Span>, StoreError> {
    match content {
        Content::Chunk(id) => Ok(vec![Span { offset: 0, chunk: ChunkRef { id: *id, len: size as u32 } }]),
        Content::Manifest(id) => {
            let chunks = Manifest::open(read, *id)?.iter_from(0)?;
            chunks.map(|item| item.map(|(offset, chunk)| Span { offset, chunk })).collect()
        }
        _ => Ok(Vec::new()),
    }
}

fn without(spans: &[Span], other: &[Span]) -> Vec<Span> {
    let known: HashSet<ChunkId> = other.iter().map(|span| span.chunk.id).collect();
    spans.iter().filter(|span| !known.contains(&span.chunk.id)).copied().collect()
}

/// Adjacent spans as one range.
fn merged(spans: &[Span]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for span in spans {
        let end = span.offset + u64::from(span.chunk.len);
        match ranges.last_mut() {
            Some(last) if last.end == span.offset => last.end = end,
            _ => ranges.push(span.offset..end),
        }
    }
    ranges
}

/// Pairs the ranges of both sides: two belong together when the same number of shared bytes is before them.
fn regions(only_old: &[Span], only_new: &[Span]) -> Vec<Region> {
    let (old, new) = (merged(only_old), merged(only_new));
    let (mut i, mut j) = (0, 0);
    let (mut old_before, mut new_before) = (0, 0);
    let mut regions = Vec::new();
    while i < old.len() || j < new.len() {
        let old_shared = old.get(i).map(|range| range.start - old_before);
        let new_shared = new.get(j).map(|range| range.start - new_before);
        let take_old = old_shared.is_some_and(|at| new_shared.is_none_or(|other| at <= other));
        let take_new = new_shared.is_some_and(|at| old_shared.is_none_or(|other| at <= other));
        let shared = old_shared.into_iter().chain(new_shared).min().unwrap_or(0);
        let mut region = Region { old: at(shared + old_before), new: at(shared + new_before) };
        if take_old {
            region.old = old[i].clone();
            old_before += region.old.end - region.old.start;
            i += 1;
        }
        if take_new {
            region.new = new[j].clone();
            new_before += region.new.end - region.new.start;
            j += 1;
        }
        regions.push(region);
    }
    regions
}

fn at(offset: u64) -> Range<u64> {
    offset..offset
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::chunk::Profile;
    use crate::object::memory::MemoryObjects;

    /// A content with a chunk of 100 bytes for each letter.
    fn content(store: &MemoryObjects, letters: &str) -> (Content, u64) {
        let chunks = letters.bytes().map(|letter| ChunkRef::of(&[letter; 100]));
        (manifest::write(Profile::SMALL, chunks, store).unwrap(), letters.len() as u64 * 100)
    }

    type Regions = Vec<(Range<u64>, Range<u64>)>;

    #[track_caller]
    fn compare(old: &str, new: &str) -> (Extent, Extent, Regions) {
        let store = MemoryObjects::new();
        let (old, new) = (content(&store, old), content(&store, new));
        let diff = contents(&store, (&old.0, old.1), (&new.0, new.1)).unwrap();
        assert_eq!((diff.old.bytes, diff.new.bytes), (old.1, new.1));
        (diff.gone, diff.added, diff.regions.into_iter().map(|region| (region.old, region.new)).collect())
    }

    fn extent(chunks: u64) -> Extent {
        Extent { chunks, bytes: chunks * 100 }
    }

    #[test]
    fn the_same_content_does_not_differ() {
        assert_eq!(compare("abc", "abc"), (extent(0), extent(0), vec![]));
        assert_eq!(compare("", ""), (extent(0), extent(0), vec![]));
    }

    #[test]
    fn replaced_inserted_and_removed_stretches_are_told_apart() {
        assert_eq!(compare("abcde", "abXYe"), (extent(2), extent(2), vec![(200..400, 200..400)]));
        assert_eq!(compare("abcde", "abXcde"), (extent(0), extent(1), vec![(200..200, 200..300)]));
        assert_eq!(compare("abcde", "abe"), (extent(2), extent(0), vec![(200..400, 200..200)]));
        let several = vec![(100..200, 100..300), (400..400, 500..600), (500..600, 700..700)];
        assert_eq!(compare("abcdef", "aXYcdZe"), (extent(2), extent(3), several));
    }

    #[test]
    fn one_chunk_or_none_on_a_side() {
        assert_eq!(compare("", "abc"), (extent(0), extent(3), vec![(0..0, 0..300)]));
        assert_eq!(compare("abc", ""), (extent(3), extent(0), vec![(0..300, 0..0)]));
        assert_eq!(compare("b", "abc"), (extent(0), extent(2), vec![(0..0, 0..100), (100..100, 200..300)]));
        assert_eq!(compare("a", "b"), (extent(1), extent(1), vec![(0..100, 0..100)]));
    }

    #[test]
    fn a_large_file_with_one_edit_reads_few_nodes() {
        let store = MemoryObjects::new();
        let list =
            |edit: u32| (0..40_000u32).map(move |n| ChunkRef::of(&(n + u32::from(n == edit) * 99_999).to_le_bytes()));
        let old = manifest::write(Profile::SMALL, list(u32::MAX), &store).unwrap();
        let new = manifest::write(Profile::SMALL, list(20_000), &store).unwrap();
        store.reset();
        let diff = contents(&store, (&old, 160_000), (&new, 160_000)).unwrap();
        assert_eq!(diff.regions, [Region { old: 80_000..80_004, new: 80_000..80_004 }]);
        assert_eq!(diff.shared(), Extent { chunks: 39_999, bytes: 159_996 });
        assert!(store.read_tally().bytes < 100_000, "{:?}", store.read_tally());
    }
}
