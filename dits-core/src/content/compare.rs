//! Whether a file still holds what was recorded of it. No cutting is needed: the recorded lengths say where to hash.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::chunk::ChunkRef;
use crate::manifest::Manifest;
use crate::object::{ChunkId, ManifestId, ObjectRead};
use crate::progress::Progress;
use crate::repo::RepoError;
use crate::tree::Content;

/// The outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Byte for byte what was recorded.
    Same,
    /// Something else.
    Different,
}

/// Why a comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The file could not be read.
    #[error("cannot read: {0}")]
    Read(#[from] io::Error),
    /// The record could not be read.
    #[error(transparent)]
    Repo(#[from] RepoError),
}

/// Compares a file of the recorded size with its record; stops at the first chunk that differs. Reads no chunk from
/// the store.
///
/// # Errors
/// When the file or its manifest cannot be read.
pub fn compare(
    read: &dyn ObjectRead,
    file: &mut dyn Read,
    size: u64,
    content: &Content,
    progress: &dyn Progress,
) -> Result<Comparison, CompareError> {
    let mut buffer = Vec::new();
    let mut matches = |chunk: ChunkRef| -> Result<bool, CompareError> {
        progress.check().map_err(RepoError::from)?;
        buffer.resize(chunk.len as usize, 0);
        match file.read_exact(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            done => done?,
        }
        Ok(ChunkId::of(&buffer) == chunk.id)
    };
    let same = match content {
        Content::Empty => true,
        Content::Chunk(id) => matches(ChunkRef { id: *id, len: size as u32 })?,
        Content::Manifest(id) => {
            let manifest = Manifest::open_sized(read, *id, size).map_err(RepoError::from)?;
            let mut same = true;
            for item in manifest.iter_from(0).map_err(RepoError::from)? {
                same = same && matches(item.map_err(RepoError::from)?.1)?;
                if !same {
                    break;
                }
            }
            same
        }
        Content::Symlink(_) | Content::Tree(_) | Content::Recipe(_) => false,
    };
    let at_end = same && file.read(&mut [0])? == 0;
    Ok(if at_end { Comparison::Same } else { Comparison::Different })
}

/// Compares a file that is known to be as recorded outside of some ranges, which are in order: reads the chunks that
/// these touch.
///
/// # Errors
/// When the file or its manifest cannot be read.
pub fn compare_at(
    read: &dyn ObjectRead,
    file: &File,
    size: u64,
    content: ManifestId,
    ranges: &[Range<u64>],
    progress: &dyn Progress,
) -> Result<Comparison, CompareError> {
    let manifest = Manifest::open_sized(read, content, size).map_err(RepoError::from)?;
    let mut buffer = Vec::new();
    let mut done = 0;
    for range in ranges {
        for item in manifest.iter_from(range.start.max(done)).map_err(RepoError::from)? {
            let (start, chunk) = item.map_err(RepoError::from)?;
            if start >= range.end {
                break;
            }
            progress.check().map_err(RepoError::from)?;
            buffer.resize(chunk.len as usize, 0);
            match file.read_exact_at(&mut buffer, start) {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(Comparison::Different),
                read => read?,
            }
            if ChunkId::of(&buffer) != chunk.id {
                return Ok(Comparison::Different);
            }
            done = start + u64::from(chunk.len);
        }
    }
    Ok(Comparison::Same)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::chunk::Profile;
    use crate::manifest;
    use crate::object::memory::MemoryObjects;
    use crate::progress::Silent;

    #[test]
    fn only_chunks_that_ranges_touch_are_compared() {
        let store = MemoryObjects::new();
        let bytes: Vec<u8> = (0..1000u32).flat_map(u32::to_le_bytes).collect();
        let chunks = bytes.chunks(100).map(ChunkRef::of);
        let Content::Manifest(id) = manifest::write(Profile::SMALL, chunks, &store).unwrap() else { panic!() };
        let mut file = tempfile::tempfile().unwrap();
        let mut edited = bytes.clone();
        (edited[250], edited[999]) = (1, 1);
        file.write_all(&edited).unwrap();
        let look = |ranges: &[Range<u64>]| compare_at(&store, &file, 4000, id, ranges, &Silent).unwrap();
        assert_eq!(look(&[]), Comparison::Same);
        assert_eq!(look(&[0..200, 300..310, 320..900, 1000..4000]), Comparison::Same);
        assert_eq!(look(&[0..10, 299..300]), Comparison::Different);
        assert_eq!(look(&[201..202]), Comparison::Different);
        assert_eq!(look(&[300..901]), Comparison::Different);
        file.set_len(3990).unwrap();
        assert_eq!(look(&[1000..4000]), Comparison::Different);
    }
}
