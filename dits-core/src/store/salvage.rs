//! Saving the objects of a pack that lost its footer, by looking for frames.

use std::collections::HashSet;
use std::sync::Arc;

use bstr::ByteSlice;

use super::StoreError;
use super::folder::Blob;
use super::frame::{self, FrameError, Header};
use super::odb::Odb;
use super::pack::layout::{HEADER_LEN, PackId};
use super::pack::page::Entry;
use super::pack::write::PackBuilder;

/// Bytes read at once while looking for the next frame.
const WINDOW: u64 = 1 << 20;

/// What was saved from a damaged pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// The new pack; `None` when there was nothing to save.
    pub pack: Option<PackId>,
    /// How many objects are in it.
    pub objects: u64,
    /// Bytes of the old pack that belong to no good frame: its header, index and padding, and what is damaged.
    pub skipped: u64,
}

impl Odb {
    /// Writes a new pack with every good object in a damaged one. The damaged one stays: delete it with
    /// [`Odb::delete_packs`]. Works as well on a pack that is not damaged.
    ///
    /// # Errors
    /// When the pack does not exist or cannot be read, or the new one not written.
    pub fn salvage(&self, id: PackId) -> Result<Salvaged, StoreError> {
        let name = id.file_name();
        let blob = self.packs().open(&name)?.ok_or_else(|| {
            let file = self.dir().join("pack").join(&name);
            StoreError::Corrupt { file, what: "it is gone; run `dits fsck` again".into() }
        })?;
        let mut builder = PackBuilder::new(Arc::clone(self.packs()))?;
        let (mut entries, mut seen) = (Vec::new(), HashSet::new());
        let (mut at, mut skipped) = ((HEADER_LEN as u64).min(blob.len()), (HEADER_LEN as u64).min(blob.len()));
        let (mut frame, mut plain) = (Vec::new(), Vec::new());
        while at < blob.len() {
            let Some(header) = good_frame(&*blob, at, &mut frame, &mut plain)? else {
                let next = next_magic(&*blob, at + 1)?;
                skipped += next - at;
                at = next;
                continue;
            };
            at += frame.len() as u64;
            if seen.insert(header.digest) {
                let offset = builder.append(&[&frame])?;
                let (kind, encoding, stored_len) = (header.kind as u8, header.encoding, frame.len() as u32);
                let (digest, plain_len) = (header.digest, header.plain_len);
                entries.push(Entry { digest, offset, kind, encoding, stored_len, plain_len, pack: 0 });
            }
        }
        let objects = entries.len() as u64;
        let mut pack = None;
        if objects > 0 {
            let sealed = builder.seal(&mut entries)?;
            pack = Some(sealed.id);
            self.packs().put(vec![(sealed.draft, sealed.id.file_name())])?;
            self.refresh()?;
        }
        Ok(Salvaged { pack, objects, skipped })
    }
}

/// The frame that begins at `at`, if a good one does. One that only a newer dits can decode is good if its checksums
/// are right.
pub(super) fn good_frame(
    blob: &dyn Blob,
    at: u64,
    frame: &mut Vec<u8>,
    plain: &mut Vec<u8>,
) -> Result<Option<Header>, StoreError> {
    let left = blob.len() - at;
    frame.resize(left.min(frame::HEADER_LEN as u64 + 255) as usize, 0);
    blob.read_at(frame, at)?;
    let Ok(header) = Header::decode(frame) else { return Ok(None) };
    if header.frame_len() as u64 > left {
        return Ok(None);
    }
    frame.resize(header.frame_len(), 0);
    blob.read_at(frame, at)?;
    match header.payload(frame).and_then(|_| header.open(frame, plain)) {
        Ok(()) | Err(FrameError::TooNew { .. }) => Ok(Some(header)),
        Err(_) => Ok(None),
    }
}

/// Where the next thing that may be a frame begins, from `from` on; the length of the pack when there is none.
fn next_magic(blob: &dyn Blob, mut from: u64) -> Result<u64, StoreError> {
    let mut window = Vec::new();
    while from < blob.len() {
        window.resize((blob.len() - from).min(WINDOW) as usize, 0);
        blob.read_at(&mut window, from)?;
        if let Some(at) = window.find(frame::MAGIC) {
            return Ok(from + at as u64);
        }
        // The last three bytes may be the beginning of one.
        from += (window.len() as u64).saturating_sub(3).max(1);
    }
    Ok(blob.len())
}
