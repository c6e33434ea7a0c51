//! `dits resolve`: deciding a conflict.

use crate::content::{Comparison, compare};
use crate::diff::FileVersion;
use crate::index::{LockedIndex, Stage, fs_clock};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::tree::Content;
use crate::worktree::{AddOptions, EntryKind, Exactly, WorkDirs, entry, write_version};

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

    /// Ends the conflicts of paths that were staged: what was put beside them goes, unless it has been changed since.
    /// `resolved` says what the other side has at each path.
    pub(crate) fn settle_beside(
        &self,
        resolved: &[(RepoPath, Option<FileVersion>)],
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        if resolved.is_empty() {
            return Ok(());
        }
        let Some(mut pending) = self.pending()? else { return Ok(()) };
        let dirs = self.work_dirs()?;
        for (path, theirs) in resolved {
            let Some(at) = pending.beside.iter().position(|(of, _)| of == path) else { continue };
            let (_, file) = pending.beside.swap_remove(at);
            if let Some(theirs) = theirs
                && self.still_holds(&dirs, &file, theirs, progress)?
            {
                dirs.unlink(&file)?;
            }
        }
        self.set_pending(&pending)
    }

    fn still_holds(
        &self,
        dirs: &WorkDirs,
        file: &RepoPath,
        version: &FileVersion,
        progress: &dyn Progress,
    ) -> Result<bool, RepoError> {
        let Some(meta) = dirs.stat(file)? else { return Ok(false) };
        match (&version.content, meta.kind()) {
            (Content::Symlink(target), EntryKind::Symlink) => Ok(dirs.read_link(file)? == *target),
            (content, EntryKind::File { .. }) if meta.size == version.size => {
                let (mut open, _) = dirs.open_file(file)?;
                let outcome = compare(self.store(), &mut open, version.size, content, progress);
                Ok(outcome.map_err(|e| RepoError::comparing(file, e))? == Comparison::Same)
            }
            _ => Ok(false),
        }
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
