//! The folder of a clone: new or empty, or one that a clone of the same address was interrupted in.

use std::fs;
use std::path::{Path, PathBuf};

use dits_core::durable::{self, IoContext};
use dits_core::repo::{DITS, RepoError};

use crate::error::CliError;

/// Marks a clone that is not complete; holds its address.
const MARKER: &str = "clone-unfinished";

/// Where a clone goes.
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// The `.dits` in it, or itself.
    dits: PathBuf,
    /// Whether it was there before.
    existed: bool,
}

impl Folder {
    /// Makes sure that nothing is in the way.
    ///
    /// # Errors
    /// When something is.
    pub fn look(path: &Path, bare: bool, url: &str) -> Result<Self, CliError> {
        let dits = if bare { path.to_owned() } else { path.join(DITS) };
        let existed = path.symlink_metadata().is_ok();
        if existed {
            let unfinished = durable::read_limited(&dits.join(MARKER), 1 << 16)?;
            let goes_on = unfinished.as_deref() == Some(url.as_bytes());
            if !goes_on && !holds_nothing(path, &dits)? {
                return Err(RepoError::FolderNotEmpty { path: path.to_owned() }.into());
            }
        }
        Ok(Self { path: path.to_owned(), dits, existed })
    }

    /// First of all: from here on it holds a clone that is not complete.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn begin(&self, url: &str) -> Result<(), CliError> {
        durable::create_dir_all(&self.dits)?;
        Ok(durable::write_atomic(&self.dits.join(MARKER), url.as_bytes())?)
    }

    /// The clone is complete.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn finish(&self) -> Result<(), CliError> {
        Ok(durable::remove_file(&self.dits.join(MARKER))?)
    }

    /// Removes what this clone has made.
    pub fn remove(&self) {
        // An error is being told already, and names the folder.
        let _ = match (self.existed, self.dits == self.path) {
            (false, _) => fs::remove_dir_all(&self.path),
            (true, false) => fs::remove_dir_all(&self.dits),
            (true, true) => fs::read_dir(&self.path).and_then(|mut entries| {
                entries.try_for_each(|entry| {
                    let path = entry?.path();
                    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
                })
            }),
        };
    }
}

/// Whether a folder is empty, but for what a clone that was killed in its first moments leaves.
fn holds_nothing(path: &Path, dits: &Path) -> Result<bool, CliError> {
    if !path.is_dir() {
        return Ok(false);
    }
    for entry in fs::read_dir(path).at("read", path)? {
        let entry = entry.at("read", path)?;
        let temporary = entry.file_name().to_string_lossy().starts_with(".tmp-");
        let nothing = temporary || (entry.path() == dits && holds_nothing(dits, dits)?);
        if !nothing {
            return Ok(false);
        }
    }
    Ok(true)
}
