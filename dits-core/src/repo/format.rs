//! `.dits/format`: the version of the on-disk format, and what a program must know to use the repository.
//!
//! The first line is the version; each further line names a feature. An unknown one is refused, with its name.

use std::path::Path;

use super::RepoError;
use crate::durable;

/// The version this dits writes.
pub const VERSION: u32 = 1;

/// The features this dits knows. `detect-N` is the numbered table by which content is recognised and its chunking
/// profile chosen: another table would give the same bytes other ids.
pub const FEATURES: [&str; 1] = ["detect-1"];

/// Writes the format of a new repository.
///
/// # Errors
/// When the file cannot be written.
pub fn write(file: &Path) -> Result<(), RepoError> {
    Ok(durable::write_atomic(file, format!("{VERSION}\n{}\n", FEATURES.join("\n")).as_bytes())?)
}

/// Checks that this dits can use a repository.
///
/// # Errors
/// [`RepoError::Format`] when it is damaged, newer, or asks for something unknown.
pub fn check(file: &Path) -> Result<(), RepoError> {
    let refuse = |why: String| RepoError::Format { file: file.to_owned(), why };
    let bytes = durable::read_limited(file, 64 << 10)?
        .ok_or_else(|| refuse("it is missing; `dits init` writes it again".to_owned()))?;
    let text = String::from_utf8(bytes).map_err(|_| refuse("it is not text".to_owned()))?;
    let mut lines = text.lines();
    match lines.next().map(str::parse::<u32>) {
        Some(Ok(VERSION)) => {}
        Some(Ok(newer)) => return Err(refuse(format!("version {newer} is not known; this dits knows {VERSION}"))),
        _ => return Err(refuse("its first line is not a version number".to_owned())),
    }
    match lines.find(|line| !FEATURES.contains(line)) {
        Some(unknown) => Err(refuse(format!("it needs `{unknown}`, which this dits does not know; use a newer one"))),
        None => Ok(()),
    }
}
