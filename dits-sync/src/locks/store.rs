//! Where the table of locks is kept.
//!
//! A store knows nothing of locks: it keeps records by key, counts changes, and writes many of them at once or none. What
//! they mean is decided above it, in one place for all stores. [`super::conformance`] says what every store must do.

use std::time::Duration;

use dits_core::lock::LockKey;

use crate::wire::LockStamp;

/// The longest record, in bytes.
pub use dits_core::lock::record::MAX_RECORD;

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or not in time: the text says what and why, for an administrator.
    #[error("the lock store cannot be reached: {0}")]
    Away(String),
    /// What it has is not what it was given.
    #[error("the lock store is damaged: {0}")]
    Damaged(String),
}

/// A record to be written, or with `None` removed.
pub type Edit = (LockKey, Option<Vec<u8>>);

/// What has changed in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The state that this leads to.
    pub stamp: LockStamp,
    /// Whether `records` is everything that there is, and what is not in it is not there; else they are what has changed.
    pub whole: bool,
    /// Records by key, each key once; `None` is one that is not there any more.
    pub records: Vec<Edit>,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is done, and durable as far as the store promises that.
    Done(LockStamp),
    /// The store was in another state; nothing was written.
    Changed,
}

/// A durable map that counts its changes. One repository's; safe to be used by many threads and processes at once.
pub trait LockStore: Send + Sync {
    /// What has changed since a state, or everything when that is not known any more: by a store of another
    /// [instance](LockStamp::instance), or too long ago. The first state of a new store has version 0.
    ///
    /// The instance is another whenever the store may have forgotten something that it had promised to keep.
    ///
    /// # Errors
    /// When the store cannot be asked, within a few seconds.
    fn read(&self, since: Option<&LockStamp>) -> Result<Seen, StoreError>;

    /// Makes all edits or none, and counts one change, if the store is in the state `at`. An empty list of edits
    /// changes nothing and is not counted. The first write to a store that has to be made first finds it
    /// [changed](Written::Changed): what is there now is another instance.
    ///
    /// # Errors
    /// When the store cannot be asked. What was to be written may or may not be then.
    fn write(&self, at: &LockStamp, edits: &[Edit]) -> Result<Written, StoreError>;

    /// Waits until the store is in another state than `seen`, or for so long. May return sooner without a reason.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn wait(&self, seen: &LockStamp, patience: Duration) -> Result<(), StoreError>;
}
