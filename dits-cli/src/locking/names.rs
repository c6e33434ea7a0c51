//! Which files the words of a command mean.

use std::collections::BTreeMap;
use std::ffi::OsString;

use dits_core::index::Stage;
use dits_core::lock::{LocalLocks, Lock, LockKey};
use dits_core::path::RepoPath;

use crate::context::Context;
use crate::error::CliError;
use crate::repository::Opened;

/// The files to be locked: those that dits knows, and names that no file has yet, so that nobody else takes them. Of the latter
/// the user is told, as such a name may be a slip.
///
/// # Errors
/// When a pattern matches nothing, or a folder has nothing in it that dits knows.
pub fn to_lock(opened: &Opened, cx: &Context, given: &[OsString]) -> Result<Vec<RepoPath>, CliError> {
    let specs = opened.select(given)?;
    let index = opened.repo.index()?;
    let staged = index.entries().filter(|entry| entry.stage == Stage::Normal).map(|entry| entry.repo_path());
    let mut found: BTreeMap<LockKey, RepoPath> = BTreeMap::new();
    found.extend(staged.filter(|path| specs.matches(path, false)).map(|path| (LockKey::of(&path), path)));
    let conflicts = index.conflicts().into_iter().map(|conflict| conflict.path);
    found.extend(conflicts.filter(|path| specs.matches(path, false)).map(|path| (LockKey::of(&path), path)));
    let dirs = opened.repo.work_dirs()?;
    let mut new = Vec::new();
    for (_, path) in specs.unused_names() {
        match dirs.stat(&path)? {
            Some(meta) if meta.is_dir() => {}
            there => new.push((path, there.is_some())),
        }
    }
    specs.settle_names(|path| new.iter().any(|(new, _)| new == path));
    specs.check_all_used()?;
    for (path, _) in new.iter().filter(|(_, is_there)| !is_there) {
        cx.warn(format!("there is no {} yet: only its name is locked", opened.show(path)));
    }
    found.extend(new.into_iter().map(|(path, _)| (LockKey::of(&path), path)));
    Ok(found.into_values().collect())
}

/// The locks to be given back: those that this clone has or, if `others` are meant too, that anybody has; and whatever is
/// named in full, as somebody may have locked it since.
///
/// # Errors
/// When a word leads out of the repository.
pub fn to_unlock(
    opened: &Opened,
    state: &LocalLocks,
    given: &[OsString],
    counts: impl Fn(&Lock) -> bool,
) -> Result<Vec<RepoPath>, CliError> {
    let specs = opened.select(given)?;
    let mut found: BTreeMap<LockKey, RepoPath> = BTreeMap::new();
    let locks = state.seen.iter().flat_map(|seen| seen.locks.values().flatten()).filter(|lock| counts(lock));
    let tokens = state.tokens.values().map(|token| &token.path);
    for path in locks.map(|lock| &lock.path).chain(tokens).chain(state.offline.values()) {
        if specs.matches(path, false) {
            found.insert(LockKey::of(path), path.clone());
        }
    }
    let dirs = opened.repo.work_dirs()?;
    for (_, path) in specs.unused_names() {
        if !dirs.stat(&path)?.is_some_and(|meta| meta.is_dir()) {
            found.insert(LockKey::of(&path), path);
        }
    }
    specs.settle_names(|path| found.contains_key(&LockKey::of(path)));
    if let Some(given) = specs.unused().first() {
        return Err(CliError::new(
            crate::exit::Exit::Difference,
            format!("nobody has locked anything that `{given}` matches"),
        )
        .hint("`dits locks` lists what is locked"));
    }
    Ok(found.into_values().collect())
}
