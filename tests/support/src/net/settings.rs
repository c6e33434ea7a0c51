//! How a link behaves.

use std::time::Duration;

/// One direction of a link, or both. Shares are percent of the packets.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkSettings {
    /// How long a packet travels, one way, after it has left the sender.
    pub delay: Duration,
    /// Packets lost on the way, at random. They have used the line.
    pub loss: f64,
    /// The rate at which packets leave the sender, in Mbit/s of IP packets.
    pub mbit: f64,
    /// Bytes that may wait to be sent; what arrives at a full queue is dropped.
    pub queue: usize,
    /// Packets that come late by [`LinkSettings::late`], so that those sent after them overtake.
    pub reorder: f64,
    /// How late those packets come.
    pub late: Duration,
    /// Packets that come twice.
    pub duplicate: f64,
    /// Packets in which a bit is turned. The receiving kernel sees that by the checksum and drops them.
    pub corrupt: f64,
    /// Packets in which two words of the payload change places. No IP checksum sees that: the program has to.
    pub corrupt_unseen: f64,
    /// The largest packet.
    pub mtu: u16,
    /// Chooses which packets these things happen to.
    pub seed: u64,
}

/// No delay, no faults, no limit but the machine's.
impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            loss: 0.0,
            mbit: f64::INFINITY,
            queue: 1_000_000,
            reorder: 0.0,
            late: Duration::from_millis(2),
            duplicate: 0.0,
            corrupt: 0.0,
            corrupt_unseen: 0.0,
            mtu: 1500,
            seed: 1,
        }
    }
}

impl LinkSettings {
    /// How long a packet of `len` bytes occupies the sender.
    pub(super) fn sending(&self, len: usize) -> Duration {
        Duration::from_secs_f64(len as f64 * 8.0 / (self.mbit * 1e6))
    }

    /// # Panics
    /// When a share is no percentage, or nothing could ever pass.
    pub(super) fn check(&self) {
        let shares = [self.loss, self.reorder, self.duplicate, self.corrupt, self.corrupt_unseen];
        assert!(shares.iter().all(|share| (0.0..=100.0).contains(share)), "a share is 0 to 100 %: {self:?}");
        assert!(self.mbit > 0.001, "the rate is in Mbit/s, and positive: {self:?}");
        assert!(self.mtu >= 576, "IPv4 needs packets of 576 bytes: {self:?}");
        assert!(self.queue >= usize::from(self.mtu), "the queue holds at least one packet: {self:?}");
    }
}
