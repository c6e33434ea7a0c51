//! Congestion control by rate: as much is kept on its way as the path delivers in a round trip, and a little more.
//!
//! Loss-based control takes every lost packet for a full queue: with 1 % of random loss at 50 ms, CUBIC gets 3 % of a
//! 200 Mbit/s link. This controller measures instead what BBR measures, and is simpler because QUIC's pacer derives its rate
//! from the window:
//!
//! - **Rate**: what was delivered over the time it took, for each acknowledged packet; the best of the last 10 round trips,
//!   and at least of the last second, counts. Measurements while there was nothing to send do not lower it.
//! - **Delay**: the shortest round trip of the last 10 s.
//! - **Bursts**: by how much acknowledgements that came all at once were ahead of the rate; the most in the same time counts.
//!   On a busy machine they wait for the other side's threads, and so long nothing would be on its way.
//! - **Window**: rate × (delay + 3 ms, because timers and threads are not exact) × a gain + bursts. The gain goes through a cycle of 8
//!   round trips: 1.35 to see whether there is more, 0.85 so that the queue of that goes again (and the true delay shows), and
//!   then 1.1. At the start the window doubles each round trip until the rate has not grown by a quarter for three of them, the
//!   delay has, or much is lost.
//! - **Loss** is answered only when more than 8 % of a round trip's packets are lost: then the window gets a ceiling, 15 %
//!   below what it is, which rises by a tenth per cycle without such loss. When all is lost for several timeouts, it starts anew.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;

/// The gains of a cycle's round trips.
const CYCLE: [f64; 8] = [1.35, 0.85, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1];

/// The gain while the queue of the start goes.
const DRAIN: f64 = 0.75;

/// What a round trip takes longer than the path: threads wait for a core, timers for their tick.
const SLACK: Duration = Duration::from_millis(3);

/// For how many round trips a measured rate or burst counts,
const BEST_ROUNDS: u64 = 10;
/// and for how long at least.
const BEST_AGE: Duration = Duration::from_secs(1);

/// Bursts count up to what is delivered in this time.
const MOST_BURST: Duration = Duration::from_millis(25);

/// For how long a measured delay counts.
const DELAY_AGE: Duration = Duration::from_secs(10);

/// Which share of lost packets in a round trip is too much,
const MUCH_LOSS: f64 = 0.08;
/// if it is more than so many packets.
const MUCH_PACKETS: u64 = 8;

/// The window at the start, in bytes: some chunks, so that a player has its first picture after two round trips. It is sent over
/// most of one round trip, not at once.
const INITIAL_WINDOW: u64 = 256 << 10;
/// The same on a path that was lost, and the window at the least, in packets.
const INITIAL_PACKETS: u64 = 32;
const LEAST_PACKETS: u64 = 8;

/// How many sendings are remembered at most.
const MOST_SENDINGS: usize = 16_384;

/// Packets that were sent at one time, and what had been delivered then.
#[derive(Clone, Copy, Debug)]
struct Sending {
    at: Instant,
    delivered: u64,
    delivered_at: Instant,
    /// When the first of the packets was sent that are measured together with these.
    first_sent: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The window doubles; the best rate so far, and for how many round trips it did not grow.
    Start {
        best: f64,
        flat: u8,
    },
    Drain,
    /// Which round trip of the cycle.
    Cruise(usize),
}

/// What happened since the last round trip ended.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    number: u64,
    /// It ends when what is sent after so many bytes were delivered is acknowledged.
    end: u64,
    acknowledged: u64,
    lost: u64,
    least_delay: Option<Duration>,
}

/// The best of what was measured lately.
#[derive(Clone, Debug, Default)]
struct Best {
    /// Falling values, and when they were measured.
    measured: VecDeque<(u64, Instant, f64)>,
}

impl Best {
    fn get(&self) -> Option<f64> {
        self.measured.front().map(|(.., value)| *value)
    }

    fn note(&mut self, round: u64, now: Instant, value: f64) {
        self.measured.retain(|(noted, at, known)| {
            let counts = noted + BEST_ROUNDS > round || now.saturating_duration_since(*at) < BEST_AGE;
            counts && *known > value
        });
        // On a short path a second has very many round trips.
        if self.measured.len() < 64 {
            self.measured.push_back((round, now, value));
        }
    }
}

fn initial_window(mtu: u64) -> u64 {
    INITIAL_WINDOW.max(INITIAL_PACKETS * mtu)
}

/// The state of one path.
#[derive(Clone, Debug)]
struct Rate {
    mtu: u64,
    phase: Phase,
    sendings: VecDeque<Sending>,
    /// The latest sent of the packets that are acknowledged together.
    newest: Option<Sending>,
    delivered: u64,
    /// What of it is in `burst`.
    told: u64,
    delivered_at: Instant,
    first_sent: Instant,
    /// Whether everything that was sent has been acknowledged: then time passes without being anybody's fault.
    idle: bool,
    /// In bytes a second.
    rates: Best,
    /// In bytes.
    bursts: Best,
    /// Since when so many bytes were acknowledged, faster than the rate.
    burst: (Instant, u64),
    delay: Option<(Duration, Instant)>,
    round: Round,
    start_window: u64,
    ceiling: u64,
}

impl Rate {
    fn new(now: Instant, mtu: u16) -> Self {
        let mtu = u64::from(mtu);
        Self {
            mtu,
            phase: Phase::Start { best: 0.0, flat: 0 },
            sendings: VecDeque::new(),
            newest: None,
            delivered: 0,
            told: 0,
            delivered_at: now,
            first_sent: now,
            idle: true,
            rates: Best::default(),
            bursts: Best::default(),
            burst: (now, 0),
            delay: None,
            round: Round::default(),
            start_window: initial_window(mtu),
            ceiling: u64::MAX,
        }
    }

    fn rate(&self) -> Option<f64> {
        self.rates.get()
    }

    /// What is on its way when the path is full and no queue is.
    fn full(&self) -> Option<f64> {
        let (delay, _) = self.delay?;
        Some(self.rate()? * (delay + SLACK).as_secs_f64())
    }

    fn window(&self) -> u64 {
        let bursts = self.bursts.get().unwrap_or(0.0);
        let model = |gain: f64| self.full().map_or(self.start_window, |full| (full * gain + bursts) as u64);
        let window = match self.phase {
            Phase::Start { .. } => self.start_window,
            Phase::Drain => model(DRAIN),
            Phase::Cruise(n) => model(CYCLE[n]),
        };
        window.min(self.ceiling).max(LEAST_PACKETS * self.mtu)
    }

    fn sent(&mut self, now: Instant) {
        if self.idle {
            (self.first_sent, self.delivered_at, self.idle) = (now, now, false);
        }
        if self.sendings.back().is_some_and(|last| last.at >= now) {
            return;
        }
        if self.sendings.len() == MOST_SENDINGS {
            self.sendings.pop_front();
        }
        let (delivered, delivered_at, first_sent) = (self.delivered, self.delivered_at, self.first_sent);
        self.sendings.push_back(Sending { at: now, delivered, delivered_at, first_sent });
    }

    fn acknowledged(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool) {
        self.delivered += bytes;
        self.delivered_at = now;
        self.round.acknowledged += bytes;
        if matches!(self.phase, Phase::Start { .. }) && !app_limited {
            self.start_window = self.start_window.saturating_add(bytes);
        }
        if self.newest.is_none_or(|newest| sent > newest.at) {
            let found = self.sendings.binary_search_by_key(&sent, |sending| sending.at);
            self.newest = found.ok().map(|n| self.sendings[n]).or(self.newest);
        }
    }

    /// All packets that one acknowledgement names have been told.
    fn measured(&mut self, now: Instant, in_flight: u64, app_limited: bool) {
        self.idle = in_flight == 0;
        let Some(newest) = self.newest.take() else { return };
        while self.sendings.front().is_some_and(|sending| sending.at < newest.at) {
            self.sendings.pop_front();
        }
        self.note_delay(now, now.saturating_duration_since(newest.at));
        let interval = (newest.at - newest.first_sent).max(now.saturating_duration_since(newest.delivered_at));
        self.first_sent = newest.at;
        // Shorter than a round trip is what acknowledgements do that were held up and come all at once.
        if self.delay.is_some_and(|(delay, _)| interval >= delay) && !interval.is_zero() {
            self.note_rate(now, (self.delivered - newest.delivered) as f64 / interval.as_secs_f64(), app_limited);
        }
        self.note_burst(now);
        if newest.delivered >= self.round.end {
            self.end_round(in_flight, app_limited);
        }
    }

    fn note_delay(&mut self, now: Instant, delay: Duration) {
        let least = self.round.least_delay.unwrap_or(delay);
        self.round.least_delay = Some(least.min(delay));
        match self.delay {
            Some((known, since)) if known < delay && now.saturating_duration_since(since) < DELAY_AGE => {}
            // What has not shown for so long is not true any more; the best of this round trip is.
            Some((known, _)) if known < delay => self.delay = Some((least.min(delay), now)),
            _ => self.delay = Some((delay, now)),
        }
    }

    fn note_rate(&mut self, now: Instant, rate: f64, app_limited: bool) {
        if !app_limited || self.rate().is_none_or(|best| rate > best) {
            self.rates.note(self.round.number, now, rate);
        }
    }

    fn note_burst(&mut self, now: Instant) {
        let acknowledged = self.delivered - self.told;
        self.told = self.delivered;
        let Some(rate) = self.rate() else { return };
        let (since, bytes) = self.burst;
        let expected = rate * now.saturating_duration_since(since).as_secs_f64();
        if (bytes as f64) <= expected {
            self.burst = (now, acknowledged);
        } else {
            self.burst.1 += acknowledged;
        }
        let ahead = self.burst.1 as f64 - rate * now.saturating_duration_since(self.burst.0).as_secs_f64();
        self.bursts.note(self.round.number, now, ahead.clamp(0.0, rate * MOST_BURST.as_secs_f64()));
    }

    fn end_round(&mut self, in_flight: u64, app_limited: bool) {
        let Round { number, acknowledged, lost, least_delay, .. } = self.round;
        self.round = Round { number: number + 1, end: self.delivered, ..Round::default() };
        let share = lost as f64 / (lost + acknowledged).max(1) as f64;
        let much_lost = share > MUCH_LOSS && lost > MUCH_PACKETS * self.mtu;
        let grown = match (least_delay, self.delay) {
            (Some(least), Some((delay, _))) => least > delay.mul_f64(1.5) + SLACK,
            _ => false,
        };
        match self.phase {
            Phase::Start { .. } if much_lost || grown => self.phase = Phase::Drain,
            Phase::Start { best, flat } => {
                let rate = self.rate().unwrap_or(0.0);
                self.phase = match flat {
                    _ if rate > best * 1.25 => Phase::Start { best: rate, flat: 0 },
                    _ if app_limited => Phase::Start { best, flat },
                    2.. => Phase::Drain,
                    _ => Phase::Start { best, flat: flat + 1 },
                };
            }
            // What is still lost of the start is told in this round trip.
            Phase::Drain if self.full().is_none_or(|full| in_flight as f64 <= full) => self.phase = Phase::Cruise(2),
            Phase::Drain => {}
            Phase::Cruise(n) => {
                if much_lost {
                    self.ceiling = (self.window() as f64 * 0.85) as u64;
                } else if n == 0 {
                    self.ceiling = self.ceiling.saturating_add(self.ceiling / 10);
                }
                self.phase = Phase::Cruise((n + 1) % CYCLE.len());
            }
        }
    }

    fn lost(&mut self, now: Instant, bytes: u64, everything: bool) {
        self.round.lost += bytes;
        if everything {
            let (delivered, sendings) = (self.delivered, std::mem::take(&mut self.sendings));
            let start_window = INITIAL_PACKETS * self.mtu;
            *self = Self { delivered, told: delivered, sendings, start_window, ..Self::new(now, self.mtu as u16) };
            self.round.end = delivered;
        }
    }
}

/// Makes controllers for connections.
#[derive(Debug, Default)]
pub(super) struct RateConfig;

impl ControllerFactory for RateConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Rate::new(now, current_mtu))
    }
}

impl Controller for Rate {
    fn on_sent(&mut self, now: Instant, _bytes: u64, _last_packet_number: u64) {
        self.sent(now);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, _rtt: &RttEstimator) {
        self.acknowledged(now, sent, bytes, app_limited);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, _largest: Option<u64>) {
        self.measured(now, in_flight, app_limited);
    }

    fn on_congestion_event(&mut self, now: Instant, _sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.lost(now, lost_bytes, is_persistent);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = u64::from(new_mtu);
        self.start_window = self.start_window.max(INITIAL_PACKETS * self.mtu);
    }

    fn window(&self) -> u64 {
        self.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = ControllerMetrics::default();
        metrics.congestion_window = self.window();
        metrics.pacing_rate = self.rate().map(|rate| (rate * 8.0) as u64);
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        initial_window(self.mtu)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests;
