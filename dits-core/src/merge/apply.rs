//! Bringing the result of a three-way comparison into staging area and worktree.
//!
//! Everything that could be in the way is looked for first. Then the operation is recorded, then files are touched,
//! then the staging area is written, then the record says so: whenever it is killed, the record tells what an abort has
//! to undo.

use std::collections::HashSet;

use crate::diff::{Change, FileVersion};
use crate::durable;
use crate::index::{Entry, FileStat, Flags, Index, LockedIndex, Stage};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{Pending, RepoError, Repository};
use crate::worktree::{Checkout, CheckoutReport, WorkDirs, place_version};

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
    /// Applies a merge to an index that equals `pending.ours`, and writes the index. The operation is pending then.
    ///
    /// # Errors
    /// When something unrecorded would be lost (nothing was changed then), or a file cannot be written (it can be
    /// aborted then).
    pub(crate) fn apply_merged(
        &self,
        mut index: LockedIndex,
        mut pending: Pending,
        merged: &Merged,
        progress: &dyn Progress,
    ) -> Result<Applied, RepoError> {
        if !merged.file_and_folder.is_empty() {
            return Err(RepoError::FileAndFolder { paths: merged.file_and_folder.clone() });
        }
        let changes = with_their_files(merged);
        let checkout = Checkout::new(self, progress, false)?;
        checkout.check(&index, &[&changes[..], &kept(merged)].concat())?;
        pending.beside = self.names_beside(&index, merged, &changes)?;
        pending.applied = false;
        self.set_pending(&pending)?;
        let report = checkout.apply(&mut index, &changes)?;
        self.write_beside(merged, &pending.beside, progress)?;
        merged.conflicts.iter().try_for_each(|conflict| stage_conflict(&mut index, conflict))?;
        index.commit()?;
        pending.applied = true;
        self.set_pending(&pending)?;
        Ok(Applied { report, conflicts: merged.conflicts.clone(), beside: pending.beside })
    }

    /// For each conflict with a file on both sides, the free name that theirs gets.
    fn names_beside(
        &self,
        index: &Index,
        merged: &Merged,
        changes: &[Change],
    ) -> Result<Vec<(RepoPath, RepoPath)>, RepoError> {
        let dirs = self.work_dirs()?;
        let mut taken: HashSet<RepoPath> = changes.iter().map(|change| change.path.clone()).collect();
        let mut names = Vec::new();
        for conflict in merged.conflicts.iter().filter(|c| c.ours.is_some() && c.theirs.is_some()) {
            let name = free_name_beside(&dirs, index, &taken, &conflict.path)?;
            taken.insert(name.clone());
            names.push((conflict.path.clone(), name));
        }
        Ok(names)
    }

    fn write_beside(
        &self,
        merged: &Merged,
        beside: &[(RepoPath, RepoPath)],
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        durable::create_dir_all(&self.layout().temp())?;
        let (dirs, promised) = (self.work_dirs()?, self.promised()?);
        for (path, file) in beside {
            let conflict = merged.conflicts.iter().find(|conflict| conflict.path == *path);
            if let Some(theirs) = conflict.and_then(|conflict| conflict.theirs.as_ref()) {
                place_version(self, &promised, &dirs, file, theirs, progress)?;
            }
        }
        Ok(())
    }
}

/// The changes, and their files where we have none and they are in conflict with that.
pub(super) fn with_their_files(merged: &Merged) -> Vec<Change> {
    let mut changes = merged.changes.clone();
    for conflict in merged.conflicts.iter().filter(|conflict| conflict.ours.is_none()) {
        changes.push(Change { path: conflict.path.clone(), old: None, new: conflict.theirs.clone() });
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

/// Our files in conflict, which stay: they too must be as recorded, since deciding for theirs replaces them.
fn kept(merged: &Merged) -> Vec<Change> {
    let placed: HashSet<&RepoPath> = merged.changes.iter().map(|change| &change.path).collect();
    let conflicts = merged.conflicts.iter().filter(|c| c.ours.is_some() && !placed.contains(&c.path));
    conflicts.map(|c| Change { path: c.path.clone(), old: c.ours.clone(), new: c.ours.clone() }).collect()
}

fn stage_conflict(index: &mut Index, conflict: &Conflict) -> Result<(), RepoError> {
    index.remove_all(&conflict.path);
    for (stage, version) in
        [(Stage::Base, &conflict.base), (Stage::Ours, &conflict.ours), (Stage::Theirs, &conflict.theirs)]
    {
        if let Some(version) = version {
            index.put(staged(&conflict.path, stage, version))?;
        }
    }
    Ok(())
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
fn free_name_beside(
    dirs: &WorkDirs,
    index: &Index,
    taken: &HashSet<RepoPath>,
    path: &RepoPath,
) -> Result<RepoPath, RepoError> {
    let name = path.name();
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0).unwrap_or(name.len());
    for number in 1_u32..=u32::MAX {
        let tag = if number == 1 { ".theirs".to_owned() } else { format!(".theirs-{number}") };
        // A name that would get too long loses the end of its stem.
        let room = crate::path::MAX_COMPONENT.saturating_sub(tag.len() + name.len() - dot);
        let candidate = [&name[..dot.min(room)], tag.as_bytes(), &name[dot..]].concat();
        let candidate = RepoPath::join_to(path.parent().as_ref(), &candidate)?;
        let tracked = index.get(&candidate, Stage::Normal).is_some();
        if !tracked && !taken.contains(&candidate) && dirs.stat(&candidate)?.is_none() {
            return Ok(candidate);
        }
    }
    Err(RepoError::UnknownPath { path: path.clone() })
}
