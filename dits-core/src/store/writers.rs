//! Who is writing: every writer leaves a locked file in `.dits/writers`, so that garbage collection can wait for those
//! that began before it condemned anything. See `docs/format/store.md`.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::condemned::Condemned;
use super::folder::read_dir;
use super::{StoreError, lockfile};
use crate::durable::{self, IoContext};

/// The folder in `.dits`.
pub const DIR_NAME: &str = "writers";
/// Generation, process id, checksum.
const RECORD: usize = 16;

/// Shows, while it lives, that somebody is writing. Keep it until refs or the index name what was written: until then
/// garbage collection must not decide about it.
#[derive(Debug)]
pub struct WriterGuard {
    // Dropping it removes the file, and closing it lets go of the lock.
    _file: NamedTempFile,
    generation: u64,
}

impl WriterGuard {
    /// Registers a writer, and reads the condemned list it has to respect.
    ///
    /// # Errors
    /// When the file cannot be written, or the list is damaged.
    pub fn register(dits_dir: &Path) -> Result<(Self, Condemned), StoreError> {
        let dir = dits_dir.join(DIR_NAME);
        durable::create_dir_all(&dir)?;
        // The empty file counts as older than anything. Only then is the list read: one that is published after this
        // moment waits for this writer, one published before is seen by it.
        let file = lockfile::create(&dir, "", "")?;
        let list = Condemned::current(dits_dir)?;
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(&list.generation.to_le_bytes());
        record[8..12].copy_from_slice(&std::process::id().to_le_bytes());
        let crc = crc32fast::hash(&record[..12]);
        record[12..].copy_from_slice(&crc.to_le_bytes());
        file.as_file().write_all_at(&record, 0).at("write", file.path())?;
        Ok((Self { _file: file, generation: list.generation }, list))
    }

    /// The generation of the condemned list that this writer respects.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

/// A writer that is at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveWriter {
    /// Its file.
    pub path: PathBuf,
    /// The generation it respects; 0 while it has not said.
    pub generation: u64,
    /// Its process; 0 while it has not said.
    pub pid: u32,
}

/// The writers that do not respect the condemned list of `generation`. Files of dead ones are removed on the way.
///
/// # Errors
/// When the folder cannot be read, or a dead writer's file not removed.
pub fn live_writers_older_than(dits_dir: &Path, generation: u64) -> Result<Vec<LiveWriter>, StoreError> {
    let mut live = Vec::new();
    for entry in read_dir(&dits_dir.join(DIR_NAME))? {
        let path = entry.path();
        if lockfile::reap(&path)?.is_some() {
            continue;
        }
        // Gone by itself meanwhile: not alive any more.
        let Some(record) = durable::read_limited(&path, RECORD as u64)? else { continue };
        let (seen, pid) = decode(&record);
        if seen < generation {
            live.push(LiveWriter { path, generation: seen, pid });
        }
    }
    live.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(live)
}

/// What a writer says about itself; zeros when it does not say it properly.
fn decode(record: &[u8]) -> (u64, u32) {
    let Ok(record) = <&[u8; RECORD]>::try_from(record) else { return (0, 0) };
    let (body, crc) = record.split_at(12);
    if crc32fast::hash(body).to_le_bytes() != crc {
        return (0, 0);
    }
    let mut generation = [0; 8];
    generation.copy_from_slice(&body[..8]);
    (u64::from_le_bytes(generation), u32::from_le_bytes([body[8], body[9], body[10], body[11]]))
}
