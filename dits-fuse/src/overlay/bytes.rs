//! Bytes: writing, cutting, and what a range of a file is made of.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dits_core::overlay::{Attributes, FileState, Fill, Record, Time};
use dits_core::tree::Content;
use rustix::io::Errno;

use super::{Inner, Overlay, now};
use crate::error::{Reach, ReadError};
use crate::view::View;

const SET_UID: u32 = 0o4000;
const SET_GID: u32 = 0o2000;
const GROUP_RUNS: u32 = 0o010;
/// What a program may do that is run from a file.
const CAPABILITY: &[u8] = b"security.capability";

/// A range of a file that was made or changed, as it was at one moment.
pub struct Snapshot {
    /// The file's length.
    pub size: u64,
    /// The content below, and its length.
    pub base: (Content, u64),
    /// The range, as far as it lies in the file, in pieces: what each is, `None` for the base content's.
    pub pieces: Vec<(Range<u64>, Option<Fill>)>,
    /// The data file, if a piece is in it.
    pub data: Option<Arc<File>>,
}

impl Overlay {
    /// The length of a file, if it was made or changed.
    #[must_use]
    pub fn size(&self, ino: u64) -> Option<u64> {
        self.read().state.file(ino).map(|file| file.size)
    }

    /// What a range of a file is made of; `None` if nothing about it was changed.
    ///
    /// # Errors
    /// When the data file cannot be opened.
    pub fn snapshot(&self, ino: u64, offset: u64, len: u64) -> Result<Option<Snapshot>, ReadError> {
        let inner = self.read();
        let Some(file) = inner.state.file(ino) else { return Ok(None) };
        let end = offset.saturating_add(len).min(file.size);
        let pieces = file.ranges.pieces(offset.min(end)..end);
        let data = match pieces.iter().any(|(_, fill)| *fill == Some(Fill::Data)) {
            // Opened under the lock: a layer that has had its day is removed.
            true => self.data.existing(ino, file.layer).map_err(system)?,
            false => None,
        };
        Ok(Some(Snapshot { size: file.size, base: (file.base.clone(), file.base_size), pieces, data }))
    }

    /// Writes bytes. `kill` takes away the right to run as somebody else, as the kernel asks for when anybody writes.
    ///
    /// # Errors
    /// When it is no file, or the bytes cannot be written or logged.
    pub fn write_bytes(
        &self,
        view: &View,
        ino: u64,
        offset: u64,
        bytes: &[u8],
        kill: bool,
        reach: Reach,
    ) -> Result<(), ReadError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= i64::MAX as u64).ok_or(Errno::FBIG)?;
        let mut layer = self.own(view, ino, reach)?;
        self.writes.fetch_add(1, Ordering::Relaxed);
        loop {
            self.announce(view, ino, offset..end)?;
            self.data.file(ino, layer).and_then(|file| file.write_all_at(bytes, offset)).map_err(system)?;
            let mut inner = self.write();
            let state = inner.state.file(ino).ok_or(Errno::STALE)?;
            // What was written while the file was given a new base content must be above that.
            if state.layer != layer {
                let now = state.layer;
                inner.garbage.push(self.data.path(ino, layer));
                layer = now;
                continue;
            }
            let time = now();
            let mut batch = Vec::new();
            if !state.ranges.covers(&(offset..end), Fill::Data) {
                batch.push(Record::Written { ino, start: offset, end, time });
            }
            if kill {
                batch.extend(inner.killed(ino, time));
            }
            if batch.is_empty() {
                inner.state.touch(ino, time);
                return Ok(());
            }
            return inner.commit(view, batch);
        }
    }

    /// Notes that bytes are about to change in place, which leaves no other record: nobody may find them changed and the
    /// times as they were.
    fn announce(&self, view: &View, ino: u64, range: Range<u64>) -> Result<(), ReadError> {
        let quiet = |inner: &Inner| {
            let file = inner.state.file(ino);
            file.is_some_and(|file| !file.touched && file.ranges.covers(&range, Fill::Data))
        };
        if !quiet(&self.read()) {
            return Ok(());
        }
        let mut inner = self.write();
        match quiet(&inner) {
            true => inner.commit(view, vec![Record::Written { ino, start: range.start, end: range.end, time: now() }]),
            false => Ok(()),
        }
    }

    /// Sees to it that a file has a node; the number of its data file.
    fn own(&self, view: &View, ino: u64, reach: Reach) -> Result<u32, ReadError> {
        if let Some(file) = self.read().state.file(ino) {
            return Ok(file.layer);
        }
        let mut inner = self.write();
        let (records, _) = inner.copied(view, &self.defaults, ino, reach)?;
        if !records.is_empty() {
            inner.commit(view, records)?;
        }
        inner.state.file(ino).map(|file| file.layer).ok_or_else(|| Errno::INVAL.into())
    }

    /// Cuts a file, or makes it longer.
    ///
    /// # Errors
    /// When it is no file, or cannot be logged.
    pub fn resize(&self, view: &View, ino: u64, size: u64, reach: Reach) -> Result<(), ReadError> {
        if size > i64::MAX as u64 {
            return Err(Errno::FBIG.into());
        }
        self.own(view, ino, reach)?;
        self.resized(&mut self.write(), view, ino, size)
    }

    fn resized(&self, inner: &mut Inner, view: &View, ino: u64, size: u64) -> Result<(), ReadError> {
        let file = inner.state.file(ino).ok_or(Errno::INVAL)?;
        let (before, layer, time) = (file.size, file.layer, now());
        if size == 0 && (before > 0 || file.base != Content::Empty) {
            // Nothing of the old content is needed any more: what is written now is a new file.
            let emptied = Record::Content { ino, content: Content::Empty, size: 0, layer: layer + 1 };
            inner.commit(view, vec![emptied, Record::Size { ino, size: 0, time }])?;
            inner.garbage.push(self.data.path(ino, layer));
            return Ok(());
        }
        inner.commit(view, vec![Record::Size { ino, size, time }])?;
        if size < before {
            inner.cuts.insert(ino);
        }
        Ok(())
    }

    /// Makes a range zero; beyond the end only if the file is to grow.
    ///
    /// # Errors
    /// As [`Overlay::resize`].
    pub fn zero(&self, view: &View, ino: u64, range: Range<u64>, grow: bool, reach: Reach) -> Result<(), ReadError> {
        if range.end > i64::MAX as u64 {
            return Err(Errno::FBIG.into());
        }
        self.own(view, ino, reach)?;
        let mut inner = self.write();
        let size = inner.state.file(ino).ok_or(Errno::INVAL)?.size;
        let end = if grow { range.end } else { range.end.min(size) };
        if range.start >= end {
            return Ok(());
        }
        inner.commit(view, vec![Record::Range { ino, start: range.start, end, fill: Fill::Zero, time: now() }])
    }

    /// Makes a file at least this long.
    ///
    /// # Errors
    /// As [`Overlay::resize`].
    pub fn grow(&self, view: &View, ino: u64, size: u64, reach: Reach) -> Result<(), ReadError> {
        if size > i64::MAX as u64 {
            return Err(Errno::FBIG.into());
        }
        self.own(view, ino, reach)?;
        // Under one lock: the kernel may be writing back what lies beyond.
        let mut inner = self.write();
        match inner.state.file(ino).ok_or(Errno::INVAL)?.size < size {
            true => self.resized(&mut inner, view, ino, size),
            false => Ok(()),
        }
    }
}

impl Inner {
    /// The records that take away the right to run a file as somebody else, if it has it.
    pub(super) fn killed(&self, ino: u64, time: Time) -> Vec<Record> {
        let Some(node) = self.state.nodes.get(&ino) else { return Vec::new() };
        let mode = without_privileges(node.attributes.mode);
        let attributes = Attributes { mode, mtime: time, ctime: time, ..node.attributes };
        let changed = (mode != node.attributes.mode).then_some(Record::Node { ino, attributes });
        changed.into_iter().chain(self.incapable(ino)).collect()
    }

    /// The record by which a file has no capabilities, if it has any.
    pub(super) fn incapable(&self, ino: u64) -> Option<Record> {
        let has = self.state.nodes.get(&ino)?.extended.contains_key(CAPABILITY);
        has.then(|| Record::Attribute { ino, name: CAPABILITY.to_vec(), value: None })
    }

    /// A file that was made or changed; `None` for one that was not.
    pub(super) fn file_of(&self, ino: u64) -> Result<Option<&FileState>, ReadError> {
        match self.state.nodes.get(&ino).map(|node| &node.kind) {
            Some(dits_core::overlay::Kind::File(file)) => Ok(Some(file)),
            Some(_) => Err(Errno::INVAL.into()),
            None => Ok(None),
        }
    }
}

fn system(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// A mode without the bits by which a program runs as its owner or group. Without the right to run, the group's bit means
/// something else.
pub(super) fn without_privileges(mode: u32) -> u32 {
    let group = if mode & GROUP_RUNS == 0 { 0 } else { SET_GID };
    mode & !(SET_UID | group)
}
