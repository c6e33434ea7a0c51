//! Whole folders of the worktree: what is in them, and removing them.

use rustix::fs::AtFlags;

use super::WorkDirs;
use crate::durable::{IoContext, IoError};
use crate::path::RepoPath;

impl WorkDirs {
    /// All files, links and special files below a folder; `None` if there is something among them whose name no path
    /// can have, such as a repository's `.git` or `.dits`.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn files_below(&self, folder: &RepoPath) -> Result<Option<Vec<RepoPath>>, IoError> {
        let mut files = Vec::new();
        let mut folders = vec![folder.clone()];
        while let Some(folder) = folders.pop() {
            for name in self.names_in(&folder)? {
                let Ok(path) = folder.join(&name) else { return Ok(None) };
                match self.stat(&path)? {
                    Some(meta) if meta.is_dir() => folders.push(path),
                    Some(_) => files.push(path),
                    None => {}
                }
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
        for name in self.names_in(folder)? {
            let Ok(path) = folder.join(&name) else { continue };
            match self.stat(&path)? {
                Some(meta) if meta.is_dir() => self.remove_folder(&path, files)?,
                Some(_) if files => _ = self.unlink(&path)?,
                _ => {}
            }
        }
        let around = self.dir_for(folder.parent().as_ref(), false)?;
        rustix::fs::unlinkat(&around, folder.name(), AtFlags::REMOVEDIR)
            .at("remove the folder", &self.shown(Some(folder)))?;
        self.forget(folder);
        Ok(())
    }
}
