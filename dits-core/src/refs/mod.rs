//! Refs: the names that change. Everything else in a repository is immutable.
//!
//! Refs change only in transactions that state what they expect to find ([`RefEdit`]), and each change can leave a line
//! in the ref's log. [`RefStore`] is what the rest of dits sees; [`FolderRefs`] keeps refs in a folder
//! (`docs/format/refs.md`).

use std::path::PathBuf;

use bincode::{Decode, Encode};

use crate::durable::IoError;
use crate::lockfile::LockError;
use crate::object::Digest;
use crate::signature::Signature;

pub mod epoch;
mod files;
mod folder;
mod journal;
mod name;
pub mod record;
pub mod reflog;
#[cfg(test)]
mod tests;

pub use epoch::LockEpoch;
pub use folder::FolderRefs;
pub use journal::decode as decode_journal;
pub use name::{BRANCHES, MAX_NAME, REMOTES, RefName, RefNameError, TAGS};
pub use reflog::LogEntry;

/// How many symbolic refs may follow each other.
pub const MAX_DEPTH: usize = 5;

/// What a ref says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Target {
    /// The object it names: a commit, or for a tag possibly something else.
    Id(Digest),
    /// Another ref, whose target it shares; that ref need not exist yet.
    Symbolic(RefName),
}

/// What a transaction must find in place of a ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever there is.
    Any,
    /// No such ref.
    Absent,
    /// Exactly this.
    Is(Target),
}

/// What a transaction does with a ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It stays as it is; only its log may grow.
    Keep,
    /// It is created or replaced.
    Set(Target),
    /// It is removed, and its log with it.
    Delete,
}

/// A line for a ref's log. Messages over [`reflog::MAX_MESSAGE`] bytes are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The object the ref led to before; `None` when it did not exist.
    pub old: Option<Digest>,
    /// The object it leads to now.
    pub new: Option<Digest>,
    /// Who changed it, and when.
    pub who: Signature,
    /// Why.
    pub message: String,
}

/// One ref's part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefEdit {
    /// The ref. It is changed itself, even when it is symbolic.
    pub name: RefName,
    /// What must be there for the transaction to happen.
    pub expected: Expected,
    /// What to do with it.
    pub change: Change,
    /// A line for its log. Ignored when the ref is deleted.
    pub log: Option<LogLine>,
    /// A ref whose log the new ref's log starts with, for renaming; its own log, if any, is replaced.
    pub inherit_log: Option<RefName>,
}

impl RefEdit {
    /// Creates or replaces a ref.
    #[must_use]
    pub fn set(name: RefName, expected: Expected, target: Target) -> Self {
        Self { name, expected, change: Change::Set(target), log: None, inherit_log: None }
    }

    /// Removes a ref and its log. It is no error when there is none, unless `expected` says so.
    #[must_use]
    pub fn delete(name: RefName, expected: Expected) -> Self {
        Self { name, expected, change: Change::Delete, log: None, inherit_log: None }
    }

    /// Changes nothing, and stops the transaction where the ref is not what is expected.
    #[must_use]
    pub fn expect(name: RefName, expected: Expected) -> Self {
        Self { name, expected, change: Change::Keep, log: None, inherit_log: None }
    }

    /// Only writes a line to a ref's log, as `HEAD` gets one when the branch it stands for moves.
    #[must_use]
    pub fn log_only(name: RefName, line: LogLine) -> Self {
        Self { name, expected: Expected::Any, change: Change::Keep, log: Some(line), inherit_log: None }
    }

    /// The same with a line for the log.
    #[must_use]
    pub fn with_log(self, line: LogLine) -> Self {
        Self { log: Some(line), ..self }
    }
}

/// Why refs could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RefError {
    /// A ref is not what the transaction expected; nothing was changed.
    #[error("`{name}` was changed by somebody else meanwhile: it is {found}, not {wanted}; nothing was changed")]
    Changed {
        /// The ref.
        name: RefName,
        /// What it is.
        found: String,
        /// What it should have been.
        wanted: String,
    },
    /// A name would have to be a file and a folder at once; nothing was changed.
    #[error("`{name}` cannot exist beside `{other}`: delete or rename one of them")]
    NameConflict {
        /// The ref that was to be created.
        name: RefName,
        /// The ref that is in its way.
        other: RefName,
    },
    /// A transaction has two edits of one ref.
    #[error("`{0}` occurs twice in one transaction")]
    Twice(RefName),
    /// A log is only kept for a ref that exists.
    #[error("`{0}` does not exist, so it has no log to write to")]
    NoSuchRef(RefName),
    /// A log line's name, address or zone is not valid.
    #[error(transparent)]
    Signature(#[from] crate::signature::SignatureError),
    /// Symbolic refs lead to each other, or too far.
    #[error("`{0}` leads through more than 5 symbolic refs, perhaps in a circle; point it at a branch")]
    TooDeep(RefName),
    /// More changes than fit in one journal.
    #[error("too many refs for one transaction: its journal would have {0} bytes, where 67108864 are allowed")]
    TooLarge(usize),
    /// A file does not say what it must.
    #[error("{} is damaged: {what}", .file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The transaction was recorded durably, but not all of its files could be written. The next command that reads or
    /// writes refs completes it.
    #[error("the change of refs is recorded but not complete; the next command completes it. {0}")]
    Unfinished(#[source] IoError),
    /// Another process kept the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl RefError {
    /// Whether this means that stored bytes are damaged.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }
}

/// Refs that nobody else changes.
pub trait HeldRefs {
    /// What a ref says, as [`RefStore::read`].
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    fn read(&self, name: &RefName) -> Result<Option<Target>, RefError>;

    /// Makes all edits or none, durably. No order among the edits is promised, and none is needed: a name may be freed
    /// and taken by a conflicting one in the same transaction.
    ///
    /// # Errors
    /// [`RefError::Changed`] when an expectation is not met; see [`RefError`] for the others. After any error but
    /// [`RefError::Unfinished`] and a failed removal of the journal, nothing has changed.
    fn transaction(&self, edits: Vec<RefEdit>) -> Result<(), RefError>;

    /// The epoch of the repository's locks.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    fn epoch(&self) -> Result<LockEpoch, RefError>;

    /// Raises the epoch, durably, because this instance of the lock store answers now, and returns it.
    ///
    /// # Errors
    /// When it cannot be written, or the instance has no name that could be.
    fn raise_epoch(&self, instance: &str) -> Result<LockEpoch, RefError>;
}

/// Where refs are kept.
pub trait RefStore: Send + Sync {
    /// What a ref says; `None` when there is none of this name.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    fn read(&self, name: &RefName) -> Result<Option<Target>, RefError>;

    /// The refs whose full names start with `prefix`, sorted by name. The empty prefix gives all, including those of
    /// this worktree only. Not a snapshot: of a transaction running meanwhile it may see a part.
    ///
    /// # Errors
    /// When one of them cannot be read or is damaged.
    fn list(&self, prefix: &str) -> Result<Vec<(RefName, Target)>, RefError>;

    /// Keeps everybody else from changing refs until what this returns is dropped. For what must be decided together with
    /// them; nothing else may be waited for meanwhile.
    ///
    /// # Errors
    /// When somebody else holds them all the time.
    fn hold(&self) -> Result<Box<dyn HeldRefs + '_>, RefError>;

    /// [`HeldRefs::transaction`] by itself.
    ///
    /// # Errors
    /// As that, and when somebody else holds the refs all the time.
    fn transaction(&self, edits: Vec<RefEdit>) -> Result<(), RefError> {
        if edits.is_empty() { Ok(()) } else { self.hold()?.transaction(edits) }
    }

    /// The newest `limit` lines of a ref's log, newest first. No log is an empty log.
    ///
    /// # Errors
    /// When it cannot be read or one of these lines is damaged.
    fn log(&self, name: &RefName, limit: usize) -> Result<Vec<LogEntry>, RefError>;

    /// The names that have a log, sorted.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn logs(&self) -> Result<Vec<RefName>, RefError>;

    /// Keeps only some lines of a log, and returns how many went.
    ///
    /// # Errors
    /// When the log cannot be read or written, or is damaged.
    fn expire_log(&self, name: &RefName, keep: &mut dyn FnMut(&LogEntry) -> bool) -> Result<usize, RefError>;

    /// Follows symbolic refs from `name` to a ref that is none, which need not exist: the branch of a repository
    /// without commits.
    ///
    /// # Errors
    /// [`RefError::TooDeep`], or when a ref cannot be read.
    fn follow(&self, name: &RefName) -> Result<(RefName, Option<Digest>), RefError> {
        let mut at = name.clone();
        for _ in 0..=MAX_DEPTH {
            match self.read(&at)? {
                Some(Target::Symbolic(next)) => at = next,
                Some(Target::Id(id)) => return Ok((at, Some(id))),
                None => return Ok((at, None)),
            }
        }
        Err(RefError::TooDeep(name.clone()))
    }

    /// The ref that `name` leads to and the object that one names; `None` when there is none.
    ///
    /// # Errors
    /// As [`RefStore::follow`].
    fn resolve(&self, name: &RefName) -> Result<Option<(RefName, Digest)>, RefError> {
        let (name, id) = self.follow(name)?;
        Ok(id.map(|id| (name, id)))
    }
}
