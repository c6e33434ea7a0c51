//! Whole folders of the worktree: what is in them, and removing them.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType};

use super::{WorkDirs, is_absent};
use crate::durable::{IoContext, IoError};
use crate::path::RepoPath;

impl WorkDirs {
    /// All files, links and special files below a folder; `None` if there is something among them whose name no path
    /// can have, such as a repository's `.git` or `.dits`. A folder that is missing has none.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn files_below(&self, folder: &RepoPath) -> Result<Option<Vec<RepoPath>>, IoError> {
        let mut files = Vec::new();
        let mut folders = vec![folder.clone()];
        while let Some(folder) = folders.pop() {
            let dir = match self.dir_for(Some(&folder), false) {
                Err(error) if is_absent(&error) => continue,
                dir => dir?,
            };
            for (name, is_dir) in self.names(&dir, &folder)? {
                let Ok(path) = folder.join(&name) else { return Ok(None) };
                if is_dir { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        Ok(Some(files))
    }

    /// Removes a folder with the empty folders in it, and with `files` everything else in it too.
    ///
    /// # Errors
    /// When something is in it that is not to be removed, or the system refuses.
    pub fn remove_folder(&self, folder: &RepoPath, files: bool) -> Result<(), IoError> {
        let dir = self.dir_for(Some(folder), false)?;
        for (name, is_dir) in self.names(&dir, folder)? {
            let Ok(path) = folder.join(&name) else { continue };
            if is_dir {
                self.remove_folder(&path, files)?;
            } else if files {
                self.unlink(&path)?;
            }
        }
        let around = self.dir_for(folder.parent().as_ref(), false)?;
        rustix::fs::unlinkat(&around, folder.name(), AtFlags::REMOVEDIR)
            .at("remove the folder", &self.shown(Some(folder)))?;
        self.forget(folder);
        Ok(())
    }

    fn names(&self, dir: &OwnedFd, folder: &RepoPath) -> Result<Vec<(Vec<u8>, bool)>, IoError> {
        let shown = self.shown(Some(folder));
        let mut names = Vec::new();
        for entry in Dir::read_from(dir).at("list", &shown)? {
            let entry = entry.at("list", &shown)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).at("look at", &shown)?;
                kind = FileType::from_raw_mode(stat.st_mode);
            }
            names.push((name.to_vec(), kind == FileType::Directory));
        }
        Ok(names)
    }
}
