//! Reading and changing files of the worktree by their path, without ever leaving it.
//!
//! Every folder on the way is opened by itself and never through a symbolic link, so neither a link that a hostile tree
//! holds nor one put in place meanwhile leads a write outside. Changes here are not synced: the worktree can be written
//! again from the store.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{EntryKind, Meta};
use crate::durable::{IoContext, IoError};
use crate::path::RepoPath;
use crate::rules_file::{self, FolderFiles, RulesError};

mod below;
#[cfg(test)]
mod tests;

/// How many recently used folders are kept open.
const KEPT_OPEN: usize = 16;

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// The worktree of a repository, open.
#[derive(Debug)]
pub struct WorkDirs {
    root: PathBuf,
    top: Arc<OwnedFd>,
    /// Most recently used last.
    kept: Mutex<VecDeque<(RepoPath, Arc<OwnedFd>)>>,
    /// A folder that is not removed: the one the user is in.
    stays: Option<RepoPath>,
    /// Whether a daemon answers for the files.
    mount: bool,
}

impl WorkDirs {
    /// Opens a worktree by its top folder, whose own path may go through symbolic links.
    ///
    /// # Errors
    /// When it is no folder or cannot be opened.
    pub fn open(root: &Path) -> Result<Self, IoError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = Arc::new(rustix::fs::open(root, flags, Mode::empty()).at("open the folder", root)?);
        Ok(Self { root: root.to_owned(), top, kept: Mutex::default(), stays: None, mount: false })
    }

    /// Never removes the folder that the user is in, if it is one of these.
    #[must_use]
    pub fn keep(mut self, cwd: Option<&Path>) -> Self {
        let below = cwd.and_then(|cwd| cwd.strip_prefix(&self.root).ok());
        self.stays = below.and_then(|below| RepoPath::parse(below.as_os_str().as_bytes()).ok());
        self
    }

    /// Says whether this is a mount, where what files hold can be asked for ([`drive`](super::drive)).
    #[must_use]
    pub fn in_mount(self, mount: bool) -> Self {
        Self { mount, ..self }
    }

    /// Whether this is a mount.
    #[must_use]
    pub fn is_mount(&self) -> bool {
        self.mount
    }

    /// Whether a folder is, or has in it, the one that is kept.
    #[must_use]
    pub fn keeps(&self, folder: &RepoPath) -> bool {
        self.stays.as_ref().is_some_and(|stays| stays.is_within(folder))
    }

    /// The top folder, as given.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path for messages and for other programs.
    #[must_use]
    pub fn shown(&self, path: Option<&RepoPath>) -> PathBuf {
        path.map_or_else(|| self.root.clone(), |path| self.root.join(path.as_path()))
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(RepoPath, Arc<OwnedFd>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder, open; `None` is the top. With `create` it is made, with those around it, where it is missing.
    ///
    /// # Errors
    /// When it is missing, when it or a folder around it is no folder (a symbolic link is none), or the system refuses.
    pub fn dir_for(&self, folder: Option<&RepoPath>, create: bool) -> Result<Arc<OwnedFd>, IoError> {
        let Some(folder) = folder else { return Ok(self.top.clone()) };
        let mut missing: Vec<RepoPath> = Vec::new();
        let mut at = Some(folder.clone());
        let mut fd = loop {
            let Some(path) = at else { break self.top.clone() };
            if let Some(fd) = self.recall(&path) {
                break fd;
            }
            at = path.parent();
            missing.push(path);
        };
        for path in missing.iter().rev() {
            let opened = open_or_make(&fd, path.name(), create);
            fd = Arc::new(opened.at("open the folder", &self.shown(Some(path)))?);
        }
        if !missing.is_empty() {
            let mut kept = self.kept();
            kept.push_back((folder.clone(), fd.clone()));
            let extra = kept.len().saturating_sub(KEPT_OPEN);
            kept.drain(..extra);
        }
        Ok(fd)
    }

    /// A folder kept open that still exists.
    fn recall(&self, folder: &RepoPath) -> Option<Arc<OwnedFd>> {
        let mut kept = self.kept();
        let at = kept.iter().position(|(path, _)| path == folder)?;
        let (path, fd) = kept.remove(at)?;
        // A removed folder has no names left; one made anew in its place is another.
        if rustix::fs::fstat(&fd).is_ok_and(|stat| stat.st_nlink > 0) {
            kept.push_back((path, fd.clone()));
            return Some(fd);
        }
        None
    }

    /// Forgets open folders in and below `path`: for when something else changed the worktree.
    pub fn forget(&self, path: &RepoPath) {
        self.kept().retain(|(kept, _)| !kept.is_within(path));
    }

    /// The folder a path is in, open.
    fn around(&self, path: &RepoPath, create: bool) -> Result<Arc<OwnedFd>, IoError> {
        self.dir_for(path.parent().as_ref(), create)
    }

    /// What the system says about a path; `None` when nothing is there, or a folder around it is missing or none.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn stat(&self, path: &RepoPath) -> Result<Option<Meta>, IoError> {
        let dir = match self.around(path, false) {
            Err(error) if is_absent(&error) => return Ok(None),
            dir => dir?,
        };
        match rustix::fs::statat(&dir, path.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            stat => Ok(Some(Meta::of(&stat.at("look at", &self.shown(Some(path)))?))),
        }
    }

    /// Opens a plain file for reading, and says what the system says about what was opened.
    ///
    /// # Errors
    /// When it is missing, no plain file, or cannot be opened.
    pub fn open_file(&self, path: &RepoPath) -> Result<(File, Meta), IoError> {
        let shown = self.shown(Some(path));
        let dir = self.around(path, false)?;
        // Without NONBLOCK, opening a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&dir, path.name(), flags, Mode::empty()).at("open", &shown)?;
        let meta = Meta::of(&rustix::fs::fstat(&file).at("look at", &shown)?);
        if !matches!(meta.kind(), EntryKind::File { .. }) {
            let error = std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is not a plain file");
            return Err(IoError { op: "open", path: shown, source: error });
        }
        Ok((File::from(file), meta))
    }

    /// Changes the permissions of a plain file, and says what the system says about it then; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be opened or changed.
    pub fn set_mode(&self, path: &RepoPath, mode: u32) -> Result<Option<Meta>, IoError> {
        let shown = self.shown(Some(path));
        let file = match self.open_file(path) {
            Err(error) if is_absent(&error) => return Ok(None),
            opened => opened?.0,
        };
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).at("change the permissions of", &shown)?;
        Ok(Some(Meta::of(&rustix::fs::fstat(&file).at("look at", &shown)?)))
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// When it is missing, no link, or cannot be read.
    pub fn read_link(&self, path: &RepoPath) -> Result<Vec<u8>, IoError> {
        let dir = self.around(path, false)?;
        let target = rustix::fs::readlinkat(&dir, path.name(), Vec::new());
        Ok(target.at("read the link", &self.shown(Some(path)))?.into_bytes())
    }

    /// Makes a new, empty file for writing. It must not exist yet; its folders are made.
    ///
    /// # Errors
    /// When it exists, as whatever, or cannot be made.
    pub fn create_file(&self, path: &RepoPath, executable: bool) -> Result<File, IoError> {
        let dir = self.around(path, true)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(if executable { 0o777 } else { 0o666 });
        Ok(File::from(rustix::fs::openat(&dir, path.name(), flags, mode).at("create", &self.shown(Some(path)))?))
    }

    /// Makes a new symbolic link; its folders are made.
    ///
    /// # Errors
    /// When the name is taken, or the link cannot be made.
    pub fn create_link(&self, path: &RepoPath, target: &[u8]) -> Result<(), IoError> {
        let dir = self.around(path, true)?;
        let target = OsStr::from_bytes(target);
        rustix::fs::symlinkat(target, &dir, path.name()).at("create the link", &self.shown(Some(path)))
    }

    /// Renames a file or link in an open folder to a path, over what is there; folders of the path are made.
    ///
    /// # Errors
    /// When a folder is there, or the system refuses.
    pub fn rename_from(&self, from: impl AsFd, name: &Path, path: &RepoPath) -> Result<(), IoError> {
        let dir = self.around(path, true)?;
        rustix::fs::renameat(&from, name, &dir, path.name()).at("rename into place", &self.shown(Some(path)))
    }

    /// Puts a file or link that was prepared on the same file system in the place of what is there; folders of the path are
    /// made. `temp` is relative to an open folder, and leads through folders that only dits writes. Who is killed in here may
    /// leave the old file under that name.
    ///
    /// # Errors
    /// When a folder is there, or the system refuses.
    pub fn put_in_place(&self, from: impl AsFd, temp: &Path, path: &RepoPath) -> Result<(), IoError> {
        let dir = self.around(path, true)?;
        // The daemon of a mount has its own way with files that replace others.
        let replaced = !self.mount && replace(&from, temp, &dir, path.name()).at("replace", &self.shown(Some(path)))?;
        if replaced { Ok(()) } else { self.rename_from(from, temp, path) }
    }

    /// Removes a file or link. One that is not there is no error; returns whether it was.
    ///
    /// # Errors
    /// When it is a folder, or the system refuses.
    pub fn unlink(&self, path: &RepoPath) -> Result<bool, IoError> {
        let dir = match self.around(path, false) {
            Err(error) if is_absent(&error) => return Ok(false),
            dir => dir?,
        };
        match rustix::fs::unlinkat(&dir, path.name(), AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(false),
            done => done.at("remove", &self.shown(Some(path))).map(|()| true),
        }
    }

    /// Removes a folder if it is empty and not the one that stays; returns whether it is gone. One that is not there is
    /// gone.
    ///
    /// # Errors
    /// When the system refuses for another reason than files in it.
    pub fn remove_empty_dir(&self, folder: &RepoPath) -> Result<bool, IoError> {
        if self.keeps(folder) {
            return Ok(false);
        }
        let dir = match self.around(folder, false) {
            Err(error) if is_absent(&error) => return Ok(true),
            dir => dir?,
        };
        match rustix::fs::unlinkat(&dir, folder.name(), AtFlags::REMOVEDIR) {
            Ok(()) => {
                self.forget(folder);
                Ok(true)
            }
            Err(Errno::NOENT) => Ok(true),
            // A link in place of the folder, a mount point, or the folder of some program: left alone.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR | Errno::BUSY) => Ok(false),
            Err(errno) => Err(errno).at("remove the folder", &self.shown(Some(folder))),
        }
    }

    /// The names in a folder, in no certain order.
    ///
    /// # Errors
    /// When it is missing, no folder, or cannot be read.
    pub fn names_in(&self, folder: &RepoPath) -> Result<Vec<Vec<u8>>, IoError> {
        let shown = self.shown(Some(folder));
        let dir = self.dir_for(Some(folder), false)?;
        let mut names = Vec::new();
        for found in rustix::fs::Dir::read_from(&dir).at("list", &shown)? {
            let name = found.at("list", &shown)?.file_name().to_bytes().to_vec();
            if !matches!(&name[..], b"." | b"..") {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The file system that the top folder is on.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn device(&self) -> Result<u64, IoError> {
        Ok(Meta::of(&rustix::fs::fstat(&self.top).at("look at", &self.root)?).dev)
    }

    /// Removes the folders around a removed file, from the innermost out, as far as they are empty. The top folder
    /// stays.
    ///
    /// # Errors
    /// As [`WorkDirs::remove_empty_dir`].
    pub fn remove_empty_parents(&self, path: &RepoPath) -> Result<(), IoError> {
        let mut at = path.parent();
        while let Some(folder) = at {
            if !self.remove_empty_dir(&folder)? {
                break;
            }
            at = folder.parent();
        }
        Ok(())
    }
}

impl FolderFiles for &WorkDirs {
    fn rules_file(&self, folder: Option<&RepoPath>, name: &str) -> Result<Option<Vec<u8>>, RulesError> {
        let dir = match self.dir_for(folder, false) {
            Err(error) if is_absent(&error) => return Ok(None),
            dir => dir?,
        };
        let path = folder.map_or_else(PathBuf::new, |folder| folder.as_path().to_owned()).join(name);
        rules_file::read_at(dir.as_fd(), name, &path)
    }
}

/// Whether a folder is missing, or something else is in its place.
fn is_absent(error: &IoError) -> bool {
    let code = error.source.raw_os_error();
    [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].iter().any(|errno| code == Some(errno.raw_os_error()))
}

fn open_or_make(dir: &OwnedFd, name: &[u8], create: bool) -> Result<OwnedFd, Errno> {
    match rustix::fs::openat(dir, name, FOLDER, Mode::empty()) {
        Err(Errno::NOENT) if create => {}
        opened => return opened,
    }
    match rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(0o777)) {
        // Another thread may have made it just now; whatever it is, it is opened as a folder or not at all.
        Ok(()) | Err(Errno::EXIST) => rustix::fs::openat(dir, name, FOLDER, Mode::empty()),
        Err(errno) => Err(errno),
    }
}

/// Puts a file in the place of another; `false` if there is none, or the system can only rename. ext4 writes the data of
/// a new file out when it is renamed over another, and whoever syncs anything next waits for all of it. It does not when two
/// names change places.
#[cfg(target_os = "linux")]
fn replace(from: &impl AsFd, temp: &Path, dir: &OwnedFd, name: &[u8]) -> Result<bool, Errno> {
    use rustix::fs::{FileType, RenameFlags, renameat_with};
    let exchange = || renameat_with(from, temp, dir, name, RenameFlags::EXCHANGE);
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {}
        _ => return Ok(false),
    }
    // What stands against it may not stand against renaming, or is told by that.
    if exchange().is_err() {
        return Ok(false);
    }
    let removed = rustix::fs::unlinkat(from, temp, AtFlags::empty());
    if removed.is_err() {
        // A folder has come in between, or the disk fails. Why is told; what is there now may be the new file.
        let _ = exchange();
    }
    removed.map(|()| true)
}

#[cfg(not(target_os = "linux"))]
fn replace(_: &impl AsFd, _: &Path, _: &OwnedFd, _: &[u8]) -> Result<bool, Errno> {
    Ok(false)
}
