//! Pushes and locks: what a push changes that is locked or lockable, what stands against it, and what ends with it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use dits_core::attributes::{AttributeLookup, AttributeRules, TreeFiles};
use dits_core::commit::Commit;
use dits_core::history::brought::{self, Brought, BroughtError};
use dits_core::history::is_ancestor;
use dits_core::lock::{CloneId, FileVersion, Holder, LockKey, Rules};
use dits_core::object::{CommitId, ObjectRead, TreeId};
use dits_core::path::RepoPath;
use dits_core::refs::{BRANCHES, RefName, RefStore};
use dits_core::repo::Repository;
use dits_core::tree::Tree;

use super::rules::Pusher;
use super::service::{Locked, Locks, LocksError, Turn};
use crate::server::RefUpdate;
use crate::wire::{LockRefusal, Place, Token};

/// The most changes that are looked at: more files than any project has, and less than a minute's work.
const MAX_CHANGES: usize = 50_000_000;

/// Who pushes, and the tokens it relies on.
pub(crate) struct Bearer {
    holder: Holder,
    tokens: HashMap<LockKey, Token>,
}

impl Bearer {
    /// An account in a clone. Without a place it holds nothing.
    pub(crate) fn new(name: String, place: Option<Place>, tokens: HashMap<LockKey, Token>) -> Self {
        let nowhere = || Place { clone: CloneId([0; 16]), host: String::new(), folder: String::new() };
        let Place { clone, host, folder } = place.unwrap_or_else(nowhere);
        Self { holder: Holder { name, clone, host, folder }, tokens }
    }

    fn holder(&self) -> &Holder {
        &self.holder
    }
}

/// What an update of a branch changes that locks may have to do with.
pub(crate) struct Change {
    branch: RefName,
    tip: CommitId,
    tree: TreeId,
    /// Whether the branch goes, and whether that was asked for by force.
    goes: Option<bool>,
    /// What no branch had yet, and whether it was there before: nobody waits for a file that is new.
    paths: Vec<Changed>,
    /// What other branches had and this one had not: what locks of this branch alone have to do with.
    known_elsewhere: Vec<RepoPath>,
    /// What the commits say was moved.
    moves: Vec<(RepoPath, RepoPath)>,
    /// The locks that were looked for.
    locked: Locked,
    /// All that was looked at, by a hash of its key.
    touched: HashSet<u64>,
}

/// A path that a push changes.
struct Changed {
    path: RepoPath,
    /// Whether the attributes before or after call it lockable.
    lockable: bool,
    /// Whether the branch had it before; for a new branch, the main line.
    was_there: bool,
}

impl Change {
    /// Looks at what the commits of an update change, and for a branch that does not just go forward at what differs.
    /// `None` is nothing: no branch.
    pub(crate) fn of(
        repository: &Repository,
        objects: &dyn ObjectRead,
        update: &RefUpdate,
        locks: &Locks,
        bearer: &Bearer,
    ) -> Result<Option<Self>, BroughtError> {
        let Some(id) = update.new.or(update.old).filter(|_| update.name.as_branch().is_some()) else { return Ok(None) };
        let tip = CommitId::from_digest(id);
        let mut look = Brought::new(objects, MAX_CHANGES);
        let tree = look.tree_of(tip)?;
        let old = update.old.map(CommitId::from_digest);
        let before = match old {
            Some(old) => Some(look.tree_of(old)?),
            None => main_line(repository, &look)?,
        };
        let locked = locks.locked(&update.name);
        let mut change = Self {
            branch: update.name.clone(),
            tip,
            tree,
            goes: update.new.is_none().then_some(update.force),
            paths: Vec::new(),
            known_elsewhere: Vec::new(),
            moves: Vec::new(),
            touched: HashSet::new(),
            locked,
        };
        let here = |path: &RepoPath| change.locked.limited.contains(&LockKey::of(path));
        if change.goes.is_some() {
            // A branch that goes could come again as anything.
            let all =
                if change.locked.limited.is_empty() { None } else { Some(look.between(Some(tree), None, &here)?) };
            change.known_elsewhere = all.into_iter().flatten().collect();
            return Ok(Some(change));
        }
        let lockable = Lockable::new(objects, [Some(tree), before]);
        let touched = RefCell::new(HashSet::new());
        let wanted = |path: &RepoPath| {
            let key = LockKey::of(path);
            touched.borrow_mut().insert(hash(&key));
            let locked = change.locked.unknown || change.locked.keys.contains(&key);
            locked || bearer.tokens.contains_key(&key) || lockable.is(path)
        };
        let (mut paths, mut moves) = (BTreeSet::new(), Vec::new());
        // A tag does not count: whoever pushed it was not asked for locks.
        let known = brought::tips(repository.refs(), BRANCHES, objects)?;
        look.by_commits(&[tip], &known, &wanted, &mut |commit: &Commit, changed| {
            paths.extend(changed);
            let locked = |(from, _): &&(RepoPath, RepoPath)| change.locked.keys.contains(&LockKey::of(from));
            moves.extend(commit.moves.iter().filter(locked).cloned());
            true
        })?;
        let mut elsewhere = BTreeSet::new();
        match old {
            Some(old) if !is_ancestor(objects, old, tip)? => {
                paths.extend(look.between(before, Some(tree), &wanted)?);
            }
            Some(old) if !change.locked.limited.is_empty() => {
                look.by_commits(&[tip], &[old], &here, &mut |_, changed| {
                    elsewhere.extend(changed);
                    true
                })?;
            }
            None if !change.locked.limited.is_empty() => elsewhere = look.between(before, Some(tree), &here)?,
            Some(_) | None => {}
        }
        let was_there = |path: &RepoPath| match before {
            Some(tree) => Tree::at_path(objects, tree, path).map(|entry| entry.is_some()),
            None => Ok(false),
        };
        let told = |path: &RepoPath| -> Result<_, BroughtError> {
            Ok(Changed { path: path.clone(), lockable: lockable.is(path), was_there: was_there(path)? })
        };
        let told = paths.iter().map(told).collect::<Result<_, _>>()?;
        drop(lockable);
        change.known_elsewhere = elsewhere.into_iter().filter(|path| !paths.contains(path)).collect();
        (change.paths, change.moves, change.touched) = (told, moves, touched.into_inner());
        Ok(Some(change))
    }

    /// Whether something was locked meanwhile that this may change, and nobody has looked for it.
    pub(crate) fn is_outdated(&self, turn: &Turn<'_>) -> bool {
        let now = turn.locked(&self.branch);
        let new = now.keys.difference(&self.locked.keys);
        let mut changed = new.filter(|key| self.touched.contains(&hash(key)));
        changed.next().is_some() || !now.limited.is_subset(&self.locked.limited) || now.unknown != self.locked.unknown
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
        // A store that cannot be asked may know of a lock, where there ever was one.
        let ever_locked = !self.locked.unknown || turn.had_locks();
        let may_be_locked =
            |changed: &Changed| turn.away.is_some() && (changed.lockable || ever_locked) && changed.was_there;
        for changed in &self.paths {
            let (path, waited_for) = (&changed.path, changed.lockable && changed.was_there);
            match draft.judge(&pusher, path, false) {
                Err(refusal) => against.push((path.clone(), refusal)),
                Ok(_) if may_be_locked(changed) => against.push((path.clone(), LockRefusal::Unknown)),
                Ok(false) if waited_for && require => against.push((path.clone(), LockRefusal::NotLocked)),
                Ok(false) if waited_for => free.push(path.clone()),
                Ok(_) => {}
            }
        }
        if self.goes == Some(false) {
            against.extend(draft.waiting_on(&self.branch, bearer.holder()));
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
        if self.goes.is_some() {
            return turn.settle(&|draft| draft.abandon(&self.branch));
        }
        let to_main_line = turn.main_line()?.as_ref() == Some(&self.branch);
        let descends = Descends::new(objects, self.tip);
        let descends_from = |commit| descends.from(commit);
        let pusher = self.pusher(bearer, to_main_line, &descends_from);
        let changed: Vec<RepoPath> = self.paths.iter().map(|changed| changed.path.clone()).collect();
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

fn hash(key: &LockKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
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
