//! What is read before somebody asks: further as somebody goes on reading, never further than half of what they have read, and
//! never more in all than there is room for.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// The furthest that is read ahead.
const FURTHEST: u64 = 32 << 20;
/// Requests come from several threads of the kernel: so far out of order is still in sequence.
const SLACK: u64 = 2 << 20;
/// Less than this is not worth a request, unless the file ends there.
const WORTH: u64 = 512 << 10;

/// Bytes that may be read ahead and not be read yet, over all files.
pub struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    /// So many.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    /// How many are read ahead now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes as many of these as there are.
    fn take(&self, wanted: u64) -> u64 {
        let mut taken = 0;
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            taken = wanted.min(self.limit.saturating_sub(used));
            Some(used + taken)
        });
        taken
    }

    fn give(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// How somebody reads a file, and what was read ahead for them.
#[derive(Debug, Default)]
pub struct Window {
    /// Where the last read ended.
    next: u64,
    /// How many bytes were read in sequence.
    run: u64,
    /// Where what was read ahead ends.
    ahead: u64,
    /// How much of it counts against the budget.
    held: u64,
}

impl Window {
    /// Notes that a range is read; gives what should be read ahead now, if anything.
    pub fn note(&mut self, range: &Range<u64>, size: u64, budget: &Budget) -> Option<Range<u64>> {
        let in_sequence = range.start <= self.next + SLACK && range.end + SLACK >= self.next;
        if in_sequence {
            self.run = self.run.saturating_add(range.end - range.start);
            self.next = self.next.max(range.end);
        } else {
            (self.run, self.next, self.ahead) = (range.end - range.start, range.end, range.end);
        }
        self.ahead = self.ahead.max(self.next);
        self.settle(budget);
        let end = self.next.saturating_add((self.run / 2).min(FURTHEST)).min(size);
        let wanted = end.saturating_sub(self.ahead);
        if wanted < WORTH && (end < size || wanted == 0) {
            return None;
        }
        let taken = budget.take(wanted);
        if taken == 0 {
            return None;
        }
        let from = self.ahead;
        self.ahead += taken;
        self.held += taken;
        Some(from..self.ahead)
    }

    /// Gives back what has been read, or will not be.
    fn settle(&mut self, budget: &Budget) {
        let outstanding = self.ahead - self.next;
        if self.held > outstanding {
            budget.give(self.held - outstanding);
            self.held = outstanding;
        }
    }

    /// Gives back everything.
    pub fn release(&mut self, budget: &Budget) {
        budget.give(std::mem::take(&mut self.held));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: u64 = 128 << 10;

    #[test]
    fn grows_while_somebody_goes_on_and_never_beyond_half_of_what_was_read() {
        let (budget, mut window) = (Budget::new(1 << 30), Window::default());
        let (size, mut furthest) = (1 << 30, 0);
        for at in (0..256 << 20).step_by(STEP as usize) {
            if let Some(ahead) = window.note(&(at..at + STEP), size, &budget) {
                assert!(ahead.start >= at + STEP && ahead.end <= (at + STEP) * 3 / 2, "{ahead:?} at {at}");
                assert!(ahead.start == furthest || furthest <= at + STEP, "nothing twice");
                furthest = ahead.end;
            }
        }
        assert!(furthest > (256 << 20) + FURTHEST / 2 && budget.used() <= FURTHEST);
        window.release(&budget);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_seek_begins_anew_and_gives_back_what_was_read_ahead() {
        let (budget, mut window) = (Budget::new(1 << 30), Window::default());
        for at in (0..16 << 20).step_by(STEP as usize) {
            window.note(&(at..at + STEP), 1 << 30, &budget);
        }
        assert!(budget.used() > 0);
        assert_eq!(window.note(&(500 << 20..(500 << 20) + STEP), 1 << 30, &budget), None);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_few_bytes_at_both_ends_bring_no_more() {
        let (budget, mut window) = (Budget::new(1 << 30), Window::default());
        for range in [0..4096, (1 << 30) - 4096..1 << 30, 4096..8192] {
            assert_eq!(window.note(&range, 1 << 30, &budget), None, "{range:?}");
        }
    }

    #[test]
    fn all_together_stay_within_the_budget() {
        let budget = Budget::new(4 << 20);
        let mut windows: Vec<Window> = (0..10).map(|_| Window::default()).collect();
        for at in (0..64 << 20).step_by(STEP as usize) {
            windows.iter_mut().for_each(|window| _ = window.note(&(at..at + STEP), 1 << 30, &budget));
            assert!(budget.used() <= 4 << 20);
        }
        windows.iter_mut().for_each(|window| window.release(&budget));
        assert_eq!(budget.used(), 0);
    }
}
