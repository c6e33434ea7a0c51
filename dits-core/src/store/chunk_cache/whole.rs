//! Whole copies of files, for readers that want a file of the system's own: the kernel, which then asks nobody.
//!
//! A copy is made of verified chunks and is named by the content's id. It takes of the quota and goes like a pack; not while
//! somebody holds it, however, in this process or another: the space would be taken and not counted. Who holds one has it locked.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use rustix::fs::{FallocateFlags, FlockOperation, flock};
use rustix::io::Errno;

use super::{ChunkCache, mark_used};
use crate::durable::{IoContext, IoError};
use crate::object::Digest;
use crate::store::{DigestSet, StoreError, folder, lockfile};

/// No copy takes more than one part in so many of the quota: it shall not push out what it is made of, nor all others.
const PARTS: u64 = 3;
/// How much is written at a time.
const BUFFER: usize = 1 << 20;

/// A whole copy that stays as long as this is held.
#[derive(Debug)]
pub struct Whole(File);

impl AsFd for Whole {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        // Only the order in which files go depends on it.
        let _ = mark_used(&self.0);
    }
}

/// A whole copy that is being written.
pub struct Draft<'a> {
    out: BufWriter<&'a File>,
    path: &'a Path,
    len: u64,
}

impl Draft<'_> {
    /// Puts these bytes after those that are there.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.len += bytes.len() as u64;
        Ok(self.out.write_all(bytes).at("write", self.path)?)
    }
}

/// What whole copies take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    /// How many there are.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Which others stay, because somebody holds them.
    pub held: Vec<Digest>,
}

impl ChunkCache {
    fn whole_path(&self, content: &Digest) -> PathBuf {
        self.wholes.join(content.to_string())
    }

    /// Whether there is a whole copy of content, finished.
    #[must_use]
    pub fn has_whole(&self, content: &Digest) -> bool {
        self.whole_path(content).exists()
    }

    /// The whole copy of content of this size, if there is one.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn whole(&self, content: &Digest, size: u64) -> Result<Option<Whole>, StoreError> {
        let path = self.whole_path(content);
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.at("open", &path)?,
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            // It is being removed.
            Err(Errno::WOULDBLOCK) => return Ok(None),
            done => done.at("lock", &path)?,
        }
        let meta = file.metadata().at("examine", &path)?;
        if meta.nlink() == 0 || meta.len() != size {
            return Ok(None);
        }
        let _ = mark_used(&file);
        Ok(Some(Whole(file)))
    }

    /// Makes a whole copy of content of this size, durably, and says whether it is there; it is not where the quota has no
    /// room for it. `fill` writes the content, verified.
    ///
    /// # Errors
    /// When it cannot be written, or `fill` fails. There is no copy then.
    pub fn make_whole<E: From<StoreError>>(
        &self,
        content: &Digest,
        size: u64,
        fill: impl FnOnce(&mut Draft<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        if self.has_whole(content) {
            return Ok(true);
        }
        if size > self.quota() / PARTS || !self.make_room(self.pending() + size)? {
            return Ok(false);
        }
        let made = self.write_whole(content, size, fill);
        // Whatever became of it: what is there is counted.
        self.make_room(self.pending())?;
        made
    }

    fn write_whole<E: From<StoreError>>(
        &self,
        content: &Digest,
        size: u64,
        fill: impl FnOnce(&mut Draft<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let failed = |error: IoError| E::from(StoreError::from(error));
        fs::create_dir_all(&self.wholes).at("create", &self.wholes).map_err(failed)?;
        let temp = lockfile::create(&self.wholes, lockfile::TEMP_PREFIX, "").map_err(failed)?;
        // Taken at once, so that whoever counts meanwhile counts all of it, and a full disk is known before the work.
        reserve(temp.as_file(), size).at("make room for", temp.path()).map_err(failed)?;
        *self.finished.lock().unwrap_or_else(PoisonError::into_inner) += size;
        let out = BufWriter::with_capacity(BUFFER, temp.as_file());
        let mut draft = Draft { out, path: temp.path(), len: 0 };
        fill(&mut draft)?;
        draft.out.flush().at("write", temp.path()).map_err(failed)?;
        if draft.len != size {
            let what = format!("it has {} bytes, where {size} were written", draft.len);
            return Err(StoreError::Corrupt { file: self.whole_path(content), what }.into());
        }
        drop(draft);
        // Nobody looks again at what is in it, so it must not come out of a power cut with other bytes.
        folder::settle(&temp)?;
        let path = self.whole_path(content);
        match temp.persist_noclobber(&path) {
            // Another mount was as fast.
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(true),
            done => done.map(|_| true).map_err(|e| e.error).at("rename into place", &path).map_err(failed),
        }
    }

    /// Removes whole copies of these contents, or all. In a dry run it only says which.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove_wholes(&self, of: Option<&DigestSet>, dry_run: bool) -> Result<Copies, StoreError> {
        let mut removed = Copies::default();
        for entry in folder::read_dir(&self.wholes)? {
            let content = entry.file_name().to_str().and_then(|name| name.parse::<Digest>().ok());
            let Some(content) = content.filter(|id| of.is_none_or(|of| of.contains(id))) else { continue };
            let path = entry.path();
            let len = match dry_run {
                true => lockfile::take_dead(&path)?.map(|file| file.metadata().at("examine", &path)).transpose()?,
                false => lockfile::take_dead(&path)?.map(|file| remove(&path, &file)).transpose()?,
            };
            match len {
                Some(meta) => (removed.files, removed.bytes) = (removed.files + 1, removed.bytes + meta.len()),
                None if path.exists() => removed.held.push(content),
                None => {}
            }
        }
        Ok(removed)
    }

    /// Has the cache keep to its quota again, after something was let go that had to stay.
    ///
    /// # Errors
    /// When the folder cannot be read, or files cannot be removed.
    pub fn trim(&self) -> Result<(), StoreError> {
        self.make_room(self.pending()).map(|_| ())
    }
}

/// Removes a copy that the caller has locked.
fn remove(path: &Path, locked: &File) -> Result<fs::Metadata, IoError> {
    let meta = locked.metadata().at("examine", path)?;
    fs::remove_file(path).at("remove", path)?;
    Ok(meta)
}

fn reserve(file: &File, size: u64) -> std::io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(size),
        done => Ok(done?),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;

    use super::super::bytes_in;
    use super::super::tests::chunk;
    use super::*;

    const QUOTA: u64 = 6 << 20;

    fn make(cache: &ChunkCache, seed: u64, len: usize) -> (Digest, Vec<u8>) {
        let (header, _, plain) = chunk(seed, len);
        let made = cache.make_whole::<StoreError>(&header.digest, len as u64, |out| out.write(&plain));
        assert!(made.unwrap(), "{seed}");
        (header.digest, plain)
    }

    fn read(whole: &Whole) -> Vec<u8> {
        let mut bytes = Vec::new();
        whole.0.try_clone().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn counts_and_goes_like_packs_and_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let cache = ChunkCache::open(dir.path(), QUOTA).unwrap();
        let (first, plain) = make(&cache, 1, 1_500_000);
        assert_eq!(read(&cache.whole(&first, 1_500_000).unwrap().unwrap()), plain);
        assert!(cache.whole(&first, 1_499_999).unwrap().is_none(), "it is of another size");
        let taken = |cache: &ChunkCache| cache.usage().unwrap().bytes;
        assert_eq!((taken(&cache), cache.usage().unwrap().copies), (1_500_000, 1));
        let (large, huge) = (chunk(2, 10).0.digest, QUOTA / PARTS + 1);
        let none = |_: &mut Draft<'_>| panic!("it does not fit");
        assert!(!cache.make_whole::<StoreError>(&large, huge, none).unwrap());
        drop(cache);
        let cache = ChunkCache::open(dir.path(), QUOTA).unwrap();
        assert!(cache.has_whole(&first));
        for seed in 10..20 {
            make(&cache, seed, 1_500_000);
            let (header, frame, _) = chunk(seed + 100, 50_000);
            cache.put(&header, &frame).unwrap();
            cache.flush().unwrap();
            assert!(taken(&cache) <= QUOTA, "after {seed}");
        }
        assert!(!cache.has_whole(&first) && cache.has_whole(&chunk(19, 1_500_000).0.digest));
        for seed in 200..400 {
            let (header, frame, _) = chunk(seed, 50_000);
            cache.put(&header, &frame).unwrap();
        }
        cache.flush().unwrap();
        assert!(taken(&cache) <= QUOTA && cache.usage().unwrap().copies == 0, "chunks push them out too");
    }

    #[test]
    fn stays_and_counts_while_somebody_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let cache = ChunkCache::open(dir.path(), QUOTA).unwrap();
        let (digest, plain) = make(&cache, 1, 1_500_000);
        let whole = cache.whole(&digest, 1_500_000).unwrap().unwrap();
        let other = ChunkCache::peek(dir.path(), QUOTA).unwrap();
        cache.set_quota(1 << 20).unwrap();
        other.clear().unwrap();
        let set = DigestSet::new(vec![digest]);
        let held = Copies { held: vec![digest], ..Copies::default() };
        assert_eq!(other.remove_wholes(Some(&set), false).unwrap(), held);
        assert_eq!(other.usage().unwrap().bytes, 1_500_000);
        let (header, frame, _) = chunk(7, 50_000);
        cache.put(&header, &frame).unwrap();
        cache.flush().unwrap();
        assert!(!cache.contains(&header.digest).unwrap() && bytes_in(dir.path()) == 0, "there is no room");
        assert!(read(&whole) == plain);
        drop(whole);
        let would = other.remove_wholes(Some(&set), true).unwrap();
        assert_eq!((would.files, would.bytes), (1, 1_500_000));
        cache.trim().unwrap();
        assert_eq!(other.usage().unwrap().bytes, 0);
    }

    #[test]
    fn one_that_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let cache = ChunkCache::open(dir.path(), QUOTA).unwrap();
        let (header, _, plain) = chunk(1, 100_000);
        let half = |out: &mut Draft<'_>| out.write(&plain[..50_000]);
        assert!(cache.make_whole::<StoreError>(&header.digest, 100_000, half).unwrap_err().is_corruption());
        assert_eq!(cache.usage().unwrap().bytes, 0);
        // A process that died while it wrote one leaves a file that nobody has locked.
        fs::write(dir.path().join("whole/tmp-dead"), b"half").unwrap();
        assert_eq!(cache.usage().unwrap().bytes, 4, "until it is swept it takes space");
        let cache = ChunkCache::open(dir.path(), QUOTA).unwrap();
        assert_eq!(cache.usage().unwrap().bytes, 0);
    }
}
