//! `dits resolve`: deciding a conflict.

use std::fs::File;
use std::io::Seek;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::diff::FileVersion;
use crate::durable::{self, IoContext};
use crate::index::{LockedIndex, Stage, fs_clock};
use crate::lock::LockView;
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{PendingKind, RepoError, Repository};
use crate::worktree::{AddOptions, AddReport, Exactly, New, entry, place_version, protect_new, put};

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
    /// Decides conflicts. The file beside is removed where one was put. Tells what the store took of the worktree's files;
    /// the other versions it has.
    ///
    /// # Errors
    /// When a path is not in conflict, or a file cannot be read or written.
    pub fn resolve_conflicts(
        &self,
        paths: &[RepoPath],
        choice: Choice,
        progress: &dyn Progress,
    ) -> Result<AddReport, RepoError> {
        let mut index = self.lock_index()?;
        if let Some(path) = paths.iter().find(|path| {
            ![Stage::Base, Stage::Ours, Stage::Theirs].iter().any(|stage| index.get(path, *stage).is_some())
        }) {
            return Err(RepoError::NotInConflict { path: path.clone() });
        }
        let taken = match choice {
            Choice::Worktree => self.take_worktree(index, paths, progress)?,
            Choice::Ours | Choice::Theirs => {
                durable::create_dir_all(&self.layout().temp())?;
                let stage = if choice == Choice::Ours { Stage::Ours } else { Stage::Theirs };
                for path in paths {
                    self.take_stage(&mut index, path, stage, progress)?;
                }
                index.commit()?;
                AddReport::default()
            }
        };
        self.decided(paths)?;
        Ok(taken)
    }

    /// Decides a conflict for the content of another file, which is copied into place.
    ///
    /// # Errors
    /// As [`Repository::resolve_conflicts`], and when the file cannot be read or copied.
    pub fn resolve_with(&self, path: &RepoPath, file: &Path, progress: &dyn Progress) -> Result<AddReport, RepoError> {
        let index = self.index()?;
        if !index.conflicts().iter().any(|conflict| conflict.path == *path) {
            return Err(RepoError::NotInConflict { path: path.clone() });
        }
        let temp = self.layout().temp();
        durable::create_dir_all(&temp)?;
        let from = File::open(file).at("open", file)?;
        let mode = from.metadata().at("look at", file)?.permissions().mode();
        let fill = |mut to: &File| {
            (&from).rewind().and_then(|()| std::io::copy(&mut &from, &mut to)).at("copy", file)?;
            Ok(())
        };
        put(&temp, &self.work_dirs()?, path, &New::File { executable: mode & 0o100 != 0, fill: &fill })?;
        self.resolve_conflicts(std::slice::from_ref(path), Choice::Worktree, progress)
    }

    /// Stages what is in the worktree; a file that is gone stays gone.
    fn take_worktree(
        &self,
        mut index: LockedIndex,
        paths: &[RepoPath],
        progress: &dyn Progress,
    ) -> Result<AddReport, RepoError> {
        let dirs = self.work_dirs()?;
        let mut there = Vec::new();
        for path in paths {
            match dirs.stat(path)?.filter(|meta| !meta.is_dir()) {
                Some(_) => there.push(path.clone()),
                None => _ = index.remove_all(path),
            }
        }
        index.commit()?;
        if there.is_empty() {
            return Ok(AddReport::default());
        }
        self.add(&Exactly::new(&there), AddOptions { force: true, ..AddOptions::default() }, progress)
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
                let meta = place_version(self, &self.promised()?, &dirs, path, &version, progress)?;
                let meta = protect_new(&dirs, &LockView::new(self, &dirs, None)?, path, meta)?;
                let clock = fs_clock(&self.layout().private)?;
                index.put(entry(path, &version, &meta, clock))?;
            }
        }
        Ok(())
    }

    /// Removes the files beside those decided. A stash that waited for the last of them waits no more.
    pub(crate) fn decided(&self, paths: &[RepoPath]) -> Result<(), RepoError> {
        let Some(mut pending) = self.pending()? else { return Ok(()) };
        let (done, left): (Vec<_>, _) =
            std::mem::take(&mut pending.beside).into_iter().partition(|(path, _)| paths.contains(path));
        pending.beside = left;
        if !done.is_empty() {
            self.remove_beside(&done, &self.merged_again(&pending)?)?;
        }
        if pending.kind == PendingKind::Stash && !self.index()?.has_conflicts() {
            return self.clear_pending();
        }
        self.set_pending(&pending)
    }
}
