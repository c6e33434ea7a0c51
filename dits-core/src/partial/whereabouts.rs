//! Where the content of files is: in the store, in the disk cache, or not here.

use super::each_chunk;
use crate::chunk::ChunkRef;
use crate::diff::FileVersion;
use crate::maintain::Reached;
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::ChunkCache;

/// A chunk, and where it is: in both places, in one, or in none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The chunk.
    pub chunk: ChunkRef,
    /// Whether the store has it.
    pub store: bool,
    /// Whether the disk cache has it.
    pub cache: bool,
}

/// The chunks of files, each once, in the order of the files and of their content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// Bytes of the files.
    pub bytes: u64,
    /// Their chunks.
    pub chunks: Vec<Found>,
}

/// A part of the chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub chunks: u64,
    /// Bytes of their content.
    pub bytes: u64,
}

impl Whereabouts {
    /// Those of which `which` is true.
    #[must_use]
    pub fn share(&self, which: impl Fn(&Found) -> bool) -> Share {
        self.chunks.iter().filter(|found| which(found)).fold(Share::default(), |share, found| Share {
            chunks: share.chunks + 1,
            bytes: share.bytes + u64::from(found.chunk.len),
        })
    }
}

impl Repository {
    /// Where the content of certain versions of files is. Recipes are read, and no content.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn whereabouts(
        &self,
        files: &[(RepoPath, FileVersion)],
        cache: Option<&ChunkCache>,
        progress: &dyn Progress,
    ) -> Result<Whereabouts, RepoError> {
        let (mut found, mut seen) = (Whereabouts::default(), Reached::default());
        for (_, version) in files {
            progress.check()?;
            found.bytes += version.size;
            each_chunk(self.store(), &version.content, version.size, &mut |chunk| {
                let digest = chunk.id.digest();
                if seen.insert(*digest) {
                    let store = self.store().content.contains(digest)?;
                    let cache = cache.map_or(Ok(false), |cache| cache.contains(digest))?;
                    found.chunks.push(Found { chunk, store, cache });
                }
                Ok(true)
            })?;
        }
        Ok(found)
    }
}
