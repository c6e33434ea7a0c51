//! One page of a sorted index: 78 entries and a checksum. See `docs/format/pack.md`.

use crate::object::Digest;

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Bytes of an entry.
pub const ENTRY: usize = 52;
/// Entries of a full page.
pub const PER_PAGE: usize = 78;

/// Where an object lies, and what a listing needs to know about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The object's name.
    pub digest: Digest,
    /// Where its frame begins in the pack; less than 2^48.
    pub offset: u64,
    /// The number of its kind.
    pub kind: u8,
    /// The number of its encoding.
    pub encoding: u8,
    /// Bytes of the whole frame, header included.
    pub stored_len: u32,
    /// Bytes of the object.
    pub plain_len: u32,
    /// In a merged index: which of its packs. 0 in a pack's own.
    pub pack: u32,
}

impl Entry {
    fn encode(&self, out: &mut [u8]) {
        out[..32].copy_from_slice(&self.digest.0);
        out[32..38].copy_from_slice(&self.offset.to_le_bytes()[..6]);
        out[38] = self.kind;
        out[39] = self.encoding;
        out[40..44].copy_from_slice(&self.stored_len.to_le_bytes());
        out[44..48].copy_from_slice(&self.plain_len.to_le_bytes());
        out[48..52].copy_from_slice(&self.pack.to_le_bytes());
    }

    /// The entry at place `slot` of a page.
    pub(super) fn at(page: &[u8], slot: usize) -> Self {
        let bytes = &page[slot * ENTRY..(slot + 1) * ENTRY];
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut offset = [0; 8];
        offset[..6].copy_from_slice(&bytes[32..38]);
        Self {
            digest: digest_at(page, slot),
            offset: u64::from_le_bytes(offset),
            kind: bytes[38],
            encoding: bytes[39],
            stored_len: number(40),
            plain_len: number(44),
            pack: number(48),
        }
    }
}

/// The name in the entry at place `slot` of a page.
pub(super) fn digest_at(page: &[u8], slot: usize) -> Digest {
    let mut digest = Digest([0; 32]);
    digest.0.copy_from_slice(&page[slot * ENTRY..slot * ENTRY + 32]);
    digest
}

/// The page with these entries, at most [`PER_PAGE`].
#[must_use]
pub fn encode_page(entries: &[Entry]) -> [u8; PAGE] {
    let mut page = [0; PAGE];
    for (slot, entry) in entries.iter().enumerate() {
        entry.encode(&mut page[slot * ENTRY..(slot + 1) * ENTRY]);
    }
    let crc = crc32fast::hash(&page[..PAGE - 4]);
    page[PAGE - 4..].copy_from_slice(&crc.to_le_bytes());
    page
}

/// Whether a page matches its checksum.
#[must_use]
pub fn intact(page: &[u8]) -> bool {
    page.len() == PAGE && crc32fast::hash(&page[..PAGE - 4]).to_le_bytes() == page[PAGE - 4..]
}

/// The first `count` entries of a page that has that many; `None` when it is damaged, out of order, or holds more.
#[must_use]
pub fn decode_page(page: &[u8], count: usize) -> Option<Vec<Entry>> {
    if !intact(page) || count > PER_PAGE || page[count * ENTRY..PAGE - 4].iter().any(|b| *b != 0) {
        return None;
    }
    let entries: Vec<Entry> = (0..count).map(|slot| Entry::at(page, slot)).collect();
    entries.is_sorted_by_key(|e| (e.digest, e.pack)).then_some(entries)
}
