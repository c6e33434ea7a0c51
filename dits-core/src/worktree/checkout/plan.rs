//! What a checkout has to write, found out before anything is touched.

use std::collections::HashSet;

use super::{Checkout, InTheWay, Written, is_ghost};
use crate::content::Comparison;
use crate::diff::{Change, FileVersion};
use crate::index::{FileStat, Index, Stage};
use crate::partial::id_of;
use crate::path::RepoPath;
use crate::repo::RepoError;
use crate::tree::Content;
use crate::worktree::Meta;
use crate::worktree::drive;
use crate::worktree::ghost::ghost_at;

/// What to do.
pub(super) struct Plan<'c> {
    /// The files to write.
    pub todo: Vec<&'c Change>,
    /// Files that are already what they shall be, and what they looked like before they were compared.
    pub in_place: Vec<Written<'c>>,
    /// The files to write whose content is not here: ghosts are written for them.
    pub ghosts: HashSet<&'c RepoPath>,
}

/// What stands where a change is to be made.
enum Found {
    /// Already what it shall be.
    InPlace(Meta),
    /// Nothing is lost if it is replaced or removed.
    Replaceable,
    /// Tracked, with changes.
    Changed,
    /// Not tracked.
    Untracked,
}

struct Planner<'p, 'a> {
    checkout: &'p Checkout<'a>,
    index: &'p Index,
    /// Paths that the changes remove: each is judged by itself.
    removed: HashSet<&'p RepoPath>,
    /// Folders that were looked at already.
    folders: HashSet<RepoPath>,
    in_the_way: InTheWay,
}

impl<'c> Plan<'c> {
    /// Looks at everything the changes touch, and makes sure that nothing unrecorded is lost unless that is wanted.
    pub fn make(checkout: &Checkout<'_>, index: &Index, changes: &'c [Change]) -> Result<Self, RepoError> {
        checkout.progress.stage("Checking files", None, Some(changes.len() as u64));
        let removed = changes.iter().filter(|change| change.new.is_none()).map(|change| &change.path).collect();
        let in_the_way = InTheWay::default();
        let mut planner = Planner { checkout, index, removed, folders: HashSet::new(), in_the_way };
        let mut plan = Self { todo: Vec::new(), in_place: Vec::new(), ghosts: HashSet::new() };
        for change in changes {
            checkout.progress.check()?;
            checkout.progress.advance(0, 1);
            if change.new.is_some() {
                planner.check_above(&change.path)?;
            }
            match planner.look(change)? {
                Found::InPlace(meta) => plan.in_place.push((change, meta)),
                Found::Changed if !checkout.force => planner.in_the_way.changed.push(change.path.clone()),
                Found::Untracked if !checkout.force => planner.in_the_way.untracked.push(change.path.clone()),
                _ => plan.todo.extend(change.new.is_some().then_some(change)),
            }
        }
        let mut in_the_way = planner.in_the_way;
        if in_the_way == InTheWay::default() {
            plan.ghosts = checkout.absent(&plan.todo)?;
            return Ok(plan);
        }
        for list in [&mut in_the_way.changed, &mut in_the_way.untracked] {
            list.sort();
            list.dedup();
        }
        Err(RepoError::InTheWay(in_the_way))
    }
}

impl Planner<'_, '_> {
    fn look(&mut self, change: &Change) -> Result<Found, RepoError> {
        let Some(meta) = self.checkout.dirs.stat(&change.path)? else {
            self.check_below(change, false)?;
            return Ok(Found::Replaceable);
        };
        if meta.is_dir() {
            self.check_below(change, true)?;
            return Ok(Found::Replaceable);
        }
        let tracked = self.index.get(&change.path, Stage::Normal);
        if let (Some(entry), Some(old)) = (tracked, &change.old) {
            let same_record = entry.content == old.content && entry.mode == old.mode;
            let as_recorded = match entry.flags.ghost {
                true => is_ghost(Some(old), &meta),
                false => meta.kind().mode() == Some(entry.mode),
            };
            if same_record && as_recorded && entry.is_unmodified(&FileStat::from(&meta)) {
                return match &change.new {
                    Some(new) if new == old => self.in_place(change, new, meta),
                    _ => Ok(Found::Replaceable),
                };
            }
        }
        if let Some(new) = &change.new
            && self.checkout.holds(&change.path, &meta, new)?
        {
            return self.in_place(change, new, meta);
        }
        match &change.old {
            _ if self.checkout.force => Ok(Found::Replaceable),
            Some(old) if self.checkout.holds(&change.path, &meta, old)? => Ok(Found::Replaceable),
            Some(_) => Ok(Found::Changed),
            None => Ok(Found::Untracked),
        }
    }

    /// What is there already is right, unless it is a ghost of content that is here.
    fn in_place(&self, change: &Change, new: &FileVersion, meta: Meta) -> Result<Found, RepoError> {
        let stays = !is_ghost(Some(new), &meta) || !self.checkout.promised.is_here(&change.path, new)?;
        Ok(if stays { Found::InPlace(meta) } else { Found::Replaceable })
    }

    /// Looks for files that stand where a folder around `path` is needed.
    fn check_above(&mut self, path: &RepoPath) -> Result<(), RepoError> {
        let mut next = path.parent();
        while let Some(folder) = next.filter(|folder| !self.folders.contains(folder)) {
            next = folder.parent();
            if !self.checkout.force && !self.removed.contains(&folder) {
                if self.index.get(&folder, Stage::Normal).is_some() {
                    self.in_the_way.changed.push(folder.clone());
                } else if self.checkout.dirs.stat(&folder)?.is_some_and(|meta| !meta.is_dir()) {
                    self.in_the_way.untracked.push(folder.clone());
                }
            }
            self.folders.insert(folder);
        }
        Ok(())
    }

    /// Looks for files that lie where a file is to be: staged ones, and those in the folder that is there.
    fn check_below(&mut self, change: &Change, is_dir: bool) -> Result<(), RepoError> {
        if change.new.is_none() {
            return Ok(());
        }
        if !self.checkout.force {
            let staged = self.index.entries_in(Some(&change.path)).map(|entry| entry.repo_path());
            let stays = staged.filter(|path| !self.removed.contains(path));
            self.in_the_way.changed.extend(stays);
        }
        if !is_dir {
            return Ok(());
        }
        if self.checkout.dirs.keeps(&change.path) {
            return Err(RepoError::CurrentFolder { path: change.path.clone() });
        }
        let Some(files) = self.checkout.dirs.files_below(&change.path)? else {
            // A repository inside: not even force removes it.
            self.in_the_way.untracked.push(change.path.clone());
            return Ok(());
        };
        if !self.checkout.force {
            let index = self.index;
            let unknown = files.into_iter().filter(|path| !self.removed.contains(path));
            self.in_the_way.untracked.extend(unknown.filter(|path| index.get(path, Stage::Normal).is_none()));
        }
        Ok(())
    }
}

impl Checkout<'_> {
    /// The files whose content is not here. What is absent and was not promised is found before anything is touched.
    fn absent<'c>(&self, todo: &[&'c Change]) -> Result<HashSet<&'c RepoPath>, RepoError> {
        let mut absent = HashSet::new();
        // In a mount content comes when it is read.
        let todo = if self.dirs.is_mount() { &[] } else { todo };
        for change in todo {
            if let Some(new) = &change.new
                && !self.promised.is_here(&change.path, new)?
            {
                absent.insert(&change.path);
            }
        }
        Ok(absent)
    }

    /// Makes sure that nothing unrecorded would be lost, and changes nothing.
    ///
    /// # Errors
    /// [`RepoError::InTheWay`], or when a file cannot be looked at.
    pub fn check(&self, index: &Index, changes: &[Change]) -> Result<(), RepoError> {
        Plan::make(self, index, changes).map(drop)
    }

    /// Whether the file in the worktree is this version, byte for byte, or its ghost.
    pub(crate) fn holds(&self, path: &RepoPath, meta: &Meta, version: &FileVersion) -> Result<bool, RepoError> {
        let Self { dirs, repo, progress, .. } = self;
        if is_ghost(Some(version), meta) {
            return Ok(ghost_at(dirs, path, meta)? == id_of(&version.content));
        }
        if meta.kind().mode() != Some(version.mode) || meta.size != version.size {
            return Ok(false);
        }
        if let Content::Symlink(target) = &version.content {
            return Ok(dirs.read_link(path)? == *target);
        }
        let (mut file, before) = dirs.open_file(path)?;
        if before != *meta {
            return Ok(false);
        }
        let recorded = (&version.content, version.size);
        Ok(drive::holds(repo, dirs, path, &mut file, recorded, *progress)? == Comparison::Same)
    }
}
