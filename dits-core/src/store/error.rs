//! What can go wrong in the store.

use std::path::PathBuf;

use crate::durable::IoError;
use crate::object::{Digest, ObjectKind};

/// A failure of the store to give or take an object.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing in the store has this name.
    #[error("{kind} {digest} is missing from the store")]
    Missing {
        /// What was asked for.
        kind: ObjectKind,
        /// Its name.
        digest: Digest,
    },
    /// A chunk that is not here, which a remote has promised to hold.
    #[error("chunk {digest} is not here; a remote holds it")]
    Absent {
        /// Its name.
        digest: Digest,
    },
    /// An object was found, but it is of another kind than the one asked for.
    #[error("{digest} is a {found}, not a {wanted}")]
    WrongKind {
        /// The object's name.
        digest: Digest,
        /// What was asked for.
        wanted: ObjectKind,
        /// What it is.
        found: ObjectKind,
    },
    /// A file of the store does not say what it must.
    #[error("{} is damaged: {what}", .file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An object decodes to something that no version of dits writes.
    #[error("{kind} {digest} is malformed: {what}")]
    Malformed {
        /// What was asked for.
        kind: ObjectKind,
        /// Its name.
        digest: Digest,
        /// What is wrong with it.
        what: String,
    },
    /// The object was written by a newer version of dits.
    #[error("{kind} {digest} needs a newer dits: {what}")]
    TooNew {
        /// What was asked for.
        kind: ObjectKind,
        /// Its name.
        digest: Digest,
        /// The feature that is not known here.
        what: String,
    },
    /// A file of the store was written by a newer version of dits.
    #[error("{} needs a newer dits: {what}", .file.display())]
    FileTooNew {
        /// The file.
        file: PathBuf,
        /// The feature that is not known here.
        what: String,
    },
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl StoreError {
    /// Whether this means that stored bytes are damaged or lost, as opposed to not reachable right now.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Corrupt { .. } | Self::Malformed { .. } | Self::WrongKind { .. })
    }
}
