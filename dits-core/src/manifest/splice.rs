//! Changing a manifest where a file was changed.

use std::ops::Range;

use super::{Manifest, ManifestError, check_len};
use crate::chunk::ChunkRef;
use crate::chunk::rechunk::Splice;
use crate::merkle::{self, Edit, Entry};
use crate::object::{MAX_CHUNK, ManifestId, ObjectWrite};
use crate::tree::Content;

/// Replaces chunks of a file. The splices are sorted and disjoint. Gives what [`write`] would give for all chunks, but
/// reads and writes only nodes near the changes (in a stretch of one chunk repeated, up to its end).
///
/// # Errors
/// When a splice is not on chunk boundaries, a chunk's length is out of bounds, or the store fails.
pub fn splice(write: &dyn ObjectWrite, old: ManifestId, splices: &[Splice]) -> Result<Content, ManifestError> {
    let manifest = Manifest::open(write, old)?;
    let new_bytes = check_splices(manifest.len(), splices)?;
    // So few bytes may be fewer than two chunks, which make no manifest.
    if new_bytes <= MAX_CHUNK as u64 {
        match first_two(&manifest, splices)?[..] {
            [] => return Ok(Content::Empty),
            [chunk] => return Ok(Content::Chunk(chunk.id)),
            _ => {}
        }
    }
    let edit =
        |splice: &Splice| Edit { old: splice.old.clone(), new: splice.new.iter().copied().map(Entry::Item).collect() };
    let root = merkle::splice(write, manifest.root, splices.iter().map(edit).collect())?;
    Ok(Content::Manifest(ManifestId::from_digest(root)))
}

/// Checks what can be checked of splices without reading; gives the length of the file they lead to.
fn check_splices(len: u64, splices: &[Splice]) -> Result<u64, ManifestError> {
    let mut done = 0;
    let mut total = len;
    for Splice { old: Range { start, end }, .. } in splices {
        for position in [*start, *end] {
            if position < done || position > len {
                return Err(ManifestError::Position(position));
            }
            done = position;
        }
        total -= end - start;
    }
    for chunk in splices.iter().flat_map(|splice| &splice.new) {
        check_len(chunk.len)?;
        total = total.checked_add(chunk.len.into()).ok_or(ManifestError::TooLong)?;
    }
    Ok(total)
}

/// The first two chunks of the file that the splices lead to, or as many as there are.
fn first_two(old: &Manifest<'_>, splices: &[Splice]) -> Result<Vec<ChunkRef>, ManifestError> {
    let end = Splice { old: old.len()..old.len(), new: Vec::new() };
    let mut found = Vec::new();
    let mut at = 0;
    for splice in splices.iter().chain([&end]) {
        for position in [at, splice.old.start] {
            if old.at_offset(position)?.is_some_and(|(start, _)| start != position) {
                return Err(ManifestError::Position(position));
            }
        }
        for kept in old.iter_from(at)?.take(2) {
            let (start, chunk) = kept?;
            found.extend((start < splice.old.start).then_some(chunk));
        }
        found.extend(splice.new.iter().take(2));
        if found.len() >= 2 {
            found.truncate(2);
            break;
        }
        at = splice.old.end;
    }
    Ok(found)
}
