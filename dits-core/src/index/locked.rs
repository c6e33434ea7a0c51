//! Loading the index, and writing it under its lock.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::base::{self, Generation};
use super::{Base, BaseError, Index, IndexError, journal};
use crate::durable::{self, IoContext, IoError, write_atomic};
use crate::lockfile::{FileLock, PATIENCE};

/// A journal at least as long is folded into a new base, even when the base is small.
const MIN_LIMIT: u64 = 256 << 10;
/// A journal at least as long is folded into a new base, even when the base is large: it is slower to load.
const MAX_LIMIT: u64 = 4 << 20;
/// How often a reader begins again because a writer was faster.
const TRIES: usize = 100;

/// What is on disk: the index, and how long the whole part of its journal is, if it has one.
struct OnDisk {
    index: Index,
    journal: Option<u64>,
    has_base: bool,
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>, IoError> {
    match std::fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.at("read", path).map(Some),
    }
}

/// The generation of the base that is there now.
fn generation_now(path: &Path) -> Result<Option<Generation>, IoError> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.at("open", path)?,
    };
    let mut header = Vec::new();
    file.take(base::HEADER as u64).read_to_end(&mut header).at("read", path)?;
    Ok(base::generation_of(&header))
}

fn load_base(path: &Path) -> Result<Option<Base>, IndexError> {
    let file = || path.to_owned();
    let Some(bytes) = read_file(path)? else { return Ok(None) };
    Base::open(bytes).map(Some).map_err(|e| match e {
        BaseError::Damaged(what) => IndexError::Corrupt { file: file(), what },
        BaseError::TooNew(version) => IndexError::TooNew { file: file(), version },
    })
}

/// Loads without a lock. The journal is read after the base, so a writer may have replaced the base in between; then
/// the journal is gone or names another generation, and it starts again. A journal of another generation beside a base
/// that stays is what a writer left that died between renaming the base and removing the journal.
fn load(path: &Path) -> Result<OnDisk, IndexError> {
    let file = beside(path, ".journal");
    let mut tries = 0;
    loop {
        tries += 1;
        let base = load_base(path)?;
        let (generation, has_base) = (base.as_ref().map(|base| base.generation), base.is_some());
        let mut index = base.map_or_else(Index::default, Index::of_base);
        let corrupt = |what| IndexError::Corrupt { file: file.clone(), what };
        match read_file(&file)?.map(|bytes| journal::decode(&bytes)) {
            Some(Ok(journal)) if Some(journal.generation) == generation => {
                journal.records.into_iter().for_each(|record| index.apply(record));
                return Ok(OnDisk { index, journal: Some(journal.whole_len), has_base });
            }
            // The header changes in place, so what looks damaged may have been read half-way through that.
            Some(Err(what)) if tries >= 3 && has_base => return Err(corrupt(what)),
            Some(Err(_)) if has_base => std::thread::sleep(Duration::from_millis(1)),
            _ if generation_now(path)? == generation => return Ok(OnDisk { index, journal: None, has_base }),
            _ if tries >= TRIES => return Err(corrupt("it never belongs to the index beside it".to_owned())),
            _ => {}
        }
    }
}

impl Index {
    /// Reads the index with this file; a missing one is empty. Takes no lock, and sees every batch of changes whole or
    /// not at all.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn load(path: &Path) -> Result<Self, IndexError> {
        load(path).map(|on_disk| on_disk.index)
    }

    /// Takes the lock of the index with this file, waiting for another writer, and loads it.
    ///
    /// # Errors
    /// When the lock stays held, or the index cannot be read or is damaged.
    pub fn lock(path: &Path) -> Result<LockedIndex, IndexError> {
        LockedIndex::lock(path, PATIENCE)
    }
}

/// An index that nobody else can change. Dropping it changes nothing on disk.
#[derive(Debug)]
pub struct LockedIndex {
    index: Index,
    path: PathBuf,
    journal: Option<u64>,
    has_base: bool,
    _lock: FileLock,
}

impl Deref for LockedIndex {
    type Target = Index;

    fn deref(&self) -> &Index {
        &self.index
    }
}

impl DerefMut for LockedIndex {
    fn deref_mut(&mut self) -> &mut Index {
        &mut self.index
    }
}

impl LockedIndex {
    /// [`Index::lock`] with another patience.
    ///
    /// # Errors
    /// As [`Index::lock`].
    pub fn lock(path: &Path, patience: Duration) -> Result<Self, IndexError> {
        let lock = FileLock::acquire(&beside(path, ".lock"), patience)?;
        let OnDisk { index, journal, has_base } = load(path)?;
        Ok(Self { index, path: path.to_owned(), journal, has_base, _lock: lock })
    }

    /// Whether no index was ever written: nothing was staged or checked out yet, which is not the same as an index
    /// from which everything was removed.
    #[must_use]
    pub fn is_unborn(&self) -> bool {
        !self.has_base
    }

    /// Writes the changes, durably, all or none, and frees the lock.
    ///
    /// # Errors
    /// When they cannot be written; then the index on disk is as it was.
    pub fn commit(mut self) -> Result<Index, IndexError> {
        self.save()?;
        Ok(self.index)
    }

    /// [`LockedIndex::commit`] that keeps the lock: for what else must happen before anybody sees the index.
    ///
    /// # Errors
    /// As there.
    pub fn save(&mut self) -> Result<(), IndexError> {
        if !self.index.is_changed() {
            return Ok(());
        }
        let limit = (self.index.base.bytes().len() as u64 / 4).clamp(MIN_LIMIT, MAX_LIMIT);
        let append = self.has_base && !self.index.replaced;
        let batch = if append { self.index.batch() } else { Vec::new() };
        if append && self.journal.unwrap_or(0) + (batch.len() as u64) < limit {
            self.journal = Some(self.append(&batch)?);
            self.index.changed.clear();
            self.index.saved_tree = self.index.tree;
            return Ok(());
        }
        let no_inodes = self.index.no_inodes;
        self.index = Index { no_inodes, ..self.write_base()? };
        (self.journal, self.has_base) = (None, true);
        Ok(())
    }

    fn write_base(&self) -> Result<Index, IndexError> {
        let mut generation = Generation::default();
        let random = Path::new("/dev/urandom");
        File::open(random).and_then(|mut f| f.read_exact(&mut generation)).at("read", random)?;
        let base = self.index.to_base(generation);
        write_atomic(&self.path, base.bytes())?;
        // From here on the old journal is stale. That it is there only takes space.
        let _ = durable::remove_file(&beside(&self.path, ".journal"));
        Ok(Index::of_base(base))
    }

    /// Returns how long the journal is then.
    fn append(&self, batch: &[u8]) -> Result<u64, IoError> {
        let (path, generation) = (beside(&self.path, ".journal"), &self.index.base.generation);
        let Some(at) = self.journal else {
            let frame = journal::frame(generation, journal::HEADER as u64, batch);
            let length = (journal::HEADER + frame.len()) as u64;
            let header = journal::header(generation, length);
            return write_atomic(&path, &[header, frame].concat()).map(|()| length);
        };
        let frame = journal::frame(generation, at, batch);
        let mut file = File::options().read(true).append(true).open(&path).at("open", &path)?;
        file.set_len(at).at("cut", &path)?;
        let written = file.write_all(&frame).at("append to", &path).and_then(|()| file.sync_data().at("sync", &path));
        if written.is_err() {
            let _ = file.set_len(at); // without it, what was written of the batch could still turn out whole
        }
        written?;
        // Not synced: it only lets readers tell damage from an unfinished write.
        let file = File::options().write(true).open(&path).at("open", &path)?;
        let length = at + frame.len() as u64;
        let _ = file.write_all_at(&journal::header(generation, length), 0);
        Ok(length)
    }
}
