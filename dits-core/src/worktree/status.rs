//! What differs between HEAD, the staging area and the worktree.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Scan, ScanOptions, Selection, Skipped, Unchanged, scan};
use crate::diff::{self, Change, ChangeKind, FileVersion, Rename, RenameOptions, find_renames};
use crate::durable::IoError;
use crate::index::{Conflict, Entry, Flags, FsTime, Index, Stage, fs_clock};
use crate::object::{ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::repo::{Head, Pending, RepoError, Repository};
use crate::store::StoreError;
use crate::tree;

/// How untracked files are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UntrackedMode {
    /// Not at all; they are not looked for.
    No,
    /// A folder in which nothing is tracked is listed as a whole.
    #[default]
    Normal,
    /// One by one.
    All,
}

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub struct StatusOptions {
    /// How to list untracked files.
    pub untracked: UntrackedMode,
    /// Lists what is ignored too.
    pub ignored: bool,
    /// Finds renames among what is staged.
    pub renames: Option<RenameOptions>,
}

impl Default for StatusOptions {
    fn default() -> Self {
        Self { untracked: UntrackedMode::Normal, ignored: false, renames: Some(RenameOptions::default()) }
    }
}

/// A staged change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedChange {
    /// The path, and what HEAD and the staging area have there. For a rename, `old` is what HEAD has at its source.
    pub change: Change,
    /// Where a renamed file comes from.
    pub rename: Option<Rename>,
}

/// A change that is not staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnstagedChange {
    /// The path.
    pub path: RepoPath,
    /// What changed. [`ChangeKind::Added`] is a file of which only the intent to add it was staged.
    pub kind: ChangeKind,
}

/// Something that is not tracked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untracked {
    /// The path.
    pub path: RepoPath,
    /// It is a folder that stands for all below it.
    pub is_folder: bool,
}

/// The state of a worktree. All lists are sorted.
#[derive(Debug)]
pub struct Status {
    /// Where HEAD is.
    pub head: Head,
    /// The operation that waits for a person.
    pub pending: Option<Pending>,
    /// What the next commit changes.
    pub staged: Vec<StagedChange>,
    /// What it leaves out.
    pub unstaged: Vec<UnstagedChange>,
    /// Paths in conflict.
    pub conflicts: Vec<Conflict>,
    /// Files and folders that are not tracked.
    pub untracked: Vec<Untracked>,
    /// Files and folders that are ignored.
    pub ignored: Vec<Untracked>,
    /// What cannot be versioned.
    pub skipped: Vec<Skipped>,
    /// What could not be looked at: nothing is known of it.
    pub unreadable: Vec<(RepoPath, IoError)>,
    /// The number of files the staging area names.
    pub tracked: usize,
    /// How many of the selected files are ghosts: their content is not here.
    pub ghosts: usize,
    /// How many entries of the staging area were given the present times of files that turned out to be unchanged.
    pub refreshed: usize,
}

impl Status {
    /// Whether the worktree holds exactly what HEAD does, untracked files aside, as far as could be seen.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.staged.is_empty() && self.unstaged.is_empty() && self.conflicts.is_empty() && self.unreadable.is_empty()
    }
}

impl Repository {
    /// How the configuration wants renames to be found; `None` when not at all.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn rename_options(&self) -> Result<Option<RenameOptions>, RepoError> {
        let default = RenameOptions::default();
        let threshold = self.config().get_int("diff.renameThreshold")?.and_then(|n| u8::try_from(n).ok());
        let limit = match self.config().get_int("diff.renameLimit")?.map(usize::try_from) {
            Some(Ok(0)) => usize::MAX,
            Some(Ok(limit)) => limit,
            _ => default.limit,
        };
        let options = RenameOptions { threshold: threshold.unwrap_or(default.threshold), limit };
        Ok(self.config().get_bool("diff.renames")?.unwrap_or(true).then_some(options))
    }

    /// Compares HEAD, the staging area and the worktree. Files whose times changed but not their content are noted in
    /// the staging area if nobody else is writing it, so that they need not be read again.
    ///
    /// # Errors
    /// When HEAD, the staging area or the top folder cannot be read; what else cannot is in the result.
    pub fn status(
        &self,
        selection: &dyn Selection,
        options: StatusOptions,
        progress: &dyn Progress,
    ) -> Result<Status, RepoError> {
        self.worktree()?;
        // Asked before anything is looked at. Where it cannot be asked nothing can be noted either.
        let clock = fs_clock(&self.layout().private).ok();
        let index = self.index()?;
        let head = self.head()?;
        let head_tree = self.head_tree()?;
        let staged = staged_changes(self.store(), &index, head_tree)?;
        let staged = staged.into_iter().filter(|change| selection.includes(&change.path)).collect();
        let staged = match options.renames {
            Some(renames) => with_renames(self.store(), staged, renames)?,
            None => staged.into_iter().map(|change| StagedChange { change, rename: None }).collect(),
        };
        let wanted = ScanOptions {
            untracked: options.untracked != UntrackedMode::No,
            ignored: options.ignored,
            each_untracked: options.untracked == UntrackedMode::All,
            settle: true,
        };
        let mut found = scan(self, &index, selection, wanted, progress)?;
        let pending = self.pending()?;
        if let Some(pending) = &pending {
            // Their version of a file in conflict is shown with the conflict.
            found.untracked.retain(|path| !pending.beside.iter().any(|(_, file)| file == path));
        }
        let refreshed = clock.map_or(0, |clock| refresh(self, &index, &found.unchanged, clock));
        let mut conflicts = index.conflicts();
        conflicts.retain(|conflict| selection.includes(&conflict.path));
        let unstaged = unstaged(&index, &found);
        Ok(Status {
            head,
            pending,
            staged,
            unstaged,
            conflicts,
            untracked: join(found.untracked, found.untracked_folders),
            ignored: join(found.ignored, found.ignored_folders),
            skipped: found.skipped,
            unreadable: found.unreadable,
            tracked: index.len(),
            ghosts: found.ghosts,
            refreshed,
        })
    }
}

/// What a commit of the index would change, compared with `head`: sorted by path, without paths in conflict.
///
/// # Errors
/// When a tree cannot be read.
pub(crate) fn staged_changes(
    read: &dyn ObjectRead,
    index: &Index,
    head: Option<TreeId>,
) -> Result<Vec<Change>, StoreError> {
    if let Some(tree) = index.matches_tree() {
        return diff::trees(read, head, Some(tree));
    }
    let conflicts: HashSet<RepoPath> = index.conflicts().into_iter().map(|conflict| conflict.path).collect();
    let mut changes = Vec::new();
    let mut push = |path: RepoPath, old, new| {
        if old != new && !conflicts.contains(&path) {
            changes.push(Change { path, old, new });
        }
    };
    // Both sides come in the order of their paths' bytes.
    let mut entries = index.entries().filter(|e| e.stage == Stage::Normal && !e.flags.intent_to_add).peekable();
    for known in tree::diff_recursive(read, None, head) {
        let known = known?;
        while let Some(entry) = entries.next_if(|entry| entry.path < known.path.as_bytes()) {
            push(entry.repo_path(), None, Some(FileVersion::from(&entry)));
        }
        let staged = entries.next_if(|entry| entry.path == known.path.as_bytes());
        push(known.path, known.new.map(FileVersion::from), staged.as_ref().map(FileVersion::from));
    }
    for entry in entries {
        push(entry.repo_path(), None, Some(FileVersion::from(&entry)));
    }
    Ok(changes)
}

/// Joins the two halves of every rename, at the new path.
fn with_renames(
    read: &dyn ObjectRead,
    changes: Vec<Change>,
    options: RenameOptions,
) -> Result<Vec<StagedChange>, StoreError> {
    let renames = find_renames(read, &changes, options)?;
    let sources: HashSet<RepoPath> = renames.iter().map(|rename| rename.from.clone()).collect();
    let mut renames = renames.into_iter().map(|rename| (rename.to.clone(), rename)).collect::<HashMap<_, _>>();
    let mut old: HashMap<RepoPath, FileVersion> = HashMap::new();
    let mut kept = Vec::with_capacity(changes.len());
    for change in changes {
        match (sources.contains(&change.path), change) {
            (true, Change { path, old: Some(version), new: None }) => _ = old.insert(path, version),
            (_, change) => kept.push(StagedChange { rename: renames.remove(&change.path), change }),
        }
    }
    for staged in &mut kept {
        if let Some(rename) = &staged.rename {
            staged.change.old = old.get(&rename.from).cloned();
        }
    }
    Ok(kept)
}

fn unstaged(index: &Index, found: &Scan) -> Vec<UnstagedChange> {
    let kind = |path: &RepoPath| match index.get(path, Stage::Normal) {
        Some(entry) if entry.flags.intent_to_add => ChangeKind::Added,
        _ if found.retyped.binary_search(path).is_ok() => ChangeKind::TypeChanged,
        _ => ChangeKind::Modified,
    };
    let modified = found.modified.iter().map(|path| UnstagedChange { path: path.clone(), kind: kind(path) });
    let deleted = found.deleted.iter().map(|path| UnstagedChange { path: path.clone(), kind: ChangeKind::Deleted });
    let mut changes: Vec<_> = modified.chain(deleted).collect();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

fn join(files: Vec<RepoPath>, folders: Vec<RepoPath>) -> Vec<Untracked> {
    let files = files.into_iter().map(|path| Untracked { path, is_folder: false });
    let mut all: Vec<_> = files.chain(folders.into_iter().map(|path| Untracked { path, is_folder: true })).collect();
    // A folder sorts as it is shown: with a slash at its end.
    all.sort_by(|a, b| {
        let slash = |one: &Untracked| one.is_folder.then_some(&b'/');
        a.path.as_bytes().iter().chain(slash(a)).cmp(b.path.as_bytes().iter().chain(slash(b)))
    });
    all
}

/// Notes what unchanged files look like now. Only saves work later, so nothing here is an error.
fn refresh(repo: &Repository, seen: &Index, unchanged: &[Unchanged], clock: FsTime) -> usize {
    if unchanged.is_empty() {
        return 0;
    }
    let Ok(mut index) = repo.lock_index_within(Duration::ZERO) else { return 0 };
    let mount = repo.layout().is_mount();
    let mut refreshed = 0;
    for Unchanged { path, stat, ghost } in unchanged {
        let Some(entry) = index.get(path, Stage::Normal).map(|entry| entry.to_entry()) else { continue };
        // Somebody may have staged something else since `seen` was read.
        let same = seen.get(path, Stage::Normal).is_some_and(|old| old == entry.view());
        let flags = Flags { ghost: *ghost, ..entry.flags };
        let stat = if mount { stat.without_inode() } else { *stat };
        let fresh = Entry { flags, ..entry.clone() }.with_stat(stat, clock);
        if same && fresh != entry && index.put(fresh).is_ok() {
            refreshed += 1;
        }
    }
    index.commit().map_or(0, |_| refreshed)
}
