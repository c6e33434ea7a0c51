//! Permissions, owners, times, and extended attributes.

use dits_core::overlay::{Attributes, Record, Time, kind};
use rustix::io::Errno;

use super::bytes::without_privileges;
use super::{Overlay, now};
use crate::error::{Reach, ReadError};
use crate::stat::Stat;
use crate::view::View;

/// What is to be changed about an inode.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes {
    /// Permission bits.
    pub mode: Option<u32>,
    /// The owner.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// The length of a file.
    pub size: Option<u64>,
    /// When it was read last.
    pub atime: Option<Time>,
    /// When the content changed last.
    pub mtime: Option<Time>,
    /// When anything changed last; without it, now.
    pub ctime: Option<Time>,
    /// Take away the right to run as somebody else.
    pub kill: bool,
}

impl Overlay {
    /// Changes what is told of an inode, and of a file its length.
    ///
    /// # Errors
    /// When there is none, or it cannot be logged.
    pub fn set(&self, view: &View, ino: u64, changes: &Changes, reach: Reach) -> Result<Stat, ReadError> {
        if let Some(size) = changes.size {
            self.resize(view, ino, size, reach)?;
        }
        let mut inner = self.write();
        let (mut records, old) = inner.copied(view, &self.defaults, ino, reach)?;
        let Changes { mode, uid, gid, atime, mtime, ctime, kill, size } = *changes;
        let mode = mode.map_or(old.mode, |mode| old.mode & kind::MASK | mode & !kind::MASK);
        // A folder's bits mean something else.
        let kill = kill && mode & kind::MASK != kind::FOLDER;
        let time = now();
        let new = Attributes {
            mode: if kill { without_privileges(mode) } else { mode },
            uid: uid.unwrap_or(old.uid),
            gid: gid.unwrap_or(old.gid),
            mtime: mtime.unwrap_or(if size.is_some() { time } else { old.mtime }),
            ctime: ctime.unwrap_or(time),
        };
        records.push(Record::Node { ino, attributes: new });
        records.extend(kill.then(|| inner.incapable(ino)).flatten());
        inner.commit(view, records)?;
        // Without its own, it is the time of the last change.
        if atime.is_some() || (mtime.is_some() && size.is_none()) {
            let before = inner.accessed.get(&ino).copied().unwrap_or(old.mtime);
            inner.accessed.insert(ino, atime.unwrap_or(before));
        }
        inner.stat(view, &self.defaults, ino, reach)
    }

    /// An extended attribute.
    ///
    /// # Errors
    /// `ENODATA` when there is none.
    pub fn attribute(&self, ino: u64, name: &[u8]) -> Result<Vec<u8>, ReadError> {
        let inner = self.read();
        let found = inner.state.nodes.get(&ino).and_then(|node| node.extended.get(name));
        found.cloned().ok_or_else(|| Errno::NODATA.into())
    }

    /// The names of an inode's extended attributes, each followed by a NUL.
    #[must_use]
    pub fn attribute_names(&self, ino: u64) -> Vec<u8> {
        let inner = self.read();
        let names = inner.state.nodes.get(&ino).into_iter().flat_map(|node| node.extended.keys());
        names.flat_map(|name| [name, &b"\0"[..]].concat()).collect()
    }

    /// Sets an extended attribute, or removes it. `exists` says whether it must be there before.
    ///
    /// # Errors
    /// When it is not as it must be, is of a kind that dits does not keep, or cannot be logged.
    pub fn set_attribute(
        &self,
        view: &View,
        ino: u64,
        (name, value): (&[u8], Option<&[u8]>),
        exists: Option<bool>,
        reach: Reach,
    ) -> Result<(), ReadError> {
        if !can_be_kept(name) {
            return Err(Errno::NOTSUP.into());
        }
        if name.starts_with(b"user.dits.") {
            return Err(Errno::PERM.into());
        }
        let mut inner = self.write();
        let there = inner.state.nodes.get(&ino).is_some_and(|node| node.extended.contains_key(name));
        match exists {
            Some(true) if !there => return Err(Errno::NODATA.into()),
            Some(false) if there => return Err(Errno::EXIST.into()),
            _ => {}
        }
        let (mut records, attributes) = inner.copied(view, &self.defaults, ino, reach)?;
        records.push(Record::Attribute { ino, name: name.to_owned(), value: value.map(<[u8]>::to_vec) });
        records.push(Record::Node { ino, attributes: Attributes { ctime: now(), ..attributes } });
        inner.commit(view, records)
    }
}

/// Whether an extended attribute of this name is kept. Access control lists and SELinux' labels would have to be obeyed.
/// A program that is told so of one file, as `ls -l` is, does not ask of every other one.
pub(crate) fn can_be_kept(name: &[u8]) -> bool {
    name != b"security.selinux" && [&b"user."[..], b"trusted.", b"security."].iter().any(|kind| name.starts_with(kind))
}
