//! `dits resolve`: deciding a conflict.

use crate::diff::FileVersion;
use crate::index::{LockedIndex, Stage, fs_clock};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::worktree::{AddOptions, Exactly, entry, write_version};

/// Which version of a file in conflict is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// What our branch has.
    Ours,
    /// What the branch merged in has.
    Theirs,
    /// What the file in the worktree is now.
    Worktree,
}

impl Repository {
    /// Decides conflicts. The file beside is removed where one was put.
    ///
    /// # Errors
    /// When a path is not in conflict, or a file cannot be read or written.
    pub fn resolve_conflicts(
        &self,
        paths: &[RepoPath],
        choice: Choice,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        let mut index = self.lock_index()?;
        if let Some(path) = paths.iter().find(|path| {
            ![Stage::Base, Stage::Ours, Stage::Theirs].iter().any(|stage| index.get(path, *stage).is_some())
        }) {
            return Err(RepoError::UnknownPath { path: path.clone() });
        }
        if choice == Choice::Worktree {
            drop(index);
            self.add(&Exactly::new(paths), AddOptions { force: true, ..AddOptions::default() }, progress)?;
        } else {
            let stage = if choice == Choice::Ours { Stage::Ours } else { Stage::Theirs };
            for path in paths {
                self.take_stage(&mut index, path, stage, progress)?;
            }
            index.commit()?;
        }
        self.forget_beside(paths)
    }

    fn take_stage(
        &self,
        index: &mut LockedIndex,
        path: &RepoPath,
        stage: Stage,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        let dirs = self.work_dirs()?;
        let chosen = index.get(path, stage).map(|entry| FileVersion {
            mode: entry.mode,
            size: entry.size,
            content: entry.content.clone(),
        });
        index.remove_all(path);
        match chosen {
            None => {
                if dirs.stat(path)?.is_some_and(|meta| !meta.is_dir()) {
                    dirs.unlink(path)?;
                    dirs.remove_empty_parents(path)?;
                }
            }
            Some(version) => {
                let meta = write_version(self, &dirs, path, &version, progress, self.threads())?;
                let clock = fs_clock(&self.layout().private)?;
                index.put(entry(path, &version, &meta, clock))?;
            }
        }
        Ok(())
    }

    fn forget_beside(&self, paths: &[RepoPath]) -> Result<(), RepoError> {
        let Some(mut pending) = self.pending()? else { return Ok(()) };
        let (done, left) = pending.beside.into_iter().partition(|(path, _)| paths.contains(path));
        pending.beside = left;
        self.remove_beside(&done)?;
        self.set_pending(&pending)
    }

    /// Removes files that a conflict put beside others.
    pub(crate) fn remove_beside(&self, beside: &[(RepoPath, RepoPath)]) -> Result<(), RepoError> {
        let dirs = self.work_dirs()?;
        for (_, file) in beside {
            if dirs.stat(file)?.is_some_and(|meta| !meta.is_dir()) {
                dirs.unlink(file)?;
            }
        }
        Ok(())
    }
}
