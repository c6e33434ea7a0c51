//! Putting one version of a file into the worktree.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::content::Exporter;
use crate::diff::FileVersion;
use crate::durable::{IoContext, IoError};
use crate::partial::Promised;
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::store::StoreError;
use crate::tree::{Content, Mode};
use crate::worktree::ghost::ghost_target;
use crate::worktree::{Meta, Replace, WorkDirs};

/// Puts one version of a file into the worktree, replacing what is there.
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
    let temp = repo.layout().temp();
    // A further worktree may be on another file system than the repository, and so may a folder in any worktree.
    let same_device = std::fs::metadata(&temp).at("look at", &temp)?.dev() == dirs.device()?;
    match same_device.then(|| put_through(&temp, dirs, path, version, &export)) {
        Some(Err(RepoError::Io(error))) if !is_cross_device(&error) => return Err(error.into()),
        Some(Ok(())) => {}
        Some(Err(RepoError::Io(_))) | None => put_beside(dirs, path, version, &export)?,
        Some(Err(error)) => return Err(error),
    }
    progress.advance(0, 1);
    let meta = dirs.stat(path)?;
    meta.ok_or_else(|| RepoError::Vanished { path: path.clone() })
}

/// Puts the ghost of a version into the worktree, replacing what is there.
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
    let Some(target) = ghost_target(path, &version.content) else {
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
        Err(RepoError::Store(StoreError::Absent { .. })) => write_ghost(repo, dirs, path, version, progress),
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
    match promised.is_here(path, version)? {
        true => write_if_here(repo, dirs, path, version, progress, repo.threads()),
        false => write_ghost(repo, dirs, path, version, progress),
    }
}

type Export<'a> = &'a dyn Fn(&File) -> Result<(), RepoError>;

/// Prepares the file in the repository and renames it into place.
fn put_through(
    temp: &Path,
    dirs: &WorkDirs,
    path: &RepoPath,
    version: &FileVersion,
    export: Export<'_>,
) -> Result<(), RepoError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("checkout-");
    let made = if let Content::Symlink(target) = &version.content {
        let target = std::ffi::OsStr::from_bytes(target);
        let link = builder.make_in(temp, |at| std::os::unix::fs::symlink(target, at));
        link.at("create a link in", temp)?.into_temp_path()
    } else {
        let mode = if version.mode == Mode::Executable { 0o777 } else { 0o666 };
        // The umask of the user takes its part, as for any new file.
        let file = builder.permissions(PermissionsExt::from_mode(mode)).tempfile_in(temp);
        let file = file.at("create a file in", temp)?;
        export(file.as_file())?;
        file.into_temp_path()
    };
    dirs.rename_into(&made, path, Replace::Yes)?;
    // It has been renamed: there is nothing left to remove.
    let _ = made.keep();
    Ok(())
}

/// Prepares the file under another name in its own folder, for where nothing else is on the same file system.
fn put_beside(dirs: &WorkDirs, path: &RepoPath, version: &FileVersion, export: Export<'_>) -> Result<(), RepoError> {
    let beside = unused_name(dirs, path)?;
    // Should the name be taken after all, that file is not ours to remove.
    let made = match &version.content {
        Content::Symlink(target) => dirs.create_link(&beside, target).map(|()| None)?,
        _ => Some(dirs.create_file(&beside, version.mode == Mode::Executable)?),
    };
    let placed = made.map_or(Ok(()), |file| export(&file)).and_then(|()| {
        let folder = dirs.dir_for(path.parent().as_ref(), true)?;
        let name = Path::new(std::ffi::OsStr::from_bytes(beside.name()));
        Ok(dirs.rename_from(&*folder, name, path, Replace::Yes)?)
    });
    if placed.is_err() {
        // What failed is reported; that this leftover could not be removed either would only hide it.
        let _ = dirs.unlink(&beside);
    }
    placed
}

/// A name in the folder of `path` that no other thread is given: several files of one folder are written at a time.
fn unused_name(dirs: &WorkDirs, path: &RepoPath) -> Result<RepoPath, RepoError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let process = std::process::id();
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".checkout-{process}-{number}.tmp");
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

    #[test]
    fn many_files_of_one_folder_are_prepared_beside_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = WorkDirs::open(dir.path()).unwrap();
        let version = FileVersion { mode: Mode::File, size: 1, content: Content::Empty };
        let write = |thread: u32| {
            for number in 0..100 {
                let name = format!("folder/{thread}-{number}");
                let export = |mut file: &File| {
                    file.write_all(name.as_bytes()).unwrap();
                    Ok(())
                };
                put_beside(&dirs, &RepoPath::parse(name.as_bytes()).unwrap(), &version, &export).unwrap();
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|thread| _ = scope.spawn(move || write(thread))));
        let written = std::fs::read_dir(dir.path().join("folder")).unwrap();
        let written: Vec<_> = written.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(written.len(), 400);
        assert!(written.iter().all(|path| path.ends_with(std::fs::read_to_string(path).unwrap())));
    }
}
