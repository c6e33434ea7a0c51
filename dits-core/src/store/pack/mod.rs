//! Packs: many frames in one file that ends in its own index. See `docs/format/pack.md`.

mod blocks;
pub mod index;
pub mod layout;
pub mod merged;
pub mod page;
pub(super) mod write;

use std::path::Path;
use std::sync::Arc;

use self::index::Index;
use self::layout::{HEADER_LEN, LayoutError, PackId, TRAILER_LEN, Trailer};
use self::page::Entry;
use super::StoreError;
use super::folder::Blob;
use super::frame;

/// What every message about a damaged pack ends in.
pub(super) const REMEDY: &str = "run `dits fsck` to see what is affected";

/// A finished pack, open for reading.
pub struct Pack {
    blob: Arc<dyn Blob>,
    trailer: Trailer,
    index: Index,
}

impl Pack {
    /// Opens a finished pack and checks its trailer and that it is the pack its name says.
    ///
    /// # Errors
    /// When it is damaged, of a newer version, or cannot be read.
    pub fn open(blob: Arc<dyn Blob>, id: PackId) -> Result<Self, StoreError> {
        let layout = |e| layout_error(e, blob.path());
        if blob.len() < (HEADER_LEN + TRAILER_LEN) as u64 {
            return Err(layout(LayoutError::NoFooter));
        }
        let mut end = [0; TRAILER_LEN];
        blob.read_at(&mut end, blob.len() - TRAILER_LEN as u64)?;
        let trailer = Trailer::decode(&end, blob.len()).map_err(layout)?;
        if trailer.id != id {
            return Err(corrupt(blob.path(), &format!("it is {:?}, not what its name says", trailer.id)));
        }
        let index = Index::new(&blob, trailer.footer, trailer.entries, REMEDY)?;
        Ok(Self { blob, trailer, index })
    }

    /// The pack's name.
    #[must_use]
    pub fn id(&self) -> PackId {
        self.trailer.id
    }

    /// The index at its end.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.blob.path()
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.blob.len()
    }

    pub(super) fn trailer(&self) -> &Trailer {
        &self.trailer
    }

    pub(super) fn blob(&self) -> &Arc<dyn Blob> {
        &self.blob
    }

    /// Reads the frame of an entry, unchecked, into `out`.
    ///
    /// # Errors
    /// When the entry points outside the frames, or reading fails.
    pub fn read_frame(&self, entry: &Entry, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let len = entry.stored_len as usize;
        let end = entry.offset.checked_add(len as u64);
        let inside = entry.offset >= HEADER_LEN as u64 && end.is_some_and(|end| end <= self.trailer.footer);
        if !inside || !(frame::HEADER_LEN..=frame::MAX_FRAME).contains(&len) {
            return Err(corrupt(self.path(), &format!("the entry of {} points outside its frames", entry.digest)));
        }
        // What is there is overwritten: only what is longer has to be zeroed first.
        out.truncate(len);
        out.resize(len, 0);
        self.blob.read_at(out, entry.offset)
    }
}

/// Damage in a pack, with the remedy.
pub(super) fn corrupt(file: &Path, what: &str) -> StoreError {
    StoreError::Corrupt { file: file.to_owned(), what: format!("{what}; {REMEDY}") }
}

fn layout_error(error: LayoutError, file: &Path) -> StoreError {
    match error {
        LayoutError::TooNew(_) => StoreError::FileTooNew { file: file.to_owned(), what: error.to_string() },
        LayoutError::NoFooter | LayoutError::Misfit => StoreError::Corrupt {
            file: file.to_owned(),
            what: format!(
                "{error}: it was cut off, or something was written behind its end; `dits fsck --repair` saves the \
                 objects in it"
            ),
        },
        LayoutError::Damaged(_) => corrupt(file, &error.to_string()),
    }
}
