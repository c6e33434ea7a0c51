//! How much of a commit's content is new.

use std::collections::{HashMap, HashSet};

use super::{RepoError, Repository};
use crate::diff::{Change, FileVersion};
use crate::manifest::{self, Manifest};
use crate::object::{ChunkId, TreeId};
use crate::tree::{self, Content};

/// How many chunks of the version before are looked at in search of those that a commit seems to bring: those of some
/// 10 GB, which takes tens of milliseconds. It is a figure for people and must not hold up a commit.
const BUDGET: usize = 1 << 17;

/// The content of the files that a commit adds or changes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Novelty {
    /// The sizes of these files.
    pub logical: u64,
    /// What of it no file of the version before has, each chunk counted once. Of a version with more chunks than are
    /// looked at, the rest counts as not having them.
    pub new: u64,
    /// What that takes in the store, compressed.
    pub stored: u64,
}

impl Repository {
    /// Measures what changes bring to the version `before`. Reads the parts of manifests that differ, and those of other
    /// files while there is something to look for in them. Its memory grows with the number of new chunks.
    ///
    /// # Errors
    /// When a manifest or the store cannot be read.
    pub fn novelty(&self, changes: &[Change], before: Option<TreeId>) -> Result<Novelty, RepoError> {
        let known: HashSet<&Content> = changes.iter().filter_map(|c| c.old.as_ref()).map(|old| &old.content).collect();
        let mut count = Count { repo: self, new: HashMap::new(), sum: Novelty::default() };
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
        count.forget_those_of(before)?;
        count.finish()
    }
}

struct Count<'a> {
    repo: &'a Repository,
    /// Chunks that look new, with their lengths.
    new: HashMap<ChunkId, u64>,
    sum: Novelty,
}

impl Count<'_> {
    fn version(&mut self, old: Option<&FileVersion>, new: &FileVersion) -> Result<(), RepoError> {
        let store = self.repo.store();
        match (&new.content, old.map(|old| &old.content)) {
            (Content::Chunk(id), _) => _ = self.new.insert(*id, new.size),
            (Content::Manifest(new), Some(Content::Manifest(old))) => {
                let differ = manifest::diff(store, *old, *new)?.only_new;
                self.new.extend(differ.into_iter().map(|span| (span.chunk.id, u64::from(span.chunk.len))));
            }
            (Content::Manifest(new), _) => {
                for item in Manifest::open(store, *new)?.iter_from(0)? {
                    let (_, chunk) = item?;
                    self.new.insert(chunk.id, u64::from(chunk.len));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes off what some file of an earlier version has.
    fn forget_those_of(&mut self, before: Option<TreeId>) -> Result<(), RepoError> {
        let store = self.repo.store();
        let mut budget = BUDGET;
        for file in tree::diff_recursive(store, None, before) {
            if self.new.is_empty() || budget == 0 {
                break;
            }
            match file?.new.map(|entry| entry.content) {
                Some(Content::Chunk(id)) => _ = self.new.remove(&id),
                Some(Content::Manifest(id)) => {
                    for item in Manifest::open(store, id)?.iter_from(0)?.take(budget) {
                        self.new.remove(&item?.1.id);
                        budget -= 1;
                    }
                }
                _ => {}
            }
            budget = budget.saturating_sub(1);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Novelty, RepoError> {
        for (id, len) in self.new {
            self.sum.new += len;
            let info = self.repo.store().content.info(id.digest())?;
            self.sum.stored += info.map_or(0, |info| u64::from(info.stored_len));
        }
        Ok(self.sum)
    }
}
