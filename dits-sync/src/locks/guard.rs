//! Pushes and locks: what a push changes that is locked or lockable, what stands against it, and what ends with it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use dits_core::attributes::{AttributeLookup, AttributeRules, TreeFiles};
use dits_core::commit::Commit;
use dits_core::history::brought::{self, Brought, BroughtError};
use dits_core::history::is_ancestor;
use dits_core::lock::{CloneId, Fence, FileVersion, Holder, LockKey, Rules};
use dits_core::object::{CommitId, ObjectRead, TreeId};
use dits_core::path::RepoPath;
use dits_core::refs::{BRANCHES, RefName, RefStore};
use dits_core::repo::Repository;
use dits_core::tree::Tree;

use super::rules::Pusher;
use super::service::{Locks, LocksError, Turn};
use crate::server::RefUpdate;
use crate::wire::{LockRefusal, Place};

/// Who pushes, and the tokens it relies on.
pub(crate) struct Bearer {
    holder: Holder,
    tokens: HashMap<LockKey, Fence>,
}

impl Bearer {
    /// An account in a clone. Without a place it holds nothing.
    pub(crate) fn new(name: String, place: Option<Place>, tokens: HashMap<LockKey, Fence>) -> Self {
        let nowhere = || Place { clone: CloneId([0; 16]), host: String::new(), folder: String::new() };
        let Place { clone, host, folder } = place.unwrap_or_else(nowhere);
        Self { holder: Holder { name, clone, host, folder }, tokens }
    }
}

/// What an update of a branch changes that locks may have to do with.
pub(crate) struct Change {
    branch: RefName,
    tip: CommitId,
    tree: TreeId,
    /// What no branch had yet, and whether it is a lockable file that was there before: nobody waits for one that is new.
    paths: Vec<(RepoPath, bool)>,
    /// What other branches had and this one had not: what locks of this branch alone have to do with.
    known_elsewhere: Vec<RepoPath>,
    /// What the commits say was moved.
    moves: Vec<(RepoPath, RepoPath)>,
    /// The locks that were looked for.
    looked_for: HashSet<LockKey>,
}

impl Change {
    /// Looks at what the commits of an update change, and for a branch that does not just go forward at what differs.
    /// `None` is nothing: no branch, or one that goes.
    pub(crate) fn of(
        repository: &Repository,
        objects: &dyn ObjectRead,
        update: &RefUpdate,
        locks: &Locks,
        bearer: &Bearer,
    ) -> Result<Option<Self>, BroughtError> {
        let Some(new) = update.new.filter(|_| update.name.as_branch().is_some()) else { return Ok(None) };
        let tip = CommitId::from_digest(new);
        let mut look = Brought::new(objects);
        let tree = look.tree_of(tip)?;
        let old = update.old.map(CommitId::from_digest);
        let old_tree = old.map(|old| look.tree_of(old)).transpose()?;
        let (looked_for, limited) = locks.locked(&update.name);
        let lockable = Lockable::new(objects, [Some(tree), old_tree]);
        let wanted = |path: &RepoPath| {
            let key = LockKey::of(path);
            looked_for.contains(&key) || bearer.tokens.contains_key(&key) || lockable.is(path)
        };
        let (mut paths, mut moves) = (BTreeSet::new(), Vec::new());
        // A tag does not count: whoever pushed it was not asked for locks.
        let known = brought::tips(repository.refs(), BRANCHES, objects)?;
        look.by_commits(&[tip], &known, &wanted, &mut |commit: &Commit, changed| {
            paths.extend(changed);
            let locked = |(from, _): &&(RepoPath, RepoPath)| looked_for.contains(&LockKey::of(from));
            moves.extend(commit.moves.iter().filter(locked).cloned());
            true
        })?;
        if let Some(old) = old
            && !is_ancestor(objects, old, tip)?
        {
            paths.extend(look.between(old_tree, Some(tree), &wanted)?);
        }
        let mut elsewhere = BTreeSet::new();
        if !limited.is_empty() {
            let before: Vec<CommitId> = old.into_iter().collect();
            let here = |path: &RepoPath| limited.contains(&LockKey::of(path));
            look.by_commits(&[tip], if before.is_empty() { &known } else { &before }, &here, &mut |_, changed| {
                elsewhere.extend(changed.into_iter().filter(|path| !paths.contains(path)));
                true
            })?;
        }
        let known_elsewhere = elsewhere.into_iter().collect();
        let before = match old_tree {
            None => main_line(repository, &look)?,
            tree => tree,
        };
        let was_there = |path: &RepoPath| match before {
            Some(tree) => Tree::at_path(objects, tree, path).map(|entry| entry.is_some()),
            None => Ok(false),
        };
        let told = |path: RepoPath| -> Result<_, BroughtError> {
            let wants_lock = lockable.is(&path) && was_there(&path)?;
            Ok((path, wants_lock))
        };
        let paths = paths.into_iter().map(told).collect::<Result<_, _>>()?;
        drop(lockable);
        Ok(Some(Self { branch: update.name.clone(), tip, tree, paths, known_elsewhere, moves, looked_for }))
    }

    /// Whether a lock was taken meanwhile, of which nobody has looked whether this changes its file.
    pub(crate) fn is_outdated(&self, turn: &Turn<'_>) -> bool {
        turn.locked().any(|key| !self.looked_for.contains(key))
    }

    /// What stands against it, by path. Nothing does: the lockable paths that nobody has locked.
    pub(crate) fn judge(
        &self,
        turn: &Turn<'_>,
        objects: &dyn ObjectRead,
        bearer: &Bearer,
        require: bool,
    ) -> Result<Vec<RepoPath>, Vec<(RepoPath, LockRefusal)>> {
        let descends = Descends::new(objects, self.tip);
        let descends_from = |commit| descends.from(commit);
        let pusher = self.pusher(bearer, false, &descends_from);
        let draft = turn.draft();
        let (mut free, mut against) = (Vec::new(), Vec::new());
        for (path, lockable) in &self.paths {
            match draft.judge(&pusher, path, false) {
                Err(refusal) => against.push((path.clone(), refusal)),
                Ok(_) if *lockable && turn.away.is_some() => against.push((path.clone(), LockRefusal::Unknown)),
                Ok(false) if *lockable && require => against.push((path.clone(), LockRefusal::NotLocked)),
                Ok(false) if *lockable => free.push(path.clone()),
                Ok(_) => {}
            }
        }
        for path in &self.known_elsewhere {
            if let Err(refusal) = draft.judge(&pusher, path, true) {
                against.push((path.clone(), refusal));
            }
        }
        if against.is_empty() { Ok(free) } else { Err(against) }
    }

    /// Ends or retains the locks of what has moved.
    pub(crate) fn settle(
        &self,
        turn: &mut Turn<'_>,
        objects: &dyn ObjectRead,
        bearer: &Bearer,
    ) -> Result<(), LocksError> {
        let to_main_line = turn.main_line()?.as_ref() == Some(&self.branch);
        let descends = Descends::new(objects, self.tip);
        let descends_from = |commit| descends.from(commit);
        let pusher = self.pusher(bearer, to_main_line, &descends_from);
        let changed: Vec<RepoPath> = self.paths.iter().map(|(path, _)| path.clone()).collect();
        // What cannot be read is told when somebody reads it; a lock is retained in any case.
        let version = |path: &RepoPath| {
            let entry = Tree::at_path(objects, self.tree, path).ok().flatten();
            entry.as_ref().map(FileVersion::of)
        };
        turn.settle(&|draft| draft.settle(&pusher, &changed, &self.moves, &version))
    }

    fn pusher<'a>(
        &'a self,
        bearer: &'a Bearer,
        to_main_line: bool,
        descends_from: &'a dyn Fn(CommitId) -> bool,
    ) -> Pusher<'a> {
        let Bearer { holder, tokens } = bearer;
        Pusher { holder, tokens, branch: &self.branch, tip: self.tip, to_main_line, descends_from }
    }
}

/// The tree of the branch that HEAD names.
fn main_line(repository: &Repository, look: &Brought<'_>) -> Result<Option<TreeId>, BroughtError> {
    let tip = repository.refs().resolve(&RefName::head())?.map(|(_, id)| CommitId::from_digest(id));
    Ok(tip.map(|tip| look.tree_of(tip)).transpose()?)
}

/// Whether a commit is in the history of another, remembered.
struct Descends<'a> {
    objects: &'a dyn ObjectRead,
    tip: CommitId,
    known: RefCell<HashMap<CommitId, bool>>,
}

impl<'a> Descends<'a> {
    fn new(objects: &'a dyn ObjectRead, tip: CommitId) -> Self {
        Self { objects, tip, known: RefCell::default() }
    }

    fn from(&self, commit: CommitId) -> bool {
        let look = || is_ancestor(self.objects, commit, self.tip).unwrap_or(false);
        *self.known.borrow_mut().entry(commit).or_insert_with(look)
    }
}

/// Which paths the attributes of some versions call lockable. Attributes that nobody can read call nothing so.
struct Lockable<'a>(Vec<AttributeLookup<TreeFiles<'a>>>);

impl<'a> Lockable<'a> {
    fn new(objects: &'a dyn ObjectRead, trees: [Option<TreeId>; 2]) -> Self {
        let rules = AttributeRules::new(None).ok();
        let lookup = |tree| Some(AttributeLookup::new(TreeFiles::new(objects, tree), rules.clone()?));
        Self(trees.into_iter().flatten().filter_map(lookup).collect())
    }

    fn is(&self, path: &RepoPath) -> bool {
        let rules = |lookup: &AttributeLookup<_>| Rules::of(&lookup.attributes_of(path).ok()?).ok();
        self.0.iter().filter_map(rules).any(|rules| rules.lockable)
    }
}
