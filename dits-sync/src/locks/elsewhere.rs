//! The note in a repository that its lock table is not in it. Whoever comes by ssh or by its path would otherwise find no
//! locks, and push over everybody's.

use std::path::{Path, PathBuf};

use dits_core::durable::{self, IoError};

/// The longest note, in bytes.
const MAX_NOTE: u64 = 4096;

fn file(dits: &Path) -> PathBuf {
    dits.join("locks/elsewhere")
}

/// Where the table of the repository in this folder is, if it is not there.
///
/// # Errors
/// When the note cannot be read.
pub fn place(dits: &Path) -> Result<Option<String>, IoError> {
    let note = durable::read_limited(&file(dits), MAX_NOTE)?;
    Ok(note.map(|note| String::from_utf8_lossy(&note).trim_end().to_owned()))
}

/// Notes that the table is at a place, which is shown to people.
///
/// # Errors
/// When the note cannot be written.
pub fn keep_at(dits: &Path, shown: &str) -> Result<(), IoError> {
    if place(dits)?.is_some_and(|noted| noted == shown) {
        return Ok(());
    }
    durable::create_dir_all(&dits.join("locks"))?;
    durable::write_atomic(&file(dits), format!("{shown}\n").as_bytes())
}
