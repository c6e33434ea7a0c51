//! Taking in what a server says of its locks.

use std::collections::{BTreeSet, HashSet};

use dits_core::lock::local::News;
use dits_core::lock::{CloneId, LocalLocks, LockKey, clone};
use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::record::RecordError;
use dits_core::repo::{RepoError, Repository};
use dits_core::worktree::{Loosen, Selection};
use dits_sync::SyncError;
use dits_sync::client::{Client, LockStamp, LockTable};

/// Files by the keys of their locks.
pub struct Keys(HashSet<LockKey>);

impl Keys {
    /// The files that these locks are about, whatever the case of their names.
    #[must_use]
    pub fn of<'p>(paths: impl IntoIterator<Item = &'p RepoPath>) -> Self {
        Self(paths.into_iter().map(LockKey::of).collect())
    }
}

impl Keys {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Selection for Keys {
    fn includes(&self, path: &RepoPath) -> bool {
        self.0.contains(&LockKey::of(path))
    }

    fn enters(&self, _: &RepoPath) -> bool {
        true
    }
}

/// Which state of the table is known.
#[must_use]
pub fn stamp(state: &LocalLocks) -> Option<LockStamp> {
    let seen = state.seen.as_ref()?;
    Some(LockStamp { instance: seen.instance.clone(), version: seen.version })
}

/// What a server said, in the form that is kept.
#[must_use]
pub fn news(known: Option<LockStamp>, table: LockTable, at: i64) -> News {
    let since = known.filter(|_| !table.whole).map(|stamp| (stamp.instance, stamp.version));
    let LockTable { stamp, you, changed, locks, .. } = table;
    News { since, now: (stamp.instance, stamp.version), at, you, changed, locks }
}

/// Asks for what has changed since it was last seen.
///
/// # Errors
/// When the server or the link fails.
pub fn ask(
    client: &mut Client<'_>,
    state: &LocalLocks,
    wait: u32,
    at: i64,
    progress: &dyn Progress,
) -> Result<News, SyncError> {
    let known = stamp(state);
    let table = client.locks(known.as_ref(), wait, progress)?;
    Ok(news(known, table, at))
}

/// The locks of a remote, asked for by the way at the end of a conversation about something else; `None` when it does not
/// say, which fails nothing.
#[must_use]
pub fn by_the_way(
    repo: &Repository,
    remote: &str,
    client: &mut Client<'_>,
    at: i64,
    progress: &dyn Progress,
) -> Option<News> {
    // Damage is left for a command that tells it.
    let state = LocalLocks::load(&repo.layout().common, remote).ok()?;
    let news = ask(client, &state, 0, at, progress).ok()?;
    // Where nobody has ever locked anything there is nothing to keep.
    (state != LocalLocks::default() || !news.locks.is_empty()).then_some(news)
}

/// Keeps what a server said, and gives files the read-only bits that go with it. Damage comes back, to be told.
///
/// # Errors
/// When it cannot be kept.
pub fn take(repo: &Repository, remote: &str, news: News) -> Result<Option<RecordError>, RepoError> {
    let common = &repo.layout().common;
    let us = clone::known(common)?;
    let (changed, damage) = LocalLocks::change(common, remote, |state| {
        let before = editable(state, us);
        state.take(news);
        let after = editable(state, us);
        before.symmetric_difference(&after).cloned().collect::<HashSet<_>>()
    })?;
    if !changed.is_empty() {
        repo.protect(&Keys(changed), Loosen::None)?;
    }
    Ok(damage)
}

/// What this clone may edit, as far as locks say.
fn editable(state: &LocalLocks, us: Option<CloneId>) -> BTreeSet<LockKey> {
    let locked = state.seen.iter().flat_map(|seen| seen.locks.values().flatten()).map(|lock| &lock.path);
    let paths = locked.chain(state.tokens.values().map(|token| &token.path)).chain(state.offline.values());
    let editable = paths.filter(|path| state.standing(path, us, None, None).is_editable());
    editable.map(LockKey::of).collect()
}

/// Whether somebody follows the changes of a remote's locks, so that what is known is what there is.
#[must_use]
pub fn is_followed(repo: &Repository, remote: &str) -> bool {
    use dits_core::lockfile::{FileLock, LockError};
    let file = dits_core::lock::local::follower(&repo.layout().common, remote);
    // Whoever follows keeps the file; without one there is nobody.
    file.exists() && matches!(FileLock::acquire(&file, std::time::Duration::ZERO), Err(LockError::Busy { .. }))
}
