//! Writing a pack: frames go to a block in memory, full blocks to an unfinished file, and [`PackBuilder::seal`] puts the
//! index behind them. As long as no block has been full, no file exists.

use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use tempfile::NamedTempFile;

use super::blocks::{Block, Flow, Outlet};
use super::layout::{self, HEADER_LEN, PackId, Trailer};
use super::page::{Entry, PAGE, PER_PAGE, encode_page};
use crate::durable::{IoContext, IoError};
use crate::object::Digest;
use crate::store::StoreError;
use crate::store::folder::PackStore;

/// The largest number of frame bytes in one pack: offsets have 48 bits.
pub(in crate::store) const MAX_PACK: u64 = 1 << 47;

/// A pack that is being written.
pub(in crate::store) struct PackBuilder {
    store: Arc<dyn PackStore>,
    header: [u8; HEADER_LEN],
    draft: Option<(NamedTempFile, Outlet)>,
    flow: Flow,
    /// What was written last, and where it will lie.
    block: Block,
    start: u64,
}

/// A pack that only lacks its name.
pub(in crate::store) struct Sealed {
    pub(in crate::store) draft: NamedTempFile,
    pub(in crate::store) id: PackId,
}

impl PackBuilder {
    /// A new pack. Nothing is created yet.
    ///
    /// # Errors
    /// When there is no memory.
    pub(in crate::store) fn new(store: Arc<dyn PackStore>) -> Result<Self, StoreError> {
        Self::with_nonce(store, nonce())
    }

    pub(in crate::store) fn with_nonce(store: Arc<dyn PackStore>, nonce: [u8; 16]) -> Result<Self, StoreError> {
        let (flow, block) = (Flow::default(), Block::new());
        let mut builder = Self { store, header: [0; HEADER_LEN], draft: None, flow, block, start: 0 };
        builder.begin(nonce)?;
        Ok(builder)
    }

    fn begin(&mut self, nonce: [u8; 16]) -> Result<(), StoreError> {
        self.header = layout::encode_header(nonce);
        self.block = Block::first();
        self.start = 0;
        self.append(&[&self.header.clone()]).map(drop)
    }

    /// Goes on with a pack whose file holds good frames up to `end`. What follows there is cut off.
    pub(in crate::store) fn resume(
        store: Arc<dyn PackStore>,
        header: [u8; HEADER_LEN],
        draft: NamedTempFile,
        end: u64,
    ) -> Result<Self, StoreError> {
        draft.as_file().set_len(end).at("truncate", draft.path())?;
        let outlet = Outlet::new(&draft, end.is_multiple_of(PAGE as u64))?;
        let (flow, block) = (Flow::default(), Block::new());
        Ok(Self { store, header, draft: Some((draft, outlet)), flow, block, start: end })
    }

    /// Where the next frame will lie; also how long the pack is without its index.
    pub(in crate::store) fn end(&self) -> u64 {
        self.start + self.block.filled().len() as u64
    }

    /// Whether anything is in a file yet.
    pub(in crate::store) fn spilled(&self) -> bool {
        self.draft.is_some()
    }

    /// Appends one frame, given in parts, and says where it lies. After a failure nobody knows what the file holds: the
    /// error must end the whole operation.
    pub(in crate::store) fn append(&mut self, parts: &[&[u8]]) -> Result<u64, StoreError> {
        let offset = self.end();
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                rest = &rest[self.block.push(rest)?..];
                if self.block.is_full() {
                    self.hand_over()?;
                }
            }
        }
        Ok(offset)
    }

    fn hand_over(&mut self) -> Result<(), StoreError> {
        let full = std::mem::replace(&mut self.block, Block::new());
        let len = full.filled().len() as u64;
        let (_, outlet) = self.draft()?;
        let outlet = outlet.clone();
        self.block = self.flow.put(&outlet, self.start, full)?;
        self.start += len;
        Ok(())
    }

    fn draft(&mut self) -> Result<&(NamedTempFile, Outlet), StoreError> {
        let draft = match self.draft.take() {
            Some(draft) => draft,
            None => {
                let draft = self.store.draft()?;
                let outlet = Outlet::new(&draft, true)?;
                (draft, outlet)
            }
        };
        Ok(self.draft.insert(draft))
    }

    /// Reads back a frame that was appended.
    pub(in crate::store) fn read_frame(&self, entry: &Entry, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let (mut at, end) = (entry.offset, entry.offset + u64::from(entry.stored_len));
        out.clear();
        while at < end {
            let (start, bytes) = match self.flow.find(at) {
                _ if at >= self.start => (self.start, self.block.filled()),
                Some(waiting) => waiting,
                None => {
                    let Some((draft, _)) = &self.draft else { return Err(lost().into()) };
                    let in_file = self.flow.begins().unwrap_or(self.start).min(end);
                    let begin = out.len();
                    out.resize(begin + (in_file - at) as usize, 0);
                    draft.as_file().read_exact_at(&mut out[begin..], at).at("read", draft.path())?;
                    at = in_file;
                    continue;
                }
            };
            let until = end.min(start + bytes.len() as u64);
            if until <= at {
                return Err(lost().into());
            }
            out.extend_from_slice(&bytes[(at - start) as usize..(until - start) as usize]);
            at = until;
        }
        Ok(())
    }

    /// Writes the index behind the frames, and begins the next pack in the same memory. `entries` are all that were
    /// appended, in any order, each name once; they are sorted.
    pub(in crate::store) fn seal(&mut self, entries: &mut [Entry]) -> Result<Sealed, StoreError> {
        entries.sort_unstable_by_key(|entry| entry.digest);
        let footer = self.end().next_multiple_of(PAGE as u64);
        self.append(&[&[0; PAGE][..(footer - self.end()) as usize]])?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.header);
        for page in entries.chunks(PER_PAGE) {
            let page = encode_page(page);
            hasher.update(&page);
            self.append(&[&page])?;
        }
        let id = PackId(Digest(*hasher.finalize().as_bytes()));
        let trailer = Trailer { footer, entries: entries.len() as u64, id };
        self.append(&[&trailer.encode()])?;
        self.draft()?;
        let Some((draft, _)) = self.draft.take() else { unreachable!("it was made just now") };
        self.flow.drain(draft.path())?;
        draft.as_file().write_all_at(self.block.filled(), self.start).at("write", draft.path())?;
        self.begin(nonce())?;
        Ok(Sealed { draft, id })
    }
}

/// What is read back after a write has failed.
fn lost() -> IoError {
    IoError { op: "read back from", path: "a pack".into(), source: std::io::Error::other("writing it has failed") }
}

/// The length of a pack with that many bytes of frames (its header included) and that many entries.
pub(in crate::store) fn sealed_len(end: u64, entries: u64) -> u64 {
    let footer = end.next_multiple_of(PAGE as u64);
    Trailer { footer, entries, id: PackId(Digest([0; 32])) }.end().unwrap_or(u64::MAX)
}

/// Sixteen bytes that no other pack has.
fn nonce() -> [u8; 16] {
    // The standard library seeds these from the system's random source; nothing secret hangs on them.
    let mut out = [0; 16];
    for (half, place) in out.chunks_exact_mut(8).enumerate() {
        place.copy_from_slice(&RandomState::new().hash_one((half, std::process::id())).to_le_bytes());
    }
    out
}
