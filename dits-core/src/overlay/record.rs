//! One change in a mount.

use bincode::{Decode, Encode};

use super::Fill;
use crate::object::CommitId;
use crate::tree::{Content, MAX_SYMLINK};

/// Inode numbers with this bit are of what was made in the mount; the others say where in the base an entry is.
pub const MADE_HERE: u64 = 1 << 63;

/// Seconds since 1970, nanoseconds.
pub type Time = (i64, u32);

/// From one start of the machine to the next: what it calls that.
pub type Boot = [u8; 16];

/// The type bits of `st_mode`, and what they say of the types that there are in a mount.
pub mod kind {
    /// All type bits.
    pub const MASK: u32 = 0o170_000;
    /// A folder.
    pub const FOLDER: u32 = 0o040_000;
    /// A file.
    pub const FILE: u32 = 0o100_000;
    /// A symbolic link.
    pub const LINK: u32 = 0o120_000;
}

/// The longest name, in bytes.
const MAX_NAME: usize = 255;
/// The longest value of an extended attribute, in bytes: what Linux allows.
const MAX_VALUE: usize = 64 << 10;
/// The largest file, in bytes.
const MAX_SIZE: u64 = i64::MAX as u64;

/// What the file system tells of an inode, apart from its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Attributes {
    /// Type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When the content changed last, or what a program claims.
    pub mtime: Time,
    /// When anything changed last.
    pub ctime: Time,
}

/// A change. The order is part of the format.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Record {
    /// A folder of the base has this number.
    Folder {
        /// The number, by which its entries have inode numbers.
        number: u32,
        /// Its own inode number.
        ino: u64,
    },
    /// An inode was made, or its attributes changed.
    Node {
        /// Which.
        ino: u64,
        /// What they are now.
        attributes: Attributes,
    },
    /// A name leads to an inode now.
    Link {
        /// The folder's inode.
        folder: u64,
        /// The name.
        name: Vec<u8>,
        /// Where it leads.
        ino: u64,
    },
    /// A name leads nowhere now.
    Unlink {
        /// The folder's inode.
        folder: u64,
        /// The name.
        name: Vec<u8>,
        /// Where it led.
        ino: u64,
    },
    /// A file has this base content, and no byte that differs from it.
    Content {
        /// The file.
        ino: u64,
        /// A chunk, a manifest, or nothing.
        content: Content,
        /// Its length, and so the file's.
        size: u64,
        /// The number of the data file that takes what is written from now on.
        layer: u32,
    },
    /// These bytes are not the base content's any more. A file that is shorter grows. Data is durable.
    Range {
        /// The file.
        ino: u64,
        /// The first byte.
        start: u64,
        /// The byte after the last.
        end: u64,
        /// What they are.
        fill: Fill,
        /// When.
        time: Time,
    },
    /// A file has this length now: what is beyond goes, what is missing is zero.
    Size {
        /// The file.
        ino: u64,
        /// Bytes.
        size: u64,
        /// When.
        time: Time,
    },
    /// Where a symbolic link leads.
    Target {
        /// The link.
        ino: u64,
        /// 1 to [`MAX_SYMLINK`] bytes.
        target: Vec<u8>,
    },
    /// An extended attribute.
    Attribute {
        /// Of which inode.
        ino: u64,
        /// Its name.
        name: Vec<u8>,
        /// Its value; none when it was removed.
        value: Option<Vec<u8>>,
    },
    /// Nobody needs an inode any more.
    Gone {
        /// Which.
        ino: u64,
    },
    /// The commit below. Only the first record can say so.
    Base {
        /// The commit.
        commit: CommitId,
    },
    /// These bytes were written to the data file, and not synced: if the machine went down since, they may be anything.
    Written {
        /// The file.
        ino: u64,
        /// The first byte.
        start: u64,
        /// The byte after the last.
        end: u64,
        /// When.
        time: Time,
    },
    /// These bytes, which were written before, are durable.
    Kept {
        /// The file.
        ino: u64,
        /// The first byte.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
    /// What follows was logged since the machine was started this time.
    Boot {
        /// Another one each time.
        id: Boot,
    },
}

impl Record {
    /// What keeps a record from being in a log, whatever came before it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Link { name, .. } | Self::Unlink { name, .. } => {
                let bad = name.is_empty() || name.len() > MAX_NAME || name.iter().any(|b| matches!(b, 0 | b'/'));
                if bad || matches!(&name[..], b"." | b"..") { Err("a name that no file can have") } else { Ok(()) }
            }
            Self::Content { content: Content::Empty, size: 1.., .. } => Err("a size without content"),
            Self::Content { content: Content::Empty | Content::Chunk(_) | Content::Manifest(_), size, .. } => {
                check_size(*size)
            }
            Self::Content { .. } => Err("content that no file has"),
            Self::Range { start, end, .. } | Self::Written { start, end, .. } | Self::Kept { start, end, .. }
                if start >= end =>
            {
                Err("a range without bytes")
            }
            Self::Range { end: size, .. }
            | Self::Written { end: size, .. }
            | Self::Kept { end: size, .. }
            | Self::Size { size, .. } => check_size(*size),
            Self::Target { target, .. } if target.is_empty() || target.len() > MAX_SYMLINK || target.contains(&0) => {
                Err("a target that no link can have")
            }
            Self::Attribute { name, value, .. }
                if name.is_empty() || name.len() > MAX_NAME || value.as_ref().is_some_and(|v| v.len() > MAX_VALUE) =>
            {
                Err("an attribute that is too long")
            }
            Self::Folder { .. }
            | Self::Node { .. }
            | Self::Target { .. }
            | Self::Attribute { .. }
            | Self::Gone { .. }
            | Self::Base { .. }
            | Self::Boot { .. } => Ok(()),
        }
    }
}

fn check_size(size: u64) -> Result<(), &'static str> {
    if size > MAX_SIZE { Err("a file that is too long") } else { Ok(()) }
}
