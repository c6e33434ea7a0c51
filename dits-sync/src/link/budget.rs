//! What may wait to be sent on all links of this process together.
//!
//! On one link much may wait, so that its two threads seldom wait for each other. On a hundred links at once that would be a
//! gigabyte, and no faster: they share the machine anyhow. So as soon as much waits altogether, each link keeps to its share.

use std::sync::atomic::{AtomicUsize, Ordering};

/// For the bulk lanes of all links over networks and pipes.
pub(super) static SENDING: Budget = Budget::new(64 << 20, 512 << 10);

/// Bytes that links take and give back.
pub(super) struct Budget {
    /// From so many taken on, each link has to keep to its share.
    plenty: usize,
    /// A share is not less than this.
    least: usize,
    taken: AtomicUsize,
    links: AtomicUsize,
}

impl Budget {
    pub const fn new(plenty: usize, least: usize) -> Self {
        Self { plenty, least, taken: AtomicUsize::new(0), links: AtomicUsize::new(0) }
    }

    /// What each link may have whatever the others have.
    pub fn share(&self) -> usize {
        (self.plenty / self.links.load(Ordering::Relaxed).max(1)).max(self.least)
    }

    /// Whether a link may have this much.
    fn allows(&self, bytes: usize) -> bool {
        self.taken.load(Ordering::Relaxed) <= self.plenty || bytes <= self.share()
    }
}

/// What one link has of a budget; it goes back with it.
pub(super) struct Account {
    budget: &'static Budget,
    taken: usize,
}

impl Account {
    pub fn new(budget: &'static Budget) -> Self {
        budget.links.fetch_add(1, Ordering::Relaxed);
        Self { budget, taken: 0 }
    }

    /// Whether so much more may be taken. If not, it may be once some is given back.
    pub fn allows(&self, bytes: usize) -> bool {
        self.budget.allows(self.taken + bytes)
    }

    pub fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        self.budget.taken.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn give_back(&mut self, bytes: usize) {
        self.taken -= bytes;
        self.budget.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.give_back(self.taken);
        self.budget.links.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_link_may_have_much_and_many_have_their_share() {
        static BUDGET: Budget = Budget::new(1000, 100);
        let mut first = Account::new(&BUDGET);
        first.take(1000);
        assert!(first.allows(1000));
        first.take(1000);
        assert!(!first.allows(1));
        let mut others: Vec<Account> = (0..4).map(|_| Account::new(&BUDGET)).collect();
        assert!(others[0].allows(200) && !others[0].allows(201));
        others[0].take(200);
        let many: Vec<Account> = (0..95).map(|_| Account::new(&BUDGET)).collect();
        assert!(many[0].allows(100) && !many[0].allows(101) && !others[0].allows(1));
        drop((first, many));
        assert!(others[0].allows(5000));
        others.clear();
        assert_eq!((BUDGET.taken.load(Ordering::Relaxed), BUDGET.share()), (0, 1000));
    }
}
