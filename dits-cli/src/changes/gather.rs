//! Finding what differs.

use std::collections::BTreeMap;

use dits_core::content::{if_here, store_error};
use dits_core::diff::{self, Change, FileVersion, find_renames};
use dits_core::index::{Index, Stage};
use dits_core::manifest::Manifest;
use dits_core::object::TreeId;
use dits_core::path::RepoPath;
use dits_core::repo::RepoError;
use dits_core::tree::Content;
use dits_core::worktree::{self, ScanOptions};

use super::{Changes, Item, Side};
use crate::error::CliError;
use crate::pathspec::Pathspecs;

/// What is compared with the worktree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// What is staged.
    Index,
    /// A version; `None` is the empty one.
    Tree(Option<TreeId>),
}

impl Changes<'_> {
    /// What differs between two versions.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn trees(&self, old: Option<TreeId>, new: Option<TreeId>, paths: &Pathspecs) -> Result<Vec<Item>, CliError> {
        let read = self.opened.repo.store();
        let changes = match paths.is_all() {
            true => diff::trees(read, old, new)?,
            false => diff::trees_in(read, old, new, paths)?,
        };
        self.pair(changes.into_iter().map(Item::of).collect())
    }

    /// What differs between a version and what is staged.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn staged(&self, old: Option<TreeId>, paths: &Pathspecs) -> Result<Vec<Item>, CliError> {
        let index = self.opened.repo.index()?;
        let items = self.against_index(&index, old, paths)?;
        self.pair(items.into_values().collect())
    }

    /// From a version to the index, by path.
    fn against_index(
        &self,
        index: &Index,
        old: Option<TreeId>,
        paths: &Pathspecs,
    ) -> Result<BTreeMap<RepoPath, Item>, CliError> {
        let mut items = BTreeMap::new();
        for change in worktree::changes_to_tree(&self.opened.repo, index, old)? {
            let intended = index.get(&change.path, Stage::Normal).is_some_and(|entry| entry.flags.intent_to_add);
            // The changes lead back to the version.
            let Change { path, old: staged, new: before } = change;
            let staged = staged.filter(|_| !intended);
            if paths.matches(&path, false) && (staged.is_some() || before.is_some()) {
                items.insert(path.clone(), Item::of(Change { path, old: before, new: staged }));
            }
        }
        for conflict in index.conflicts() {
            if paths.matches(&conflict.path, false) {
                let item = Item { path: conflict.path.clone(), old: None, new: None, moved: None, conflict: true };
                items.insert(conflict.path, item);
            }
        }
        Ok(items)
    }

    /// What differs between something and the worktree.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn worktree(&self, against: Against, paths: &Pathspecs) -> Result<Vec<Item>, CliError> {
        let repo = &self.opened.repo;
        let index = repo.index()?;
        let progress = self.cx.progress();
        let mut scan = worktree::scan(repo, &index, paths, ScanOptions::tracked_only(), &progress)?;
        scan.fail_on_unreadable()?;
        let mut items = match against {
            Against::Index => BTreeMap::new(),
            Against::Tree(tree) => self.against_index(&index, tree, paths)?,
        };
        for path in &scan.deleted {
            self.put(&mut items, &index, path, None);
        }
        for path in &scan.modified {
            let recorded = items.get(path).map_or_else(|| staged_side(&index, path), |item| item.old.clone());
            let new = self.work_side(&index, path, recorded.as_ref(), against, &progress)?;
            self.put(&mut items, &index, path, Some(new));
        }
        if against == Against::Index {
            for conflict in index.conflicts().into_iter().filter(|conflict| paths.matches(&conflict.path, false)) {
                let path = conflict.path;
                items.insert(path.clone(), Item { path, old: None, new: None, moved: None, conflict: true });
            }
        }
        progress.clear();
        let differs = |item: &Item| item.conflict || item.old != item.new && !same(item);
        self.pair(items.into_values().filter(differs).collect())
    }

    /// Sets what is in the worktree at a path.
    fn put(&self, items: &mut BTreeMap<RepoPath, Item>, index: &Index, path: &RepoPath, new: Option<Side>) {
        let item = items.entry(path.clone()).or_insert_with(|| {
            let old = staged_side(index, path);
            Item { path: path.clone(), old, new: None, moved: None, conflict: false }
        });
        item.new = new;
    }

    /// A file of the worktree, cut as the recorded side was. It is read only if its content is needed, or may be the
    /// recorded one: that it differs from what is staged does not say that it differs from an older version.
    fn work_side(
        &self,
        index: &Index,
        path: &RepoPath,
        recorded: Option<&Side>,
        against: Against,
        progress: &dyn dits_core::progress::Progress,
    ) -> Result<Side, CliError> {
        let dirs = self.dirs.ok_or(RepoError::Bare)?;
        if let Some(version) = self.opened.repo.ghost_version(index, dirs, path)? {
            return Ok(Side::stored(version));
        }
        if !self.form.needs_content() && !self.cx.json() {
            let meta = dirs.stat(path)?.ok_or_else(|| RepoError::Vanished { path: path.clone() })?;
            let mode = meta.kind().mode().ok_or_else(|| RepoError::NotAFile { content: path.to_string() })?;
            if against == Against::Index || recorded.is_none_or(|side| side.size != meta.size) {
                return Ok(Side { mode, size: meta.size, content: None, in_worktree: true });
            }
        }
        let profile = match recorded.and_then(|side| side.content.as_ref()) {
            Some(Content::Manifest(id)) => Some(Manifest::open(&self.read, *id).map_err(RepoError::from)?.profile()),
            _ => None,
        };
        let lookup = self.attributes.as_ref().ok_or(RepoError::Bare)?;
        let attributes = lookup.attributes_of(path).map_err(RepoError::from)?;
        let rehearsed = worktree::rehearse(
            &self.opened.repo,
            dirs,
            &self.read,
            path,
            (&attributes, profile),
            progress,
            &mut |_, _| Ok(()),
        )?;
        let FileVersion { mode, size, content } = rehearsed.version;
        Ok(Side { mode, size, content: Some(content), in_worktree: true })
    }

    /// Joins files that are gone with new ones that are the same or alike.
    fn pair(&self, items: Vec<Item>) -> Result<Vec<Item>, CliError> {
        let Some(options) = self.renames() else { return Ok(items) };
        let version = |side: &Option<Side>| side.as_ref().and_then(Side::version);
        let changes: Vec<Change> = items
            .iter()
            .filter(|item| item.old.is_none() != item.new.is_none())
            .map(|item| Change { path: item.path.clone(), old: version(&item.old), new: version(&item.new) })
            .filter(|change| change.old.is_some() || change.new.is_some())
            .collect();
        let renames = find_renames(&self.read, &changes, options)?;
        if renames.is_empty() {
            return Ok(items);
        }
        let mut by_path: BTreeMap<RepoPath, Item> = items.into_iter().map(|item| (item.path.clone(), item)).collect();
        for rename in renames {
            let Some(from) = by_path.remove(&rename.from) else { continue };
            if let Some(to) = by_path.get_mut(&rename.to) {
                to.old = from.old;
                to.moved = Some((rename.from, rename.similarity));
            }
        }
        Ok(by_path.into_values().collect())
    }

    /// The facts of a side whose header is cheap to read.
    pub(super) fn facts(
        &self,
        path: &RepoPath,
        side: &Side,
        found: dits_core::media::FileType,
    ) -> Result<dits_core::media::Facts, CliError> {
        match (&side.content, self.dirs) {
            (_, Some(dirs)) if side.in_worktree => {
                let (mut file, meta) = dirs.open_file(path)?;
                let facts = dits_core::media::facts(&mut file, found, meta.size);
                Ok(dits_core::durable::IoContext::at(facts, "read", &dirs.shown(Some(path)))?)
            }
            (Some(content), _) => {
                let facts = dits_core::content::ContentReader::open(&self.read, content, side.size)
                    .and_then(|mut reader| dits_core::media::facts(&mut reader, found, side.size).map_err(store_error));
                Ok(if_here(facts)?.unwrap_or_default())
            }
            _ => Ok(dits_core::media::Facts::default()),
        }
    }
}

/// Whether both sides are the same though one of them is in the worktree.
fn same(item: &Item) -> bool {
    match (&item.old, &item.new) {
        (Some(old), Some(new)) => old.mode == new.mode && old.content.is_some() && old.content == new.content,
        _ => false,
    }
}

fn staged_side(index: &Index, path: &RepoPath) -> Option<Side> {
    let entry = index.get(path, Stage::Normal).filter(|entry| !entry.flags.intent_to_add)?;
    Some(Side::stored(FileVersion { mode: entry.mode, size: entry.size, content: entry.content }))
}
