//! Attributes, errors and bytes in the form that the kernel takes.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dits_core::repo::DITS;
use dits_core::tree::Mode;
use fuser::{Errno, FileAttr, FileType, INodeNo, ReplyData};

use super::BLOCK;
use crate::error::ReadError;
use crate::read::Gathered;
use crate::view::{Attr, OpenFolder, ROOT};

/// A commit's tree never changes: the kernel may keep what it was told.
pub(super) const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What all files have in common.
pub(super) struct Owner {
    pub uid: u32,
    pub gid: u32,
    pub time: SystemTime,
}

impl Owner {
    pub(super) fn new(time: i64) -> Self {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let seconds = Duration::from_secs(time.unsigned_abs());
        let time = if time < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
        Self { uid, gid, time: time.unwrap_or(UNIX_EPOCH) }
    }

    /// The attributes of an inode; of none, which the kernel remembers as well, if there is none.
    pub(super) fn file_attr(&self, attr: Option<Attr>) -> FileAttr {
        let attr = attr.unwrap_or(Attr { ino: 0, mode: Mode::File, size: 0 });
        let perm = match attr.mode {
            Mode::File => 0o444,
            Mode::Executable | Mode::Directory => 0o555,
            Mode::Symlink => 0o777,
        };
        FileAttr {
            ino: INodeNo(attr.ino),
            size: attr.size,
            blocks: attr.size.div_ceil(512),
            atime: self.time,
            mtime: self.time,
            ctime: self.time,
            crtime: self.time,
            kind: kind(attr.mode),
            perm,
            nlink: 1,
            uid: self.uid,
            gid: self.gid,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        }
    }
}

pub(super) fn kind(mode: Mode) -> FileType {
    match mode {
        Mode::File | Mode::Executable => FileType::RegularFile,
        Mode::Symlink => FileType::Symlink,
        Mode::Directory => FileType::Directory,
    }
}

pub(super) fn errno(error: &ReadError) -> Errno {
    match error {
        ReadError::NoInode(_) => Errno::ENOENT,
        ReadError::NotAFolder => Errno::ENOTDIR,
        ReadError::IsAFolder => Errno::EISDIR,
        ReadError::TooNew => Errno::EOPNOTSUPP,
        ReadError::OutOfReach
        | ReadError::NotHere
        | ReadError::TimedOut
        | ReadError::Store(_)
        | ReadError::Source(_) => Errno::EIO,
    }
}

thread_local! {
    /// Where a reply is put together: a thread uses the same memory again and again.
    static REPLY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Replies with the bytes of a range.
pub(super) fn data(gathered: &Gathered, reply: ReplyData) {
    if let Some(bytes) = gathered.in_one() {
        return reply.data(&bytes);
    }
    REPLY.with_borrow_mut(|buffer| {
        buffer.clear();
        gathered.append_to(buffer);
        reply.data(buffer);
    });
}

/// The entries of a folder from an offset that was given before: `.`, `..`, the root's `.dits`, then what is in the tree. Each
/// with the offset of the next.
pub(super) fn entries(folder: &OpenFolder, offset: u64) -> impl Iterator<Item = (u64, &[u8], Attr)> {
    let itself = Attr { ino: folder.ino, mode: Mode::Directory, size: 0 };
    // The kernel knows the folder above by itself; this number is only looked at by programs that list it.
    let above = Attr { ino: ROOT, ..itself };
    let link = folder.link.map(|link| (3, DITS.as_bytes(), link));
    let before = 2 + usize::from(link.is_some());
    let dots = [(1, &b"."[..], itself), (2, b"..", above)].into_iter().chain(link);
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let entries = folder.starting_at(offset.saturating_sub(before));
    let entries = entries.map(move |(place, entry, attr)| ((place + before) as u64 + 1, entry.name.as_slice(), attr));
    dots.skip(offset.min(before)).chain(entries)
}
