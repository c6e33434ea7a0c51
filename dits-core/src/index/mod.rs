//! The index: what the next commit gets, and how the worktree's files looked when they were staged.
//!
//! On disk it is a sorted base and a journal of changes, so that one `add` does not rewrite a million entries
//! (`docs/format/index.md`). In memory it is the base's bytes and a map of what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::durable::IoError;
use crate::lockfile::LockError;
use crate::object::TreeId;
use crate::path::RepoPath;

mod base;
mod entry;
mod iter;
mod journal;
mod locked;
mod stat;
#[cfg(test)]
mod tests;

pub use base::{Base, BaseError};
pub use entry::{Entry, EntryView, Flags, Stage};
pub use iter::Entries;
pub use journal::{Journal, Record, decode as decode_journal};
pub use locked::LockedIndex;
pub use stat::{FileStat, FsTime, fs_clock, fs_clock_past};

use base::BaseBuilder;

/// Why the index could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// An entry that no index can have.
    #[error("`{path}` cannot be staged: {what}")]
    BadEntry {
        /// The entry's path.
        path: RepoPath,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Entries that were to be in ascending order are not.
    #[error("`{0}` is not in order")]
    Unsorted(RepoPath),
    /// A file does not say what it must.
    #[error("{} is damaged: {what}; delete it and run `dits reset` to stage the last commit again", .file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A newer version of dits wrote the index.
    #[error("{} needs a newer dits: it has version {version} of the format, where 1 is known", .file.display())]
    TooNew {
        /// The index.
        file: PathBuf,
        /// Its version.
        version: u32,
    },
    /// Another process kept the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl IndexError {
    /// Whether this means that stored bytes are damaged.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

/// A path on which a merge found no answer, and its sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The path.
    pub path: RepoPath,
    /// The common ancestor's entry.
    pub base: Option<Entry>,
    /// This branch's.
    pub ours: Option<Entry>,
    /// The other branch's.
    pub theirs: Option<Entry>,
}

/// An index in memory. A copy shares the base.
///
/// A path has either one entry of [`Stage::Normal`] or up to three of the other stages, and is not also a folder of
/// others of the same stage: [`Index::put`] makes it so.
#[derive(Clone, Debug)]
pub struct Index {
    base: Arc<Base>,
    /// What differs from the base: `None` is an entry that is gone. Keys as [`key`] makes them.
    overlay: BTreeMap<Vec<u8>, Option<Entry>>,
    /// Keys that differ from what is on disk.
    changed: BTreeSet<Vec<u8>>,
    /// Whether the base is not the one on disk.
    replaced: bool,
    tree: Option<TreeId>,
    saved_tree: Option<TreeId>,
    len: usize,
    unmerged: usize,
    /// Whether entries are kept without inode numbers.
    no_inodes: bool,
}

/// Path, NUL, stage: sorts as path and stage do, because no path has a NUL.
fn key(path: &[u8], stage: Stage) -> Vec<u8> {
    [path, &[0, stage as u8]].concat()
}

/// The path and the number of the stage in a key.
fn split_key(key: &[u8]) -> (&[u8], u8) {
    match key {
        [path @ .., 0, stage] => (path, *stage),
        // The bound of a folder's range has no stage and sorts before all keys it is compared with.
        _ => (key, 0),
    }
}

impl Default for Index {
    fn default() -> Self {
        Self::of_base(Base::empty([0; 16]))
    }
}

impl Index {
    fn of_base(base: Base) -> Self {
        let (tree, len, unmerged) = (base.tree, base.len(), base.unmerged);
        Self {
            base: Arc::new(base),
            overlay: BTreeMap::new(),
            changed: BTreeSet::new(),
            replaced: false,
            tree,
            saved_tree: tree,
            len,
            unmerged,
            no_inodes: false,
        }
    }

    /// Says whether entries are from now on kept without inode numbers, which are then not compared: in a mount they are
    /// others each time.
    pub fn forget_inodes(&mut self, forget: bool) {
        self.no_inodes = forget;
    }

    /// The number of entries of all stages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a commit has to write something to disk.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.replaced || !self.changed.is_empty() || self.tree != self.saved_tree
    }

    /// The entry with this path and stage.
    #[must_use]
    pub fn get(&self, path: &RepoPath, stage: Stage) -> Option<EntryView<'_>> {
        self.get_bytes(path.as_bytes(), stage)
    }

    /// [`Index::get`] by the path's bytes.
    #[must_use]
    pub fn get_bytes(&self, path: &[u8], stage: Stage) -> Option<EntryView<'_>> {
        let changed = if self.overlay.is_empty() { None } else { self.overlay.get(&key(path, stage)) };
        match changed {
            Some(entry) => entry.as_ref().map(Entry::view),
            None => self.base.get(path, stage),
        }
    }

    /// All entries, by path and then by stage.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries::new(&self.base, &self.overlay, b"", None)
    }

    /// The entries below a folder, in order; all for `None`, the top folder.
    #[must_use]
    pub fn entries_in(&self, folder: Option<&RepoPath>) -> Entries<'_> {
        match folder {
            Some(folder) => self.entries_below(folder.as_bytes()),
            None => self.entries(),
        }
    }

    fn entries_below(&self, folder: &[u8]) -> Entries<'_> {
        let (low, high) = ([folder, b"/"].concat(), [folder, b"0"].concat()); // 0 follows the slash in ASCII
        Entries::new(&self.base, &self.overlay, &low, Some(&high))
    }

    /// The paths that have no entry of [`Stage::Normal`], in order. Costs nothing when there are none.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict> {
        let mut conflicts: Vec<Conflict> = Vec::new();
        if self.unmerged == 0 {
            return conflicts;
        }
        for view in self.entries().filter(|view| view.stage != Stage::Normal) {
            if conflicts.last().is_none_or(|last| last.path.as_bytes() != view.path) {
                conflicts.push(Conflict { path: view.repo_path(), base: None, ours: None, theirs: None });
            }
            let Some(last) = conflicts.last_mut() else { continue };
            let side = match view.stage {
                Stage::Normal | Stage::Base => &mut last.base,
                Stage::Ours => &mut last.ours,
                Stage::Theirs => &mut last.theirs,
            };
            *side = Some(view.to_entry());
        }
        conflicts
    }

    /// Whether there are [`Index::conflicts`].
    #[must_use]
    pub fn has_conflicts(&self) -> bool {
        self.unmerged > 0
    }

    /// Adds an entry or replaces the one with its path and stage. Goes with it: entries of the same stage for which its
    /// path would be a folder, or which lie in a folder that is a file now; and those by which its path would both be in
    /// conflict and not.
    ///
    /// # Errors
    /// For a folder, a content that does not go with the mode, or a link target that no file system holds.
    pub fn put(&mut self, entry: Entry) -> Result<(), IndexError> {
        let entry = self.kept(entry);
        entry.view().check().map_err(|what| IndexError::BadEntry { path: entry.path.clone(), what })?;
        let path = entry.path.as_bytes();
        if self.get_bytes(path, entry.stage).is_some_and(|old| old == entry.view()) {
            return Ok(());
        }
        for (slash, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            self.take(&path[..slash], entry.stage);
        }
        let below = self.entries_below(path).filter(|view| view.stage == entry.stage);
        let below: Vec<RepoPath> = below.map(|view| view.repo_path()).collect();
        below.iter().for_each(|path| _ = self.take(path.as_bytes(), entry.stage));
        for stage in Stage::ALL {
            if (stage == Stage::Normal) != (entry.stage == Stage::Normal) {
                self.take(path, stage);
            }
        }
        if !self.get_bytes(path, entry.stage).is_some_and(|old| old.commits_as(&entry.view())) {
            self.tree = None;
        }
        self.set(key(path, entry.stage), Some(entry));
        Ok(())
    }

    /// An entry as it is kept here.
    fn kept(&self, entry: Entry) -> Entry {
        if self.no_inodes { Entry { stat: entry.stat.without_inode(), ..entry } } else { entry }
    }

    /// Removes the entry with this path and stage, and says whether there was one.
    pub fn remove(&mut self, path: &RepoPath, stage: Stage) -> bool {
        self.take(path.as_bytes(), stage)
    }

    /// Removes the entries of all stages, and says whether there was one.
    pub fn remove_all(&mut self, path: &RepoPath) -> bool {
        Stage::ALL.into_iter().fold(false, |any, stage| self.take(path.as_bytes(), stage) | any)
    }

    fn take(&mut self, path: &[u8], stage: Stage) -> bool {
        let found = self.get_bytes(path, stage).is_some();
        if found {
            self.tree = None;
            self.set(key(path, stage), None);
        }
        found
    }

    fn set(&mut self, key: Vec<u8>, entry: Option<Entry>) {
        self.changed.insert(key.clone());
        self.overlay_set(key, entry);
    }

    fn overlay_set(&mut self, key: Vec<u8>, entry: Option<Entry>) {
        let (path, stage) = split_key(&key);
        let stage = Stage::ALL.get(usize::from(stage)).copied().unwrap_or_default();
        let (before, after) = (self.get_bytes(path, stage).is_some(), entry.is_some());
        let staged = usize::from(stage != Stage::Normal);
        self.len = self.len + usize::from(after) - usize::from(before);
        self.unmerged = self.unmerged + staged * usize::from(after) - staged * usize::from(before);
        if entry.is_none() && self.base.get(path, stage).is_none() {
            self.overlay.remove(&key);
        } else {
            self.overlay.insert(key, entry);
        }
    }

    /// Replaces everything by entries that come in ascending order of path and stage, as a checkout does.
    ///
    /// # Errors
    /// When an entry is not valid or not in order; then nothing has changed.
    pub fn replace_sorted(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<(), IndexError> {
        let mut builder = BaseBuilder::default();
        let mut last: Option<(RepoPath, Stage)> = None;
        for entry in entries {
            let entry = self.kept(entry);
            entry.view().check().map_err(|what| IndexError::BadEntry { path: entry.path.clone(), what })?;
            let next = (entry.path.clone(), entry.stage);
            if last.as_ref().is_some_and(|last| *last >= next) {
                return Err(IndexError::Unsorted(entry.path));
            }
            builder.push(&entry.view());
            last = Some(next);
        }
        let Self { saved_tree, no_inodes, .. } = *self;
        *self = Self { replaced: true, saved_tree, no_inodes, ..Self::of_base(builder.finish([0; 16], None)) };
        Ok(())
    }

    /// The tree that the entries are equal to, if [`Index::set_tree`] named it and nothing has been staged since; a stat
    /// that was renewed does not count.
    #[must_use]
    pub fn matches_tree(&self) -> Option<TreeId> {
        self.tree
    }

    /// States that the entries are those of a tree.
    pub fn set_tree(&mut self, tree: Option<TreeId>) {
        self.tree = tree;
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Put(entry) => self.overlay_set(key(entry.path.as_bytes(), entry.stage), Some(entry)),
            Record::Remove(path, stage) => self.overlay_set(key(path.as_bytes(), stage), None),
            Record::Tree(tree) => (self.tree, self.saved_tree) = (tree, tree),
        }
    }

    /// The bytes of one batch of the journal: what has changed since the index was loaded.
    fn batch(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for key in &self.changed {
            let (path, stage) = split_key(key);
            let stage = Stage::ALL.get(usize::from(stage)).copied().unwrap_or_default();
            match self.overlay.get(key) {
                Some(Some(entry)) => Record::Put(entry.clone()).encode(&mut body),
                _ => Record::Remove(RepoPath::from_checked(path), stage).encode(&mut body),
            }
        }
        if self.tree != self.saved_tree {
            Record::Tree(self.tree).encode(&mut body);
        }
        body
    }

    /// All of it as a new base.
    fn to_base(&self, generation: base::Generation) -> Base {
        let mut builder = BaseBuilder::default();
        self.entries().for_each(|view| builder.push(&view));
        builder.finish(generation, self.tree)
    }
}
