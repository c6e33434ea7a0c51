//! How much of a commit's content is new.

use std::collections::HashSet;

use super::{RepoError, Repository};
use crate::diff::{Change, FileVersion};
use crate::manifest::{self, Manifest};
use crate::object::ChunkId;
use crate::tree::Content;

/// The content of the files that a commit adds or changes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Novelty {
    /// The sizes of these files.
    pub logical: u64,
    /// What of it the files it touches did not have before, each chunk counted once.
    pub new: u64,
    /// What that takes in the store, compressed.
    pub stored: u64,
}

impl Repository {
    /// Measures what changes bring. Reads only the parts of manifests that differ. Its memory grows with the number of
    /// new chunks.
    ///
    /// # Errors
    /// When a manifest or the store cannot be read.
    pub fn novelty(&self, changes: &[Change]) -> Result<Novelty, RepoError> {
        let known: HashSet<&Content> = changes.iter().filter_map(|c| c.old.as_ref()).map(|old| &old.content).collect();
        let mut count = Count { repo: self, seen: HashSet::new(), sum: Novelty::default() };
        for change in changes {
            let Some(new) = &change.new else { continue };
            if matches!(new.content, Content::Symlink(_)) {
                continue;
            }
            count.sum.logical += new.size;
            if !known.contains(&new.content) {
                count.version(change.old.as_ref(), new)?;
            }
        }
        Ok(count.sum)
    }
}

struct Count<'a> {
    repo: &'a Repository,
    seen: HashSet<ChunkId>,
    sum: Novelty,
}

impl Count<'_> {
    fn version(&mut self, old: Option<&FileVersion>, new: &FileVersion) -> Result<(), RepoError> {
        let store = self.repo.store();
        match (&new.content, old.map(|old| &old.content)) {
            (Content::Chunk(id), _) => self.chunk(*id, new.size),
            (Content::Manifest(new), Some(Content::Manifest(old))) => {
                let differ = manifest::diff(store, *old, *new)?.only_new;
                differ.into_iter().try_for_each(|span| self.chunk(span.chunk.id, u64::from(span.chunk.len)))
            }
            (Content::Manifest(new), _) => {
                for item in Manifest::open(store, *new)?.iter_from(0)? {
                    let (_, chunk) = item?;
                    self.chunk(chunk.id, u64::from(chunk.len))?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn chunk(&mut self, id: ChunkId, len: u64) -> Result<(), RepoError> {
        if self.seen.insert(id) {
            self.sum.new += len;
            let info = self.repo.store().content.info(id.digest())?;
            self.sum.stored += info.map_or(0, |info| u64::from(info.stored_len));
        }
        Ok(())
    }
}
