//! Bringing paths back from the staging area or another version.

use std::collections::{HashMap, HashSet};

use super::checkout::{Checkout, CheckoutReport};
use super::switch::{changes_to_tree, stage_version};
use super::{ScanOptions, Selection};
use crate::diff::{Change, FileVersion};
use crate::index::{Entry, Index, LockedIndex, Stage};
use crate::object::{ObjectKind, TreeId};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};

/// Where paths are restored from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreFrom {
    /// The staging area. Paths in conflict are refused.
    Index,
    /// One side of paths in conflict, which stay in conflict; the staging area for the others.
    Side(Stage),
    /// A version; `None` is the empty one.
    Tree(Option<TreeId>),
}

/// Which paths are restored, from where, and to what.
#[derive(Clone, Copy)]
pub struct Restore<'a> {
    /// Which paths.
    pub selection: &'a dyn Selection,
    /// From where.
    pub from: RestoreFrom,
    /// To the staging area; makes no sense from there.
    pub staged: bool,
    /// To the worktree.
    pub worktree: bool,
    /// Leaves tracked files that the source does not have; otherwise they are removed.
    pub overlay: bool,
}

/// What was restored.
#[derive(Clone, Debug, Default)]
pub struct RestoreReport {
    /// The files written and removed.
    pub files: CheckoutReport,
    /// Paths staged otherwise than before, sorted.
    pub staged: Vec<RepoPath>,
}

impl Repository {
    /// Restores paths. What the files hold that is recorded nowhere is lost: that is what the user asked for.
    /// `check` is called when all paths have been through the selection and before anything is changed.
    ///
    /// # Errors
    /// That of `check`; [`RepoError::Unresolved`] for paths in conflict; when something cannot be read or written.
    pub fn restore<E: From<RepoError>>(
        &self,
        restore: &Restore<'_>,
        check: impl FnOnce() -> Result<(), E>,
        progress: &dyn Progress,
    ) -> Result<RestoreReport, E> {
        let source = match restore.from {
            RestoreFrom::Tree(Some(tree)) => vec![(ObjectKind::Tree, *tree.digest())],
            _ => Vec::new(),
        };
        let _held = self.hold(&source).map_err(E::from)?;
        let mut index = self.lock_index().map_err(E::from)?;
        let changes = self.changes_to_restore(&index, restore);
        check()?;
        let (mut changes, gone) = changes.map_err(E::from)?;
        if restore.worktree {
            // Only now: this, too, takes paths through the selection, among them some that the source does not have.
            self.add_touched(&index, restore.selection, &mut changes, progress).map_err(E::from)?;
            changes.retain(|change| !gone.contains(&change.path));
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        self.carry_out(&mut index, restore, changes, progress).map_err(E::from)
    }

    fn carry_out(
        &self,
        index: &mut LockedIndex,
        restore: &Restore<'_>,
        changes: Vec<Change>,
        progress: &dyn Progress,
    ) -> Result<RestoreReport, RepoError> {
        let mut report = RestoreReport::default();
        if restore.staged {
            let differs = |change: &&Change| staged_version(index, &change.path) != change.new;
            report.staged = changes.iter().filter(differs).map(|change| change.path.clone()).collect();
        }
        match (restore.worktree, restore.staged || restore.from == RestoreFrom::Index) {
            (false, _) => changes.iter().try_for_each(|change| stage_version(index, change))?,
            (true, true) => report.files = Checkout::new(self, progress, true)?.apply(index, &changes)?,
            // What is staged stays as it is, and is found to differ from the files by the next scan.
            (true, false) => {
                let mut copy = (**index).clone();
                report.files = Checkout::new(self, progress, true)?.apply(&mut copy, &changes)?;
            }
        }
        index.save()?;
        Ok(report)
    }

    /// What has to change because the source differs from what is staged; and the paths that are left alone because
    /// the source does not have them.
    fn changes_to_restore(
        &self,
        index: &Index,
        restore: &Restore<'_>,
    ) -> Result<(Vec<Change>, HashSet<RepoPath>), RepoError> {
        let selection = restore.selection;
        let mut all = match restore.from {
            RestoreFrom::Tree(tree) => changes_to_tree(self, index, tree)?,
            _ => Vec::new(),
        };
        let gone = all.iter().filter(|change| restore.overlay && change.new.is_none());
        let gone: HashSet<RepoPath> = gone.map(|change| change.path.clone()).collect();
        // Each known path, not just those that change: a path that is as it should be is no mistake of the user.
        let known = index.entries().map(|entry| entry.repo_path()).filter(|path| !gone.contains(path));
        let known: HashSet<RepoPath> = known.filter(|path| selection.includes(path)).collect();
        let changes = match restore.from {
            RestoreFrom::Tree(_) => {
                all.retain(|change| !gone.contains(&change.path) && selection.includes(&change.path));
                all
            }
            RestoreFrom::Side(side) => sides(index, side, selection)?,
            RestoreFrom::Index => {
                let paths: Vec<_> = index.conflicts().into_iter().map(|conflict| conflict.path).collect();
                let paths: Vec<_> = paths.into_iter().filter(|path| known.contains(path)).collect();
                if !paths.is_empty() {
                    return Err(RepoError::Unresolved { paths });
                }
                Vec::new()
            }
        };
        Ok((changes, gone))
    }

    /// Adds the files that are not as staged and that no change is about yet: they become as staged.
    fn add_touched(
        &self,
        index: &Index,
        selection: &dyn Selection,
        changes: &mut Vec<Change>,
        progress: &dyn Progress,
    ) -> Result<(), RepoError> {
        let listed: HashSet<RepoPath> = changes.iter().map(|change| change.path.clone()).collect();
        let options = ScanOptions { settle: false, ..ScanOptions::tracked_only() };
        let scan = super::scan(self, index, selection, options, progress)?;
        let unreadable = scan.unreadable.into_iter().map(|(path, _)| path);
        for path in scan.modified.into_iter().chain(scan.unsure).chain(scan.deleted).chain(unreadable) {
            if let (false, Some(version)) = (listed.contains(&path), staged_version(index, &path)) {
                changes.push(Change { path, old: Some(version.clone()), new: Some(version) });
            }
        }
        Ok(())
    }
}

/// The chosen side of the paths in conflict.
fn sides(index: &Index, side: Stage, selection: &dyn Selection) -> Result<Vec<Change>, RepoError> {
    let mut changes = Vec::new();
    for conflict in index.conflicts().into_iter().filter(|conflict| selection.includes(&conflict.path)) {
        let of = |entry: Entry| FileVersion { mode: entry.mode, size: entry.size, content: entry.content };
        let mut stages: HashMap<Stage, Entry> = HashMap::new();
        stages.extend([conflict.ours, conflict.theirs].into_iter().flatten().map(|entry| (entry.stage, entry)));
        let Some(chosen) = stages.remove(&side) else {
            return Err(RepoError::NoSuchSide { path: conflict.path, side: side_name(side) });
        };
        changes.push(Change { path: conflict.path, old: None, new: Some(of(chosen)) });
    }
    Ok(changes)
}

fn side_name(side: Stage) -> &'static str {
    if side == Stage::Ours { "our" } else { "their" }
}

fn staged_version(index: &Index, path: &RepoPath) -> Option<FileVersion> {
    let entry = index.get(path, Stage::Normal)?;
    Some(FileVersion { mode: entry.mode, size: entry.size, content: entry.content.clone() })
}
