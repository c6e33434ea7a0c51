//! Locks: asked for, given back, listed, and shown with a push.

use bincode::{Decode, Encode};
use dits_core::lock::{CloneId, Fence, FileVersion, Lock, LockKey, LockKind, MAX_NAME, MAX_REASON, Release};
use dits_core::path::RepoPath;
use dits_core::refs::RefName;

use super::fits;

/// How many paths one request locks or unlocks.
pub const MAX_LOCKS: usize = 2048;
/// How many versions of a file a client names as its own.
const MAX_VERSIONS: usize = 4;
/// How many bytes of locks one message of a listing holds, about.
const LISTED: usize = 256 << 10;
/// The longest lease, in seconds: a year.
const MAX_LEASE: u32 = 366 * 24 * 3600;

/// Asks for locks.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LockRequest {
    /// Who asks: the name is the server's to say.
    pub place: Place,
    /// The files, each once.
    pub paths: Vec<Ask>,
    /// Against whom.
    pub kind: LockKind,
    /// The branch that the locks are limited to.
    pub only: Option<RefName>,
    /// The branch of the server that the client's versions were compared with; what is not there needs no comparison.
    pub upstream: Option<RefName>,
    /// Why, for the others.
    pub reason: String,
    /// How many seconds from now the locks end; `None` is never.
    pub lease: Option<u32>,
    /// Whether all are locked or none.
    pub all: bool,
}

/// A clone, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Place {
    /// Which one.
    pub clone: CloneId,
    /// The machine.
    pub host: String,
    /// The folder.
    pub folder: String,
}

/// A file to be locked.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ask {
    /// Where it is.
    pub path: RepoPath,
    /// What the file may be on the upstream branch for the lock to make sense: what it was when the client's branch left it, and
    /// what it is in the client's branch. `None` is no file.
    pub versions: Vec<Option<FileVersion>>,
    /// When the lock ends by itself.
    pub release: Release,
}

impl LockRequest {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        self.place.check()?;
        fits(self.paths.len(), MAX_LOCKS, "locks too many paths")?;
        fits(self.reason.len(), MAX_REASON, "has a reason that is too long")?;
        if self.only.iter().chain(&self.upstream).any(|name| name.as_branch().is_none()) {
            return Err("names something else than a branch");
        }
        if self.lease.is_some_and(|lease| lease == 0 || lease > MAX_LEASE) {
            return Err("has a lease that is not between a second and a year");
        }
        self.paths.iter().try_for_each(|ask| fits(ask.versions.len(), MAX_VERSIONS, "has too many versions of a file"))
    }
}

impl Place {
    fn check(&self) -> Result<(), &'static str> {
        fits(self.host.len().max(self.folder.len()), MAX_NAME, "has a machine or folder that is too long")
    }
}

/// What became of the locking of one path.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum LockOutcome {
    /// It is the client's.
    Locked(Fence),
    /// It is not.
    Refused(LockRefusal),
    /// It would be, but another path is not, and all or none was asked for.
    NotDone,
}

/// Why a path is not locked, or not pushed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum LockRefusal {
    /// Somebody has it. It may be the same person in another clone.
    Held(Box<Lock>),
    /// Its newest version is on a branch that the client does not have.
    Retained(Box<Lock>),
    /// The branch has another version than the one that the client started from.
    Stale {
        /// The branch.
        branch: RefName,
    },
    /// The client's token is not, or not any more, the one of the lock.
    Token {
        /// The client's own lock, if it still stands: lock again.
        own: Option<Box<Lock>>,
    },
    /// Nobody has locked it, and the repository requires it.
    NotLocked,
    /// Too many hold it already.
    Crowded,
    /// The lock store cannot be asked.
    Unknown,
}

/// The answer, in the order of the request's paths.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Locked {
    /// What became of each.
    pub outcomes: Vec<LockOutcome>,
}

impl Locked {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.outcomes.len(), MAX_LOCKS, "has too many outcomes")
    }
}

/// Gives locks back.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct UnlockRequest {
    /// Who asks.
    pub place: Place,
    /// The files.
    pub paths: Vec<RepoPath>,
    /// Whether locks of others are broken.
    pub force: bool,
}

impl UnlockRequest {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        self.place.check()?;
        fits(self.paths.len(), MAX_LOCKS, "unlocks too many paths")
    }
}

/// What became of the unlocking of one path.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum UnlockOutcome {
    /// It is not the client's any more. With `force` these were taken away from others.
    Unlocked(Vec<Lock>),
    /// Nobody had locked it.
    NotLocked,
    /// Somebody else has it; it may be the same person in another clone.
    Held(Box<Lock>),
    /// It may not be taken away by this client.
    Denied(Box<Lock>),
}

/// The answer, in the order of the request's paths.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Unlocked {
    /// What became of each.
    pub outcomes: Vec<UnlockOutcome>,
}

impl Unlocked {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.outcomes.len(), MAX_LOCKS, "has too many outcomes")
    }
}

/// Which state of the lock table somebody has seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct LockStamp {
    /// Tells one life of the lock store from another: of at most 256 bytes.
    pub instance: String,
    /// Rises with every change in it.
    pub version: u64,
}

/// Asks for the lock table.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ListLocks {
    /// The state that the client has.
    pub known: Option<LockStamp>,
    /// How many seconds the server may wait for a change, if there is none yet; at most a minute.
    pub wait: u32,
}

impl ListLocks {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fits(self.wait as usize, 60, "waits too long")?;
        self.known.as_ref().map_or(Ok(()), LockStamp::check)
    }
}

impl LockStamp {
    fn check(&self) -> Result<(), &'static str> {
        fits(self.instance.len(), 256, "names an instance with too many bytes")
    }
}

/// A part of the lock table.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LockTable {
    /// Its state.
    pub stamp: LockStamp,
    /// Who the server takes the client for: its account's name.
    pub you: String,
    /// Whether this is all, and not what has changed since the state that the client has.
    pub whole: bool,
    /// The paths whose locks are others than before; all locks of each are in `locks`.
    pub changed: Vec<LockKey>,
    /// Locks.
    pub locks: Vec<Lock>,
    /// Whether another message follows.
    pub more: bool,
}

impl LockTable {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.more && self.changed.is_empty() && self.locks.is_empty() {
            return Err("goes on without end");
        }
        self.stamp.check()
    }

    /// The same in parts that fit messages.
    #[must_use]
    pub fn messages(self) -> Vec<Self> {
        let empty = Self { changed: Vec::new(), locks: Vec::new(), more: true, ..self.clone() };
        let (mut parts, mut part, mut bytes) = (Vec::new(), empty.clone(), 0);
        let mut add = |size: usize, into: &mut dyn FnMut(&mut Self)| {
            if bytes > 0 && bytes + size > LISTED {
                parts.push(std::mem::replace(&mut part, empty.clone()));
                bytes = 0;
            }
            bytes += size;
            into(&mut part);
        };
        for key in self.changed {
            add(key.as_bytes().len() + 16, &mut |part| part.changed.push(key.clone()));
        }
        for lock in self.locks {
            let texts = [&lock.reason, &lock.holder.name, &lock.holder.host, &lock.holder.folder];
            let size = lock.path.as_bytes().len() + texts.iter().map(|text| text.len()).sum::<usize>() + 2500;
            add(size, &mut |part| part.locks.push(lock.clone()));
        }
        part.more = false;
        parts.push(part);
        parts
    }
}

/// The tokens that the next push relies on. Several messages may follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Tokens {
    /// Who holds them.
    pub place: Place,
    /// The tokens, by file.
    pub tokens: Vec<Token>,
}

/// The token of a lock, as it is shown with a push.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Token {
    /// The file.
    pub path: RepoPath,
    /// Its lock's token.
    pub fence: Fence,
    /// Whether the lock stays the client's when the push has brought a change: it has begun another one.
    pub keep: bool,
}

/// How many tokens a client may show before a push.
pub const MAX_TOKENS: usize = 1 << 20;
/// How many bytes their paths may have together.
pub const MAX_TOKEN_BYTES: usize = 64 << 20;

impl Tokens {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        self.place.check()?;
        fits(self.tokens.len(), MAX_LOCKS, "has too many tokens")
    }
}
