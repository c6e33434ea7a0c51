//! Searching sorted pages, wherever they lie: at the end of a pack or in a merged index.
//!
//! Digests are uniformly distributed, so a name's place can be computed and is a page or two off (interpolation
//! search); where somebody chose the digests, halving takes over after a few steps. What the search saw on its way is
//! not checked, but the answer is: it holds only where pages with right checksums surround it.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use super::page::{ENTRY, Entry, PAGE, PER_PAGE, decode_page, digest_at, intact};
use crate::object::Digest;
use crate::store::StoreError;
use crate::store::folder::Blob;

/// Interpolation steps before halving takes turns with it.
const TRUST_INTERPOLATION: u32 = 8;

enum Pages {
    Mapped(Mmap),
    Read(Arc<dyn Blob>, u64),
}

/// A sorted list of entries in a file.
pub struct Index {
    file: PathBuf,
    remedy: &'static str,
    pages: Pages,
    entries: u64,
}

impl Index {
    /// Bytes that the pages of that many entries take.
    #[must_use]
    pub fn bytes_for(entries: u64) -> Option<u64> {
        entries.div_ceil(PER_PAGE as u64).checked_mul(PAGE as u64)
    }

    /// The `entries` entries whose pages begin at `start` of `blob`. The caller has checked that the file is long
    /// enough. `remedy` ends the message when a page turns out to be damaged.
    pub(super) fn new(
        blob: &Arc<dyn Blob>,
        start: u64,
        entries: u64,
        remedy: &'static str,
    ) -> Result<Self, StoreError> {
        let len = Self::bytes_for(entries).unwrap_or(u64::MAX);
        let pages = match if entries == 0 { None } else { blob.map(start..start.saturating_add(len))? } {
            Some(map) => Pages::Mapped(map),
            None => Pages::Read(Arc::clone(blob), start),
        };
        Ok(Self { file: blob.path().to_owned(), remedy, pages, entries })
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.entries
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The file it lies in.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn page_count(&self) -> u64 {
        self.entries.div_ceil(PER_PAGE as u64)
    }

    fn entries_in(&self, page: u64) -> usize {
        (self.entries - page * PER_PAGE as u64).min(PER_PAGE as u64) as usize
    }

    pub(in crate::store) fn corrupt(&self, what: &str) -> StoreError {
        StoreError::Corrupt { file: self.file.clone(), what: format!("{what}; {}", self.remedy) }
    }

    fn page<'a>(&'a self, page: u64, buffer: &'a mut [u8; PAGE]) -> Result<&'a [u8], StoreError> {
        match &self.pages {
            Pages::Mapped(map) => {
                let at = page as usize * PAGE;
                map.get(at..at + PAGE).ok_or_else(|| self.corrupt("its index is cut off"))
            }
            Pages::Read(blob, start) => {
                blob.read_at(buffer, start + page * PAGE as u64)?;
                Ok(buffer)
            }
        }
    }

    fn intact_page<'a>(&'a self, page: u64, buffer: &'a mut [u8; PAGE]) -> Result<&'a [u8], StoreError> {
        let bytes = self.page(page, buffer)?;
        if intact(bytes) { Ok(bytes) } else { Err(self.corrupt(&format!("page {page} of its index is damaged"))) }
    }

    /// The entries of one page, checked.
    ///
    /// # Errors
    /// When the page is damaged or cannot be read.
    pub(super) fn entries_of(&self, page: u64) -> Result<Vec<Entry>, StoreError> {
        let mut buffer = [0; PAGE];
        let bytes = self.page(page, &mut buffer)?;
        decode_page(bytes, self.entries_in(page))
            .ok_or_else(|| self.corrupt(&format!("page {page} of its index is damaged")))
    }

    /// The last page that begins before `key`, or the first page. With `check`, pages on the way are checked too.
    fn page_before(&self, key: &Digest, check: bool) -> Result<u64, StoreError> {
        let mut buffer = [0; PAGE];
        let (mut low, mut high) = (0, self.page_count());
        let (mut low_key, mut high_key) = (0, u64::MAX);
        let wanted = key.prefix_u64();
        let mut steps = 0;
        while high - low > 1 {
            let probe = if check || (steps >= TRUST_INTERPOLATION && steps % 2 == 0) {
                low + (high - low) / 2
            } else {
                interpolate((low, low_key), (high, high_key), wanted)
            };
            let bytes = if check { self.intact_page(probe, &mut buffer)? } else { self.page(probe, &mut buffer)? };
            let first = digest_at(bytes, 0);
            if first < *key {
                (low, low_key) = (probe, first.prefix_u64());
            } else {
                (high, high_key) = (probe, first.prefix_u64());
            }
            steps += 1;
        }
        Ok(low)
    }

    /// The place of the first entry that is not before `key` if `page` and its neighbour prove it, else `None`.
    fn settle(&self, key: &Digest, page: u64) -> Result<Option<u64>, StoreError> {
        let mut buffer = [0; PAGE];
        let bytes = self.intact_page(page, &mut buffer)?;
        if page > 0 && digest_at(bytes, 0) >= *key {
            return Ok(None);
        }
        let count = self.entries_in(page);
        let slot = lower_slot(bytes, count, key);
        let place = page * PER_PAGE as u64 + slot as u64;
        if slot < count || page + 1 == self.page_count() {
            return Ok(Some(place));
        }
        let next = self.intact_page(page + 1, &mut buffer)?;
        Ok((digest_at(next, 0) >= *key).then_some(place))
    }

    /// The place of the first entry that is not before `key`; [`Index::len`] when all are.
    ///
    /// # Errors
    /// When a page that the answer rests on is damaged or cannot be read.
    pub fn lower_bound(&self, key: &Digest) -> Result<u64, StoreError> {
        if self.entries == 0 {
            return Ok(0);
        }
        let quick = self.page_before(key, false)?;
        if let Some(place) = self.settle(key, quick)? {
            return Ok(place);
        }
        // A damaged page misled the search: find it, or find that the order is wrong.
        let sure = self.page_before(key, true)?;
        self.settle(key, sure)?.ok_or_else(|| self.corrupt("its index is out of order"))
    }

    /// The entry at a place below [`Index::len`].
    ///
    /// # Errors
    /// When its page is damaged or cannot be read.
    pub fn entry(&self, place: u64) -> Result<Entry, StoreError> {
        debug_assert!(place < self.entries, "the caller stays below len()");
        let mut buffer = [0; PAGE];
        let bytes = self.intact_page(place / PER_PAGE as u64, &mut buffer)?;
        Ok(Entry::at(bytes, (place % PER_PAGE as u64) as usize))
    }

    /// The first entry with this name.
    ///
    /// # Errors
    /// When a page that the answer rests on is damaged or cannot be read.
    pub fn find(&self, key: &Digest) -> Result<Option<Entry>, StoreError> {
        Ok(self.find_at(key)?.map(|(_, entry)| entry))
    }

    /// The first entry with this name, and its place.
    ///
    /// # Errors
    /// As for [`Index::find`].
    pub fn find_at(&self, key: &Digest) -> Result<Option<(u64, Entry)>, StoreError> {
        let place = self.lower_bound(key)?;
        if place >= self.entries {
            return Ok(None);
        }
        let entry = self.entry(place)?;
        Ok((entry.digest == *key).then_some((place, entry)))
    }

    /// All entries from `place` on, in order. It ends after the first error.
    pub fn iter_from(&self, place: u64) -> Entries<'_> {
        Entries { index: self, next: place, page: Vec::new() }
    }
}

/// The entries of an index, page by page.
pub struct Entries<'a> {
    index: &'a Index,
    next: u64,
    page: Vec<Entry>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.index.entries {
            return None;
        }
        let slot = (self.next % PER_PAGE as u64) as usize;
        if self.page.is_empty() || slot == 0 {
            match self.index.entries_of(self.next / PER_PAGE as u64) {
                Ok(page) => self.page = page,
                Err(e) => {
                    self.next = self.index.entries;
                    return Some(Err(e));
                }
            }
        }
        self.next += 1;
        Some(Ok(self.page[slot]))
    }
}

/// A page strictly between `low` and `high` where a name beginning with `wanted` should be.
fn interpolate((low, low_key): (u64, u64), (high, high_key): (u64, u64), wanted: u64) -> u64 {
    let span = u128::from(high_key.saturating_sub(low_key)).max(1);
    let ahead = u128::from(wanted.saturating_sub(low_key));
    let guess = low + (ahead * u128::from(high - low) / span).min(u128::from(high - low)) as u64;
    guess.clamp(low + 1, high - 1)
}

/// The first of the `count` entries of a page that is not before `key`.
fn lower_slot(page: &[u8], count: usize, key: &Digest) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = (low + high) / 2;
        match page[middle * ENTRY..middle * ENTRY + 32].cmp(&key.0) {
            Ordering::Less => low = middle + 1,
            _ => high = middle,
        }
    }
    low
}
