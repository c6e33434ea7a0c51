//! The user's files: walking over them, and changing them without ever leaving their folder.

use rustix::fs::{FileType, Stat};

mod add;
mod checkout;
pub mod dirs;
pub mod drive;
mod ghost;
mod obstacles;
mod protect;
mod rehearse;
mod remove;
mod rename;
mod reset;
mod restore;
mod scan;
mod select;
mod status;
mod switch;
pub mod walk;

pub use add::{AddOptions, AddPlan, AddReport, Unportable};
pub use checkout::{Checkout, CheckoutReport, InTheWay, entry, place_version, write_ghost, write_version};
pub(crate) use checkout::{New, put};
pub use dirs::WorkDirs;
pub use ghost::{GhostVersions, LinkTarget, ghost_at, ghost_target, link_target};
pub(crate) use protect::protect_new;
pub use protect::{Loosen, Protected};
pub use rehearse::{Rehearsed, rehearse};
pub use remove::{RemoveOptions, Unsafe};
pub use rename::{MoveOptions, MoveProblem, Moved};
pub use reset::{ResetMode, ResetReport};
pub use restore::{Restore, RestoreFrom, RestoreReport};
pub use scan::{Scan, ScanOptions, Skipped, Unchanged, scan};
pub use select::{Everything, Exactly, Selection};
pub use status::{StagedChange, Status, StatusOptions, UnstagedChange, Untracked, UntrackedMode};
pub use switch::{Destination, NewBranch, SwitchOptions, changes_to_tree, check_resolved, stage_version};

use crate::tree::Mode;

/// What the system says about a file, in the parts that dits compares. Symbolic links are never followed for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// When the content last changed: seconds and nanoseconds of Unix time.
    pub mtime: (i64, u32),
    /// When anything about the file last changed.
    pub ctime: (i64, u32),
    /// The file system.
    pub dev: u64,
    /// The file on it.
    pub ino: u64,
    /// How many names the file has.
    pub nlink: u64,
}

/// What a name in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A plain file.
    File {
        /// Its owner may run it.
        executable: bool,
    },
    /// A symbolic link.
    Symlink,
    /// A folder.
    Folder,
    /// A pipe, socket or device: never versioned.
    Special,
}

impl EntryKind {
    /// What a version of the project calls it; `None` for what is never versioned, and for folders.
    #[must_use]
    pub fn mode(self) -> Option<Mode> {
        match self {
            Self::File { executable: false } => Some(Mode::File),
            Self::File { executable: true } => Some(Mode::Executable),
            Self::Symlink => Some(Mode::Symlink),
            Self::Folder | Self::Special => None,
        }
    }
}

impl Meta {
    /// Whether it is a folder.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.kind() == EntryKind::Folder
    }

    /// Takes what matters out of a `stat`.
    // The fields' types differ between platforms; the casts lose nothing on any of them.
    #[allow(clippy::cast_lossless, clippy::unnecessary_cast)]
    #[must_use]
    pub fn of(stat: &Stat) -> Self {
        Self {
            mode: stat.st_mode as u32,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            ctime: (stat.st_ctime as i64, stat.st_ctime_nsec as u32),
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            nlink: stat.st_nlink as u64,
        }
    }

    /// What the file is.
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        match FileType::from_raw_mode(self.mode) {
            FileType::RegularFile => EntryKind::File { executable: self.mode & 0o100 != 0 },
            FileType::Symlink => EntryKind::Symlink,
            FileType::Directory => EntryKind::Folder,
            _ => EntryKind::Special,
        }
    }
}
