//! Going on where a killed process stopped: its unfinished packs become packs.

use std::collections::HashSet;
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::StoreError;
use super::folder::{Blob, FileBlob};
use super::odb::Odb;
use super::pack::layout::{self, HEADER_LEN};
use super::pack::page::Entry;
use super::pack::write::{PackBuilder, Sealed};
use super::salvage::good_frame;

/// What was taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// How many packs.
    pub packs: u64,
    /// How many objects.
    pub objects: u64,
    /// Bytes of their frames.
    pub bytes: u64,
}

impl Odb {
    /// Finishes the packs that dead processes left unfinished: the frames up to the first that is not whole and right
    /// become a pack, so that a transfer that was cut off need not begin anew. Nothing refers to what is in them; garbage
    /// collection treats it like anything else that nothing refers to.
    ///
    /// # Errors
    /// When one cannot be read or finished.
    pub fn adopt_unfinished(&self) -> Result<Adopted, StoreError> {
        let mut adopted = Adopted::default();
        let mut finished = Vec::new();
        for draft in self.packs().abandoned()? {
            if let Some((Sealed { draft, id }, objects, bytes)) = self.finish_draft(draft)? {
                adopted.packs += 1;
                adopted.objects += objects;
                adopted.bytes += bytes;
                finished.push((draft, id.file_name()));
            }
        }
        if !finished.is_empty() {
            self.packs().put(finished)?;
            self.refresh()?;
        }
        Ok(adopted)
    }

    fn finish_draft(&self, draft: NamedTempFile) -> Result<Option<(Sealed, u64, u64)>, StoreError> {
        let Some(blob) = FileBlob::open(draft.path().to_owned(), false)? else { return Ok(None) };
        let Some(header) = pack_header(&blob)? else { return Ok(None) };
        let (mut entries, end) = good_frames(&blob)?;
        let objects = entries.len() as u64;
        if entries.is_empty() {
            return Ok(None);
        }
        let mut builder = PackBuilder::resume(Arc::clone(self.packs()), header, draft, end)?;
        Ok(Some((builder.seal(&mut entries)?, objects, end - HEADER_LEN as u64)))
    }
}

/// The header, if this is a pack.
fn pack_header(blob: &dyn Blob) -> Result<Option<[u8; HEADER_LEN]>, StoreError> {
    let mut header = [0; HEADER_LEN];
    if blob.len() < HEADER_LEN as u64 {
        return Ok(None);
    }
    blob.read_at(&mut header, 0)?;
    Ok(layout::decode_header(&header).is_ok().then_some(header))
}

/// The entries of the frames before the first that is not good, and where that one begins.
fn good_frames(blob: &dyn Blob) -> Result<(Vec<Entry>, u64), StoreError> {
    let (mut entries, mut seen) = (Vec::new(), HashSet::new());
    let (mut frame, mut plain) = (Vec::new(), Vec::new());
    let mut at = HEADER_LEN as u64;
    while at < blob.len() {
        let Some(header) = good_frame(blob, at, &mut frame, &mut plain)? else { break };
        if seen.insert(header.digest) {
            entries.push(Entry {
                digest: header.digest,
                offset: at,
                kind: header.kind as u8,
                encoding: header.encoding,
                stored_len: frame.len() as u32,
                plain_len: header.plain_len,
                pack: 0,
            });
        }
        at += frame.len() as u64;
    }
    Ok((entries, at))
}
