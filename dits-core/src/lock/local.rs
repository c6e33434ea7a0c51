//! What a clone knows of the locks of one remote: `.dits/locks/remotes/REMOTE` (`docs/format/locks-here.md`), shared by all worktrees
//! of the clone.
//!
//! The lock table is a cache. What is more than that are the tokens, without which a push has to lock again, and the notes of
//! what was made editable offline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};

use super::{CloneId, Fence, Lock, LockKey, record};
use crate::codec;
use crate::durable::{self, IoContext};
use crate::lockfile::{FileLock, PATIENCE};
use crate::path::RepoPath;
use crate::record::{RecordError, RecordKind};
use crate::refs::RefName;
use crate::remote::Remote;
use crate::repo::RepoError;

const RECORD: RecordKind = RecordKind { magic: *b"DITSLKLC", version: 1 };
const LIMIT: usize = 64 << 20;
/// Apart from the table of the locks that this repository has itself, where others clone from it.
const FOLDER: &str = "locks/remotes";

/// What is known of the locks of one remote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct LocalLocks {
    /// The lock table as last seen.
    pub seen: Option<Seen>,
    /// What this clone was given, until it gives it back or hears that it is gone. A token is kept when somebody else has the
    /// lock by now: shown with a push it is refused as stale, and without one the push would be as if it had never had it.
    pub tokens: BTreeMap<LockKey, Token>,
    /// Files that were made editable without asking.
    pub offline: BTreeMap<LockKey, RepoPath>,
}

/// A token of this clone.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Token {
    /// The file, as it was called when it was locked.
    pub path: RepoPath,
    /// The token.
    pub fence: Fence,
}

/// A lock table as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seen {
    /// Which life of the lock store it is from.
    pub instance: String,
    /// Which version of it.
    pub version: u64,
    /// When it was seen, in seconds since 1970.
    pub at: i64,
    /// Who the server takes this clone for.
    pub you: String,
    /// All locks, by the key of their path.
    pub locks: BTreeMap<LockKey, Vec<Lock>>,
}

/// What has changed in a lock table, as a server tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The version that these are compared with; `None` if they are all.
    pub since: Option<(String, u64)>,
    /// The version that the table has now.
    pub now: (String, u64),
    /// When that was, in seconds since 1970.
    pub at: i64,
    /// Who the server takes this clone for.
    pub you: String,
    /// Paths that have other locks than before.
    pub changed: Vec<LockKey>,
    /// All locks of these paths, or all that there are.
    pub locks: Vec<Lock>,
}

/// What is known of the lock of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Nobody is known to have it.
    Free,
    /// This clone has it. The lock itself is not known before the table was seen.
    Ours(Option<&'a Lock>),
    /// It was made editable here without asking.
    Offline,
    /// Somebody else has it: another person, or the same one in another clone.
    Theirs(&'a Lock),
    /// It was changed on another branch, and waits to reach the main line.
    Retained(&'a Lock),
}

impl Standing<'_> {
    /// Whether the file may be edited here.
    #[must_use]
    pub fn is_editable(&self) -> bool {
        matches!(self, Self::Ours(_) | Self::Offline)
    }
}

impl LocalLocks {
    /// What a clone knows of a remote's locks.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn load(common: &Path, remote: &str) -> Result<Self, RecordError> {
        let file = file_of(common, remote);
        let Some(payload) = RECORD.read(&file)? else { return Ok(Self::default()) };
        Self::decode(&payload).ok_or(RecordError::Corrupt { file, what: "it cannot be decoded" })
    }

    /// What the payload of a record says; `None` if it is none.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let found: Option<Self> = codec::decode::<Self, LIMIT>(payload).ok();
        found.filter(|found| {
            let mut locks = found.seen.iter().flat_map(|seen| seen.locks.values());
            locks.all(|locks| record::check(locks).is_ok())
        })
    }

    /// The payload of a record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Changes it. What is damaged is given up and begun anew; the damage comes back beside the answer, to be told. Offline
    /// notes are durable when this returns, the rest the server can tell again.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn change<T>(
        common: &Path,
        remote: &str,
        change: impl FnOnce(&mut Self) -> T,
    ) -> Result<(T, Option<RecordError>), RepoError> {
        let file = file_of(common, remote);
        let folder = Self::folder(common);
        if !folder.is_dir() {
            durable::create_dir_all(&folder)?;
        }
        let _lock = FileLock::acquire(&folder.join(format!("{remote}.lock")), PATIENCE)?;
        let (mut state, damage) = match Self::load(common, remote) {
            Err(damage @ RecordError::Corrupt { .. }) => (Self::default(), Some(damage)),
            loaded => (loaded?, None),
        };
        let before = state.clone();
        let answer = change(&mut state);
        if state != before || damage.is_some() {
            let bytes = RECORD.encode(&state.encode());
            match state.offline == before.offline && damage.is_none() {
                true => durable::replace(&file, &bytes)?,
                false => durable::write_atomic(&file, &bytes)?,
            }
        }
        Ok((answer, damage))
    }

    /// Takes in what a server tells. News that are older than what is known, or from a version that is not known here any
    /// more, change nothing.
    pub fn take(&mut self, news: News) {
        let (instance, version) = news.now;
        let known = self.seen.take();
        let base = known.as_ref().filter(|seen| seen.instance == instance);
        if base.is_some_and(|seen| seen.version > version) {
            self.seen = known;
            return;
        }
        let mut locks = match (&news.since, base) {
            (None, _) => BTreeMap::new(),
            (Some((from, since)), Some(seen)) if *from == instance && seen.version >= *since => seen.locks.clone(),
            _ => {
                self.seen = known;
                return;
            }
        };
        for key in &news.changed {
            locks.remove(key);
        }
        for lock in news.locks {
            locks.entry(LockKey::of(&lock.path)).or_default().push(lock);
        }
        self.seen = Some(Seen { instance, version, at: news.at, you: news.you, locks });
    }

    /// Notes that this clone has a lock. Until the table is asked for again, `lock` stands for what the server has.
    pub fn obtained(&mut self, lock: Lock) {
        let key = LockKey::of(&lock.path);
        self.tokens.insert(key.clone(), Token { path: lock.path.clone(), fence: lock.fence });
        self.offline.remove(&key);
        if let Some(seen) = &mut self.seen {
            let locks = seen.locks.entry(key).or_default();
            locks.retain(|other| other.holder.clone != lock.holder.clone && !other.is_over(lock.since));
            locks.push(lock);
        }
    }

    /// Notes that this clone has a lock no more.
    pub fn given_back(&mut self, path: &RepoPath, clone: CloneId) {
        let key = LockKey::of(path);
        self.tokens.remove(&key);
        self.offline.remove(&key);
        if let Some(seen) = &mut self.seen
            && let Some(locks) = seen.locks.get_mut(&key)
        {
            locks.retain(|lock| lock.holder.clone != clone);
            if locks.is_empty() {
                seen.locks.remove(&key);
            }
        }
    }

    /// What is known of one file. What is over by `now` does not count, and neither do locks of others that are limited to
    /// another branch than `on`.
    #[must_use]
    pub fn standing(
        &self,
        path: &RepoPath,
        clone: Option<CloneId>,
        on: Option<&RefName>,
        now: Option<i64>,
    ) -> Standing<'_> {
        let key = LockKey::of(path);
        let stands = |lock: &&Lock| !now.is_some_and(|now| lock.is_over(now));
        let counts = |lock: &&Lock| stands(lock) && on.is_none_or(|branch| lock.covers(branch));
        let all = self.seen.as_ref().and_then(|seen| seen.locks.get(&key)).map_or(&[][..], Vec::as_slice);
        // What is held says more than what waits for the main line.
        let waits = |lock: &&Lock| lock.retained.is_some();
        let mine = all.iter().filter(stands).filter(|lock| Some(lock.holder.clone) == clone).min_by_key(waits);
        let theirs = all.iter().filter(counts).filter(|lock| Some(lock.holder.clone) != clone).min_by_key(waits);
        match (mine, theirs) {
            (Some(lock), _) if lock.retained.is_none() => Standing::Ours(Some(lock)),
            _ if self.seen.is_none() && clone.is_some() && self.tokens.contains_key(&key) => Standing::Ours(None),
            _ if self.offline.contains_key(&key) => Standing::Offline,
            (_, Some(lock)) if lock.retained.is_none() => Standing::Theirs(lock),
            (Some(lock), _) | (None, Some(lock)) => Standing::Retained(lock),
            (None, None) => Standing::Free,
        }
    }

    /// The folder of these files.
    #[must_use]
    pub fn folder(common: &Path) -> PathBuf {
        common.join(FOLDER)
    }

    /// The names of the remotes of which something is kept.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn remotes(common: &Path) -> Result<Vec<String>, RepoError> {
        let folder = Self::folder(common);
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.at("list", &folder)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.at("list", &folder)?.file_name().into_string();
            names.extend(name.ok().filter(|name| Remote::check_name(name).is_ok()));
        }
        names.sort();
        Ok(names)
    }

    /// What is known of a remote goes under another name.
    ///
    /// # Errors
    /// When the file cannot be renamed.
    pub fn rename(common: &Path, old: &str, new: &str) -> Result<(), RepoError> {
        let (from, to) = (file_of(common, old), file_of(common, new));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => Ok(done.at("rename", &from)?),
        }
    }

    /// Forgets a remote.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn forget(common: &Path, remote: &str) -> Result<(), RepoError> {
        Ok(durable::remove_file(&file_of(common, remote))?)
    }
}

/// No remote's name ends in `.lock`, so the locks beside the files are never taken for one.
fn file_of(common: &Path, remote: &str) -> PathBuf {
    common.join(FOLDER).join(remote)
}

/// The file that whoever follows the changes of a remote's locks holds a lock on.
#[must_use]
pub fn follower(common: &Path, remote: &str) -> PathBuf {
    common.join(FOLDER).join(format!("{remote}.follow.lock"))
}

#[cfg(test)]
mod tests;
