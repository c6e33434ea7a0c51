//! Locks as a drive obeys them. Nothing here knows of networks: who mounts says what is locked, and gets locks.
//!
//! - [`obey`]: what is shown of a file, and what may be changed.
//! - [`claim`]: getting a lock before a change, where the rules say so.
//! - [`rules`]: the files of rules that are in the drive.

mod claim;
mod obey;
mod rules;

use dits_core::path::RepoPath;
use dits_core::tree::Content;

pub(crate) use claim::Target;
pub(crate) use obey::Keeper;
pub use rules::RulesFiles;

/// Who has a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nobody, and nobody has to.
    Free,
    /// This clone, or it was made editable here without asking.
    Ours,
    /// Somebody else.
    Theirs,
    /// Nobody, and it is not to be changed before it is locked; `auto` says that the first change locks it.
    Needed {
        /// `lock=auto`.
        auto: bool,
    },
}

impl Hold {
    /// Whether the file is shown as one that cannot be written.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::Theirs | Self::Needed { auto: false })
    }

    /// Whether it may be changed as it is.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Free | Self::Ours)
    }
}

/// Why a lock cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Somebody else has it, or there is a newer version.
    Refused,
    /// Nobody answered in time.
    Away,
}

/// Knows who has which file, and gets and gives back locks.
pub trait Locker: Send + Sync {
    /// Whether no file is locked and no rule speaks of locks: then nothing else is asked.
    fn is_idle(&self) -> bool;

    /// Who has a file, as far as is known: from memory. Of one that `is_new`, and that nobody else has either, no lock is needed.
    fn hold(&self, path: &RepoPath, is_new: bool) -> Hold;

    /// Whether somebody else has a file below a folder.
    fn theirs_below(&self, folder: &RepoPath) -> bool;

    /// Looks whether what is known on this machine has changed. Called before something is refused.
    fn look_again(&self);

    /// Locks a file, for so many seconds or until it is given back. Waits, but not for ever.
    ///
    /// # Errors
    /// When it cannot be had.
    fn acquire(&self, path: &RepoPath, lease: Option<u32>) -> Result<(), Denied>;

    /// Gives a lock back, or a lease. `content` is what the file holds, if that is content of the store: a lock of a file with
    /// changes that are not pushed stays, and has no end any more. Waits, but not for ever; if it fails, the lock stays.
    fn release(&self, path: &RepoPath, content: Option<&Content>);

    /// A file that this clone has, and that was written to, is closed; `content` is what it holds, if that is content of the
    /// store. Decides whether the lock is given back.
    fn closed(&self, path: &RepoPath, content: &Content);
}
