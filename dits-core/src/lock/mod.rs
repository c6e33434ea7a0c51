//! Locks on files, as everybody sees them: `docs/locks.md`. What decides about them is in `dits-sync`.

use std::fmt;

use bincode::{Decode, Encode};

use crate::object::{ChunkId, CommitId, Digest};
use crate::path::{RepoPath, portable};
use crate::refs::RefName;
use crate::tree::{Content, TreeEntry};

mod attributes;
pub mod clone;
pub mod local;
pub mod record;
mod view;

pub use attributes::Rules;
pub use local::{LocalLocks, Standing};
pub use view::LockView;

/// The longest name, machine or folder of a holder, in bytes.
pub const MAX_NAME: usize = 1024;
/// The longest reason, in bytes.
pub const MAX_REASON: usize = 1024;
/// The most who may hold one path.
pub const MAX_HOLDERS: usize = 256;

/// What locks of one path have in common: `casefold(NFC(path))`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct LockKey(Vec<u8>);

impl LockKey {
    /// The key of a path.
    #[must_use]
    pub fn of(path: &RepoPath) -> Self {
        Self(portable::fold_path(path))
    }

    /// Takes bytes that came from [`LockKey::as_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockKey({})", String::from_utf8_lossy(&self.0))
    }
}

/// A fencing token (M. Kleppmann, "How to do distributed locking", 2016): of two tokens of one path the later one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Fence {
    /// Raised whenever the lock store may have forgotten something.
    pub epoch: u64,
    /// Rises with each change of the lock table within an epoch.
    pub counter: u64,
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.counter)
    }
}

/// Whether others may lock the same file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub enum LockKind {
    /// Nobody else.
    #[default]
    Exclusive,
    /// Others, shared as well.
    Shared,
}

/// When a lock ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Release {
    /// When the file is closed unchanged; else as [`Release::Merge`].
    Close,
    /// When a change of the file is pushed to any branch.
    Push,
    /// When a change of the file reaches the main line.
    #[default]
    Merge,
    /// Never.
    Manual,
}

impl Release {
    /// The value of the attribute `release`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "close" => Self::Close,
            "push" => Self::Push,
            "merge" => Self::Merge,
            "manual" => Self::Manual,
            _ => return None,
        })
    }

    /// The same as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Push => "push",
            Self::Merge => "merge",
            Self::Manual => "manual",
        }
    }
}

/// A clone: two of one person are two holders.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct CloneId(pub [u8; 16]);

impl fmt::Debug for CloneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Holder {
    /// The account, as the server knows it. At most [`MAX_NAME`] bytes, as the others.
    pub name: String,
    /// In which clone.
    pub clone: CloneId,
    /// The machine, as it calls itself.
    pub host: String,
    /// The folder of the clone there.
    pub folder: String,
}

impl Holder {
    /// Whether this is the same account in the same clone; folder and machine are only what it says of itself.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.clone == other.clone
    }
}

/// A version that waits to reach the main line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Retained {
    /// The branch it was pushed to.
    pub branch: RefName,
    /// The commit that brought it.
    pub commit: CommitId,
    /// What the file is there; `None` if it was removed.
    pub version: Option<FileVersion>,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Lock {
    /// The file, as it was called when it was locked.
    pub path: RepoPath,
    /// By whom.
    pub holder: Holder,
    /// Against whom.
    pub kind: LockKind,
    /// The branch that it is limited to; `None` is the whole repository.
    pub branch: Option<RefName>,
    /// Why, at most [`MAX_REASON`] bytes.
    pub reason: String,
    /// Since when, in seconds since 1970 on the server's clock.
    pub since: i64,
    /// When it ends, on the same clock; `None` is never.
    pub expires: Option<i64>,
    /// Its token.
    pub fence: Fence,
    /// When it ends by itself.
    pub release: Release,
    /// Set once its change was pushed and waits to reach the main line: nobody edits the file any more.
    pub retained: Option<Retained>,
}

impl Lock {
    /// Whether it has ended by `now`.
    #[must_use]
    pub fn is_over(&self, now: i64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether it speaks of this branch.
    #[must_use]
    pub fn covers(&self, branch: &RefName) -> bool {
        self.branch.as_ref().is_none_or(|only| only == branch)
    }
}

/// What a file is: its content, whatever its name and mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct FileVersion(pub Digest);

impl FileVersion {
    /// The version that a folder's entry names.
    #[must_use]
    pub fn of(entry: &TreeEntry) -> Self {
        Self(match &entry.content {
            Content::Chunk(id) => *id.digest(),
            Content::Manifest(id) => *id.digest(),
            Content::Tree(id) => *id.digest(),
            Content::Recipe(digest) => *digest,
            Content::Empty => *ChunkId::of(b"").digest(),
            Content::Symlink(target) => *ChunkId::of(target).digest(),
        })
    }
}
