//! Looking after a cache: what it takes, taking chunks out, emptying it, another quota.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::{AROUND, ChunkCache, ENTRY, What};
use crate::object::Digest;
use crate::progress::Progress;
use crate::store::{DigestSet, PackId, Removed, StoreError};

/// What the finished files of a cache take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheUsage {
    /// Bytes of all files.
    pub bytes: u64,
    /// Packs.
    pub packs: u64,
    /// Chunks in packs, each once.
    pub chunks: u64,
    /// Whole copies of files.
    pub copies: u64,
    /// Bytes of these, which are part of all.
    pub copied: u64,
}

impl ChunkCache {
    /// Obeys another quota from now on.
    ///
    /// # Errors
    /// When packs that it has no room for cannot be removed.
    pub fn set_quota(&self, quota: u64) -> Result<(), StoreError> {
        if self.quota.swap(quota, Ordering::Relaxed) == quota {
            return Ok(());
        }
        // What is unfinished was begun under the old one.
        self.flush()
    }

    /// Finishes the pack that is being filled, and looks again which packs there are: files that others have removed take
    /// space until nobody has them open.
    ///
    /// # Errors
    /// When it cannot be written, or the folder cannot be read.
    pub fn settle(&self) -> Result<(), StoreError> {
        self.flush()?;
        self.odb.forget()
    }

    /// What the finished files take.
    ///
    /// # Errors
    /// When the folder or an index cannot be read.
    pub fn usage(&self) -> Result<CacheUsage, StoreError> {
        let files = self.by_last_use()?;
        let mut usage = CacheUsage::default();
        for file in &files {
            usage.bytes += file.bytes;
            match file.what {
                What::Pack(_) => usage.packs += 1,
                What::Whole(_) => (usage.copies, usage.copied) = (usage.copies + 1, usage.copied + file.bytes),
                What::Other => {}
            }
        }
        let mut chunks = HashSet::new();
        self.odb.for_each::<StoreError>(|digest, _| {
            chunks.insert(*digest);
            Ok(())
        })?;
        Ok(CacheUsage { chunks: chunks.len() as u64, ..usage })
    }

    /// How many bytes of content fit beside each other, at least, in chunks of this number.
    #[must_use]
    pub fn room_for(&self, chunks: u64) -> u64 {
        let packs = self.quota() / self.pack_size() + 1;
        // Of each pack there is an entry in the index over all of them too; and each frame has a header.
        self.quota().saturating_sub(packs * AROUND + chunks * 3 * ENTRY)
    }

    /// Notes that a chunk will be needed soon.
    pub fn keep(&self, digest: &Digest) {
        self.mark(digest);
    }

    /// Takes chunks out of the finished packs, which are written anew without them. In a dry run it says what that would
    /// give back, exactly.
    ///
    /// # Errors
    /// When a pack is damaged, or cannot be written or removed.
    pub fn evict(&self, chunks: &DigestSet, dry_run: bool, progress: &dyn Progress) -> Result<Removed, StoreError> {
        let packs: Vec<PackId> = self.odb.pack_ids()?.into_iter().map(|(id, _)| id).collect();
        self.odb.remove_objects(chunks, &packs, dry_run, progress)
    }

    /// Empties it, also of what is not finished, except of what somebody holds. Others that use it are not told: they find out
    /// when they look again.
    ///
    /// # Errors
    /// When files cannot be removed.
    pub fn clear(&self) -> Result<(), StoreError> {
        let mut writer = self.writer.write().unwrap_or_else(PoisonError::into_inner);
        *writer = None;
        let names: Vec<String> = self.odb.packs().list()?.into_iter().map(|file| file.name).collect();
        self.odb.packs().delete(&names)?;
        self.remove_wholes(None, false)?;
        drop(writer);
        self.make_room(0)?;
        self.odb.forget()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::chunk;
    use super::super::{ChunkCache, bytes_in};
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn what_is_evicted_gives_back_what_was_said_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let cache = ChunkCache::open(dir.path(), 4 << 20).unwrap();
        let all: Vec<_> = (0..40).map(|seed| chunk(seed, 50_000)).collect();
        all.iter().for_each(|(header, frame, _)| cache.put(header, frame).unwrap());
        cache.settle().unwrap();
        assert_eq!(cache.usage().unwrap().chunks, 40);
        assert_eq!(cache.usage().unwrap().bytes, bytes_in(dir.path()));
        let set = DigestSet::new(all.iter().step_by(3).map(|(header, ..)| header.digest).collect());
        let before = bytes_in(dir.path());
        let said = cache.evict(&set, true, &Silent).unwrap();
        assert_eq!(bytes_in(dir.path()), before);
        assert_eq!(cache.evict(&set, false, &Silent).unwrap(), said);
        assert_eq!((said.objects, bytes_in(dir.path())), (14, before - said.freed));
        for (at, (header, _, plain)) in all.iter().enumerate() {
            let expected = (at % 3 != 0).then(|| plain.clone());
            assert_eq!(cache.read(&header.digest).unwrap(), expected, "{at}");
        }
        let other = ChunkCache::peek(dir.path(), 4 << 20).unwrap();
        other.clear().unwrap();
        assert_eq!(other.usage().unwrap(), CacheUsage::default());
        cache.settle().unwrap();
        assert_eq!(cache.read(&all[1].0.digest).unwrap(), None);
        cache.put(&all[1].0, &all[1].1).unwrap();
        assert!(cache.read(&all[1].0.digest).unwrap().is_some());
    }

    #[test]
    fn another_quota_holds_at_once_and_what_is_said_to_fit_does() {
        let dir = tempfile::tempdir().unwrap();
        let cache = ChunkCache::open(dir.path(), 8 << 20).unwrap();
        let chunks = cache.room_for(160) / 50_000;
        assert!(chunks > 120, "{chunks}");
        let all: Vec<_> = (0..chunks).map(|seed| chunk(seed, 50_000)).collect();
        all.iter().for_each(|(header, frame, _)| cache.put(header, frame).unwrap());
        cache.settle().unwrap();
        assert!(all.iter().all(|(header, ..)| cache.contains(&header.digest).unwrap()), "nothing had to go");
        cache.set_quota(2 << 20).unwrap();
        assert!(bytes_in(dir.path()) <= 2 << 20);
        cache.set_quota(0).unwrap();
        assert_eq!(cache.usage().unwrap().packs, 0);
        cache.put(&all[0].0, &all[0].1).unwrap();
        assert!(!cache.contains(&all[0].0.digest).unwrap());
    }
}
