//! Entries in order: the base's and the changed ones, merged.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;
use std::ops::Bound;

use super::{Base, Entry, EntryView, split_key};

/// Iterates over entries by path and stage.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    base: &'a Base,
    at: usize,
    end: usize,
    overlay: Peekable<btree_map::Range<'a, Vec<u8>, Option<Entry>>>,
}

impl<'a> Entries<'a> {
    /// The entries whose paths are at or after `low` and before `high`.
    pub(super) fn new(
        base: &'a Base,
        overlay: &'a BTreeMap<Vec<u8>, Option<Entry>>,
        low: &[u8],
        high: Option<&[u8]>,
    ) -> Self {
        let at = base.lower_bound(low, 0);
        let end = high.map_or(base.len(), |high| base.lower_bound(high, 0));
        let upper = high.map_or(Bound::Unbounded, Bound::Excluded);
        let overlay = overlay.range::<[u8], _>((Bound::Included(low), upper)).peekable();
        Self { base, at, end, overlay }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = EntryView<'a>;

    fn next(&mut self) -> Option<EntryView<'a>> {
        loop {
            let order = match self.overlay.peek() {
                None if self.at == self.end => return None,
                None => Ordering::Less,
                Some(_) if self.at == self.end => Ordering::Greater,
                Some((key, _)) => {
                    let (path, stage) = split_key(key);
                    self.base.compare(self.at, path, stage)
                }
            };
            if order.is_lt() {
                self.at += 1;
                return Some(self.base.entry(self.at - 1));
            }
            self.at += usize::from(order.is_eq());
            if let Some((_, Some(entry))) = self.overlay.next() {
                return Some(entry.view());
            }
        }
    }
}
