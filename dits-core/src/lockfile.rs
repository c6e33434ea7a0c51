//! A lock between processes that a dead process cannot hold.
//!
//! The lock is the kernel's (`flock`) on a file that stays where it is: the kernel frees it when its holder ends, however
//! that happens. The file's content only tells people who holds it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::durable::{IoContext, IoError};

/// How long a writer waits for another one.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why a lock was not obtained.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody held it all the time.
    #[error("{} is held by {holder}; try again when that is done", .path.display())]
    Busy {
        /// The lock's file.
        path: PathBuf,
        /// Who holds it, as far as is known.
        holder: String,
    },
    /// The lock's file cannot be opened or locked.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock with this file, which is created if need be, and waits up to `patience` for another holder.
    ///
    /// # Errors
    /// When it stays held, or the file cannot be opened.
    pub fn acquire(path: &Path, patience: Duration) -> Result<Self, LockError> {
        Self::acquire_as(FlockOperation::NonBlockingLockExclusive, path, patience)
    }

    /// The same together with others who take it like this, but not with one who takes it with [`FileLock::acquire`].
    ///
    /// # Errors
    /// As there.
    pub fn acquire_shared(path: &Path, patience: Duration) -> Result<Self, LockError> {
        Self::acquire_as(FlockOperation::NonBlockingLockShared, path, patience)
    }

    fn acquire_as(operation: FlockOperation, path: &Path, patience: Duration) -> Result<Self, LockError> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(lock) = Self::attempt(operation, path)? {
                return Ok(lock);
            }
            if start.elapsed() >= patience {
                return Err(LockError::Busy { path: path.to_owned(), holder: holder(path) });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn attempt(operation: FlockOperation, path: &Path) -> Result<Option<Self>, LockError> {
        let options = File::options().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(path).at("open", path)?;
        match rustix::fs::flock(&file, operation) {
            Err(Errno::WOULDBLOCK | Errno::INTR) => return Ok(None),
            done => done.at("lock", path)?,
        }
        // Somebody may have deleted the file in between; then a lock on it keeps nobody out.
        let held = file.metadata().at("look at", path)?;
        match fs::metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => {}
            _ => return Ok(None),
        }
        // For people only, so a full disk must not stand in the way.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "process {}", std::process::id()));
        Ok(Some(Self { file }))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
    }
}

fn holder(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    match text.strip_prefix("process ").and_then(|rest| rest.trim().parse::<u32>().ok()) {
        Some(process) => format!("process {process}"),
        None => "another process".to_owned(),
    }
}

/// Writers that are killed, for the tests of what they leave behind.
#[cfg(test)]
pub(crate) mod killed {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    const FOLDER: &str = "DITS_TEST_KILLED_WRITER";

    /// In the process that [`run`] started: the folder to write in. Tells the other process that it begins.
    pub(crate) fn folder() -> Option<PathBuf> {
        let dir = PathBuf::from(std::env::var_os(FOLDER)?);
        fs::write(dir.join("begun"), "").unwrap();
        Some(dir)
    }

    /// Runs a test of this binary in a process of its own, and kills it some time after it has begun to write.
    pub(crate) fn run(test: &str, dir: &Path, after: Duration) {
        let begun = dir.join("begun");
        let _ = fs::remove_file(&begun);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test]).env(FOLDER, dir).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let start = Instant::now();
        while !begun.exists() && start.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(after);
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success() && begun.exists(), "it must be killed while it writes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_waits_and_the_error_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let first = FileLock::acquire(&path, Duration::ZERO).unwrap();
        let error = FileLock::acquire(&path, Duration::from_millis(30)).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        FileLock::acquire(&path, Duration::ZERO).unwrap();
    }

    #[test]
    fn some_share_it_and_keep_others_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let shared = [(); 2].map(|()| FileLock::acquire_shared(&path, Duration::ZERO).unwrap());
        for lock in shared {
            assert!(FileLock::acquire(&path, Duration::ZERO).is_err());
            drop(lock);
        }
        let _alone = FileLock::acquire(&path, Duration::ZERO).unwrap();
        assert!(FileLock::acquire_shared(&path, Duration::ZERO).is_err());
    }

    #[test]
    fn a_deleted_file_locks_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.lock");
        let _first = FileLock::acquire(&path, Duration::ZERO).unwrap();
        fs::remove_file(&path).unwrap();
        let _second = FileLock::acquire(&path, Duration::ZERO).unwrap();
        assert!(FileLock::acquire(&path, Duration::ZERO).is_err());
    }
}
