//! Who may have what: `docs/locks.md` as functions of the table. No store, no refs, no clock.

use std::collections::{BTreeMap, HashMap};

use dits_core::lock::{Fence, FileVersion, Holder, Lock, LockKey, LockKind, MAX_HOLDERS, Release, Retained};
use dits_core::object::CommitId;
use dits_core::path::RepoPath;
use dits_core::refs::RefName;

use crate::wire::{Ask, LockOutcome, LockRefusal, LockRequest, Token, UnlockOutcome};

/// All locks by key, as the store was last seen. What has ended may still be in it.
pub(super) type Table = HashMap<LockKey, Vec<Lock>>;

/// The table with changes that are not yet in the store.
pub(super) struct Draft<'a> {
    table: &'a Table,
    changed: BTreeMap<LockKey, Vec<Lock>>,
    /// The time, in seconds since 1970.
    pub(super) now: i64,
    /// The token of every lock that this draft makes.
    pub(super) fence: Fence,
}

impl<'a> Draft<'a> {
    pub(super) fn new(table: &'a Table, now: i64, fence: Fence) -> Self {
        Self { table, changed: BTreeMap::new(), now, fence }
    }

    /// The locks of a path that have not ended.
    pub(super) fn locks(&self, key: &LockKey) -> Vec<Lock> {
        let stored = self.changed.get(key).or_else(|| self.table.get(key));
        stored.into_iter().flatten().filter(|lock| !lock.is_over(self.now)).cloned().collect()
    }

    fn put(&mut self, key: LockKey, locks: Vec<Lock>) {
        self.changed.insert(key, locks);
    }

    /// Forgets what has ended, everywhere.
    pub(super) fn sweep(&mut self) {
        let over = |locks: &Vec<Lock>| locks.iter().any(|lock| lock.is_over(self.now));
        let keys: Vec<LockKey> =
            self.table.iter().filter(|(_, locks)| over(locks)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let left = self.locks(&key);
            self.put(key, left);
        }
    }

    /// What differs from the table.
    pub(super) fn into_changes(self) -> BTreeMap<LockKey, Vec<Lock>> {
        let Self { table, mut changed, .. } = self;
        changed.retain(|key, locks| table.get(key).map_or(&[][..], Vec::as_slice) != locks.as_slice());
        changed
    }

    /// Locks paths. `upstream` tells what a file is on the branch that the request was compared with; `None` if there is no
    /// such branch.
    pub(super) fn lock(
        &mut self,
        holder: &Holder,
        request: &LockRequest,
        upstream: &dyn Fn(&RepoPath) -> Option<Option<FileVersion>>,
    ) -> Vec<LockOutcome> {
        let decided: Vec<_> = request.paths.iter().map(|ask| self.lock_one(holder, request, ask, upstream)).collect();
        let fails = request.all && decided.iter().any(Result::is_err);
        let outcome = |(ask, decided): (&Ask, Result<Vec<Lock>, LockRefusal>)| match decided {
            Err(refusal) => LockOutcome::Refused(refusal),
            Ok(_) if fails => LockOutcome::NotDone,
            Ok(locks) => {
                let fence =
                    locks.iter().find(|lock| is_of(lock, holder, request)).map_or(self.fence, |lock| lock.fence);
                self.put(LockKey::of(&ask.path), locks);
                LockOutcome::Locked(fence)
            }
        };
        request.paths.iter().zip(decided).map(outcome).collect()
    }

    /// The locks of a path with the new one.
    fn lock_one(
        &self,
        holder: &Holder,
        request: &LockRequest,
        ask: &Ask,
        upstream: &dyn Fn(&RepoPath) -> Option<Option<FileVersion>>,
    ) -> Result<Vec<Lock>, LockRefusal> {
        let mut locks = self.locks(&LockKey::of(&ask.path));
        let excludes = |lock: &&Lock| {
            !lock.holder.is(holder)
                && overlap(lock.branch.as_ref(), request.only.as_ref())
                && (lock.kind == LockKind::Exclusive || request.kind == LockKind::Exclusive)
        };
        if let Some(other) = locks.iter().filter(|lock| lock.retained.is_none()).find(excludes) {
            return Err(LockRefusal::Held(other.clone().into()));
        }
        let lacks = |lock: &&Lock| {
            let newest = lock.retained.as_ref().map(|retained| retained.version);
            newest.is_some_and(|newest| !ask.versions.contains(&newest))
                && overlap(lock.branch.as_ref(), request.only.as_ref())
        };
        if let Some(retained) = locks.iter().find(lacks) {
            return Err(LockRefusal::Retained(retained.clone().into()));
        }
        if let Some(branch) = &request.upstream
            && let Some(newest) = upstream(&ask.path)
            && !ask.versions.contains(&newest)
        {
            return Err(LockRefusal::Stale { branch: branch.clone() });
        }
        let own = locks.iter().find(|lock| is_of(lock, holder, request)).cloned();
        // The new lock takes the place of the holder's own that it overlaps, wider or narrower.
        locks.retain(|lock| {
            lock.retained.is_some() || !lock.holder.is(holder) || !overlap(lock.branch.as_ref(), request.only.as_ref())
        });
        if locks.len() >= MAX_HOLDERS {
            return Err(LockRefusal::Crowded);
        }
        locks.push(self.renewed(own, holder, request, ask));
        Ok(locks)
    }

    /// The new lock. The one that the holder has already goes on with its token, unless that is worth nothing any more.
    fn renewed(&self, own: Option<Lock>, holder: &Holder, request: &LockRequest, ask: &Ask) -> Lock {
        let expires = request.lease.map(|lease| self.now.saturating_add(lease.into()));
        let new = Lock {
            path: ask.path.clone(),
            holder: holder.clone(),
            kind: request.kind,
            branch: request.only.clone(),
            reason: request.reason.clone(),
            since: self.now,
            expires,
            fence: self.fence,
            release: ask.release,
            retained: None,
        };
        match own.filter(|own| own.kind == request.kind && own.fence.epoch == self.fence.epoch) {
            Some(own) => {
                let reason = if request.reason.is_empty() { own.reason } else { new.reason };
                Lock { since: own.since, fence: own.fence, reason, ..new }
            }
            None => new,
        }
    }

    /// Gives a path back, or with `force` takes it from whoever has it.
    pub(super) fn unlock(&mut self, holder: &Holder, path: &RepoPath, force: bool, admin: bool) -> UnlockOutcome {
        let key = LockKey::of(path);
        let (own, others): (Vec<_>, Vec<_>) = self.locks(&key).into_iter().partition(|lock| lock.holder.is(holder));
        if force {
            if let Some(denied) = others.iter().find(|lock| lock.holder.name != holder.name && !admin) {
                return UnlockOutcome::Denied(denied.clone().into());
            }
            if own.is_empty() && others.is_empty() {
                return UnlockOutcome::NotLocked;
            }
            self.put(key, Vec::new());
            return UnlockOutcome::Unlocked(others);
        }
        match (own.is_empty(), others.first()) {
            (false, _) => {
                // What waits for the main line goes on waiting while the lock beside it is given back.
                let waits = own.iter().any(|lock| lock.retained.is_none());
                let kept = own.into_iter().filter(|lock| waits && lock.retained.is_some());
                let left = kept.chain(others).collect();
                self.put(key, left);
                UnlockOutcome::Unlocked(Vec::new())
            }
            (true, Some(other)) => UnlockOutcome::Held(other.clone().into()),
            (true, None) => UnlockOutcome::NotLocked,
        }
    }

    /// What stands against a push that changes a path; `Ok(false)` is nothing, though nobody has locked it. With
    /// `of_branch` only locks that are limited to the branch do.
    pub(super) fn judge(&self, push: &Pusher<'_>, path: &RepoPath, of_branch: bool) -> Result<bool, LockRefusal> {
        let key = LockKey::of(path);
        let mut locks = self.locks(&key);
        locks.retain(|lock| !of_branch || lock.branch.is_some());
        let own = |lock: &&Lock| lock.retained.is_none() && lock.holder.is(push.holder);
        for lock in locks.iter().filter(|lock| lock.covers(push.branch)) {
            match &lock.retained {
                Some(retained) if (push.descends_from)(retained.commit) => {}
                // Whoever brought it may bring another version in its place.
                Some(retained) if retained.branch == *push.branch && lock.holder.is(push.holder) => {}
                Some(_) => return Err(LockRefusal::Retained(lock.clone().into())),
                None if !lock.holder.is(push.holder) => return Err(LockRefusal::Held(lock.clone().into())),
                None => {}
            }
        }
        let shown = push.tokens.get(&key).map(|token| &token.fence);
        let matching = |lock: &&Lock| Some(&lock.fence) == shown && lock.fence.epoch == self.fence.epoch;
        match locks.iter().filter(own).find(|lock| lock.covers(push.branch)) {
            Some(lock) if matching(&lock) => Ok(true),
            Some(lock) => Err(LockRefusal::Token { own: Some(lock.clone().into()) }),
            None if of_branch => Ok(false),
            // A lock on another branch only.
            None if locks.iter().filter(own).any(|lock| matching(&lock)) => Ok(false),
            None if shown.is_some() => Err(LockRefusal::Token { own: None }),
            None => Ok(false),
        }
    }

    /// Ends or retains the locks on what a push has changed. `version` tells what a file is now.
    pub(super) fn settle(
        &mut self,
        push: &Pusher<'_>,
        changed: &[RepoPath],
        moves: &[(RepoPath, RepoPath)],
        version: &dyn Fn(&RepoPath) -> Option<FileVersion>,
    ) {
        // Who moved a file that is locked has locked both places.
        for (from, to) in moves {
            if version(from).is_some() || version(to).is_none() {
                // Anybody may write anything into a commit; this is no move.
                continue;
            }
            let from = self.locks(&LockKey::of(from)).into_iter().find(|lock| held_by(lock, push));
            let (key, mut there) = (LockKey::of(to), self.locks(&LockKey::of(to)));
            if let Some(from) = from.filter(|_| there.is_empty()) {
                there.push(Lock { path: to.clone(), fence: self.fence, ..from });
                self.put(key, there);
            }
        }
        let moved = moves.iter().flat_map(|(from, to)| [from, to]);
        for path in changed.iter().chain(moved) {
            let key = LockKey::of(path);
            let mut locks = self.locks(&key);
            let Some(at) = locks.iter().position(|lock| held_by(lock, push)) else { continue };
            if locks[at].release == Release::Manual {
                continue;
            }
            let retains = matches!(locks[at].release, Release::Merge | Release::Close) && !push.to_main_line;
            let room = locks.len() < MAX_HOLDERS || !retains;
            let keep = push.tokens.get(&key).is_some_and(|token| token.keep) && room;
            let own = if keep { locks[at].clone() } else { locks.remove(at) };
            if retains {
                let retained = Retained { branch: push.branch.clone(), commit: push.tip, version: version(path) };
                // It stands for older ones of this path, whose versions it has.
                locks.retain(|lock| lock.retained.is_none() || !overlap(lock.branch.as_ref(), own.branch.as_ref()));
                locks.push(Lock { retained: Some(retained), expires: None, ..own });
            }
            self.put(key, locks);
        }
        if push.to_main_line {
            self.release_merged(push);
        }
    }

    /// What other people have brought to a branch and nowhere else.
    pub(super) fn waiting_on(&self, branch: &RefName, holder: &Holder) -> Vec<(RepoPath, LockRefusal)> {
        let waits = |lock: &&Lock| {
            lock.retained.as_ref().is_some_and(|retained| retained.branch == *branch) && lock.holder.name != holder.name
        };
        let locks = self.table.values().flatten().filter(waits);
        locks.map(|lock| (lock.path.clone(), LockRefusal::Retained(lock.clone().into()))).collect()
    }

    /// Ends what waits on a branch that is no more.
    pub(super) fn abandon(&mut self, branch: &RefName) {
        let waits = |lock: &Lock| lock.retained.as_ref().is_some_and(|retained| retained.branch == *branch);
        let waiting = self.table.iter().filter(|(_, locks)| locks.iter().any(waits));
        let keys: Vec<LockKey> = waiting.map(|(key, _)| key.clone()).collect();
        for key in keys {
            let mut locks = self.locks(&key);
            locks.retain(|lock| !waits(lock));
            self.put(key, locks);
        }
    }

    /// Ends the locks whose version the main line has now.
    fn release_merged(&mut self, push: &Pusher<'_>) {
        let merged = |lock: &Lock| lock.retained.as_ref().is_some_and(|at| (push.descends_from)(at.commit));
        let waiting = self.table.iter().filter(|(_, locks)| locks.iter().any(|lock| lock.retained.is_some()));
        let keys: Vec<LockKey> = waiting.map(|(key, _)| key.clone()).chain(self.changed.keys().cloned()).collect();
        for key in keys {
            let mut locks = self.locks(&key);
            let before = locks.len();
            locks.retain(|lock| !merged(lock));
            if locks.len() != before {
                self.put(key, locks);
            }
        }
    }
}

/// Who pushes what where.
pub(super) struct Pusher<'a> {
    pub(super) holder: &'a Holder,
    pub(super) tokens: &'a HashMap<LockKey, Token>,
    pub(super) branch: &'a RefName,
    /// What the branch is to be.
    pub(super) tip: CommitId,
    /// Whether it is the branch that HEAD names.
    pub(super) to_main_line: bool,
    /// Whether the tip has this commit in its history.
    pub(super) descends_from: &'a dyn Fn(CommitId) -> bool,
}

fn held_by(lock: &Lock, push: &Pusher<'_>) -> bool {
    lock.retained.is_none() && lock.holder.is(push.holder) && lock.covers(push.branch)
}

/// Whether a lock is the one that the holder has in the scope that is asked for.
fn is_of(lock: &Lock, holder: &Holder, request: &LockRequest) -> bool {
    lock.retained.is_none() && lock.holder.is(holder) && lock.branch == request.only
}

/// Whether two scopes have a branch in common.
fn overlap(one: Option<&RefName>, other: Option<&RefName>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}
