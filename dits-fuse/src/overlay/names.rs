//! Names: what a folder holds, and making, removing and moving.

use std::sync::Arc;

use dits_core::overlay::{Attributes, MADE_HERE, Record, Time, kind};
use dits_core::repo::DITS;
use rustix::io::Errno;

use super::{Inner, Overlay, now};
use crate::error::{Reach, ReadError};
use crate::stat::{Defaults, Stat};
use crate::view::{ROOT, View};

const SET_GID: u32 = 0o2000;

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: Vec<u8>,
    /// Where it leads.
    pub ino: u64,
}

/// A name that is moved.
#[derive(Clone, Copy, Debug)]
pub struct Rename<'a> {
    /// The folder and name it has.
    pub from: (u64, &'a [u8]),
    /// Those it gets.
    pub to: (u64, &'a [u8]),
    /// Fail if there is something of the new name.
    pub keep: bool,
    /// Both names change places.
    pub exchange: bool,
}

/// Who makes something.
#[derive(Clone, Copy, Debug)]
pub struct Maker {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Overlay {
    /// What a folder has under a name.
    ///
    /// # Errors
    /// When it is no folder, or cannot be read.
    pub fn lookup(&self, view: &View, folder: u64, name: &[u8], reach: Reach) -> Result<Option<Stat>, ReadError> {
        let inner = self.read();
        let found = inner.lookup(view, folder, name, reach)?;
        found.map(|ino| inner.stat(view, &self.defaults, ino, reach)).transpose()
    }

    /// The names of a folder, sorted, as they are now; `None` if they are those of the base.
    ///
    /// # Errors
    /// When it is no folder, or cannot be read.
    pub fn list(&self, view: &View, folder: u64, reach: Reach) -> Result<Option<Arc<[Entry]>>, ReadError> {
        let inner = self.read();
        match inner.changes(folder) {
            None if folder & MADE_HERE == 0 => Ok(None),
            _ => inner.list(view, folder, reach).map(|entries| Some(entries.into())),
        }
    }

    /// Makes a file, folder, pipe or socket, as `mode` says.
    ///
    /// # Errors
    /// When the name is taken or not allowed, the folder is gone, or it cannot be logged.
    pub fn make(
        &self,
        view: &View,
        (folder, name): (u64, &[u8]),
        mode: u32,
        maker: Maker,
        reach: Reach,
    ) -> Result<Stat, ReadError> {
        self.add(view, (folder, name), mode, maker, |_| None, reach)
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// As [`Overlay::make`].
    pub fn symlink(
        &self,
        view: &View,
        place: (u64, &[u8]),
        target: &[u8],
        maker: Maker,
        reach: Reach,
    ) -> Result<Stat, ReadError> {
        let leads = |ino| Some(Record::Target { ino, target: target.to_owned() });
        self.add(view, place, kind::LINK | 0o777, maker, leads, reach)
    }

    /// Makes something; `holds` is what it has from the beginning.
    pub(super) fn add(
        &self,
        view: &View,
        (folder, name): (u64, &[u8]),
        mode: u32,
        Maker { uid, gid }: Maker,
        holds: impl FnOnce(u64) -> Option<Record>,
        reach: Reach,
    ) -> Result<Stat, ReadError> {
        let mut inner = self.write();
        let mut batch = inner.prepare(view, &self.defaults, folder, name, reach)?;
        if inner.lookup(view, folder, name, reach)?.is_some() {
            return Err(Errno::EXIST.into());
        }
        let time = now();
        let above = inner.copied(view, &self.defaults, folder, reach)?.1;
        // In a folder with this bit everything belongs to its group.
        let (mode, gid) = match above.mode & SET_GID {
            0 => (mode, gid),
            bit if mode & kind::MASK == kind::FOLDER => (mode | bit, above.gid),
            _ => (mode, above.gid),
        };
        let ino = inner.state.next_ino();
        let attributes = Attributes { mode, uid, gid, mtime: time, ctime: time };
        batch.push(Record::Node { ino, attributes });
        batch.extend(holds(ino));
        batch.push(Record::Link { folder, name: name.to_owned(), ino });
        batch.push(changed(folder, above, time));
        inner.commit(view, batch)?;
        inner.stat(view, &self.defaults, ino, reach)
    }

    /// Removes a name that leads to anything but a folder.
    ///
    /// # Errors
    /// When there is none, it leads to a folder, or it cannot be logged.
    pub fn unlink(&self, view: &View, folder: u64, name: &[u8], reach: Reach) -> Result<(), ReadError> {
        self.remove(view, folder, name, false, reach)
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// When there is none, it is not empty, or it cannot be logged.
    pub fn rmdir(&self, view: &View, folder: u64, name: &[u8], reach: Reach) -> Result<(), ReadError> {
        self.remove(view, folder, name, true, reach)
    }

    fn remove(&self, view: &View, folder: u64, name: &[u8], dir: bool, reach: Reach) -> Result<(), ReadError> {
        let mut inner = self.write();
        let mut batch = inner.prepare(view, &self.defaults, folder, name, reach)?;
        let ino = inner.lookup(view, folder, name, reach)?.ok_or(Errno::NOENT)?;
        let is_dir = inner.is_folder(view, &self.defaults, ino, reach)?;
        match (is_dir, dir) {
            (true, false) => return Err(Errno::ISDIR.into()),
            (false, true) => return Err(Errno::NOTDIR.into()),
            (true, true) if !inner.list(view, ino, reach)?.is_empty() => return Err(Errno::NOTEMPTY.into()),
            _ => {}
        }
        let above = inner.copied(view, &self.defaults, folder, reach)?.1;
        inner.drop_name(view, &self.defaults, (folder, name, ino), false, &mut batch, reach)?;
        batch.push(changed(folder, above, now()));
        inner.commit(view, batch)?;
        self.leave(&mut inner, ino)
    }

    /// Forgets what lost its name, unless somebody has it open.
    pub(super) fn leave(&self, inner: &mut Inner, ino: u64) -> Result<(), ReadError> {
        match (inner.is_open(ino), inner.state.nodes.contains_key(&ino)) {
            (true, _) => {}
            (false, true) => self.forget(inner, ino)?,
            (false, false) => inner.no_more(ino),
        }
        Ok(())
    }

    /// Moves a name, over what has the new one.
    ///
    /// # Errors
    /// When there is none, the new name is not allowed or leads to what may not be replaced, or it cannot be logged.
    pub fn rename(&self, view: &View, rename: &Rename<'_>, reach: Reach) -> Result<(), ReadError> {
        let Rename { from: (from, name), to: (to, new), keep, exchange } = *rename;
        let mut inner = self.write();
        let defaults = &self.defaults;
        let mut batch = inner.prepare(view, defaults, from, name, reach)?;
        if from != to || name != new {
            batch.extend(inner.prepare(view, defaults, to, new, reach)?.into_iter().filter(|_| from != to));
        }
        let moved = inner.lookup(view, from, name, reach)?.ok_or(Errno::NOENT)?;
        let there = inner.lookup(view, to, new, reach)?;
        match (there, exchange) {
            (None, true) => return Err(Errno::NOENT.into()),
            (Some(_), false) if keep => return Err(Errno::EXIST.into()),
            (Some(there), _) if there == moved => return Ok(()),
            (Some(there), false) => inner.may_replace(view, defaults, moved, there, reach)?,
            _ => {}
        }
        let there_is_folder = match there {
            Some(there) => inner.is_folder(view, defaults, there, reach)?,
            None => false,
        };
        let time = now();
        let aboves = [from, to].map(|folder| inner.copied(view, defaults, folder, reach).map(|found| found.1));
        let [above_from, above_to] = aboves;
        batch.extend(inner.moved(view, defaults, moved, time, reach)?);
        let unlink = |folder, name: &[u8], ino| Record::Unlink { folder, name: name.to_owned(), ino };
        let link = |folder, name: &[u8], ino| Record::Link { folder, name: name.to_owned(), ino };
        batch.push(unlink(from, name, moved));
        match there {
            Some(there) if exchange => {
                batch.extend(inner.moved(view, defaults, there, time, reach)?);
                batch.extend([unlink(to, new, there), link(from, name, there)]);
            }
            Some(there) => {
                let kept = !there_is_folder;
                inner.drop_name(view, defaults, (to, new, there), kept, &mut batch, reach)?;
            }
            None => {}
        }
        batch.push(link(to, new, moved));
        batch.push(changed(from, above_from?, time));
        if from != to {
            batch.push(changed(to, above_to?, time));
        }
        inner.commit(view, batch)?;
        match there.filter(|_| !exchange) {
            Some(there) if there_is_folder => self.leave(&mut inner, there),
            Some(there) => {
                inner.leaving[0].push(there);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Inner {
    pub(super) fn lookup(&self, view: &View, folder: u64, name: &[u8], reach: Reach) -> Result<Option<u64>, ReadError> {
        if let Some(found) = self.state.folders.get(&folder).and_then(|names| names.get(name)) {
            return Ok(*found);
        }
        if folder & MADE_HERE != 0 {
            return match self.state.nodes.contains_key(&folder) {
                true => Ok(None),
                false => Err(ReadError::NoInode(folder)),
            };
        }
        Ok(view.lookup(folder, name, reach)?.map(|attr| attr.ino))
    }

    pub(super) fn list(&self, view: &View, folder: u64, reach: Reach) -> Result<Vec<Entry>, ReadError> {
        let none = std::collections::BTreeMap::new();
        let changes = self.changes(folder).unwrap_or(&none);
        let mut entries: Vec<Entry> = Vec::new();
        if folder & MADE_HERE == 0 {
            let base = view.list(folder, reach)?;
            entries.extend(base.link.map(|link| Entry { name: DITS.as_bytes().to_vec(), ino: link.ino }));
            let kept = base.starting_at(0).filter(|(_, entry, _)| !changes.contains_key(&entry.name));
            entries.extend(kept.map(|(_, entry, attr)| Entry { name: entry.name.clone(), ino: attr.ino }));
        }
        let added = changes.iter().filter_map(|(name, ino)| ino.map(|ino| Entry { name: name.clone(), ino }));
        entries.extend(added);
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Checks that names in a folder may change; the records by which the folder gets a node.
    pub(super) fn prepare(
        &self,
        view: &View,
        defaults: &Defaults,
        folder: u64,
        name: &[u8],
        reach: Reach,
    ) -> Result<Vec<Record>, ReadError> {
        if name.len() > 255 {
            return Err(Errno::NAMETOOLONG.into());
        }
        if folder == ROOT && name == DITS.as_bytes() {
            return Err(Errno::PERM.into());
        }
        let (records, attributes) = self.copied(view, defaults, folder, reach)?;
        match attributes.mode & kind::MASK {
            kind::FOLDER if self.state.nodes.get(&folder).is_some_and(|node| !node.linked) => Err(Errno::NOENT.into()),
            kind::FOLDER => Ok(records),
            _ => Err(ReadError::NotAFolder),
        }
    }

    fn is_folder(&self, view: &View, defaults: &Defaults, ino: u64, reach: Reach) -> Result<bool, ReadError> {
        Ok(self.stat(view, defaults, ino, reach)?.attributes.mode & kind::MASK == kind::FOLDER)
    }

    /// Whether one thing may take the name of another.
    fn may_replace(
        &self,
        view: &View,
        defaults: &Defaults,
        moved: u64,
        there: u64,
        reach: Reach,
    ) -> Result<(), ReadError> {
        match [moved, there].map(|ino| self.is_folder(view, defaults, ino, reach)) {
            [Ok(true), Ok(false)] => Err(Errno::NOTDIR.into()),
            [Ok(false), Ok(true)] => Err(Errno::ISDIR.into()),
            [Ok(true), Ok(true)] if !self.list(view, there, reach)?.is_empty() => Err(Errno::NOTEMPTY.into()),
            [Ok(_), Ok(_)] => Ok(()),
            [one, other] => one.and(other).map(|_| ()),
        }
    }

    /// Records by which a name goes. What somebody has open, or what is kept for a while, gets a node: it must be known to
    /// have no name.
    pub(super) fn drop_name(
        &self,
        view: &View,
        defaults: &Defaults,
        (folder, name, ino): (u64, &[u8], u64),
        kept: bool,
        batch: &mut Vec<Record>,
        reach: Reach,
    ) -> Result<(), ReadError> {
        let mut attributes = None;
        if kept || self.is_open(ino) || self.state.nodes.contains_key(&ino) {
            let (records, now) = self.copied(view, defaults, ino, reach)?;
            batch.extend(records);
            attributes = Some(now);
        }
        batch.push(Record::Unlink { folder, name: name.to_owned(), ino });
        let time = now();
        batch.extend(attributes.map(|now| Record::Node { ino, attributes: Attributes { ctime: time, ..now } }));
        Ok(())
    }

    /// Records by which something has a node of its own that changed now.
    fn moved(
        &self,
        view: &View,
        defaults: &Defaults,
        ino: u64,
        time: Time,
        reach: Reach,
    ) -> Result<Vec<Record>, ReadError> {
        let (mut records, attributes) = self.copied(view, defaults, ino, reach)?;
        records.push(Record::Node { ino, attributes: Attributes { ctime: time, ..attributes } });
        Ok(records)
    }
}

/// The record of a folder whose names changed.
pub(super) fn changed(ino: u64, attributes: Attributes, time: Time) -> Record {
    Record::Node { ino, attributes: Attributes { mtime: time, ctime: time, ..attributes } }
}
