//! Whether a file holds certain content, reading as little of it as can be.

use std::fs::File;

use super::ask::settle;
use super::{DriveContent, ask};
use crate::content::{CompareError, Comparison, compare, compare_at};
use crate::durable::IoContext;
use crate::manifest::Manifest;
use crate::object::ObjectRead;
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::StoreError;
use crate::tree::Content;
use crate::worktree::WorkDirs;

/// Compares an open file of the worktree, which has the size of the content, with that.
///
/// # Errors
/// When the file or a manifest cannot be read.
pub(crate) fn holds(
    repo: &Repository,
    dirs: &WorkDirs,
    path: &RepoPath,
    file: &mut File,
    (content, size): (&Content, u64),
    progress: &dyn Progress,
) -> Result<Comparison, RepoError> {
    let read = repo.store();
    let held = ask(dirs, file).at("sync", path.as_path())?;
    let known = held.as_ref().map(|held| without_all(read, file, held, (content, size), progress)).transpose();
    let outcome = match known {
        Ok(Some(Some(known))) => Ok(known),
        Ok(_) => compare(read, file, size, content, progress),
        Err(error) => Err(error),
    };
    let outcome = outcome.map_err(|error| RepoError::comparing(path, error))?;
    if let (Some(held), Comparison::Same) = (held.filter(|held| !held.is_base()), &outcome) {
        // The same bytes were written again: the daemon need not keep them.
        settle(file, held.generation(), content, size);
    }
    Ok(outcome)
}

/// What can be told without reading the whole file, if anything.
fn without_all(
    read: &dyn ObjectRead,
    file: &File,
    held: &DriveContent,
    (content, size): (&Content, u64),
    progress: &dyn Progress,
) -> Result<Option<Comparison>, CompareError> {
    let base = held.base();
    if held.size() != size {
        return Ok(Some(Comparison::Different));
    }
    if !base.is(content, size) {
        let differs = held.is_base() && are_different(read, base.content(), content).map_err(RepoError::from)?;
        return Ok(differs.then_some(Comparison::Different));
    }
    match content {
        _ if held.is_base() => Ok(Some(Comparison::Same)),
        // Bytes that were written over may be those that were there.
        Content::Manifest(id) => compare_at(read, file, size, *id, held.changed(), progress).map(Some),
        _ => Ok(None),
    }
}

/// Whether two contents with different names are certainly different bytes: the same bytes get another name only when
/// they are cut by another profile.
fn are_different(read: &dyn ObjectRead, one: &Content, other: &Content) -> Result<bool, StoreError> {
    Ok(match (one, other) {
        (Content::Manifest(one), Content::Manifest(other)) => {
            one != other && Manifest::open(read, *one)?.profile() == Manifest::open(read, *other)?.profile()
        }
        (Content::Chunk(one), Content::Chunk(other)) => one != other,
        _ => false,
    })
}
