//! What is done to the largest file between two pushes, and taken back afterwards.

use std::fs;
use std::io;
use std::path::Path;

use dits_testkit::edit;

use crate::bench::tools::largest;

/// A change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// One byte is put in front of it.
    Insert,
    /// A few bytes in its middle are others.
    Edit,
    /// It gets another name.
    Rename,
}

impl Change {
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "1 byte inserted",
            Self::Edit => "64 bytes edited",
            Self::Rename => "renamed",
        }
    }

    pub fn make(self, folder: &Path) -> io::Result<()> {
        let path = largest(folder)?;
        match self {
            Self::Insert => edit::insert(&path, 0, b"x"),
            Self::Edit => edit::overwrite(&path, middle(&path)?, &[b'x'; 64]),
            Self::Rename => fs::rename(&path, path.with_extension("renamed")),
        }
    }

    /// The name and the bytes as they were; `original` is what [`Change::save`] gave.
    pub fn take_back(self, folder: &Path, original: &[u8]) -> io::Result<()> {
        let path = largest(folder)?;
        match self {
            Self::Insert => edit::remove(&path, 0, 1),
            Self::Edit => edit::overwrite(&path, middle(&path)?, original),
            Self::Rename => fs::rename(&path, path.with_extension("bin")),
        }
    }

    /// What [`Change::make`] will overwrite.
    pub fn save(self, folder: &Path) -> io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let mut original = vec![0; if self == Self::Edit { 64 } else { 0 }];
        let path = largest(folder)?;
        fs::File::open(&path)?.read_exact_at(&mut original, middle(&path)?)?;
        Ok(original)
    }
}

fn middle(path: &Path) -> io::Result<u64> {
    Ok(fs::metadata(path)?.len() / 2)
}
