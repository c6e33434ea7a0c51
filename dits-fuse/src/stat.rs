//! What the file system tells of an inode.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dits_core::overlay::{Attributes, Time};
use dits_core::tree::Mode;

use crate::view::Attr;

/// What the file system tells of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its number.
    pub ino: u64,
    /// Type, permissions, owner, times.
    pub attributes: Attributes,
    /// Bytes of a file or of a link's target.
    pub size: u64,
    /// Whether a name leads to it.
    pub named: bool,
    /// When it was read last, if somebody said so since it was mounted.
    pub atime: Option<Time>,
}

/// What everything has that is as it was committed.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Who mounted.
    pub uid: u32,
    /// Their group.
    pub gid: u32,
    /// When the commit was made.
    pub time: Time,
    /// Whether owners may write.
    pub writable: bool,
}

impl Defaults {
    /// What is told of an entry of the tree.
    #[must_use]
    pub fn stat(&self, attr: &Attr) -> Stat {
        let write = if self.writable { 0o200 } else { 0 };
        let mode = match attr.mode {
            Mode::File => 0o100_444 | write,
            Mode::Executable => 0o100_555 | write,
            Mode::Directory => 0o040_555 | write,
            Mode::Symlink => 0o120_777,
        };
        let Self { uid, gid, time, .. } = *self;
        let attributes = Attributes { mode, uid, gid, mtime: time, ctime: time };
        Stat { ino: attr.ino, attributes, size: attr.size, named: true, atime: None }
    }
}

/// A time as the standard library has it.
pub(crate) fn system_time((seconds, nanos): Time) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    time.and_then(|time| time.checked_add(Duration::from_nanos(nanos.into()))).unwrap_or(UNIX_EPOCH)
}
