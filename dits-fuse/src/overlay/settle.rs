//! What dits and the mount tell each other about content, instead of moving bytes.

use dits_core::manifest::Manifest;
use dits_core::overlay::{FileState, Record, kind};
use dits_core::tree::Content;
use dits_core::worktree::drive::{DriveContent, Place, Settled, Stored};
use rustix::io::Errno;

use super::Overlay;
use super::names::Maker;
use crate::error::{Reach, ReadError};
use crate::view::View;

impl Overlay {
    /// What a file holds: content of the store, and where it differs from that.
    ///
    /// # Errors
    /// When it is no file, or cannot be read.
    pub fn content(&self, view: &View, ino: u64, reach: Reach) -> Result<DriveContent, ReadError> {
        let inner = self.read();
        let state = match inner.file_of(ino)? {
            Some(file) => file.clone(),
            None => {
                let entry = view.entry(ino, reach)?;
                let (base_size, base_len, size) = (entry.size, entry.size, entry.size);
                FileState { base: entry.content, base_size, base_len, size, ..FileState::default() }
            }
        };
        let stored = Stored::new(state.base.clone(), state.base_size).ok_or(Errno::INVAL)?;
        // What was cut off and grew again is in the ranges too.
        let changed = state.ranges.iter().map(|(range, _)| range);
        Ok(DriveContent::new(state.generation, state.size, stored, changed))
    }

    /// The store has what a file held when it was of one generation: if it still is, that becomes its base content.
    ///
    /// # Errors
    /// `EBUSY` if it is not; otherwise when it is no file or cannot be logged.
    pub fn settle(&self, view: &View, ino: u64, settled: &Settled) -> Result<(), ReadError> {
        check(view, &settled.stored)?;
        let mut inner = self.write();
        let Some(file) = inner.file_of(ino)? else { return Ok(()) };
        if file.generation != settled.generation || file.size != settled.stored.size() {
            return Err(Errno::BUSY.into());
        }
        if file.is_base() && file.base == *settled.stored.content() {
            return Ok(());
        }
        let (layer, content, size) = (file.layer, settled.stored.content().clone(), file.size);
        let attributes = inner.state.nodes.get(&ino).map(|node| node.attributes).ok_or(Errno::STALE)?;
        let records = vec![Record::Content { ino, content, size, layer: layer + 1 }, Record::Node { ino, attributes }];
        inner.commit(view, records)?;
        inner.garbage.push(self.data.path(ino, layer));
        Ok(())
    }

    /// Makes a file of content of the store.
    ///
    /// # Errors
    /// When the name is taken or not allowed, the folder is gone, or it cannot be logged.
    pub fn place(&self, view: &View, folder: u64, place: &Place, maker: Maker, reach: Reach) -> Result<(), ReadError> {
        let stored = place.stored();
        check(view, stored)?;
        let mode = if place.executable() { 0o755 } else { 0o644 };
        let content = stored.content().clone();
        let holds = |ino| Some(Record::Content { ino, content, size: stored.size(), layer: 0 });
        self.add(view, (folder, place.name()), kind::FILE | mode, maker, holds, reach).map(|_| ())
    }
}

/// Refuses content that the store does not know: the log would name what nobody can ever keep. A chunk alone may be absent,
/// where a remote has promised it.
fn check(view: &View, stored: &Stored) -> Result<(), ReadError> {
    match stored.content() {
        Content::Manifest(id) => match Manifest::open_sized(view.store(), *id, stored.size()) {
            Ok(_) => Ok(()),
            Err(_) => Err(Errno::INVAL.into()),
        },
        _ => Ok(()),
    }
}
