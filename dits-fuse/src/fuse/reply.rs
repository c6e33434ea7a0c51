//! Attributes, errors and bytes in the form that the kernel takes.

use std::cell::RefCell;
use std::time::Duration;

use dits_core::overlay::Attributes;
use fuser::{Errno, FileAttr, FileType, INodeNo, ReplyData, ReplyEmpty, ReplyXattr};

use super::BLOCK;
use crate::error::ReadError;
use crate::read::Gathered;
use crate::stat::{Stat, system_time};

/// A commit's tree never changes, and what is changed in a mount is changed through the kernel: it may keep what it was told.
pub(super) const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What the kernel is told of an inode.
pub(super) fn file_attr(stat: &Stat) -> FileAttr {
    let Stat { ino, attributes, size, named, atime } = *stat;
    let (mtime, ctime) = (system_time(attributes.mtime), system_time(attributes.ctime));
    FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: size.div_ceil(512),
        atime: atime.map_or(mtime, system_time),
        mtime,
        ctime,
        crtime: mtime,
        kind: kind(stat),
        perm: (attributes.mode & 0o7777) as u16,
        nlink: u32::from(named),
        uid: attributes.uid,
        gid: attributes.gid,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

/// What the kernel is told of a name that leads nowhere, so that it remembers.
pub(super) fn nothing() -> FileAttr {
    let attributes = Attributes { mode: 0o100_000, uid: 0, gid: 0, mtime: (0, 0), ctime: (0, 0) };
    file_attr(&Stat { ino: 0, attributes, size: 0, named: false, atime: None })
}

pub(super) fn kind(stat: &Stat) -> FileType {
    match stat.attributes.mode & 0o170_000 {
        0o040_000 => FileType::Directory,
        0o120_000 => FileType::Symlink,
        0o010_000 => FileType::NamedPipe,
        0o140_000 => FileType::Socket,
        _ => FileType::RegularFile,
    }
}

/// Replies that something was done, or why not.
pub(super) fn done(result: Result<(), ReadError>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(&error)),
    }
}

pub(super) fn errno(error: &ReadError) -> Errno {
    match error {
        // Whoever came by a name looks it up again: something else may have it now.
        ReadError::NoInode(_) => Errno::ESTALE,
        ReadError::NotAFolder => Errno::ENOTDIR,
        ReadError::IsAFolder => Errno::EISDIR,
        ReadError::System(errno) => Errno::from_i32(errno.raw_os_error()),
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

/// Replies with the value of an extended attribute, or its length when that was asked for.
pub(super) fn attribute(value: &[u8], size: u32, reply: ReplyXattr) {
    match u32::try_from(value.len()) {
        Ok(len) if size == 0 => reply.size(len),
        Ok(len) if len <= size => reply.data(value),
        _ => reply.error(Errno::ERANGE),
    }
}
