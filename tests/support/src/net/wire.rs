//! One direction of a link as a state machine without I/O and without a clock: packets arrive at a queue, are sent one
//! after the other at the link's rate, and travel.
//!
//! A packet's sending begins when the one before has been sent, not when somebody looks: a late look costs no rate.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::packet;
use super::settings::LinkSettings;
use crate::SplitMix64;

/// What has happened to the packets of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that entered the link.
    pub packets: u64,
    /// Their bytes, with their IP headers.
    pub bytes: u64,
    /// Packets that came out, duplicates included.
    pub delivered_packets: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Packets lost at random.
    pub lost: u64,
    /// Packets dropped at a full queue.
    pub overflowed: u64,
    /// Packets dropped by a blackout.
    pub cut: u64,
    /// Packets that came late.
    pub reordered: u64,
    /// Packets that came twice.
    pub duplicated: u64,
    /// Packets that were changed, seen or unseen.
    pub corrupted: u64,
}

/// The state. `now` is the time since some beginning and never goes back.
#[derive(Debug)]
pub(super) struct Wire {
    settings: LinkSettings,
    random: SplitMix64,
    /// What waits, and how many bytes that is.
    queue: VecDeque<Vec<u8>>,
    queued: usize,
    /// What is being sent, and when its last bit is out.
    sending: Option<(Duration, Vec<u8>)>,
    /// What travels, by the time it comes out; the number keeps the order of equal times.
    travelling: BTreeMap<(Duration, u64), Vec<u8>>,
    number: u64,
    dark: bool,
    counters: Counters,
}

impl Wire {
    pub(super) fn new(settings: LinkSettings) -> Self {
        Self {
            random: SplitMix64::new(settings.seed),
            settings,
            queue: VecDeque::new(),
            queued: 0,
            sending: None,
            travelling: BTreeMap::new(),
            number: 0,
            dark: false,
            counters: Counters::default(),
        }
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// Holds for packets whose sending has not begun. A new seed begins its sequence.
    pub(super) fn set(&mut self, settings: LinkSettings) {
        if settings.seed != self.settings.seed {
            self.random = SplitMix64::new(settings.seed);
        }
        self.settings = settings;
    }

    /// While dark nothing arrives; what was on its way is lost.
    pub(super) fn blackout(&mut self, dark: bool) {
        self.dark = dark;
        if dark {
            let lost = self.queue.len() + usize::from(self.sending.is_some()) + self.travelling.len();
            self.counters.cut += lost as u64;
            self.queue.clear();
            self.queued = 0;
            self.sending = None;
            self.travelling.clear();
        }
    }

    /// A packet comes to the sender.
    pub(super) fn arrive(&mut self, now: Duration, packet: Vec<u8>) {
        self.advance(now);
        self.counters.packets += 1;
        self.counters.bytes += packet.len() as u64;
        if self.dark {
            self.counters.cut += 1;
        } else if self.sending.is_none() {
            self.send(now, packet);
        } else if self.queued + packet.len() > self.settings.queue {
            self.counters.overflowed += 1;
        } else {
            self.queued += packet.len();
            self.queue.push_back(packet);
        }
    }

    /// When [`Wire::leave`] may have something.
    pub(super) fn next(&self) -> Option<Duration> {
        let sent = self.sending.as_ref().map(|(sent, _)| *sent);
        let travelled = self.travelling.keys().next().map(|(due, _)| *due);
        sent.into_iter().chain(travelled).min()
    }

    /// Takes out a packet that has come to the receiver.
    pub(super) fn leave(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.advance(now);
        let first = self.travelling.first_entry().filter(|entry| entry.key().0 <= now)?;
        let packet = first.remove();
        self.counters.delivered_packets += 1;
        self.counters.delivered_bytes += packet.len() as u64;
        Some(packet)
    }

    /// What has been sent by now begins to travel.
    fn advance(&mut self, now: Duration) {
        while let Some((sent, packet)) = self.sending.take_if(|(sent, _)| *sent <= now) {
            self.travel(sent, packet);
            if let Some(packet) = self.queue.pop_front() {
                self.queued -= packet.len();
                self.send(sent, packet);
            }
        }
    }

    fn send(&mut self, begin: Duration, packet: Vec<u8>) {
        self.sending = Some((begin + self.settings.sending(packet.len()), packet));
    }

    fn travel(&mut self, sent: Duration, mut packet: Vec<u8>) {
        if self.happens(self.settings.loss) {
            self.counters.lost += 1;
            return;
        }
        if self.happens(self.settings.corrupt) {
            packet::turn_a_bit(&mut packet, &mut self.random);
            self.counters.corrupted += 1;
        }
        if self.happens(self.settings.corrupt_unseen) && packet::exchange_words(&mut packet, &mut self.random) {
            self.counters.corrupted += 1;
        }
        let mut due = sent + self.settings.delay;
        if self.happens(self.settings.duplicate) {
            self.counters.duplicated += 1;
            self.put(due, packet.clone());
        }
        if self.happens(self.settings.reorder) {
            self.counters.reordered += 1;
            due += self.settings.late;
        }
        self.put(due, packet);
    }

    fn put(&mut self, due: Duration, packet: Vec<u8>) {
        self.number += 1;
        self.travelling.insert((due, self.number), packet);
    }

    /// Whether something that befalls `percent` of the packets befalls this one.
    fn happens(&mut self, percent: f64) -> bool {
        percent > 0.0 && (self.random.below(1 << 32) as f64) < percent / 100.0 * (1_u64 << 32) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Lets `count` packets of 1000 bytes arrive, one each `gap`, and gives number and time of those that come out.
    fn run(wire: &mut Wire, count: u32, gap: Duration) -> Vec<(u32, Duration)> {
        let mut out = Vec::new();
        let mut take = |wire: &mut Wire, until: Duration| {
            while let Some(next) = wire.next().filter(|next| *next <= until) {
                while let Some(packet) = wire.leave(next) {
                    out.push((u32::from_be_bytes(packet[..4].try_into().unwrap()), next));
                }
            }
        };
        for number in 0..count {
            let now = gap * number;
            take(wire, now);
            let mut packet = number.to_be_bytes().to_vec();
            packet.resize(1000, 0);
            wire.arrive(now, packet);
        }
        take(wire, Duration::MAX);
        out
    }

    #[test]
    fn a_packet_is_sent_then_travels() {
        let mut wire = Wire::new(LinkSettings { delay: 20 * MS, mbit: 8.0, ..LinkSettings::default() });
        let out = run(&mut wire, 3, Duration::ZERO);
        assert_eq!(out, [(0, 21 * MS), (1, 22 * MS), (2, 23 * MS)]); // 1000 bytes at 8 Mbit/s take a millisecond
    }

    #[test]
    fn a_late_look_costs_no_rate() {
        let mut wire = Wire::new(LinkSettings { mbit: 8.0, ..LinkSettings::default() });
        (0..10).for_each(|_| wire.arrive(Duration::ZERO, vec![0; 1000]));
        let out = std::iter::from_fn(|| wire.leave(10 * MS)).count();
        assert_eq!(out, 10);
    }

    #[test]
    fn a_full_queue_drops() {
        let mut wire = Wire::new(LinkSettings { mbit: 8.0, queue: 5000, ..LinkSettings::default() });
        let out = run(&mut wire, 20, Duration::ZERO);
        // One is being sent, five wait.
        assert_eq!(out.len(), 6);
        assert_eq!(wire.counters().overflowed, 14);
        // At half the arrival rate half of them pass, and the queue lets a burst through.
        let mut wire = Wire::new(LinkSettings { mbit: 4.0, queue: 5000, ..LinkSettings::default() });
        let out = run(&mut wire, 1000, MS);
        assert!((500..=510).contains(&out.len()), "{}", out.len());
    }

    #[test]
    fn shares_are_what_was_asked_for() {
        let settings = LinkSettings { loss: 5.0, duplicate: 2.0, reorder: 3.0, ..LinkSettings::default() };
        let mut wire = Wire::new(settings);
        let out = run(&mut wire, 20_000, MS / 10);
        let counters = wire.counters();
        let near = |count: u64, wanted: f64| (count as f64 / wanted - 1.0).abs() < 0.15;
        assert!(near(counters.lost, 1000.0) && near(counters.duplicated, 380.0), "{counters:?}");
        assert!(near(counters.reordered, 570.0), "{counters:?}");
        assert_eq!(out.len() as u64, 20_000 - counters.lost + counters.duplicated);
        let overtaken = out.windows(2).filter(|pair| pair[0].0 > pair[1].0).count() as f64;
        assert!((500.0..1000.0).contains(&overtaken), "{overtaken}");
    }

    #[test]
    fn the_seed_decides() {
        let settings = |seed| LinkSettings { loss: 30.0, seed, ..LinkSettings::default() };
        let survivors = |seed| run(&mut Wire::new(settings(seed)), 200, MS);
        assert_eq!(survivors(7), survivors(7));
        assert_ne!(survivors(7), survivors(8));
    }

    #[test]
    fn a_blackout_loses_what_is_on_its_way() {
        let mut wire = Wire::new(LinkSettings { delay: 50 * MS, mbit: 8.0, ..LinkSettings::default() });
        (0..5).for_each(|_| wire.arrive(Duration::ZERO, vec![0; 1000]));
        assert!(wire.leave(3 * MS).is_none());
        wire.blackout(true);
        wire.arrive(4 * MS, vec![0; 1000]);
        assert_eq!((wire.next(), wire.counters().cut), (None, 6));
        wire.blackout(false);
        wire.arrive(5 * MS, vec![0; 1000]);
        assert!(wire.leave(55 * MS).is_none() && wire.leave(56 * MS).is_some());
    }

    #[test]
    fn a_new_rate_holds_for_what_waits() {
        let mut wire = Wire::new(LinkSettings { mbit: 0.008, ..LinkSettings::default() });
        (0..3).for_each(|_| wire.arrive(Duration::ZERO, vec![0; 1000]));
        wire.set(LinkSettings { mbit: 8.0, ..LinkSettings::default() });
        let begun = Duration::from_secs(1);
        assert!(wire.leave(begun).is_some());
        assert!(wire.leave(begun + MS).is_some() && wire.leave(begun + 2 * MS).is_some());
    }
}
