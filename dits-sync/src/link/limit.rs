//! A limit of the rate on a link (`--limit-rate`).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Lane, Link, LinkError, Traffic};

/// Tokens of one byte each that come in at a steady rate. It has no clock: the time is passed in, counted from any start.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Bytes a second.
    rate: f64,
    /// What may be spent at once after a pause.
    burst: f64,
    /// What may be spent now; below zero is a debt that has to be waited for.
    balance: f64,
    last: Duration,
}

impl Bucket {
    /// A full bucket that gets `rate` bytes a second, at least 1, and holds a tenth of a second of them.
    #[must_use]
    pub fn new(rate: u64) -> Self {
        let rate = rate.max(1) as f64;
        let burst = rate / 10.0;
        Self { rate, burst, balance: burst, last: Duration::ZERO }
    }

    /// Spends bytes at the time `now`; how long to wait before whatever they are for.
    pub fn spend(&mut self, bytes: u64, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.last).as_secs_f64();
        self.last = self.last.max(now);
        self.balance = (self.balance + passed * self.rate).min(self.burst) - bytes as f64;
        if self.balance >= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(-self.balance / self.rate).unwrap_or(Duration::MAX)
    }
}

/// A link that neither sends nor takes more than so many bytes a second, each direction on its own. What is not taken waits
/// at the sender, once the carrier's buffers are full.
///
/// Messages on the control and demand lanes are counted, but do not wait: somebody waits for them.
pub struct Limited<L> {
    link: L,
    start: Instant,
    sending: Mutex<Bucket>,
    receiving: Mutex<Bucket>,
}

impl<L: Link> Limited<L> {
    /// Limits a link to `rate` bytes a second.
    #[must_use]
    pub fn new(link: L, rate: u64) -> Self {
        let bucket = || Mutex::new(Bucket::new(rate));
        Self { link, start: Instant::now(), sending: bucket(), receiving: bucket() }
    }

    fn pay(&self, bucket: &Mutex<Bucket>, lane: Lane, len: usize) {
        let delay = bucket.lock().unwrap_or_else(PoisonError::into_inner).spend(len as u64 + 5, self.start.elapsed());
        if matches!(lane, Lane::Bulk(_)) {
            std::thread::sleep(delay);
        }
    }
}

impl<L: Link> Link for Limited<L> {
    fn send(&self, lane: Lane, message: Bytes) -> Result<(), LinkError> {
        self.pay(&self.sending, lane, message.len());
        self.link.send(lane, message)
    }

    fn recv(&self, patience: Duration) -> Result<(Lane, Bytes), LinkError> {
        let (lane, message) = self.link.recv(patience)?;
        self.pay(&self.receiving, lane, message.len());
        Ok((lane, message))
    }

    fn has_ended(&self) -> bool {
        self.link.has_ended()
    }

    fn admitted(&self) {
        self.link.admitted();
    }

    fn traffic(&self) -> Traffic {
        self.link.traffic()
    }

    fn close(&self) {
        self.link.close();
    }

    fn peer(&self) -> String {
        self.link.peer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_time_the_rate_is_kept() {
        let mut bucket = Bucket::new(1000);
        let mut now = Duration::from_secs(5);
        for _ in 0..100 {
            now += bucket.spend(500, now);
        }
        // 50 000 bytes, of which 100 were in the bucket.
        let seconds = (now - Duration::from_secs(5)).as_secs_f64();
        assert!((49.8..=50.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn a_pause_does_not_save_up_more_than_the_burst() {
        let mut bucket = Bucket::new(1000);
        assert_eq!(bucket.spend(100, Duration::from_secs(1000)), Duration::ZERO);
        assert_eq!(bucket.spend(100, Duration::from_secs(1000)), Duration::from_millis(100));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut bucket = Bucket::new(1000);
        bucket.spend(1100, Duration::from_secs(10));
        assert_eq!(bucket.spend(0, Duration::from_secs(9)), Duration::from_secs(1));
        assert_eq!(bucket.spend(0, Duration::from_secs(11)), Duration::ZERO);
    }
}
