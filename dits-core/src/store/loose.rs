//! Loose objects: one frame in a file of its own, `a7/b9c3…`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::folder::{read_dir, settle, sweep_folder};
use super::{StoreError, frame, lockfile};
use crate::durable::{self, IoContext};
use crate::object::Digest;

/// The loose objects of one object database.
#[derive(Debug)]
pub(super) struct Loose {
    dir: PathBuf,
}

impl Loose {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.dir.join(&hex[..2]).join(&hex[2..])
    }

    pub(super) fn contains(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.path(digest);
        match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            found => Ok(found.at("examine", &path)?.is_file()),
        }
    }

    /// The bytes of a loose object's file.
    pub(super) fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        read_file(&self.path(digest))
    }

    /// The header of a loose object, without reading what follows, and the length of its file.
    pub(super) fn header(&self, digest: &Digest) -> Result<Option<(frame::Header, u64)>, StoreError> {
        use std::io::Read;
        let path = self.path(digest);
        let file = match fs::File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.at("open", &path)?,
        };
        let len = file.metadata().at("examine", &path)?.len();
        let mut bytes = Vec::new();
        file.take(frame::HEADER_LEN as u64 + 255).read_to_end(&mut bytes).at("read", &path)?;
        let header = frame::Header::decode(&bytes).map_err(|e| frame_error(e, &path))?;
        if header.digest != *digest || header.frame_len() as u64 != len {
            return Err(super::pack::corrupt(&path, "its header does not fit its name and length"));
        }
        Ok(Some((header, len)))
    }

    /// Writes frames as loose objects, durably: all files, then all names.
    pub(super) fn put(&self, frames: &[(Digest, &[u8])]) -> Result<(), StoreError> {
        use std::io::Write;
        let mut ready: Vec<(NamedTempFile, PathBuf)> = Vec::new();
        let mut folders = Vec::new();
        for (digest, bytes) in frames {
            let path = self.path(digest);
            let folder = path.parent().unwrap_or(&self.dir).to_owned();
            durable::create_dir_all(&folder)?;
            let mut temp = lockfile::create(&folder, lockfile::TEMP_PREFIX, "")?;
            temp.write_all(bytes).at("write", &path)?;
            settle(&temp)?;
            ready.push((temp, path));
            folders.push(folder);
        }
        for (temp, path) in ready {
            temp.persist(&path).map_err(|e| e.error).at("rename into place", &path)?;
        }
        folders.sort_unstable();
        folders.dedup();
        Ok(folders.iter().try_for_each(|folder| durable::sync_dir(folder))?)
    }

    /// Makes durable that loose objects are there whose names begin with `byte`.
    pub(super) fn sync(&self, byte: u8) -> Result<(), StoreError> {
        match durable::sync_dir(&self.dir.join(format!("{byte:02x}"))) {
            // They have been packed meanwhile, and the pack was made durable before.
            Err(e) if e.source.kind() == io::ErrorKind::NotFound => Ok(()),
            done => Ok(done?),
        }
    }

    /// Every loose object's name and path whose first byte is in `first`, in order of the names.
    pub(super) fn for_each<E: From<StoreError>>(
        &self,
        first: std::ops::RangeInclusive<u8>,
        mut visit: impl FnMut(Digest, &Path) -> Result<(), E>,
    ) -> Result<(), E> {
        for byte in first {
            let mut found: Vec<(Digest, PathBuf)> = Vec::new();
            for entry in read_dir(&self.dir.join(format!("{byte:02x}")))? {
                let name = entry.file_name().into_string().unwrap_or_default();
                if name.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
                    && let Ok(digest) = format!("{byte:02x}{name}").parse()
                {
                    found.push((digest, entry.path()));
                }
            }
            found.sort_unstable();
            found.into_iter().try_for_each(|(digest, path)| visit(digest, &path))?;
        }
        Ok(())
    }

    /// Removes loose objects, durably; gives back how many there were and their bytes.
    pub(super) fn remove(&self, digests: &[Digest]) -> Result<(u64, u64), StoreError> {
        let (mut files, mut bytes) = (0, 0);
        let mut folders: Vec<PathBuf> = Vec::new();
        for digest in digests {
            let path = self.path(digest);
            let len = fs::symlink_metadata(&path).map(|meta| meta.size());
            match fs::remove_file(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                done => done.at("remove", &path)?,
            }
            files += 1;
            bytes += len.unwrap_or(0);
            folders.extend(path.parent().map(Path::to_owned));
        }
        folders.sort_unstable();
        folders.dedup();
        folders.iter().try_for_each(|folder| durable::sync_dir(folder))?;
        Ok((files, bytes))
    }

    /// Removes what dead processes left unfinished, and says how many files and bytes.
    pub(super) fn sweep(&self) -> Result<(u64, u64), StoreError> {
        let (mut files, mut bytes) = (0, 0);
        for byte in 0..=u8::MAX {
            let (f, b) = sweep_folder(&self.dir.join(format!("{byte:02x}")))?;
            files += f;
            bytes += b;
        }
        Ok((files, bytes))
    }
}

/// The bytes of a loose object's file, of which no more than a frame can have are read.
pub(super) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match durable::read_limited(path, frame::MAX_FRAME as u64) {
        Err(e) if e.source.kind() == io::ErrorKind::InvalidData => {
            Err(super::pack::corrupt(path, "it is longer than any object"))
        }
        read => Ok(read?),
    }
}

/// A frame's fault as the store's: damage of `file`, or something too new in it.
pub(super) fn frame_error(error: frame::FrameError, file: &Path) -> StoreError {
    match error {
        frame::FrameError::TooNew { .. } => StoreError::FileTooNew { file: file.to_owned(), what: error.to_string() },
        damage => super::pack::corrupt(file, &damage.to_string()),
    }
}
