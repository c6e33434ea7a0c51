//! The log of who had content brought: a line of JSON for each file, in two files of bounded size.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The file in a mount's private folder,
const FILE: &str = "hydration.log";
/// and what it is called when the next one was begun.
const OLDER: &str = "hydration.log.1";
/// The size at which the next one is begun.
const LONGEST: u64 = 1 << 20;

/// Somebody had content of a file brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in seconds since 1970.
    pub time: u64,
    /// The program.
    pub program: String,
    /// Its process, or the thread that opened the file.
    pub pid: u32,
    /// The file, from the top of the mount.
    pub path: String,
    /// Bytes that travelled.
    pub bytes: u64,
}

impl Entry {
    pub(super) fn now(program: &str, pid: u32, path: &str, bytes: u64) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { time, program: program.to_owned(), pid, path: path.to_owned(), bytes }
    }
}

/// The log that a daemon writes.
pub(super) struct Log {
    folder: PathBuf,
    /// One line at a time.
    writing: Mutex<()>,
}

impl Log {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, writing: Mutex::new(()) }
    }

    /// Adds a line. What cannot be written is lost: nobody's reading should fail for it.
    pub(super) fn add(&self, entry: &Entry) {
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.append(entry);
    }

    fn append(&self, entry: &Entry) -> io::Result<()> {
        let path = self.folder.join(FILE);
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let len = fs::metadata(&path).map_or(0, |meta| meta.len());
        if len > 0 && len + line.len() as u64 > LONGEST {
            fs::rename(&path, self.folder.join(OLDER))?;
        }
        File::options().append(true).create(true).open(path)?.write_all(&line)
    }
}

/// What is in the log of a mount, by its private folder, the oldest first. A line that is not whole is passed over.
///
/// # Errors
/// When it cannot be read.
pub fn read(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for name in [OLDER, FILE] {
        let text = match fs::read(folder.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read?,
        };
        entries.extend(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()));
    }
    Ok(entries)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn its_size_is_bounded_and_the_newest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::new(dir.path().to_owned());
        let path = "p".repeat(10_000);
        (0..400).for_each(|pid| log.add(&Entry::now("cat", pid, &path, 1)));
        let taken: u64 = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(taken <= 2 * LONGEST && taken > LONGEST, "{taken}");
        let read = read(dir.path()).unwrap();
        assert_eq!(read.last().unwrap().pid, 399);
        assert!(read.windows(2).all(|two| two[0].pid + 1 == two[1].pid));
    }
}
