//! Writing a pack: frames go to a buffer, from there in large writes to an unfinished file, and [`PackBuilder::seal`]
//! puts the index behind them. As long as the buffer has never been full, no file exists.

use std::hash::{BuildHasher, RandomState};
use std::io::{Seek, SeekFrom, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};
use tempfile::NamedTempFile;

use super::layout::{self, HEADER_LEN, PackId, Trailer};
use super::page::{Entry, PAGE, PER_PAGE, encode_page};
use crate::durable::IoContext;
use crate::object::Digest;
use crate::store::StoreError;
use crate::store::folder::PackStore;

/// Bytes that gather before they are written.
const BUFFER: usize = 1 << 20;
/// The largest number of frame bytes in one pack: offsets have 48 bits.
pub(in crate::store) const MAX_PACK: u64 = 1 << 47;

/// A pack that is being written.
pub(in crate::store) struct PackBuilder {
    store: Arc<dyn PackStore>,
    header: [u8; HEADER_LEN],
    draft: Option<NamedTempFile>,
    /// Bytes in the file.
    flushed: u64,
    buffer: Vec<u8>,
}

/// A pack that only lacks its name.
pub(in crate::store) struct Sealed {
    pub(in crate::store) draft: NamedTempFile,
    pub(in crate::store) id: PackId,
}

impl PackBuilder {
    /// A new pack. Nothing is created yet.
    pub(in crate::store) fn new(store: Arc<dyn PackStore>) -> Self {
        Self::with_nonce(store, nonce())
    }

    pub(in crate::store) fn with_nonce(store: Arc<dyn PackStore>, nonce: [u8; 16]) -> Self {
        Self::in_buffer(store, nonce, Vec::new())
    }

    fn in_buffer(store: Arc<dyn PackStore>, nonce: [u8; 16], mut buffer: Vec<u8>) -> Self {
        let header = layout::encode_header(nonce);
        buffer.clear();
        buffer.extend_from_slice(&header);
        Self { store, header, draft: None, flushed: 0, buffer }
    }

    /// Goes on with a pack whose file holds good frames up to `end`. What follows there is cut off.
    pub(in crate::store) fn resume(
        store: Arc<dyn PackStore>,
        header: [u8; HEADER_LEN],
        mut draft: NamedTempFile,
        end: u64,
    ) -> Result<Self, StoreError> {
        let path = draft.path().to_owned();
        draft.as_file().set_len(end).at("truncate", &path)?;
        draft.as_file_mut().seek(SeekFrom::Start(end)).at("seek in", &path)?;
        Ok(Self { store, header, draft: Some(draft), flushed: end, buffer: Vec::new() })
    }

    /// The pack after this one, which shall be [sealed](PackBuilder::seal) next. It takes over the buffer, so that pack
    /// after pack is written in the same memory.
    pub(in crate::store) fn next(&mut self) -> Result<Self, StoreError> {
        self.flush()?;
        Ok(Self::in_buffer(Arc::clone(&self.store), nonce(), std::mem::take(&mut self.buffer)))
    }

    /// Where the next frame will lie; also how long the pack is without its index.
    pub(in crate::store) fn end(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Whether anything is in a file yet.
    pub(in crate::store) fn spilled(&self) -> bool {
        self.draft.is_some()
    }

    /// Appends one frame, given in parts, and says where it lies.
    pub(in crate::store) fn append(&mut self, parts: &[&[u8]]) -> Result<u64, StoreError> {
        let offset = self.end();
        parts.iter().for_each(|part| self.buffer.extend_from_slice(part));
        if self.buffer.len() >= BUFFER {
            // After a failed write nobody knows what the file holds: the error must end the whole operation.
            self.flush()?;
        }
        Ok(offset)
    }

    fn flush(&mut self) -> Result<&mut NamedTempFile, StoreError> {
        let draft = match self.draft.take() {
            Some(draft) => draft,
            None => self.store.draft()?,
        };
        let draft = self.draft.insert(draft);
        let path = draft.path().to_owned();
        draft.as_file_mut().write_all(&self.buffer).at("write", &path)?;
        // Tells the kernel to begin to write now (the pages are dirty, so none is dropped): the disk works while the next
        // chunks are being hashed, and the final sync has little left to wait for. Only advice, so no failure matters.
        let _ = fadvise(draft.as_file(), self.flushed, NonZeroU64::new(self.buffer.len() as u64), Advice::DontNeed);
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(draft)
    }

    /// Reads back a frame that was appended.
    pub(in crate::store) fn read_frame(&self, entry: &Entry, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let len = entry.stored_len as usize;
        out.clear();
        match (entry.offset.checked_sub(self.flushed), &self.draft) {
            (Some(at), _) => out.extend_from_slice(&self.buffer[at as usize..at as usize + len]),
            (None, Some(draft)) => {
                out.resize(len, 0);
                draft.as_file().read_exact_at(out, entry.offset).at("read", draft.path())?;
            }
            (None, None) => unreachable!("bytes are only flushed to a draft"),
        }
        Ok(())
    }

    /// Writes the index behind the frames. `entries` are all that were appended, in any order, each name once;
    /// they are sorted.
    pub(in crate::store) fn seal(mut self, entries: &mut [Entry]) -> Result<Sealed, StoreError> {
        entries.sort_unstable_by_key(|entry| entry.digest);
        let footer = self.end().next_multiple_of(PAGE as u64);
        self.buffer.resize(self.buffer.len() + (footer - self.end()) as usize, 0);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.header);
        for page in entries.chunks(PER_PAGE) {
            let page = encode_page(page);
            hasher.update(&page);
            self.buffer.extend_from_slice(&page);
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
        }
        let id = PackId(Digest(*hasher.finalize().as_bytes()));
        let trailer = Trailer { footer, entries: entries.len() as u64, id };
        self.buffer.extend_from_slice(&trailer.encode());
        self.flush()?;
        let draft = self.draft.expect("flush leaves a draft");
        Ok(Sealed { draft, id })
    }
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
