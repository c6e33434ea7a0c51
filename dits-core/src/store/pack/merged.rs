//! The merged index: the entries of many packs in one sorted list. See `docs/format/pack.md`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;
use std::sync::Arc;

use super::Pack;
use super::index::{Entries, Index};
use super::layout::PackId;
use super::page::{Entry, PAGE, PER_PAGE, encode_page};
use crate::durable::IoContext;
use crate::object::Digest;
use crate::store::StoreError;
use crate::store::folder::{Blob, PackStore};

/// Its name beside the packs.
pub const FILE_NAME: &str = "merged.idx";
/// The first bytes.
pub const MAGIC: [u8; 8] = *b"ditsmidx";
/// The version of the layout.
pub const VERSION: u32 = 1;
/// The most packs one can cover.
pub const MAX_PACKS: u32 = 1 << 20;
/// Bytes before the list of packs.
const FIXED: usize = 24;
const REMEDY: &str = "delete this file or run `dits gc`: it is rebuilt from the packs";

/// What a merged index says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedHeader {
    /// The packs it covers; entries name them by their place in this list.
    pub packs: Vec<PackId>,
    /// How many entries it has.
    pub entries: u64,
}

/// Why bytes are not the header of a merged index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergedError {
    /// The marker, the checksum or a length is wrong.
    #[error("its header is damaged")]
    Damaged,
    /// A newer version wrote it.
    #[error("merged index version {0}")]
    TooNew(u32),
}

impl MergedHeader {
    /// Bytes of the header with that many packs, without padding.
    fn len_for(packs: u32) -> usize {
        FIXED + packs as usize * 32 + 4
    }

    /// Where the pages begin.
    fn pages_at(&self) -> u64 {
        Self::len_for(self.packs.len() as u32).next_multiple_of(PAGE) as u64
    }

    /// The bytes of the header, padded to whole pages.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.pages_at() as usize);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(self.packs.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.entries.to_le_bytes());
        self.packs.iter().for_each(|pack| out.extend_from_slice(&pack.0.0));
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        out.resize(self.pages_at() as usize, 0);
        out
    }

    /// How many packs a header that begins like this claims to list.
    fn claimed_packs(bytes: &[u8]) -> Result<u32, MergedError> {
        let fixed = bytes.get(..FIXED).filter(|fixed| fixed[..8] == MAGIC).ok_or(MergedError::Damaged)?;
        let version = u32::from_le_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
        if version != VERSION {
            return Err(MergedError::TooNew(version));
        }
        let packs = u32::from_le_bytes([fixed[12], fixed[13], fixed[14], fixed[15]]);
        if packs > MAX_PACKS { Err(MergedError::Damaged) } else { Ok(packs) }
    }

    /// Reads a header from the start of `bytes`.
    ///
    /// # Errors
    /// When it is cut off, damaged or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, MergedError> {
        let count = Self::claimed_packs(bytes)?;
        let len = Self::len_for(count);
        let bytes = bytes.get(..len).ok_or(MergedError::Damaged)?;
        if crc32fast::hash(&bytes[..len - 4]).to_le_bytes() != bytes[len - 4..] {
            return Err(MergedError::Damaged);
        }
        let mut eight = [0; 8];
        eight.copy_from_slice(&bytes[16..24]);
        let packs = bytes[FIXED..len - 4].chunks_exact(32).map(|id| {
            let mut digest = Digest([0; 32]);
            digest.0.copy_from_slice(id);
            PackId(digest)
        });
        Ok(Self { packs: packs.collect(), entries: u64::from_le_bytes(eight) })
    }
}

/// A merged index, open for lookups.
pub struct Merged {
    header: MergedHeader,
    index: Index,
}

impl Merged {
    /// Opens a merged index and checks its header and length.
    ///
    /// # Errors
    /// When it is damaged, of a newer version, or cannot be read.
    pub fn open(blob: &Arc<dyn Blob>) -> Result<Self, StoreError> {
        let file = || blob.path().to_owned();
        let refuse = |e: MergedError| match e {
            MergedError::Damaged => StoreError::Corrupt { file: file(), what: format!("{e}; {REMEDY}") },
            MergedError::TooNew(_) => StoreError::FileTooNew { file: file(), what: format!("{e}; {REMEDY}") },
        };
        let mut bytes = vec![0; FIXED.min(blob.len() as usize)];
        blob.read_at(&mut bytes, 0)?;
        let claimed = MergedHeader::len_for(MergedHeader::claimed_packs(&bytes).map_err(refuse)?);
        if claimed as u64 > blob.len() {
            return Err(refuse(MergedError::Damaged));
        }
        bytes.resize(claimed, 0);
        blob.read_at(&mut bytes, 0)?;
        let header = MergedHeader::decode(&bytes).map_err(refuse)?;
        let end = Index::bytes_for(header.entries).and_then(|len| len.checked_add(header.pages_at()));
        if end != Some(blob.len()) {
            return Err(refuse(MergedError::Damaged));
        }
        let index = Index::new(blob, header.pages_at(), header.entries, REMEDY)?;
        Ok(Self { header, index })
    }

    /// The packs it covers.
    #[must_use]
    pub fn packs(&self) -> &[PackId] {
        &self.header.packs
    }

    /// Its entries.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }
}

/// Builds and publishes the merged index of these packs, at most [`MAX_PACKS`]. Memory: one page per pack.
pub(in crate::store) fn build(store: &dyn PackStore, packs: &[Arc<Pack>]) -> Result<(), StoreError> {
    let packs = &packs[..packs.len().min(MAX_PACKS as usize)];
    let entries = packs.iter().map(|pack| pack.index().len()).sum();
    let header = MergedHeader { packs: packs.iter().map(|pack| pack.id()).collect(), entries };
    let mut draft = store.draft()?;
    let path = draft.path().to_owned();
    let mut out = std::io::BufWriter::with_capacity(1 << 20, draft.as_file_mut());
    out.write_all(&header.encode()).at("write", &path)?;
    let mut page = Vec::with_capacity(PER_PAGE);
    for entry in Merge::new(packs)? {
        page.push(entry?);
        if page.len() == PER_PAGE {
            out.write_all(&encode_page(&page)).at("write", &path)?;
            page.clear();
        }
    }
    if !page.is_empty() {
        out.write_all(&encode_page(&page)).at("write", &path)?;
    }
    out.flush().at("write", &path)?;
    drop(out);
    store.put(vec![(draft, FILE_NAME.to_owned())])
}

/// The entries of several packs in order, each with its pack's number.
struct Merge<'a> {
    sources: Vec<Entries<'a>>,
    heads: BinaryHeap<Reverse<Head>>,
}

#[derive(PartialEq, Eq)]
struct Head(Entry);

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.digest, self.0.pack).cmp(&(other.0.digest, other.0.pack))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> Merge<'a> {
    fn new(packs: &'a [Arc<Pack>]) -> Result<Self, StoreError> {
        let sources = packs.iter().map(|pack| pack.index().iter_from(0)).collect();
        let mut merge = Self { sources, heads: BinaryHeap::with_capacity(packs.len()) };
        (0..packs.len() as u32).try_for_each(|pack| merge.pull(pack))?;
        Ok(merge)
    }

    fn pull(&mut self, pack: u32) -> Result<(), StoreError> {
        if let Some(entry) = self.sources[pack as usize].next() {
            self.heads.push(Reverse(Head(Entry { pack, ..entry? })));
        }
        Ok(())
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse(Head(entry)) = self.heads.pop()?;
        Some(self.pull(entry.pack).map(|()| entry))
    }
}
