//! Chunks that a mount has read from a remote: a database of packs that never takes more than its quota. Beside them lie whole
//! copies of files that are read a lot.
//!
//! Nothing relies on what is here: it may go at any moment. What is to stay is in the store.

use std::collections::HashMap;
use std::fs::{DirEntry, File};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};

use super::frame::Header;
use super::odb::{Location, Odb, OdbOptions};
use super::pack::layout::PackId;
use super::writer::{Writer, WriterOptions};
use super::{StoreError, folder, lockfile};
use crate::durable::IoContext;
use crate::object::{Digest, ObjectKind};

mod care;
mod whole;

pub use care::CacheUsage;
pub use whole::{Copies, Draft, Whole};

/// Into so many packs the quota is divided,
const PACKS: u64 = 64;
/// but they are neither smaller
const SMALLEST: u64 = 256 << 10;
/// nor larger than this.
const LARGEST: u64 = 64 << 20;
/// What an object takes in the index of its pack, at most, and what a pack takes besides.
const ENTRY: u64 = 64;
const AROUND: u64 = 12 << 10;
/// How often a pack that is read is marked as used.
const MARK_EVERY: Duration = Duration::from_secs(60);

/// Chunks within a quota, least recently used packs of them going first.
pub struct ChunkCache {
    odb: Odb,
    packs: PathBuf,
    wholes: PathBuf,
    quota: AtomicU64,
    /// The pack that is being filled. Others see it when it is full.
    writer: RwLock<Option<Writer>>,
    /// Bytes of all files when they were last counted, except of the pack that is being filled.
    finished: Mutex<u64>,
    marked: Mutex<HashMap<PackId, Instant>>,
}

impl ChunkCache {
    /// Opens the cache in a folder, and makes it fit its quota. Nothing is created before the first chunk.
    ///
    /// # Errors
    /// When the folder cannot be read, or packs cannot be removed.
    pub fn open(dir: impl Into<PathBuf>, quota: u64) -> Result<Self, StoreError> {
        let cache = Self::peek(dir, quota)?;
        cache.odb.packs().sweep()?;
        for entry in folder::read_dir(&cache.wholes)? {
            if is_unfinished(&entry) {
                lockfile::reap(&entry.path())?;
            }
        }
        cache.make_room(0)?;
        Ok(cache)
    }

    /// Opens the cache as it is: nothing has to go before something is put into it.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn peek(dir: impl Into<PathBuf>, quota: u64) -> Result<Self, StoreError> {
        let dir = dir.into();
        let (packs, wholes) = (dir.join("pack"), dir.join("whole"));
        let odb = Odb::open(dir, OdbOptions { map: true, cache_bytes: 0 })?;
        let (quota, writer, finished) = (AtomicU64::new(quota), RwLock::new(None), Mutex::new(0));
        Ok(Self { odb, packs, wholes, quota, writer, finished, marked: Mutex::default() })
    }

    /// The most bytes it takes.
    #[must_use]
    pub fn quota(&self) -> u64 {
        self.quota.load(Ordering::Relaxed)
    }

    fn pack_size(&self) -> u64 {
        (self.quota() / PACKS).clamp(SMALLEST, LARGEST)
    }

    /// Whether a chunk is here. It may still be damaged.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn contains(&self, digest: &Digest) -> Result<bool, StoreError> {
        match &*self.writer.read().unwrap_or_else(PoisonError::into_inner) {
            Some(writer) => writer.contains(digest),
            None => self.odb.contains(digest),
        }
    }

    /// A chunk's bytes, verified. A copy that is damaged is removed, and is none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let mut plain = Vec::new();
        let read = match &*self.writer.read().unwrap_or_else(PoisonError::into_inner) {
            Some(writer) => writer.read_into(ObjectKind::Chunk, digest, &mut plain),
            None => self.odb.read_into(ObjectKind::Chunk, digest, &mut plain),
        };
        match read {
            Ok(()) => {
                self.mark(digest);
                Ok(Some(plain))
            }
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) if error.is_corruption() => self.discard(digest).map(|()| None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a chunk that came as a frame, which the caller has [opened](Header::open); for this, others may have to go.
    ///
    /// # Errors
    /// When the cache cannot be written. The chunks since the last full pack are then lost, and the next one begins anew.
    pub fn put(&self, header: &Header, frame: &[u8]) -> Result<(), StoreError> {
        let put = self.try_put(header, frame);
        if put.is_err() {
            *self.writer.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        put
    }

    fn try_put(&self, header: &Header, frame: &[u8]) -> Result<(), StoreError> {
        if frame.len() as u64 + ENTRY + AROUND > self.quota() {
            return Ok(());
        }
        if self.pending() + frame.len() as u64 > self.pack_size() {
            self.flush()?;
        }
        self.begin()?;
        let finished = *self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let more = self.pending() + frame.len() as u64 + ENTRY;
        if finished + more > self.quota() && !self.make_room(more)? {
            return Ok(());
        }
        match &*self.writer.read().unwrap_or_else(PoisonError::into_inner) {
            Some(writer) => writer.put_frame(header, frame).map(|_| ()),
            // Another thread has just finished the pack: one chunk that is not kept.
            None => Ok(()),
        }
    }

    /// Bytes that the pack which is being filled will have.
    fn pending(&self) -> u64 {
        let writer = self.writer.read().unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().map_or(0, |writer| {
            let stats = writer.stats();
            AROUND + stats.stored_new + ENTRY * stats.objects_new
        })
    }

    fn begin(&self) -> Result<(), StoreError> {
        if self.writer.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let mut writer = self.writer.write().unwrap_or_else(PoisonError::into_inner);
        if writer.is_none() {
            let options = WriterOptions { packs_only: true, ..WriterOptions::default() };
            *writer = Some(self.odb.writer(options)?);
        }
        Ok(())
    }

    /// Finishes the pack that is being filled: it then survives this process.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&self) -> Result<(), StoreError> {
        // Readers wait: in between, the chunks would be in neither place.
        let mut writer = self.writer.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(full) = writer.take() {
            full.finish()?;
        }
        drop(writer);
        self.make_room(0).map(|_| ())
    }

    /// Removes what was not used for the longest time until `more` bytes fit beside what is left, and says whether they do: what
    /// somebody holds stays.
    fn make_room(&self, more: u64) -> Result<bool, StoreError> {
        let files = self.by_last_use()?;
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let mut gone = Vec::new();
        for file in files {
            if bytes + more <= self.quota() {
                break;
            }
            match file.what {
                What::Pack(id) => {
                    bytes -= file.bytes;
                    gone.push(id.file_name());
                }
                What::Whole(path) => bytes -= lockfile::reap(&path)?.unwrap_or(0),
                What::Other => {}
            }
        }
        if !gone.is_empty() {
            self.odb.packs().delete(&gone)?;
            self.odb.forget()?;
        }
        *self.finished.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        Ok(bytes + more <= self.quota())
    }

    /// The files, those first that were not used for the longest time.
    fn by_last_use(&self) -> Result<Vec<Used>, StoreError> {
        let mut found = Vec::new();
        let (packs, wholes) = (folder::read_dir(&self.packs)?, folder::read_dir(&self.wholes)?);
        // The pack that is being filled is counted as it is filled.
        let packs = packs.into_iter().filter(|entry| !is_unfinished(entry)).map(|entry| (entry, true));
        for (entry, is_pack) in packs.chain(wholes.into_iter().map(|entry| (entry, false))) {
            let meta = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found.at("examine", &entry.path())?,
            };
            let last = meta.modified().at("examine", &entry.path())?;
            let what = match is_pack {
                true => PackId::of_file_name(&entry.file_name().to_string_lossy()).map_or(What::Other, What::Pack),
                false if is_unfinished(&entry) => What::Other,
                false => What::Whole(entry.path()),
            };
            found.push(Used { last, bytes: meta.len(), what });
        }
        found.sort_unstable_by_key(|file| file.last);
        Ok(found)
    }

    /// Notes that a chunk's pack was used.
    fn mark(&self, digest: &Digest) {
        let Ok(Some(info)) = self.odb.info(digest) else { return };
        let Location::Pack { id, .. } = info.location else { return };
        let now = Instant::now();
        let mut marked = self.marked.lock().unwrap_or_else(PoisonError::into_inner);
        if marked.get(&id).is_some_and(|last| now.duration_since(*last) < MARK_EVERY) {
            return;
        }
        if marked.len() > 2 * PACKS as usize {
            marked.retain(|_, last| now.duration_since(*last) < MARK_EVERY);
        }
        marked.insert(id, now);
        drop(marked);
        // Only the order in which packs go depends on it.
        let _ = File::open(self.packs.join(id.file_name())).and_then(|pack| mark_used(&pack));
    }

    /// Removes the pack that a damaged chunk lies in.
    fn discard(&self, digest: &Digest) -> Result<(), StoreError> {
        match self.odb.info(digest) {
            Ok(Some(info)) => {
                if let Location::Pack { id, .. } = info.location {
                    self.odb.packs().delete(&[id.file_name()])?;
                }
            }
            // It is an index that is damaged: what it lists is lost with it.
            _ => {
                let names: Vec<String> = self.odb.packs().list()?.into_iter().map(|file| file.name).collect();
                self.odb.packs().delete(&names)?;
            }
        }
        self.odb.forget()
    }
}

impl Drop for ChunkCache {
    fn drop(&mut self) {
        // Without it the chunks come again.
        let _ = self.flush();
    }
}

/// A file of the cache.
struct Used {
    last: SystemTime,
    bytes: u64,
    what: What,
}

enum What {
    Pack(PackId),
    Whole(PathBuf),
    /// The index over all packs, and copies that are not finished.
    Other,
}

fn is_unfinished(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(lockfile::TEMP_PREFIX.as_bytes())
}

fn mark_used(file: &File) -> io::Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Ok(futimens(file, &Timestamps { last_access: now, last_modification: now })?)
}

/// Bytes that the finished packs in a folder of this kind take.
#[cfg(test)]
fn bytes_in(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir.join("pack")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::frame::Encoding;

    pub(super) fn chunk(seed: u64, len: usize) -> (Header, Vec<u8>, Vec<u8>) {
        let mut plain = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut plain);
        let digest = ObjectKind::Chunk.digest(&plain);
        let header = Header::new(ObjectKind::Chunk, Encoding::Raw, digest, &plain, len);
        let frame = [&header.encode()[..], &plain].concat();
        (header, frame, plain)
    }

    #[test]
    fn never_takes_more_than_its_quota_and_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let quota = 4 << 20;
        let cache = ChunkCache::open(dir.path(), quota).unwrap();
        for seed in 0..400 {
            let (header, frame, plain) = chunk(seed, 50_000);
            cache.put(&header, &frame).unwrap();
            assert!(bytes_in(dir.path()) <= quota, "after {seed}");
            assert_eq!(cache.read(&header.digest).unwrap(), Some(plain), "what was just put is there");
        }
        drop(cache);
        assert!(bytes_in(dir.path()) <= quota && bytes_in(dir.path()) > quota / 2);
        let cache = ChunkCache::open(dir.path(), quota).unwrap();
        let (newest, _, plain) = chunk(399, 50_000);
        assert_eq!(cache.read(&newest.digest).unwrap(), Some(plain));
        assert_eq!(cache.read(&chunk(0, 50_000).0.digest).unwrap(), None, "the oldest went");
        drop(cache);
        let _smaller = ChunkCache::open(dir.path(), 1 << 20).unwrap();
        assert!(bytes_in(dir.path()) <= 1 << 20, "a smaller quota holds at once");
    }

    #[test]
    fn what_is_used_stays() {
        let dir = tempfile::tempdir().unwrap();
        let cache = ChunkCache::open(dir.path(), 2 << 20).unwrap();
        let (used, frame, _) = chunk(1_000_000, 50_000);
        cache.put(&used, &frame).unwrap();
        cache.flush().unwrap();
        for seed in 0..200 {
            let (header, frame, _) = chunk(seed, 50_000);
            cache.put(&header, &frame).unwrap();
            cache.marked.lock().unwrap().clear();
            assert!(cache.read(&used.digest).unwrap().is_some(), "after {seed}");
        }
    }

    #[test]
    fn a_damaged_copy_is_none_and_makes_place_for_a_good_one() {
        let dir = tempfile::tempdir().unwrap();
        let (header, frame, plain) = chunk(1, 50_000);
        let cache = ChunkCache::open(dir.path(), 2 << 20).unwrap();
        cache.put(&header, &frame).unwrap();
        drop(cache);
        let pack = fs::read_dir(dir.path().join("pack")).unwrap().next().unwrap().unwrap().path();
        let mut bytes = fs::read(&pack).unwrap();
        bytes[1000] ^= 1;
        fs::remove_file(&pack).unwrap();
        fs::write(&pack, bytes).unwrap();
        let cache = ChunkCache::open(dir.path(), 2 << 20).unwrap();
        assert_eq!(cache.read(&header.digest).unwrap(), None);
        cache.put(&header, &frame).unwrap();
        assert_eq!(cache.read(&header.digest).unwrap(), Some(plain));
    }

    #[test]
    fn a_chunk_larger_than_the_quota_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let cache = ChunkCache::open(dir.path(), 10_000).unwrap();
        let (header, frame, _) = chunk(1, 50_000);
        cache.put(&header, &frame).unwrap();
        assert_eq!(cache.read(&header.digest).unwrap(), None);
    }
}
