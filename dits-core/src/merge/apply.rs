//! Bringing the result of a three-way comparison into staging area and worktree.

use crate::diff::{Change, FileVersion};
use crate::index::{Entry, FileStat, Flags, LockedIndex, Stage};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::worktree::{Checkout, CheckoutReport, write_version};

use super::{Conflict, Merged};

/// What was applied.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The files written and removed.
    pub report: CheckoutReport,
    /// The conflicts left to a person.
    pub conflicts: Vec<Conflict>,
    /// Their versions of files in conflict: (path in conflict, the file beside it).
    pub beside: Vec<(RepoPath, RepoPath)>,
}

impl Repository {
    /// Applies a merge to an index that equals our tree. The index is changed in memory; the caller commits it.
    ///
    /// # Errors
    /// When something unrecorded would be lost (nothing was changed then), or a file cannot be written.
    pub(crate) fn apply_merged(
        &self,
        index: &mut LockedIndex,
        merged: &Merged,
        progress: &dyn Progress,
    ) -> Result<Applied, RepoError> {
        if !merged.file_and_folder.is_empty() {
            return Err(RepoError::FileAndFolder { paths: merged.file_and_folder.clone() });
        }
        let report = Checkout::new(self, progress, false)?.apply(index, &merged.changes)?;
        let mut applied = Applied { report, conflicts: merged.conflicts.clone(), beside: Vec::new() };
        for conflict in &merged.conflicts {
            if let Some(beside) = self.place_conflict(index, conflict, progress)? {
                applied.beside.push((conflict.path.clone(), beside));
            }
        }
        Ok(applied)
    }

    /// Leaves our file in place, or theirs where we have none, and puts theirs beside ours.
    fn place_conflict(
        &self,
        index: &mut LockedIndex,
        conflict: &Conflict,
        progress: &dyn Progress,
    ) -> Result<Option<RepoPath>, RepoError> {
        let dirs = self.work_dirs()?;
        let beside = match (&conflict.ours, &conflict.theirs) {
            (Some(_), Some(theirs)) => {
                let path = free_name_beside(&dirs, &conflict.path)?;
                write_version(self, &dirs, &path, theirs, progress, self.threads())?;
                Some(path)
            }
            (None, Some(theirs)) => {
                let change = Change { path: conflict.path.clone(), old: None, new: Some(theirs.clone()) };
                Checkout::new(self, progress, false)?.apply(index, std::slice::from_ref(&change))?;
                None
            }
            _ => None,
        };
        index.remove_path(&conflict.path);
        for (stage, version) in
            [(Stage::Base, &conflict.base), (Stage::Ours, &conflict.ours), (Stage::Theirs, &conflict.theirs)]
        {
            if let Some(version) = version {
                index.put(staged(&conflict.path, stage, version));
            }
        }
        Ok(beside)
    }
}

fn staged(path: &RepoPath, stage: Stage, version: &FileVersion) -> Entry {
    Entry {
        path: path.clone(),
        stage,
        mode: version.mode,
        size: version.size,
        content: version.content.clone(),
        stat: FileStat::default(),
        flags: Flags { racy: true, ..Flags::default() },
    }
}

/// `shot.mov` → `shot.theirs.mov`, so that the file still opens in the program it belongs to.
fn free_name_beside(dirs: &crate::worktree::WorkDirs, path: &RepoPath) -> Result<RepoPath, RepoError> {
    let name = path.name();
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0).unwrap_or(name.len());
    for number in 1_u32..=u32::MAX {
        let tag = if number == 1 { ".theirs".to_owned() } else { format!(".theirs-{number}") };
        // A name that would get too long loses the end of its stem.
        let room = crate::path::MAX_COMPONENT.saturating_sub(tag.len() + name.len() - dot);
        let candidate = [&name[..dot.min(room)], tag.as_bytes(), &name[dot..]].concat();
        let candidate = RepoPath::join_to(path.parent().as_ref(), &candidate)?;
        if dirs.stat(&candidate)?.is_none() {
            return Ok(candidate);
        }
    }
    Err(RepoError::UnknownPath { path: path.clone() })
}
