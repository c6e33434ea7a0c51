//! What rules and locks mean for a file, in memory: who answers the kernel must not wait.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dits_core::commit::Commit;
use dits_core::lock::{LocalLocks, LockKey, LockView, Release, Standing};
use dits_core::object::CommitId;
use dits_core::path::RepoPath;
use dits_core::repo::{RepoError, Repository};
use dits_core::store::Store;
use dits_core::tree::Tree;
use dits_fuse::locks::{Hold, RulesFiles};

use crate::date::Moment;
use crate::error::CliError;
use crate::locking::{base, desk};

/// The attributes that say something about locks.
const WORDS: [&str; 2] = ["lock", "release"];

/// What is known of rules and locks.
pub(super) struct Known {
    files: RulesFiles,
    view: LockView<RulesFiles>,
    store: Store,
    /// The project as the server had it when it was last seen.
    there: Option<CommitId>,
    idle: bool,
}

/// How the files look that what is known comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Print(Vec<(PathBuf, Option<Look>)>);

/// What changes when a file is replaced or written: its inode, time and length.
pub(super) type Look = (u64, (i64, i64), u64);

impl Print {
    /// As they are now.
    pub(super) fn of(repo: &Repository) -> Self {
        let layout = repo.layout();
        let kept = fs::read_dir(LocalLocks::folder(&layout.common)).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = kept.map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_none_or(|end| end != "lock"));
        files.sort();
        files.extend([layout.common.join("clone"), layout.private.join("HEAD"), layout.attributes()]);
        Self(files.into_iter().map(|file| (file.clone(), look(&file))).collect())
    }
}

/// How a file looks, if it is there.
pub(super) fn look(file: &Path) -> Option<Look> {
    fs::metadata(file).ok().map(|meta| (meta.ino(), (meta.mtime(), meta.mtime_nsec()), meta.len()))
}

impl Known {
    /// What is known now, with these rules.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn load(repo: &Repository, files: RulesFiles) -> Result<Self, CliError> {
        let view = LockView::with_rules(repo, repo.attributes_in(files.clone())?, None)?;
        let there = there(repo)?;
        let unversioned = fs::read_to_string(repo.layout().attributes()).unwrap_or_default();
        let rules = files.mention(&WORDS) || WORDS.iter().any(|word| unversioned.contains(word));
        let locked = view.states().any(|state| {
            let seen = state.seen.as_ref().is_some_and(|seen| !seen.locks.is_empty());
            seen || !state.tokens.is_empty() || !state.offline.is_empty()
        });
        Ok(Self { files, view, store: repo.store().clone(), there, idle: !rules && !locked })
    }

    /// Whether nothing is locked and no rule speaks of locks.
    pub(super) fn is_idle(&self) -> bool {
        self.idle
    }

    /// Whether the server was not seen with another version since, as far as can be told.
    pub(super) fn is_of(&self, repo: &Repository) -> bool {
        there(repo).map_or(true, |there| there == self.there)
    }

    /// The files of rules.
    pub(super) fn rules_files(&self) -> RulesFiles {
        self.files.clone()
    }

    /// When a lock of a file ends by itself.
    pub(super) fn release(&self, path: &RepoPath) -> Release {
        self.view.rules(path).map(|rules| rules.release).unwrap_or_default()
    }

    /// Who has a file.
    pub(super) fn hold(&self, path: &RepoPath, is_new: bool) -> Hold {
        match self.view.standing_at(path, now()).1 {
            Standing::Ours(_) | Standing::Offline => return Hold::Ours,
            Standing::Theirs(_) => return Hold::Theirs,
            Standing::Retained(_) | Standing::Free => {}
        }
        // What cannot be understood counts as nothing; `add` tells of it.
        let rules = self.view.rules(path).unwrap_or_default();
        match rules.lockable && (!is_new || self.is_there(path)) {
            true => Hold::Needed { auto: rules.auto },
            false => Hold::Free,
        }
    }

    /// Whether the server has a file.
    fn is_there(&self, path: &RepoPath) -> bool {
        let Some(there) = self.there else { return false };
        let tree = Commit::read(&self.store, there).map(|commit| commit.tree);
        // What cannot be read may be there.
        !matches!(tree.map(|tree| Tree::at_path(&self.store, tree, path)), Ok(Ok(None)))
    }

    /// Whether somebody else has a file below a folder.
    pub(super) fn theirs_below(&self, folder: &RepoPath) -> bool {
        let prefix = [LockKey::of(folder).as_bytes(), b"/"].concat();
        let locks = self.view.states().flat_map(|state| state.seen.iter().flat_map(|seen| &seen.locks));
        let mut below = locks.filter(|(key, _)| key.as_bytes().starts_with(&prefix)).flat_map(|(_, locks)| locks);
        below.any(|lock| matches!(self.view.standing_at(&lock.path, now()).1, Standing::Theirs(_)))
    }

    /// Files that locks or notes say something about, and what.
    pub(super) fn listed(&self) -> BTreeMap<LockKey, (RepoPath, Hold)> {
        let mut listed = BTreeMap::new();
        for state in self.view.states() {
            let locked = state.seen.iter().flat_map(|seen| seen.locks.values().flatten()).map(|lock| &lock.path);
            for path in locked.chain(state.tokens.values().map(|token| &token.path)).chain(state.offline.values()) {
                listed.insert(LockKey::of(path), (path.clone(), self.hold(path, false)));
            }
        }
        listed
    }
}

/// The commit that the server had when it was last seen.
fn there(repo: &Repository) -> Result<Option<CommitId>, RepoError> {
    // Where it is not clear which remote it is, nothing is locked.
    desk::remote(repo).map_or(Ok(None), |remote| Ok(base::seen(repo, &remote)?.1))
}

/// Now, in seconds since 1970; leases end by it.
pub(super) fn now() -> Option<i64> {
    Moment::now(None).ok().map(|now| now.seconds)
}
