//! The base of the index: all entries, sorted, in one file that is read whole (`docs/format/index.md`).

use std::cmp::Ordering;
use std::ops::Range;

use super::entry::{self, EntryView, RECORD, Stage};
use crate::object::{Digest, TreeId};
use crate::path::{MAX_PATH, check_component};

const MAGIC: &[u8; 8] = b"DITSIDXB";
const VERSION: u32 = 1;
/// The length of the header, in bytes.
pub(super) const HEADER: usize = 128;
const BLOCK: usize = 64 << 10;

/// Tells one base from every other one, and so its journal from a stale one.
pub(super) type Generation = [u8; 16];

/// Why a base's bytes were refused.
#[derive(Debug, PartialEq, Eq)]
pub enum BaseError {
    /// They are damaged.
    Damaged(String),
    /// They are of a newer version of the format.
    TooNew(u32),
}

impl From<&str> for BaseError {
    fn from(what: &str) -> Self {
        Self::Damaged(what.to_owned())
    }
}

/// A checked base.
#[derive(Debug)]
pub struct Base {
    bytes: Vec<u8>,
    count: usize,
    /// Where in `bytes` the paths and link targets are.
    strings: Range<usize>,
    /// How many entries are of a merge's stages.
    pub(super) unmerged: usize,
    pub(super) generation: Generation,
    pub(super) tree: Option<TreeId>,
}

struct Header {
    generation: Generation,
    count: u64,
    strings: u64,
    tree: Option<TreeId>,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn read_header(bytes: &[u8]) -> Result<Header, BaseError> {
    let header: &[u8; HEADER] = bytes.first_chunk().ok_or("it is shorter than its header")?;
    if header[..8] != *MAGIC {
        return Err("it is no index".into());
    }
    match u32::from_le_bytes(array(header, 8)) {
        VERSION => {}
        newer if newer > VERSION && u32::from_le_bytes(array(header, 124)) == crc32fast::hash(&header[..124]) => {
            return Err(BaseError::TooNew(newer));
        }
        _ => return Err("its version is not one that there is".into()),
    }
    if u32::from_le_bytes(array(header, 124)) != crc32fast::hash(&header[..124]) {
        return Err("the checksum of its header does not fit".into());
    }
    let tree: [u8; 32] = array(header, 48);
    let tree = match u32::from_le_bytes(array(header, 12)) {
        0 if tree == [0; 32] => None,
        1 => Some(TreeId::from_digest(Digest(tree))),
        _ => return Err("it has a flag that there is not".into()),
    };
    if header[80..124] != [0; 44] {
        return Err("its header has something in a place that is kept free".into());
    }
    let word = |at| u64::from_le_bytes(array(header, at));
    Ok(Header { generation: array(header, 16), count: word(32), strings: word(40), tree })
}

/// The generation that the first bytes of a base name.
pub(super) fn generation_of(bytes: &[u8]) -> Option<Generation> {
    read_header(bytes).ok().map(|header| header.generation)
}

fn block_checksum(generation: &Generation, number: u64, block: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(generation);
    crc.update(&number.to_le_bytes());
    crc.update(block);
    crc.finalize().to_le_bytes()
}

impl Base {
    /// A base without entries.
    pub(super) fn empty(generation: Generation) -> Self {
        BaseBuilder::default().finish(generation, None)
    }

    /// Checks a base's bytes: lengths, checksums, order, and every entry.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn open(bytes: Vec<u8>) -> Result<Self, BaseError> {
        let header = read_header(&bytes)?;
        let body = header.count.checked_mul(RECORD as u64).and_then(|len| len.checked_add(header.strings));
        let total = body.and_then(|len| len.div_ceil(BLOCK as u64).checked_mul(4)?.checked_add(len));
        let total = total.and_then(|len| len.checked_add(HEADER as u64));
        let (Some(body), true) = (body, total == Some(bytes.len() as u64)) else {
            return Err("its length is not the one its header says".into());
        };
        let body = usize::try_from(body).map_err(|_| "it is too long for this machine")?;
        let (blocks, checksums) = bytes[HEADER..].split_at(body);
        for (number, (block, checksum)) in blocks.chunks(BLOCK).zip(checksums.chunks(4)).enumerate() {
            if block_checksum(&header.generation, number as u64, block) != checksum {
                let at = HEADER + number * BLOCK;
                return Err(BaseError::Damaged(format!("a checksum does not fit, in the 64 KiB from byte {at}")));
            }
        }
        let count = usize::try_from(header.count).map_err(|_| "it is too long for this machine")?;
        let strings = HEADER + count * RECORD..HEADER + body;
        let mut base = Self { bytes, count, strings, unmerged: 0, generation: header.generation, tree: header.tree };
        base.unmerged = base.check_entries()?;
        Ok(base)
    }

    fn check_entries(&self) -> Result<usize, BaseError> {
        let (mut end, mut unmerged) = (0, 0);
        let mut last: (&[u8], Stage) = (b"", Stage::Normal);
        for at in 0..self.count {
            let wrong = |what: &str| BaseError::Damaged(format!("entry {at}: {what}"));
            let (start, path_len, link_len) = entry::strings_of(self.record(at));
            if start != end || end + (path_len + link_len) as u64 > self.strings().len() as u64 {
                return Err(wrong("its path is not where it must be"));
            }
            end += (path_len + link_len) as u64;
            let view = self.parse(at).map_err(wrong)?;
            check_path(last.0, view.path).map_err(wrong)?;
            if at > 0 && (view.path, view.stage) <= last {
                return Err(wrong("it does not come after the one before it"));
            }
            unmerged += usize::from(view.stage != Stage::Normal);
            last = (view.path, view.stage);
        }
        if end == self.strings().len() as u64 {
            Ok(unmerged)
        } else {
            Err("there are bytes after its last path".into())
        }
    }

    fn strings(&self) -> &[u8] {
        &self.bytes[self.strings.clone()]
    }

    fn record(&self, at: usize) -> &[u8; RECORD] {
        let start = HEADER + at * RECORD;
        self.bytes[start..].first_chunk().expect("the length was checked against the count")
    }

    fn parse(&self, at: usize) -> Result<EntryView<'_>, &'static str> {
        let record = self.record(at);
        let (start, path_len, link_len) = entry::strings_of(record);
        let start = usize::try_from(start).map_err(|_| "its path is not where it must be")?;
        entry::decode(record, &self.strings()[start..start + path_len + link_len])
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The whole file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// An entry by its position, which must be below [`Base::len`].
    pub(super) fn entry(&self, at: usize) -> EntryView<'_> {
        self.parse(at).expect("every entry was checked when the base was opened")
    }

    fn path(&self, at: usize) -> &[u8] {
        let (start, len, _) = entry::strings_of(self.record(at));
        &self.strings()[usize::try_from(start).expect("checked when the base was opened")..][..len]
    }

    /// How an entry's path and stage compare with others.
    pub(super) fn compare(&self, at: usize, path: &[u8], stage: u8) -> Ordering {
        self.path(at).cmp(path).then_with(|| self.record(at)[12].cmp(&stage))
    }

    /// The position of the first entry at or after a path and stage.
    pub(super) fn lower_bound(&self, path: &[u8], stage: u8) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            match self.compare(middle, path, stage) {
                Ordering::Less => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    /// The entry with this path and stage.
    pub(super) fn get(&self, path: &[u8], stage: Stage) -> Option<EntryView<'_>> {
        let at = self.lower_bound(path, stage as u8);
        (at < self.count && self.compare(at, path, stage as u8).is_eq()).then(|| self.entry(at))
    }
}

/// Checks a path by the rules of `RepoPath`, less the leading components it shares with a checked one.
fn check_path(checked: &[u8], path: &[u8]) -> Result<(), &'static str> {
    let same = checked.iter().zip(path).take_while(|(a, b)| a == b).count();
    let start = path[..same].iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    if path.len() > MAX_PATH || path[start..].split(|b| *b == b'/').any(|name| check_component(name).is_err()) {
        return Err("its path is not allowed");
    }
    Ok(())
}

/// Makes a base of entries in ascending order.
#[derive(Default)]
pub(super) struct BaseBuilder {
    records: Vec<u8>,
    strings: Vec<u8>,
}

impl BaseBuilder {
    /// Adds the next entry, which must come after the one before it and have been checked.
    pub(super) fn push(&mut self, entry: &EntryView<'_>) {
        entry.encode(self.strings.len() as u64, &mut self.records, &mut self.strings);
    }

    pub(super) fn finish(self, generation: Generation, tree: Option<TreeId>) -> Base {
        let count = self.records.len() / RECORD;
        let body = self.records.len() + self.strings.len();
        let mut bytes = Vec::with_capacity(HEADER + body + 4 * body.div_ceil(BLOCK));
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(u32::from(tree.is_some()).to_le_bytes());
        bytes.extend(generation);
        bytes.extend((count as u64).to_le_bytes());
        bytes.extend((self.strings.len() as u64).to_le_bytes());
        bytes.extend(tree.map_or([0; 32], |tree| tree.digest().0));
        bytes.resize(124, 0);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend(self.records);
        bytes.extend(self.strings);
        let numbered = bytes[HEADER..].chunks(BLOCK).enumerate();
        let checksums: Vec<_> = numbered.map(|(n, block)| block_checksum(&generation, n as u64, block)).collect();
        bytes.extend(checksums.concat());
        let strings = HEADER + count * RECORD..HEADER + body;
        let mut base = Base { bytes, count, strings, unmerged: 0, generation, tree };
        base.unmerged = (0..count).filter(|at| base.record(*at)[12] != 0).count();
        base
    }
}
