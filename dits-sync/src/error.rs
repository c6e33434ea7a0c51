//! Why repositories could not exchange what they were asked to.

use std::error::Error;
use std::io;
use std::sync::Arc;

use dits_core::history::brought::BroughtError;
use dits_core::object::{Digest, ObjectKind};
use dits_core::progress::Interrupted;
use dits_core::refs::RefError;
use dits_core::repo::RepoError;
use dits_core::store::StoreError;

use crate::link::LinkError;
use crate::locks::LocksError;
use crate::session::shortened;
use crate::transfer::Violation;
use crate::wire::{ErrorCode, Failure, MAX_TEXT, WireError};

/// What can go wrong on either end.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The connection.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The other side sent what is no message.
    #[error("the other side broke the protocol: {0}")]
    Wire(#[from] WireError),
    /// The other side sent a message out of place.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The other side gave up, and said why.
    #[error("{}", .0.text)]
    Peer(Failure),
    /// This side refuses, and says why.
    #[error("{}", .0.text)]
    Refuse(Failure),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// The locks of the repository.
    #[error(transparent)]
    Locks(Arc<LocksError>),
    /// The other side sent an object whose bytes are not what its name says.
    #[error("the other side sent a damaged {kind} {digest}: {what}; `dits fsck --full` there tells more")]
    DamagedObject {
        /// What it should be.
        kind: ObjectKind,
        /// Its name.
        digest: Digest,
        /// What is wrong.
        what: String,
    },
    /// An object of this repository that the other side is to have is damaged.
    #[error("{kind} {digest} cannot be sent: {source}; `dits fsck --full` tells more")]
    DamagedHere {
        /// What it is.
        kind: ObjectKind,
        /// Its name.
        digest: Digest,
        /// What is wrong.
        source: StoreError,
    },
    /// The other side does not have what it must have.
    #[error("the other side has lost {kind} {first}{}; `dits fsck` there tells more", more(*.count))]
    Lost {
        /// What the first of them is.
        kind: ObjectKind,
        /// The name of the first.
        first: Digest,
        /// How many.
        count: usize,
    },
}

fn more(count: usize) -> String {
    if count > 1 { format!(" and {} other objects", count - 1) } else { String::new() }
}

impl From<StoreError> for SyncError {
    fn from(error: StoreError) -> Self {
        Self::Repo(error.into())
    }
}

impl From<RefError> for SyncError {
    fn from(error: RefError) -> Self {
        Self::Repo(error.into())
    }
}

impl From<BroughtError> for SyncError {
    fn from(error: BroughtError) -> Self {
        match error {
            BroughtError::TooMuch(_) => Self::refuse(ErrorCode::Limit, error.to_string()),
            BroughtError::Store(error) => error.into(),
            BroughtError::Ref(error) => error.into(),
        }
    }
}

impl From<LocksError> for SyncError {
    fn from(error: LocksError) -> Self {
        Self::Locks(Arc::new(error))
    }
}

impl From<Interrupted> for SyncError {
    fn from(error: Interrupted) -> Self {
        Self::Repo(error.into())
    }
}

impl SyncError {
    /// Whether dialling again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Link(error) => error.is_transient(),
            Self::Peer(failure) => matches!(failure.code, ErrorCode::Busy | ErrorCode::GoingAway),
            _ => false,
        }
    }

    /// Refuses with a text for the other side.
    pub(crate) fn refuse(code: ErrorCode, text: impl Into<String>) -> Self {
        Self::Refuse(Failure { code, text: text.into() })
    }

    /// What the other side is told; `None` when there is no telling it.
    pub(crate) fn to_peer(&self) -> Option<Failure> {
        let told = |code, text: String| Some(Failure { code, text: shortened(&text, MAX_TEXT).to_owned() });
        match self {
            Self::Link(_) | Self::Peer(_) => None,
            Self::Refuse(failure) => told(failure.code, failure.text.clone()),
            Self::Wire(WireError::UnknownType(_)) => told(ErrorCode::Version, self.to_string()),
            Self::Wire(_) | Self::Violation(_) => told(ErrorCode::Protocol, "you broke the protocol".to_owned()),
            Self::DamagedObject { .. } | Self::Lost { .. } => told(ErrorCode::Refused, self.to_string()),
            Self::DamagedHere { kind, digest, .. } => told(
                ErrorCode::Damaged,
                format!("{kind} {digest} is damaged or lost there; whoever keeps that repository must run `dits fsck`"),
            ),
            Self::Repo(RepoError::Store(StoreError::Absent { digest })) => told(
                ErrorCode::Refused,
                format!(
                    "that is a partial clone, and does not have the content of chunk {digest}; ask where it is from"
                ),
            ),
            // Paths of this machine are nobody else's business.
            Self::Repo(RepoError::Store(error)) if error.is_corruption() => {
                told(ErrorCode::Damaged, "the repository is damaged; whoever keeps it must run `dits fsck`".to_owned())
            }
            Self::Repo(RepoError::Interrupted(_)) => {
                told(ErrorCode::GoingAway, "the other side was stopped; try again later".to_owned())
            }
            Self::Repo(error) if is_for_want_of_room(error) => {
                told(ErrorCode::Limit, "there is no room left where the repository is kept; try again later".to_owned())
            }
            Self::Locks(error) => match &**error {
                LocksError::Store(_) => told(
                    ErrorCode::Internal,
                    "the lock store of the server cannot be used now, so nothing can be locked; whoever runs it must look".to_owned(),
                ),
                LocksError::Busy => told(ErrorCode::Busy, error.to_string()),
                _ => told(ErrorCode::Internal, "something failed on this side; its log tells more".to_owned()),
            },
            Self::Repo(_) => told(ErrorCode::Internal, "something failed on this side; its log tells more".to_owned()),
        }
    }
}

/// Whether the disk, or what its owner may use of it, is full.
fn is_for_want_of_room(error: &RepoError) -> bool {
    let errors = std::iter::successors(Some(error as &(dyn Error + 'static)), |error| (*error).source());
    errors
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}
