//! An operation that waits for a person: a merge, revert or stash with conflicts.
//!
//! Kept in the worktree's private folder as a checksummed record, so that `--continue` and `--abort` know what they
//! continue or abort.

use bincode::{Decode, Encode};

use super::{Layout, RepoError, Repository};
use crate::codec;
use crate::durable;
use crate::object::CommitId;
use crate::path::RepoPath;
use crate::record::RecordKind;

const RECORD: RecordKind = RecordKind { magic: *b"DITSPEND", version: 1 };
const FILE: &str = "pending";
const LIMIT: usize = 64 << 20;

/// Which operation waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum PendingKind {
    /// `dits merge`.
    Merge,
    /// `dits revert`.
    Revert,
    /// `dits stash apply` or `pop`: nothing will be committed.
    Stash,
}

impl PendingKind {
    /// The command that was interrupted.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Revert => "revert",
            Self::Stash => "stash",
        }
    }
}

/// An operation that was begun and not finished.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pending {
    /// Which operation.
    pub kind: PendingKind,
    /// Where HEAD was when it began: what an abort goes back to.
    pub original: CommitId,
    /// The commits that are being merged or reverted.
    pub heads: Vec<CommitId>,
    /// The message prepared for the commit.
    pub message: String,
    /// Their versions of files in conflict, which were put beside ours: (path in conflict, the file beside it).
    pub beside: Vec<(RepoPath, RepoPath)>,
}

impl Pending {
    /// The operation that waits in a worktree, if there is one.
    ///
    /// # Errors
    /// When its record is damaged.
    pub fn of(layout: &Layout) -> Result<Option<Self>, RepoError> {
        let file = layout.private.join(FILE);
        let Some(payload) = RECORD.read(&file)? else { return Ok(None) };
        let decoded = codec::decode::<Pending, LIMIT>(&payload);
        Ok(Some(decoded.map_err(|_| crate::record::RecordError::Corrupt { file, what: "it cannot be decoded" })?))
    }
}

impl Repository {
    /// The operation that waits in this worktree, if there is one.
    ///
    /// # Errors
    /// When its record is damaged.
    pub fn pending(&self) -> Result<Option<Pending>, RepoError> {
        Pending::of(self.layout())
    }

    /// Remembers an operation that waits.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn set_pending(&self, pending: &Pending) -> Result<(), RepoError> {
        Ok(RECORD.write(&self.pending_file(), &codec::encode(pending))?)
    }

    /// Forgets the operation that waits.
    ///
    /// # Errors
    /// When the record cannot be removed.
    pub fn clear_pending(&self) -> Result<(), RepoError> {
        Ok(durable::remove_file(&self.pending_file())?)
    }

    fn pending_file(&self) -> std::path::PathBuf {
        self.layout().private.join(FILE)
    }
}
