//! An operation that waits for a person: a merge, revert or stash with conflicts.
//!
//! Kept in the worktree's private folder as a checksummed record, so that `--continue` and `--abort` know what they
//! continue or abort.

use bincode::{Decode, Encode};

use super::{Layout, RepoError, Repository};
use crate::codec;
use crate::commit::Commit;
use crate::durable;
use crate::object::{CommitId, TreeId};
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
    /// `dits cherry-pick`.
    CherryPick,
}

impl PendingKind {
    /// The command that was interrupted.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Revert => "revert",
            Self::Stash => "stash",
            Self::CherryPick => "cherry-pick",
        }
    }
}

/// An operation that was begun and not finished.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pending {
    /// Which operation.
    pub kind: PendingKind,
    /// Where HEAD was when the command was given: what an abort goes back to.
    pub start: CommitId,
    /// Where HEAD was before the step that waits: further than `start` when commits were made on the way.
    pub original: CommitId,
    /// What was staged before the step that waits.
    pub ours: TreeId,
    /// The commits that are being merged, reverted or picked.
    pub heads: Vec<CommitId>,
    /// The parent that a revert or cherry-pick compares with, from 1; 0 where there is no choice.
    pub mainline: u32,
    /// The commits whose turn comes after this one.
    pub todo: Vec<CommitId>,
    /// The message prepared for the commit.
    pub message: String,
    /// Whether files and staging area have all that the operation brings. If not, it was interrupted, and can only be
    /// aborted.
    pub applied: bool,
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
        match Pending::of(self.layout())? {
            Some(pending) if self.is_committed(&pending)? => Ok(None),
            pending => Ok(pending),
        }
    }

    /// Whether HEAD is the commit that the operation was to make: then only its record was left behind, by a command
    /// that was killed just then.
    fn is_committed(&self, pending: &Pending) -> Result<bool, RepoError> {
        let Some(head) = self.head()?.commit().filter(|head| *head != pending.original) else { return Ok(false) };
        let made = Commit::read(self.store(), head)?.parents;
        Ok(match pending.kind {
            PendingKind::Merge => made.first() == Some(&pending.original) && made[1..] == pending.heads,
            PendingKind::Revert | PendingKind::CherryPick => made == [pending.original] && pending.todo.is_empty(),
            PendingKind::Stash => false,
        })
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

#[cfg(test)]
mod tests {
    use super::{FILE, LIMIT, Pending, PendingKind, RECORD};
    use crate::codec;
    use crate::object::{CommitId, Digest, TreeId};
    use crate::path::RepoPath;

    fn commit(n: u8) -> CommitId {
        CommitId::from_digest(Digest([n; 32]))
    }

    #[test]
    fn golden() {
        let path = |text: &str| RepoPath::parse(text.as_bytes()).unwrap();
        let pending = Pending {
            kind: PendingKind::CherryPick,
            start: commit(1),
            original: commit(2),
            ours: TreeId::from_digest(Digest([3; 32])),
            heads: vec![commit(4)],
            mainline: 1,
            todo: vec![commit(5), commit(6)],
            message: "Pick\n".to_owned(),
            applied: true,
            beside: vec![(path("a/shot.mov"), path("a/shot.theirs.mov"))],
        };
        let bytes = RECORD.encode(&codec::encode(&pending));
        // docs/format/pending.md describes these bytes; another value here is another format.
        assert_eq!(
            blake3::hash(&bytes).to_string(),
            "125e4e6aec9b819b554a856a9aa8709c7ba7f1009e8388446bd3753b266e6778",
            "{FILE}"
        );
        let payload = RECORD.decode(&bytes).unwrap();
        assert_eq!(codec::decode::<Pending, LIMIT>(payload).unwrap(), pending);
    }
}
