//! Putting one version of a file into the worktree.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, Timespec, Timestamps, UTIME_OMIT};

use super::note;
use crate::content::Exporter;
use crate::diff::FileVersion;
use crate::durable::{IoContext, IoError};
use crate::partial::{Promised, travels_with_metadata};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::StoreError;
use crate::tree::{Content, Mode};
use crate::worktree::drive::{self, Place, Stored};
use crate::worktree::ghost::ghost_target;
use crate::worktree::{Meta, WorkDirs};

/// Puts one version of a file into the worktree, replacing what is there. What it says about the file is what the file
/// was when it was whole: somebody who changes it right after is noticed.
///
/// # Errors
/// When the content cannot be read or the file cannot be written; the old file is then still there.
pub fn write_version(
    repo: &Repository,
    dirs: &WorkDirs,
    path: &RepoPath,
    version: &FileVersion,
    progress: &dyn Progress,
    threads: usize,
) -> Result<Meta, RepoError> {
    let export = |file: &File| {
        let shown = PathBuf::from(path.as_path());
        Exporter::new(repo.store(), progress, threads).export(&version.content, version.size, file, &shown)
    };
    let executable = version.mode == Mode::Executable;
    let placed = dirs.is_mount().then(|| Stored::new(version.content.clone(), version.size)).flatten();
    let new = match (&version.content, placed) {
        (Content::Symlink(target), _) => New::Link(target),
        (_, Some(stored)) => New::Placed { executable, stored },
        (_, None) => New::File { executable, fill: &export },
    };
    let meta = put(&repo.layout().temp(), dirs, path, &new).map_err(|error| error.damaged_in(path))?;
    progress.advance(if matches!(new, New::Placed { .. }) { version.size } else { 0 }, 1);
    Ok(meta)
}

/// Puts the ghost of a version into the worktree, replacing what is there. In a mount it is the file: its content is
/// brought when it is read.
///
/// # Errors
/// When the link cannot be made; the old file is then still there.
pub fn write_ghost(
    repo: &Repository,
    dirs: &WorkDirs,
    path: &RepoPath,
    version: &FileVersion,
    progress: &dyn Progress,
) -> Result<Meta, RepoError> {
    let target = ghost_target(path, &version.content).filter(|_| !dirs.is_mount());
    let Some(target) = target else {
        return write_version(repo, dirs, path, version, progress, 1);
    };
    let link = FileVersion { mode: Mode::Symlink, size: target.len() as u64, content: Content::Symlink(target) };
    write_version(repo, dirs, path, &link, progress, 1)
}

/// [`write_version`], or the ghost if a chunk went just now: somebody else dropped it.
pub(super) fn write_if_here(
    repo: &Repository,
    dirs: &WorkDirs,
    path: &RepoPath,
    version: &FileVersion,
    progress: &dyn Progress,
    threads: usize,
) -> Result<Meta, RepoError> {
    match write_version(repo, dirs, path, version, progress, threads) {
        Err(RepoError::Store(StoreError::Absent { .. })) if !travels_with_metadata(path) => {
            write_ghost(repo, dirs, path, version, progress)
        }
        written => written,
    }
}

/// Puts a version into the worktree, or its ghost where its content is not here.
///
/// # Errors
/// As [`write_version`], and when a chunk is absent that nobody promised.
pub fn place_version(
    repo: &Repository,
    promised: &Promised<'_>,
    dirs: &WorkDirs,
    path: &RepoPath,
    version: &FileVersion,
    progress: &dyn Progress,
) -> Result<Meta, RepoError> {
    match dirs.is_mount() || promised.is_here(path, version)? {
        true => write_if_here(repo, dirs, path, version, progress, repo.threads()),
        false => write_ghost(repo, dirs, path, version, progress),
    }
}

/// What is put into the worktree.
pub(crate) enum New<'a> {
    /// A link with this target.
    Link(&'a [u8]),
    /// A file that is filled by this function, which may be called more than once, each time for an empty file.
    File {
        /// Whether its owner may run it.
        executable: bool,
        /// Writes its bytes.
        fill: &'a dyn Fn(&File) -> Result<(), RepoError>,
    },
    /// A file that the daemon of a mount makes of content of the store.
    Placed {
        /// Whether its owner may run it.
        executable: bool,
        /// The content.
        stored: Stored,
    },
}

/// Puts a file into the worktree, all at once, replacing what is there; `temp` is the worktree's folder for unfinished
/// ones.
pub(crate) fn put(temp: &Path, dirs: &WorkDirs, path: &RepoPath, new: &New<'_>) -> Result<Meta, RepoError> {
    // A further worktree may be on another file system than the repository, and so may a folder in any worktree.
    let same_device = !dirs.is_mount() && std::fs::metadata(temp).at("look at", temp)?.dev() == dirs.device()?;
    let before = match same_device.then(|| put_through(temp, dirs, path, new)) {
        Some(Err(RepoError::Io(error))) if !is_cross_device(&error) => return Err(error.into()),
        Some(Err(RepoError::Io(_))) | None => put_beside(temp, dirs, path, new)?,
        Some(done) => done?,
    };
    let after = dirs.stat(path)?.ok_or_else(|| RepoError::Vanished { path: path.clone() })?;
    // The change time is the rename's. If anything else has changed, somebody has written to the file since: what it was
    // before the rename never matches it, so that it will be read.
    let same = |meta: &Meta| (meta.mtime, meta.size, meta.ino, meta.mode);
    Ok(if same(&before) == same(&after) { after } else { before })
}

/// Prepares the file in the repository and renames it into place.
fn put_through(temp: &Path, dirs: &WorkDirs, path: &RepoPath, new: &New<'_>) -> Result<Meta, RepoError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("checkout-");
    let (made, before) = match new {
        New::Link(target) => {
            let target = std::ffi::OsStr::from_bytes(target);
            let link = builder.make_in(temp, |at| std::os::unix::fs::symlink(target, at));
            let link = link.at("create a link in", temp)?.into_temp_path();
            let before = Meta::of(&rustix::fs::lstat(&*link).at("look at", &link)?);
            (link, before)
        }
        New::File { executable, fill } => {
            // The umask of the user takes its part, as for any new file.
            builder.permissions(PermissionsExt::from_mode(if *executable { 0o777 } else { 0o666 }));
            let file = builder.tempfile_in(temp).at("create a file in", temp)?;
            fill(file.as_file())?;
            let before = stamp(file.as_file()).at("look at", file.path())?;
            (file.into_temp_path(), before)
        }
        // It is made where it is to be.
        New::Placed { .. } => return put_beside(temp, dirs, path, new),
    };
    dirs.put_in_place(CWD, &made, path)?;
    // It is in its place: there is nothing left to remove.
    let _ = made.keep();
    Ok(before)
}

/// Prepares the file under another name in its own folder, for where nothing else is on the same file system.
fn put_beside(temp: &Path, dirs: &WorkDirs, path: &RepoPath, new: &New<'_>) -> Result<Meta, RepoError> {
    let beside = unused_name(dirs, path)?;
    let _note = note::note(temp, &beside)?;
    // Should the name be taken after all, that file is not ours to remove.
    let made = match new {
        New::Link(target) => dirs.create_link(&beside, target).map(|()| None)?,
        New::Placed { executable, stored } => place(dirs, &beside, *executable, stored).map(|()| None)?,
        New::File { executable, fill } => Some((dirs.create_file(&beside, *executable)?, fill)),
    };
    let fill = || match made {
        Some((file, fill)) => {
            fill(&file)?;
            Ok(stamp(&file).at("look at", &dirs.shown(Some(&beside)))?)
        }
        None => dirs.stat(&beside)?.ok_or_else(|| RepoError::Vanished { path: beside.clone() }),
    };
    let placed = fill().and_then(|before| {
        let folder = dirs.dir_for(path.parent().as_ref(), true)?;
        dirs.put_in_place(&*folder, note::last(&beside), path)?;
        Ok(before)
    });
    if placed.is_err() {
        // What failed is reported; that this leftover could not be removed either would only hide it.
        let _ = dirs.unlink(&beside);
    }
    placed
}

/// Has the daemon of a mount make a file.
fn place(dirs: &WorkDirs, path: &RepoPath, executable: bool, stored: &Stored) -> Result<(), RepoError> {
    let folder = dirs.dir_for(path.parent().as_ref(), true)?;
    let Some(place) = Place::new(path.name(), executable, stored.clone()) else {
        return Err(RepoError::NotAFile { content: path.to_string() });
    };
    Ok(drive::place(&*folder, &place).at("create", &dirs.shown(Some(path)))?)
}

/// Gives a file that is whole a modification time that no later write leaves: the system's clock for files has ticks of
/// a millisecond or more, and this is between two of them. What is then known of it is returned.
fn stamp(file: &File) -> rustix::io::Result<Meta> {
    let stat = rustix::fs::fstat(file)?;
    let Meta { mtime: (seconds, nanos), ino, .. } = Meta::of(&stat);
    let between = nanos - nanos % 1000 + (nanos + 1 + (ino % 998) as u32) % 1000;
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let last_modification = time(seconds, between.into());
    rustix::fs::futimens(file, &Timestamps { last_access: time(0, UTIME_OMIT), last_modification })?;
    Ok(Meta::of(&rustix::fs::fstat(file)?))
}

/// A name in the folder of `path` that no other thread is given: several files of one folder are written at a time.
fn unused_name(dirs: &WorkDirs, path: &RepoPath) -> Result<RepoPath, RepoError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let process = std::process::id();
    loop {
        let name = note::name(process, NEXT.fetch_add(1, Ordering::Relaxed));
        let beside = RepoPath::join_to(path.parent().as_ref(), name.as_bytes())?;
        if dirs.stat(&beside)?.is_none() {
            return Ok(beside);
        }
    }
}

fn is_cross_device(error: &IoError) -> bool {
    error.source.kind() == std::io::ErrorKind::CrossesDevices
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::index::FileStat;

    type Way = fn(&Path, &WorkDirs, &RepoPath, &New<'_>) -> Result<Meta, RepoError>;
    const WAYS: [Way; 2] = [put_through, put_beside];

    fn file<'a>(fill: &'a dyn Fn(&File) -> Result<(), RepoError>) -> New<'a> {
        New::File { executable: false, fill }
    }

    #[test]
    fn many_files_of_one_folder_are_prepared_beside_at_a_time() {
        let (dir, temp) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dirs = WorkDirs::open(dir.path()).unwrap();
        let write = |thread: u32| {
            for number in 0..100 {
                let name = format!("folder/{thread}-{number}");
                let fill = |mut file: &File| {
                    file.write_all(name.as_bytes()).unwrap();
                    Ok(())
                };
                put_beside(temp.path(), &dirs, &RepoPath::parse(name.as_bytes()).unwrap(), &file(&fill)).unwrap();
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|thread| _ = scope.spawn(move || write(thread))));
        let written = std::fs::read_dir(dir.path().join("folder")).unwrap();
        let written: Vec<_> = written.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(written.len(), 400);
        assert!(written.iter().all(|path| path.ends_with(std::fs::read_to_string(path).unwrap())));
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_change_in_the_same_tick_shows() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = WorkDirs::open(dir.path()).unwrap();
        let path = RepoPath::parse(b"film").unwrap();
        let fill = |mut file: &File| {
            file.write_all(b"made").unwrap();
            Ok(())
        };
        for way in WAYS {
            for _ in 0..50 {
                let before = way(dir.path(), &dirs, &path, &file(&fill)).unwrap();
                std::fs::write(dir.path().join("film"), b"edit").unwrap();
                let after = dirs.stat(&path).unwrap().unwrap();
                assert_eq!((before.ino, before.size), (after.ino, after.size));
                assert_ne!(before.mtime, after.mtime);
                assert!(!FileStat::from(&before).matches(&FileStat::from(&after)));
            }
        }
    }
}
