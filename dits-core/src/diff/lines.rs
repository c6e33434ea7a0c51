//! Comparing text line by line.

use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp};

/// How long the comparison looks for the shortest difference before it takes a longer one.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineChange {
    /// It is in both.
    Same,
    /// It is in the old text only.
    Removed,
    /// It is in the new text only.
    Added,
}

/// Lines that changed, with some around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// The lines of the old text it covers, counted from 0.
    pub old: Range<usize>,
    /// The lines of the new text it covers, counted from 0.
    pub new: Range<usize>,
    /// The lines, with their line ends; the last line of a text may have none.
    pub lines: Vec<(LineChange, &'a [u8])>,
}

/// How two texts differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineDiff<'a> {
    /// The changed places in order.
    pub hunks: Vec<Hunk<'a>>,
    /// How many lines the new text has that the old one has not.
    pub added: usize,
    /// How many lines the old text has that the new one has not.
    pub removed: usize,
}

/// The lines of a text, each with its line end.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Compares two texts by Myers' algorithm; changes closer than twice `context` lines share a hunk.
#[must_use]
pub fn lines_of<'a>(old: &'a [u8], new: &'a [u8], context: usize) -> LineDiff<'a> {
    let (old, new) = (lines(old), lines(new));
    let deadline = Some(Instant::now() + PATIENCE);
    let ops = similar::capture_diff_slices_deadline(Algorithm::Myers, &old, &new, deadline);
    let mut diff = LineDiff::default();
    for group in similar::group_diff_ops(ops, context) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let mut hunk = Hunk {
            old: first.old_range().start..last.old_range().end,
            new: first.new_range().start..last.new_range().end,
            lines: Vec::new(),
        };
        for op in &group {
            if matches!(op, DiffOp::Equal { .. }) {
                hunk.lines.extend(old[op.old_range()].iter().map(|line| (LineChange::Same, *line)));
                continue;
            }
            let (removed, added) = (&old[op.old_range()], &new[op.new_range()]);
            hunk.lines.extend(removed.iter().map(|line| (LineChange::Removed, *line)));
            hunk.lines.extend(added.iter().map(|line| (LineChange::Added, *line)));
            diff.removed += removed.len();
            diff.added += added.len();
        }
        if hunk.lines.iter().any(|(change, _)| *change != LineChange::Same) {
            diff.hunks.push(hunk);
        }
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_have_context_and_far_changes_are_apart() {
        let old: String = (1..=30).map(|n| format!("{n}\n")).collect();
        let new = old.replace("5\n", "five\n").replacen("28\n", "", 1);
        let diff = lines_of(old.as_bytes(), new.as_bytes(), 3);
        // 5, 15 and 25 are changed: the last two hunks touch.
        assert_eq!((diff.added, diff.removed), (3, 4));
        let ranges: Vec<_> = diff.hunks.iter().map(|hunk| (hunk.old.clone(), hunk.new.clone())).collect();
        assert_eq!(ranges, [(1..8, 1..8), (11..18, 11..18), (21..30, 21..29)]);
        assert_eq!(diff.hunks[0].lines[3], (LineChange::Removed, &b"5\n"[..]));
        assert_eq!(diff.hunks[0].lines[4], (LineChange::Added, &b"five\n"[..]));
    }

    #[test]
    fn nothing_against_something() {
        let diff = lines_of(b"", b"a\nb", 3);
        assert_eq!((diff.added, diff.removed, diff.hunks.len()), (2, 0, 1));
        assert_eq!(diff.hunks[0].old, 0..0);
        assert_eq!(diff.hunks[0].lines[1], (LineChange::Added, &b"b"[..]));
        assert_eq!(lines_of(b"a\n", b"a\n", 3), LineDiff::default());
        assert_eq!(lines_of(b"a", b"a\n", 3).hunks[0].lines.len(), 2, "a missing line end is a difference");
    }
}
