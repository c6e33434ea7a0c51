//! What a push needs of locks: the tokens that are shown, files that were edited offline, and locks whose tokens are out of
//! date.

use std::collections::{BTreeMap, BTreeSet};

use dits_core::commit::Commit;
use dits_core::diff;
use dits_core::history::brought::{Brought, BroughtError};
use dits_core::lock::local;
use dits_core::lock::{Fence, LocalLocks, Lock, LockKey, LockKind, Rules, Standing, clone};
use dits_core::object::{CommitId, Digest, ObjectKind};
use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::record::RecordError;
use dits_core::refs::RefName;
use dits_core::remote::Remote;
use dits_core::repo::{RepoError, Repository};
use dits_core::worktree::Selection;
use dits_sync::SyncError;
use dits_sync::client::{
    Ask, Client, Listing, LockOutcome, LockRefusal, LockRequest, MAX_LOCKS, Place, Token, Update, UpdateOutcome,
};

use super::base::Base;
use super::table::Keys;
use super::{changes, desk};
use crate::context::Context;
use crate::error::CliError;

/// The most changes that are looked at.
const MAX_CHANGES: usize = 50_000_000;

/// How a lock was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Terms {
    kind: LockKind,
    only: Option<RefName>,
    reason: String,
    lease: Option<u32>,
}

impl Terms {
    fn of(lock: &Lock) -> Self {
        let lease = lock.expires.and_then(|expires| u32::try_from(expires - lock.since).ok());
        Self { kind: lock.kind, only: lock.branch.clone(), reason: lock.reason.clone(), lease }
    }
}

/// The locks of this clone that a push relies on.
pub struct Shown<'a> {
    repo: &'a Repository,
    remote: &'a Remote,
    /// This clone; `None` if it has never asked for a lock.
    pub place: Option<Place>,
    /// What was known before the push.
    pub state: LocalLocks,
    /// Tokens that were given during the push.
    pub given: Vec<(RepoPath, Fence)>,
    /// Files that have further changes, which are not committed: they stay locked.
    pub going_on: BTreeSet<RepoPath>,
}

impl<'a> Shown<'a> {
    /// What this clone has. Damage is left to be told by others: without tokens the push locks again.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new(repo: &'a Repository, remote: &'a Remote, cx: &Context) -> Result<Self, CliError> {
        let common = &repo.layout().common;
        let place = clone::known(common)?.map(|id| desk::place_of(repo, id));
        let state = LocalLocks::load(common, &remote.name).unwrap_or_default();
        let own: Vec<RepoPath> =
            state.tokens.values().map(|token| token.path.clone()).chain(state.offline.values().cloned()).collect();
        let going_on = changes::not_committed(repo, &own, cx)?;
        Ok(Self { repo, remote, place, state, given: Vec::new(), going_on })
    }

    /// What is shown with the push.
    #[must_use]
    pub fn tokens(&self) -> Option<(Place, Vec<Token>)> {
        let place = self.place.clone()?;
        let mut tokens = self.state.tokens.clone();
        for (path, fence) in &self.given {
            let token = local::Token { path: path.clone(), fence: *fence };
            tokens.insert(LockKey::of(path), token);
        }
        let shown = |local::Token { path, fence }| Token { keep: self.going_on.contains(&path), path, fence };
        Some((place, tokens.into_values().map(shown).collect()))
    }

    /// Locks the files that were edited offline and that the push changes. Those that cannot be locked come back.
    ///
    /// # Errors
    /// When the server or the link fails, or history cannot be read.
    pub fn lock_offline(
        &mut self,
        client: &mut Client<'_>,
        moves: &[(Option<CommitId>, CommitId)],
        progress: &dyn Progress,
    ) -> Result<Vec<(RepoPath, LockRefusal)>, SyncError> {
        if self.state.offline.is_empty() {
            return Ok(Vec::new());
        }
        let keys = Keys::of(self.state.offline.values());
        let mut paths = changed(self.repo, moves)?;
        paths.retain(|path| keys.includes(path));
        paths.sort();
        paths.dedup();
        self.lock(client, &paths, &Terms::default(), progress)
    }

    /// Locks again what this clone has with tokens that are out of date. Whether another push may go through.
    ///
    /// # Errors
    /// When the server or the link fails, or history cannot be read.
    pub fn renew(
        &mut self,
        client: &mut Client<'_>,
        outcomes: &[UpdateOutcome],
        progress: &dyn Progress,
    ) -> Result<bool, SyncError> {
        let mut own: BTreeMap<RepoPath, &Lock> = BTreeMap::new();
        for outcome in outcomes {
            let UpdateOutcome::Locked(against) = outcome else { continue };
            for (path, refusal) in against {
                match refusal {
                    LockRefusal::Token { own: Some(lock) } => _ = own.insert(path.clone(), &**lock),
                    // Something else stands against it, and will again.
                    _ => return Ok(false),
                }
            }
        }
        // Locks that were asked for alike are asked for again in one request.
        let mut alike: Vec<(Terms, Vec<RepoPath>)> = Vec::new();
        for (path, lock) in own {
            let terms = Terms::of(lock);
            match alike.iter_mut().find(|(other, _)| *other == terms) {
                Some((_, paths)) => paths.push(path),
                None => alike.push((terms, vec![path])),
            }
        }
        for (terms, paths) in &alike {
            if !self.lock(client, paths, terms, progress)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(!alike.is_empty())
    }

    fn lock(
        &mut self,
        client: &mut Client<'_>,
        paths: &[RepoPath],
        terms: &Terms,
        progress: &dyn Progress,
    ) -> Result<Vec<(RepoPath, LockRefusal)>, SyncError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let base = Base::of(self.repo, self.remote)?;
        let place = match &self.place {
            Some(place) => place.clone(),
            None => self.place.insert(desk::place(self.repo)?).clone(),
        };
        let mut refused = Vec::new();
        for piece in paths.chunks(MAX_LOCKS) {
            let asks = piece.iter().map(|path| self.ask(&base, path)).collect::<Result<Vec<_>, _>>()?;
            let request = LockRequest {
                place: place.clone(),
                paths: asks,
                kind: terms.kind,
                only: terms.only.clone(),
                upstream: base.upstream.clone(),
                reason: terms.reason.clone(),
                lease: terms.lease,
                all: false,
            };
            for (path, outcome) in piece.iter().zip(client.lock(request, progress)?) {
                match outcome {
                    LockOutcome::Locked(fence) => self.given.push((path.clone(), fence)),
                    LockOutcome::Refused(why) => refused.push((path.clone(), why)),
                    LockOutcome::NotDone => {}
                }
            }
        }
        Ok(refused)
    }

    fn ask(&self, base: &Base, path: &RepoPath) -> Result<Ask, RepoError> {
        let dirs = self.repo.work_dirs().ok();
        let rules = match &dirs {
            Some(dirs) => Rules::of(&self.repo.attributes(dirs)?.attributes_of(path)?)?,
            None => Rules::default(),
        };
        Ok(Ask { path: path.clone(), versions: base.versions(self.repo, path)?, release: rules.release })
    }

    /// The files of this clone's tokens that a push changed: their locks may have ended with it. `listing` is what the remote
    /// had before.
    ///
    /// # Errors
    /// When history cannot be read.
    pub fn used(&self, moves: &[(Option<CommitId>, CommitId)], listing: &Listing) -> Result<Vec<RepoPath>, RepoError> {
        let keys =
            Keys::of(self.state.tokens.values().map(|token| &token.path).chain(self.given.iter().map(|(p, _)| p)));
        let tips: Vec<CommitId> = moves.iter().map(|(_, new)| *new).collect();
        let known: Vec<CommitId> = listing.refs.iter().filter_map(|(_, id)| commit(self.repo, *id)).collect();
        let mut used = BTreeSet::new();
        if !keys.is_empty() {
            let wanted = |path: &RepoPath| keys.includes(path);
            let read =
                Brought::new(self.repo.store(), MAX_CHANGES).by_commits(&tips, &known, &wanted, &mut |_, paths| {
                    used.extend(paths);
                    true
                });
            match read {
                Err(BroughtError::Store(error)) => return Err(error.into()),
                Err(BroughtError::Ref(error)) => return Err(error.into()),
                // Their locks are heard of with the next push.
                Err(BroughtError::TooMuch(_)) | Ok(()) => {}
            }
        }
        Ok(used.into_iter().collect())
    }

    /// Keeps the tokens that were given, and drops those of `used` files whose locks are not known to stand any more. Damage
    /// comes back, to be told.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn record(&self, used: &[RepoPath], heard: Option<&LocalLocks>) -> Result<Option<RecordError>, CliError> {
        if self.given.is_empty() && used.is_empty() {
            return Ok(None);
        }
        let us = self.place.as_ref().map(|place| place.clone);
        let stands = |path: &RepoPath| {
            heard.is_some_and(|heard| matches!(heard.standing(path, us, None, None), Standing::Ours(Some(_))))
        };
        let common = &self.repo.layout().common;
        let ((), damage) = LocalLocks::change(common, &self.remote.name, |state| {
            for (path, fence) in &self.given {
                let key = LockKey::of(path);
                state.offline.remove(&key);
                state.tokens.insert(key, local::Token { path: path.clone(), fence: *fence });
            }
            // A push was accepted with them. A lock that does stand is found out by the next one.
            used.iter().filter(|path| !stands(path)).for_each(|path| _ = state.tokens.remove(&LockKey::of(path)));
        })?;
        Ok(damage)
    }
}

/// The files that differ between what was there and what is to be.
///
/// # Errors
/// When history cannot be read.
pub fn changed(repo: &Repository, moves: &[(Option<CommitId>, CommitId)]) -> Result<Vec<RepoPath>, RepoError> {
    let tree = |id| Commit::read(repo.store(), id).map(|commit| commit.tree);
    let mut paths = Vec::new();
    for (old, new) in moves {
        let changes = diff::trees(repo.store(), old.map(tree).transpose()?, Some(tree(*new)?))?;
        paths.extend(changes.into_iter().map(|change| change.path));
    }
    Ok(paths)
}

/// What a push moves, as commits: from what was there to what is to be.
#[must_use]
pub fn commits(repo: &Repository, updates: &[&Update]) -> Vec<(Option<CommitId>, CommitId)> {
    let branches = updates.iter().filter(|update| update.name.as_branch().is_some());
    branches.filter_map(|u| Some((u.old.and_then(|id| commit(repo, id)), commit(repo, u.new?)?))).collect()
}

/// The commit of this id, if it is here and one.
fn commit(repo: &Repository, id: Digest) -> Option<CommitId> {
    let info = repo.store().meta.info(&id).ok().flatten();
    info.filter(|info| info.kind == ObjectKind::Commit).map(|_| CommitId::from_digest(id))
}
