//! What two manifests do not share.

use super::{Chunks, Manifest};
use crate::chunk::ChunkRef;
use crate::merkle;
use crate::object::{ManifestId, ObjectRead};
use crate::store::StoreError;

/// A chunk and the offset it stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The offset of its first byte in the file.
    pub offset: u64,
    /// The chunk.
    pub chunk: ChunkRef,
}

/// What two versions of a file do not share, in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Chunks of the old version only.
    pub only_old: Vec<Span>,
    /// Chunks of the new version only.
    pub only_new: Vec<Span>,
}

/// Compares two manifests by their chunks, reading only nodes that they do not share.
///
/// It answers which content is new, not how to make one file of the other: chunks that only moved, or occur more often,
/// may not show, and a stretch that repeats in the same nodes shows once. A chunk that stands in a node both share and
/// once more in one they do not share may show. Memory grows with the distinct nodes that differ.
///
/// # Errors
/// When a node cannot be read or breaks a rule.
pub fn diff(read: &dyn ObjectRead, old: ManifestId, new: ManifestId) -> Result<Diff, StoreError> {
    if old == new {
        return Ok(Diff::default());
    }
    let (old, new) = (Manifest::open(read, old)?, Manifest::open(read, new)?);
    let [only_old, only_new] = merkle::diff(read, old.root, new.root)?;
    let spans = |placed: Vec<merkle::Placed<Chunks>>| {
        placed.into_iter().map(|placed| Span { offset: placed.at, chunk: placed.item }).collect()
    };
    Ok(Diff { only_old: spans(only_old), only_new: spans(only_new) })
}
