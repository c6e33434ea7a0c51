//! `dits rm`: removing files from staging area and worktree, unless that would lose something.

use std::collections::HashSet;

use super::{ScanOptions, Selection, changes_to_tree, scan};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Whatever would be lost.
    pub force: bool,
    /// Only from the staging area; the files stay.
    pub cached: bool,
    /// Changes nothing.
    pub dry_run: bool,
}

/// Why files are not removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsafe {
    /// What is staged is neither in the worktree nor in HEAD.
    pub only_staged: Vec<RepoPath>,
    /// Staged otherwise than HEAD has them.
    pub staged: Vec<RepoPath>,
    /// Changed since they were staged.
    pub changed: Vec<RepoPath>,
}

impl Repository {
    /// Removes tracked files, and the folders that get empty; returns them, sorted. Git's rules say what is safe.
    ///
    /// # Errors
    /// [`RepoError::UnsafeRemoval`] when something would be lost (nothing was changed then), or a file cannot be
    /// removed.
    pub fn remove_files(
        &self,
        selection: &dyn Selection,
        options: RemoveOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<RepoPath>, RepoError> {
        let mut index = self.lock_index()?;
        let mut paths: Vec<RepoPath> =
            index.entries().map(|entry| entry.repo_path()).filter(|path| selection.includes(path)).collect();
        paths.dedup();
        if !options.force && !paths.is_empty() {
            let mut found = scan(self, &index, selection, ScanOptions::tracked_only(), progress)?;
            found.fail_on_unreadable()?;
            let staged = changes_to_tree(self, &index, self.head_tree()?)?;
            let staged: HashSet<RepoPath> = staged.into_iter().map(|change| change.path).collect();
            let changed: HashSet<&RepoPath> = found.modified.iter().collect();
            let gone: HashSet<&RepoPath> = found.deleted.iter().collect();
            let mut problem = Unsafe::default();
            for path in paths.iter().filter(|path| !gone.contains(path)) {
                match (staged.contains(path), changed.contains(path)) {
                    (true, true) => problem.only_staged.push(path.clone()),
                    (true, false) if !options.cached => problem.staged.push(path.clone()),
                    (false, true) if !options.cached => problem.changed.push(path.clone()),
                    _ => {}
                }
            }
            if problem != Unsafe::default() {
                return Err(RepoError::UnsafeRemoval(problem));
            }
        }
        if options.dry_run {
            return Ok(paths);
        }
        let dirs = self.work_dirs()?;
        for path in &paths {
            progress.check()?;
            if !options.cached && dirs.stat(path)?.is_some_and(|meta| !meta.is_dir()) {
                dirs.unlink(path)?;
                dirs.remove_empty_parents(path)?;
            }
            index.remove_all(path);
        }
        index.commit()?;
        Ok(paths)
    }
}
