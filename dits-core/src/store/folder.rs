//! Where packs lie: the interface, and its implementation by a folder.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use memmap2::Mmap;
use tempfile::NamedTempFile;

use super::{StoreError, lockfile, map};
use crate::durable::{self, IoContext};

/// A stored file that never changes.
pub trait Blob: Send + Sync {
    /// How messages call it.
    fn path(&self) -> &Path;

    /// Its length in bytes.
    fn len(&self) -> u64;

    /// Whether it is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// When it ends before, or cannot be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError>;

    /// The range in memory, where the store can and may map it.
    ///
    /// # Errors
    /// When mapping fails.
    fn map(&self, range: Range<u64>) -> Result<Option<Mmap>, StoreError>;
}

/// A stored file in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
}

/// Changes whenever the list of stored files does (and sometimes without).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp([i64; 4]);

/// The clocks of file systems do not tick more slowly than that.
const TICK: Duration = Duration::from_millis(20);

impl Stamp {
    /// Whether the list has changed so lately that another change may not be seen by its stamp.
    pub(super) fn is_recent(&self) -> bool {
        let [seconds, nanos, ..] = self.0.map(|part| u64::try_from(part).unwrap_or(0));
        let changed = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(nanos);
        // By a clock that is ahead it is never so: nobody would wait for that.
        SystemTime::now().duration_since(changed).is_ok_and(|age| age < TICK)
    }
}

/// A place for packs and the merged index: whole files that are written once, read in ranges, listed and deleted.
/// A folder is the first implementation; object storage fits the same interface.
pub trait PackStore: Send + Sync + fmt::Debug {
    /// All finished files.
    ///
    /// # Errors
    /// When the place cannot be read. A place that does not exist yet is empty.
    fn list(&self) -> Result<Vec<Listed>, StoreError>;

    /// A cheap look at whether the list may have changed; `None` while the place does not exist.
    ///
    /// # Errors
    /// When the place cannot be examined.
    fn stamp(&self) -> Result<Option<Stamp>, StoreError>;

    /// Opens a file; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn open(&self, name: &str) -> Result<Option<Arc<dyn Blob>>, StoreError>;

    /// A file to write into before [`PackStore::put`]. It is locked while this process lives, and dropping it removes
    /// it.
    ///
    /// # Errors
    /// When it cannot be created.
    fn draft(&self) -> Result<NamedTempFile, StoreError>;

    /// Stores whole files under their names, durably: once this returns they survive a power cut. Readers see each of
    /// them whole or not at all. A file of the same name is replaced.
    ///
    /// # Errors
    /// When one cannot be made durable. Some may then be there.
    fn put(&self, files: Vec<(NamedTempFile, String)>) -> Result<(), StoreError>;

    /// Makes durable that the files are there which others have stored, and perhaps are only about to make so.
    ///
    /// # Errors
    /// When that fails.
    fn sync(&self) -> Result<(), StoreError>;

    /// Removes files, durably. One that is not there is not an error.
    ///
    /// # Errors
    /// When one cannot be removed.
    fn delete(&self, names: &[String]) -> Result<(), StoreError>;

    /// The files that dead processes left unfinished, locked for the caller. Dropping one removes it; it can be written
    /// to and [put](PackStore::put) like a draft.
    ///
    /// # Errors
    /// When one cannot be opened.
    fn abandoned(&self) -> Result<Vec<NamedTempFile>, StoreError>;

    /// Removes what dead processes left unfinished, and says how many files and bytes.
    ///
    /// # Errors
    /// When one cannot be removed.
    fn sweep(&self) -> Result<(u64, u64), StoreError>;
}

/// Packs in a folder of the local file system. Nothing is created before the first write.
#[derive(Debug)]
pub struct FolderStore {
    dir: PathBuf,
    map: bool,
}

impl FolderStore {
    /// Packs in `dir`; `map` says whether indexes may be mapped into memory.
    #[must_use]
    pub fn new(dir: PathBuf, map: bool) -> Self {
        Self { dir, map }
    }
}

/// The entries of a folder; none when it does not exist.
pub(super) fn read_dir(dir: &Path) -> Result<Vec<fs::DirEntry>, StoreError> {
    match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        opened => Ok(opened.and_then(Iterator::collect).at("list", dir)?),
    }
}

/// Makes a written temporary file read-only and durable under its temporary name.
pub(super) fn settle(temp: &NamedTempFile) -> Result<(), StoreError> {
    let file = temp.as_file();
    file.set_permissions(Permissions::from_mode(0o444)).at("make read-only", temp.path())?;
    Ok(file.sync_all().at("sync", temp.path())?)
}

impl PackStore for FolderStore {
    fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let mut listed = Vec::new();
        for entry in read_dir(&self.dir)? {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with(lockfile::TEMP_PREFIX) {
                continue;
            }
            match entry.metadata() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                found => {
                    let meta = found.at("examine", &entry.path())?;
                    if meta.is_file() {
                        listed.push(Listed { name, len: meta.len() });
                    }
                }
            }
        }
        listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    fn stamp(&self) -> Result<Option<Stamp>, StoreError> {
        match fs::metadata(&self.dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            found => {
                let meta = found.at("examine", &self.dir)?;
                Ok(Some(Stamp([meta.mtime(), meta.mtime_nsec(), meta.ctime_nsec(), meta.ino() as i64])))
            }
        }
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn Blob>>, StoreError> {
        let opened = FileBlob::open(self.dir.join(name), self.map)?;
        Ok(opened.map(|blob| Arc::new(blob) as Arc<dyn Blob>))
    }

    fn draft(&self) -> Result<NamedTempFile, StoreError> {
        durable::create_dir_all(&self.dir)?;
        Ok(lockfile::create(&self.dir, lockfile::TEMP_PREFIX, ".pack")?)
    }

    fn put(&self, files: Vec<(NamedTempFile, String)>) -> Result<(), StoreError> {
        if files.is_empty() {
            return Ok(());
        }
        files.iter().try_for_each(|(temp, _)| settle(temp))?;
        for (temp, name) in files {
            let path = self.dir.join(name);
            temp.persist(&path).map_err(|e| e.error).at("rename into place", &path)?;
        }
        Ok(durable::sync_dir(&self.dir)?)
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(durable::sync_dir(&self.dir)?)
    }

    fn delete(&self, names: &[String]) -> Result<(), StoreError> {
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            let path = self.dir.join(name);
            match fs::remove_file(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                done => done.at("remove", &path)?,
            }
        }
        Ok(durable::sync_dir(&self.dir)?)
    }

    fn abandoned(&self) -> Result<Vec<NamedTempFile>, StoreError> {
        let mut taken = Vec::new();
        for entry in read_dir(&self.dir)? {
            if entry.file_name().as_encoded_bytes().starts_with(lockfile::TEMP_PREFIX.as_bytes()) {
                taken.extend(lockfile::take_over(&entry.path())?);
            }
        }
        Ok(taken)
    }

    fn sweep(&self) -> Result<(u64, u64), StoreError> {
        sweep_folder(&self.dir)
    }
}

/// Removes the unfinished files of dead processes from one folder, and says how many files and bytes.
pub(super) fn sweep_folder(dir: &Path) -> Result<(u64, u64), StoreError> {
    let (mut files, mut bytes) = (0, 0);
    for entry in read_dir(dir)? {
        if entry.file_name().as_encoded_bytes().starts_with(lockfile::TEMP_PREFIX.as_bytes())
            && let Some(len) = lockfile::reap(&entry.path())?
        {
            files += 1;
            bytes += len;
        }
    }
    Ok((files, bytes))
}

/// A local file, read with `pread` and, where allowed, mapped.
pub(super) struct FileBlob {
    path: PathBuf,
    file: File,
    len: u64,
    map: bool,
}

impl FileBlob {
    pub(super) fn open(path: PathBuf, map: bool) -> Result<Option<Self>, StoreError> {
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.at("open", &path)?,
        };
        let len = file.metadata().at("examine", &path)?.len();
        Ok(Some(Self { path, file, len, map }))
    }
}

impl Blob for FileBlob {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        match self.file.read_exact_at(buffer, offset) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                let what = format!("it ends before byte {}; run `dits fsck`", offset + buffer.len() as u64);
                Err(StoreError::Corrupt { file: self.path.clone(), what })
            }
            done => Ok(done.at("read", &self.path)?),
        }
    }

    fn map(&self, range: Range<u64>) -> Result<Option<Mmap>, StoreError> {
        if !self.map || range.end > self.len {
            return Ok(None);
        }
        Ok(Some(map::map(&self.file, range).at("map", &self.path)?))
    }
}
