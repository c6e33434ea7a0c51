//! Writing files so that they survive a power cut, and the I/O error that says which file and what was being done.
//!
//! What survives is: fsync of the file, rename into place, fsync of the folder. A new folder is durable only after its
//! parent has been synced too. An fsync that failed is never repeated: the kernel may have dropped the data.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An operation on a file that the operating system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {}: {source}", .path.display())]
pub struct IoError {
    /// What was being done, as a verb: `open`, `write`, `sync`.
    pub op: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Names the operation and the file of an [`io::Error`].
pub trait IoContext<T> {
    /// Turns an [`io::Error`] into an [`IoError`] about `path`.
    ///
    /// # Errors
    /// When `self` is one.
    fn at(self, op: &'static str, path: &Path) -> Result<T, IoError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, op: &'static str, path: &Path) -> Result<T, IoError> {
        self.map_err(|source| IoError { op, path: path.to_owned(), source })
    }
}

impl<T> IoContext<T> for rustix::io::Result<T> {
    fn at(self, op: &'static str, path: &Path) -> Result<T, IoError> {
        self.map_err(|errno| IoError { op, path: path.to_owned(), source: errno.into() })
    }
}

/// Replaces the content of `path`, durably and all at once: a reader sees the old content or the new one.
///
/// # Errors
/// When any step fails; the file is then as it was before.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    write_with_mode(path, bytes, 0o666)
}

/// As [`write_atomic`], for what only its owner may read: keys and tokens.
///
/// # Errors
/// When any step fails; the file is then as it was before.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    write_with_mode(path, bytes, 0o600)
}

fn write_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<(), IoError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut temp = new_temp(dir, ".tmp-", mode).at("create a file in", dir)?;
    temp.write_all(bytes).at("write", temp.path())?;
    publish(temp, path)
}

/// A new temporary file with these permissions, less what the user's umask takes away.
fn new_temp(dir: &Path, prefix: &str, mode: u32) -> io::Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = fs::Permissions::from_mode(mode);
    tempfile::Builder::new().prefix(prefix).permissions(permissions).tempfile_in(dir).map_err(without_path)
}

/// What the system said, without the name of the temporary file: it means nothing to a user, and the folder is named
/// anyway.
fn without_path(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ (io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => kind.into(),
        _ => error,
    }
}

/// Gives a fully written temporary file its name, durably. The temporary file must be on the same file system.
///
/// # Errors
/// When any step fails; the file is then as it was before.
pub fn publish(temp: tempfile::NamedTempFile, path: &Path) -> Result<(), IoError> {
    temp.as_file().sync_all().at("sync", temp.path())?;
    temp.persist(path).map_err(|e| e.error).at("rename into place", path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// As [`write_atomic`], but durable only after [`sync_file_system`].
///
/// # Errors
/// When any step fails; the file is then as it was before.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut temp = new_temp(dir, ".tmp-", 0o666).at("create a file in", dir)?;
    temp.write_all(bytes).at("write", temp.path())?;
    temp.persist(path).map_err(|e| e.error).at("rename into place", path)?;
    Ok(())
}

/// Makes all that was written to the file system of a folder durable: one wait, where many files would take many.
/// `false` where the system does not know how.
///
/// # Errors
/// When the folder cannot be opened, or something could not be written.
pub fn sync_file_system(dir: &Path) -> Result<bool, IoError> {
    #[cfg(target_os = "linux")]
    {
        let folder = File::open(dir).at("open", dir)?;
        rustix::fs::syncfs(&folder).at("sync the file system of", dir)?;
        Ok(true)
    }
    #[cfg(not(target_os = "linux"))]
    Ok(false)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// When the folder cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> Result<(), IoError> {
    File::open(dir).and_then(|f| f.sync_all()).at("sync", dir)
}

/// Creates a folder and its missing parents, durably.
///
/// # Errors
/// When a folder cannot be created or synced.
pub fn create_dir_all(dir: &Path) -> Result<(), IoError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_dir_all(parent)?;
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e).at("create", dir)?,
        _ => {}
    }
    sync_dir(parent)
}

/// Removes a file, durably. A file that is not there is not an error.
///
/// # Errors
/// When the file cannot be removed or its folder cannot be synced.
pub fn remove_file(path: &Path) -> Result<(), IoError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        done => {
            done.at("remove", path)?;
            sync_dir(path.parent().unwrap_or(Path::new(".")))
        }
    }
}

/// Reads a whole file of at most `limit` bytes; `None` when it does not exist.
///
/// # Errors
/// When it cannot be read or is longer than `limit`.
pub fn read_limited(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, IoError> {
    use std::io::Read;
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.at("open", path)?,
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).at("read", path)?;
    if bytes.len() as u64 > limit {
        let error = io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {limit} bytes"));
        return Err(error).at("read", path);
    }
    Ok(Some(bytes))
}
