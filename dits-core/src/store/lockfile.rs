//! Temporary files that show whether the process that made them still lives: it holds a lock on them.
//!
//! The lock goes with the process, however it ends. Whoever cleans up takes the lock first; who creates a file makes
//! sure, once it holds the lock, that the file was not cleaned up in between.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use tempfile::{NamedTempFile, TempPath};

use crate::durable::{IoContext, IoError};

/// How names of unfinished files begin.
pub(super) const TEMP_PREFIX: &str = "tmp-";

/// Creates a file with a random name in `dir` and locks it. Dropping it removes it.
pub(crate) fn create(dir: &Path, prefix: &str, suffix: &str) -> Result<NamedTempFile, IoError> {
    let builder = |b: &mut tempfile::Builder<'_, '_>| b.tempfile_in(dir);
    loop {
        let temp = builder(tempfile::Builder::new().prefix(prefix).suffix(suffix).rand_bytes(12))
            .at("create a file in", dir)?;
        flock(temp.as_file(), FlockOperation::LockExclusive).at("lock", temp.path())?;
        if temp.as_file().metadata().at("examine", temp.path())?.nlink() > 0 {
            return Ok(temp);
        }
    }
}

/// Opens a file whose owner is dead, and takes its lock; `None` while the owner lives or when the file is gone.
pub(crate) fn take_dead(path: &Path) -> Result<Option<File>, IoError> {
    take(path, false)
}

/// Takes over a file whose owner is dead, to go on writing it; `None` while the owner lives, or when the file is gone or
/// finished.
pub(super) fn take_over(path: &Path) -> Result<Option<NamedTempFile>, IoError> {
    let file = match take(path, true) {
        // Its owner made it read-only and was about to give it its name.
        Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
            let Some(file) = take_dead(path)? else { return Ok(None) };
            file.set_permissions(Permissions::from_mode(0o600)).at("make writable", path)?;
            drop(file);
            take(path, true)?
        }
        taken => taken?,
    };
    let Some(file) = file else { return Ok(None) };
    let name = TempPath::try_from_path(path).at("take over", path)?;
    Ok(Some(NamedTempFile::from_parts(file, name)))
}

fn take(path: &Path, write: bool) -> Result<Option<File>, IoError> {
    let file = match File::options().read(true).write(write).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.at("open", path)?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        done => done.at("lock", path)?,
    }
    // A finished file has been renamed: what was opened is no longer what the name means.
    let here = file.metadata().at("examine", path)?;
    match fs::metadata(path) {
        Ok(there) if (there.dev(), there.ino()) == (here.dev(), here.ino()) => Ok(Some(file)),
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).at("examine", path),
        _ => Ok(None),
    }
}

/// Removes a file whose owner is dead, and says how long it was; `None` when it was left alone.
pub(super) fn reap(path: &Path) -> Result<Option<u64>, IoError> {
    let Some(file) = take_dead(path)? else { return Ok(None) };
    let len = file.metadata().at("examine", path)?.len();
    fs::remove_file(path).at("remove", path)?;
    Ok(Some(len))
}
