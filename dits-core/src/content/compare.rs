//! Whether a file still holds what was recorded of it. No cutting is needed: the recorded lengths say where to hash.

use std::io::{self, Read};

use crate::chunk::ChunkRef;
use crate::manifest::Manifest;
use crate::object::{ChunkId, ObjectRead};
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
