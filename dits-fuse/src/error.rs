//! Why something cannot be read, and how far a question may go for its answer.

use std::sync::Arc;
use std::time::Instant;

use dits_core::partial::SourceError;
use dits_core::progress::Progress;
use dits_core::store::StoreError;
use rustix::io::Errno;

/// How far a question may go for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What is in memory: the answer is at once, or [`ReadError::OutOfReach`].
    Memory,
    /// This machine.
    Disk,
    /// A remote too, until then.
    Remote(Instant),
}

/// Why something cannot be read. One failure may be told to many who waited.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The answer is further away than it may be looked for.
    #[error("it is further away than was to be looked")]
    OutOfReach,
    /// There is no such inode.
    #[error("there is no inode {0}")]
    NoInode(u64),
    /// It is no folder.
    #[error("it is not a folder")]
    NotAFolder,
    /// It is a folder.
    #[error("it is a folder")]
    IsAFolder,
    /// The content is not here, and there is nobody to ask.
    #[error("it is not here, and no remote is asked")]
    NotHere,
    /// The remote took too long.
    #[error("the remote did not answer in time")]
    TimedOut,
    /// The file is of a kind that this version cannot read.
    #[error("this file needs a newer dits")]
    TooNew,
    /// What was asked for cannot be done, or the system refused it.
    #[error("{0}")]
    System(Errno),
    /// The store.
    #[error("{0}")]
    Store(Arc<StoreError>),
    /// The remote.
    #[error("{0}")]
    Source(Arc<SourceError>),
}

impl From<Errno> for ReadError {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<SourceError> for ReadError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Interrupted(_) => Self::TimedOut,
            SourceError::Store(error) => error.into(),
            error => Self::Source(Arc::new(error)),
        }
    }
}

/// Patience that ends at a moment.
pub(crate) struct Until(pub(crate) Instant);

impl Progress for Until {
    fn interrupted(&self) -> bool {
        Instant::now() >= self.0
    }
}
