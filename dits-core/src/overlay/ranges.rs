//! Which bytes of a file are not those of its base content.

use std::collections::BTreeMap;
use std::ops::Range;

use bincode::{Decode, Encode};

/// What bytes are that are not the base content's. The order is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Fill {
    /// They are in the file's data file, at the same offset.
    Data,
    /// They are zero.
    Zero,
}

/// Disjoint ranges of a file. Neighbours of one kind are one range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// From where each begins to where it ends.
    map: BTreeMap<u64, (u64, Fill)>,
}

impl Ranges {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Range<u64>, Fill)> {
        self.map.iter().map(|(start, (end, fill))| (*start..*end, *fill))
    }

    /// Whether all of a range is of this kind already.
    #[must_use]
    pub fn covers(&self, range: &Range<u64>, fill: Fill) -> bool {
        let before = self.map.range(..=range.start).next_back();
        before.is_some_and(|(_, (end, kind))| *kind == fill && *end >= range.end)
    }

    /// Makes a range of this kind.
    pub fn set(&mut self, range: &Range<u64>, fill: Fill) {
        if range.is_empty() {
            return;
        }
        self.clear(range);
        let Range { mut start, mut end } = *range;
        if let Some((&from, &(to, kind))) = self.map.range(..start).next_back()
            && (to, kind) == (start, fill)
        {
            self.map.remove(&from);
            start = from;
        }
        if let Some(&(to, kind)) = self.map.get(&end)
            && kind == fill
        {
            self.map.remove(&end);
            end = to;
        }
        self.map.insert(start, (end, fill));
    }

    /// Takes a range out of all.
    pub fn clear(&mut self, range: &Range<u64>) {
        if let Some((&from, &(to, kind))) = self.map.range(..range.start).next_back()
            && to > range.start
        {
            self.map.insert(from, (range.start, kind));
            if to > range.end {
                self.map.insert(range.end, (to, kind));
            }
        }
        while let Some((&from, &(to, kind))) = self.map.range(range.clone()).next() {
            self.map.remove(&from);
            if to > range.end {
                self.map.insert(range.end, (to, kind));
            }
        }
    }

    /// Forgets everything from `size` on.
    pub fn truncate(&mut self, size: u64) {
        self.clear(&(size..u64::MAX));
    }

    /// A range in pieces: of each whether it is one of these, or (`None`) the base content's.
    #[must_use]
    pub fn pieces(&self, range: Range<u64>) -> Vec<(Range<u64>, Option<Fill>)> {
        let (mut at, mut pieces) = (range.start, Vec::new());
        if range.is_empty() {
            return pieces;
        }
        let first = self.map.range(..=range.start).next_back().map_or(range.start, |(from, _)| *from);
        for (&from, &(to, kind)) in self.map.range(first..range.end) {
            if to <= at {
                continue;
            }
            if from > at {
                pieces.push((at..from, None));
            }
            let end = to.min(range.end);
            pieces.push((from.max(at)..end, Some(kind)));
            at = end;
        }
        if at < range.end {
            pieces.push((at..range.end, None));
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fill() -> impl Strategy<Value = Fill> {
        prop_oneof![Just(Fill::Data), Just(Fill::Zero)]
    }

    proptest! {
        #[test]
        fn ranges_are_what_an_array_would_be(
            steps in prop::collection::vec((0..60_u64, 0..30_u64, prop::option::of(fill())), 0..40),
            from in 0..100_u64,
            len in 0..50_u64,
        ) {
            let (mut ranges, mut model) = (Ranges::default(), [None; 100]);
            for (start, len, fill) in steps {
                match fill {
                    Some(fill) => {
                        let covered = model[start as usize..(start + len) as usize].iter().all(|byte| *byte == Some(fill));
                        prop_assert!(len == 0 || ranges.covers(&(start..start + len), fill) == covered);
                        ranges.set(&(start..start + len), fill);
                        model[start as usize..(start + len) as usize].fill(Some(fill));
                    }
                    None => {
                        ranges.truncate(start);
                        model[start as usize..].fill(None);
                    }
                }
            }
            let end = (from + len).min(100);
            let mut at = from.min(end);
            for (piece, fill) in ranges.pieces(at..end) {
                prop_assert!(piece.start == at && piece.start < piece.end);
                prop_assert!(model[piece.start as usize..piece.end as usize].iter().all(|byte| *byte == fill));
                at = piece.end;
            }
            prop_assert_eq!(at, end);
            let listed: Vec<_> = ranges.iter().collect();
            prop_assert!(listed.windows(2).all(|two| two[0].0.end < two[1].0.start
                || (two[0].0.end == two[1].0.start && two[0].1 != two[1].1)));
        }
    }
}
