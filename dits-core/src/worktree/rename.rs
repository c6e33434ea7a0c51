//! `dits mv`: moving files and folders, in the worktree and in the staging area. No content is read.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Meta, WorkDirs};
use crate::index::{Entry, FileStat, Index, Stage, fs_clock, fs_clock_past};
use crate::path::{RepoPath, portable};
use crate::repo::{RepoError, Repository};

/// How to move.
#[derive(Clone, Copy, Debug, Default)]
pub struct MoveOptions {
    /// Replaces files that are there.
    pub force: bool,
    /// Leaves out what cannot be moved.
    pub skip: bool,
    /// Changes nothing.
    pub dry_run: bool,
}

/// Why something cannot be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveProblem {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// Nothing of it is tracked.
    #[error("it is not tracked")]
    Untracked,
    /// It is in conflict.
    #[error("it is in conflict")]
    Conflict,
    /// From and to are the same.
    #[error("it has this name already")]
    Same,
    /// A folder would be moved into itself.
    #[error("a folder cannot be moved into itself")]
    IntoItself,
    /// Something is there already.
    #[error("the destination exists")]
    Exists,
    /// Two files would get the same name.
    #[error("another file gets the same name")]
    Twice,
    /// The folder it is to be in does not exist.
    #[error("the folder it is to be in does not exist")]
    NoFolder,
}

/// What was moved, and what was left out.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    /// From and to, as asked for.
    pub moved: Vec<(RepoPath, RepoPath)>,
    /// How many tracked files that were.
    pub files: usize,
    /// What was left out, and why.
    pub skipped: Vec<(RepoPath, RepoPath, MoveProblem)>,
}

impl Repository {
    /// Moves each path to another; a folder with all that is in it, tracked or not.
    ///
    /// # Errors
    /// When one cannot be moved (nothing was changed then, unless the system refuses halfway).
    pub fn move_files(&self, moves: &[(RepoPath, RepoPath)], options: MoveOptions) -> Result<Moved, RepoError> {
        let mut index = self.lock_index()?;
        let dirs = self.work_dirs()?;
        let mut outcome = Moved::default();
        let mut targets = HashSet::new();
        let mut after: Index = (*index).clone();
        for (from, to) in moves {
            match problem(&index, &dirs, from, to, options.force)? {
                None if targets.insert(to.clone()) => {
                    entries_of(&index, from).iter().for_each(|entry| _ = after.remove_all(&entry.path));
                    outcome.moved.push((from.clone(), to.clone()));
                }
                why if options.skip => {
                    outcome.skipped.push((from.clone(), to.clone(), why.unwrap_or(MoveProblem::Twice)));
                }
                why => {
                    let why = why.unwrap_or(MoveProblem::Twice);
                    return Err(RepoError::CannotMove { from: from.clone(), to: to.clone(), why });
                }
            }
        }
        let mut new = Vec::new();
        for (from, to) in &outcome.moved {
            for entry in entries_of(&index, from) {
                new.push(moved_path(&entry.path, from, to)?);
            }
        }
        outcome.files = new.len();
        self.check_portable(&after, &new, &[])?;
        if options.dry_run {
            return Ok(outcome);
        }
        let mut entries = Vec::new();
        let mut failed = Ok(());
        for (from, to) in &outcome.moved {
            let below = entries_of(&index, from);
            let looks = unmodified(&below, &dirs)?;
            failed = rename_one(&dirs, from, to);
            if failed.is_err() {
                break;
            }
            for (mut entry, look) in below.into_iter().zip(looks) {
                index.remove_all(&entry.path);
                entry.path = moved_path(&entry.path, from, to)?;
                entries.push((entry, look));
            }
        }
        // The moves have changed the files' ctimes, and a file that bears the time at which it is recorded would have to be
        // read the next time it is looked at.
        let clock = fs_clock_past(&self.layout().private, fs_clock(&self.layout().private)?)?;
        for (mut entry, before) in entries {
            let now = dirs.stat(&entry.path)?;
            if let (Some(before), Some(now)) = (before, now)
                && (now.mtime, now.size, now.ino) == (before.mtime, before.size, before.ino)
            {
                entry.stat = FileStat::from(&now);
                entry.flags.racy = entry.stat.is_racy(clock);
            }
            index.put(entry)?;
        }
        // What was moved before the system refused is recorded all the same.
        index.commit()?;
        failed.map(|()| outcome)
    }
}

fn rename_one(dirs: &WorkDirs, from: &RepoPath, to: &RepoPath) -> Result<(), RepoError> {
    let folder = dirs.dir_for(from.parent().as_ref(), false)?;
    let name = Path::new(OsStr::from_bytes(from.name()));
    // What may be replaced was looked at before.
    dirs.rename_from(&folder, name, to)?;
    dirs.forget(from);
    Ok(())
}

/// The files that are as recorded, and how they look.
fn unmodified(entries: &[Entry], dirs: &WorkDirs) -> Result<Vec<Option<Meta>>, RepoError> {
    let look = |entry: &Entry| -> Result<Option<Meta>, RepoError> {
        let meta = dirs.stat(&entry.path)?;
        Ok(meta.filter(|meta| entry.view().is_unmodified(&FileStat::from(meta))))
    };
    entries.iter().map(look).collect()
}

/// The entry of a file, or those of what is below a folder.
fn entries_of(index: &Index, path: &RepoPath) -> Vec<Entry> {
    let file = index.get(path, Stage::Normal).into_iter();
    file.chain(index.entries_in(Some(path))).map(|view| view.to_entry()).collect()
}

fn moved_path(path: &RepoPath, from: &RepoPath, to: &RepoPath) -> Result<RepoPath, RepoError> {
    Ok(RepoPath::parse(&[to.as_bytes(), &path.as_bytes()[from.as_bytes().len()..]].concat())?)
}

fn problem(
    index: &Index,
    dirs: &WorkDirs,
    from: &RepoPath,
    to: &RepoPath,
    force: bool,
) -> Result<Option<MoveProblem>, RepoError> {
    let Some(source) = dirs.stat(from)? else { return Ok(Some(MoveProblem::Missing)) };
    let conflicts = index.conflicts();
    if conflicts.iter().any(|conflict| conflict.path.is_within(from) || conflict.path == *to) {
        return Ok(Some(MoveProblem::Conflict));
    }
    if entries_of(index, from).is_empty() {
        return Ok(Some(MoveProblem::Untracked));
    }
    if to == from {
        return Ok(Some(MoveProblem::Same));
    }
    if to.is_within(from) {
        return Ok(Some(MoveProblem::IntoItself));
    }
    if let Some(parent) = to.parent()
        && !dirs.stat(&parent)?.is_some_and(|meta| meta.is_dir())
    {
        return Ok(Some(MoveProblem::NoFolder));
    }
    let Some(target) = dirs.stat(to)? else { return Ok(None) };
    // On a file system that folds names, the file itself is there under its new name already.
    let itself =
        (target.dev, target.ino) == (source.dev, source.ino) && portable::fold_path(from) == portable::fold_path(to);
    let replaceable = force && !target.is_dir() && !source.is_dir();
    Ok(if itself || replaceable { None } else { Some(MoveProblem::Exists) })
}
