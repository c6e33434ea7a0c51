use super::*;

const MTU: u16 = 1200;
const TICK: Duration = Duration::from_micros(200);

/// A path with one queue: what it carries, and what is lost at random.
struct Path {
    /// Bytes a second.
    rate: f64,
    delay: Duration,
    /// One packet in so many is lost; 0 is none.
    lose_one_in: u64,
    /// What the queue holds, in bytes.
    queue: f64,
    /// Acknowledgements come only every so often.
    hold: Duration,
}

impl Default for Path {
    fn default() -> Self {
        Self { rate: 100.0 * MBIT, delay: Duration::from_millis(40), lose_one_in: 0, queue: 1e6, hold: TICK }
    }
}

#[derive(Debug)]
struct Outcome {
    /// Share of the path's rate.
    used: f64,
    /// Share of packets.
    lost: f64,
    /// Time in the queue on average.
    queued: Duration,
}

/// Sends as fast as the controller lets it for some seconds, after as many that do not count.
fn run(path: &Path, rate: &mut Rate, start: Instant, seconds: u64) -> Outcome {
    let mut on_their_way: VecDeque<(Instant, Instant, bool)> = VecDeque::new();
    let (mut in_flight, mut free_at, mut number) = (0_u64, start, 0_u64);
    let (mut delivered, mut lost, mut queued) = (0_u64, 0_u64, Duration::ZERO);
    let size = u64::from(MTU);
    let mut budget = 0.0;
    let ticks = seconds * 2 * 5000;
    for n in 0..ticks {
        let now = start + TICK * n as u32;
        let counts = n > ticks / 2;
        let mut acknowledged = false;
        let held = n % (path.hold.as_micros() / TICK.as_micros()) as u64 != 0;
        while !held && on_their_way.front().is_some_and(|(arrival, ..)| *arrival <= now) {
            let Some((_, sent, arrived)) = on_their_way.pop_front() else { break };
            in_flight -= size;
            if arrived {
                rate.acknowledged(now, sent, size, false);
                acknowledged = true;
                delivered += u64::from(counts);
            } else {
                rate.lost(now, size, false);
                lost += u64::from(counts);
            }
        }
        if acknowledged {
            rate.measured(now, in_flight, false);
        }
        // The pacer: five quarters of a window in a round trip.
        let trip = path.delay + free_at.saturating_duration_since(now);
        budget = (budget + 1.25 * rate.window() as f64 * TICK.as_secs_f64() / trip.as_secs_f64()).min(40_000.0);
        while in_flight + size <= rate.window() && budget >= size as f64 {
            budget -= size as f64;
            number += 1;
            rate.sent(now);
            in_flight += size;
            let wait = free_at.saturating_duration_since(now);
            let dropped = wait.as_secs_f64() * path.rate > path.queue;
            if !dropped {
                free_at = free_at.max(now) + Duration::from_secs_f64(size as f64 / path.rate);
                queued += if counts { wait } else { Duration::ZERO };
            }
            let random = path.lose_one_in > 0 && number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % path.lose_one_in == 0;
            on_their_way.push_back((now + wait + path.delay, now, !dropped && !random));
        }
    }
    let used = delivered as f64 * size as f64 / seconds as f64 / path.rate;
    let packets = (delivered + lost).max(1);
    Outcome { used, lost: lost as f64 / packets as f64, queued: queued / packets as u32 }
}

fn fresh(path: &Path) -> Outcome {
    let start = Instant::now();
    run(path, &mut Rate::new(start, MTU), start, 10)
}

const MBIT: f64 = 125_000.0;

#[test]
fn random_loss_does_not_slow_it_down() {
    for lose_one_in in [0, 1000, 100, 50] {
        let path = Path { rate: 200.0 * MBIT, delay: Duration::from_millis(50), lose_one_in, ..Path::default() };
        let outcome = fresh(&path);
        assert!(outcome.used > 0.9, "one in {lose_one_in}: {outcome:?}");
        assert!(outcome.queued < Duration::from_millis(25), "one in {lose_one_in}: {outcome:?}");
    }
}

#[test]
fn slow_and_fast_paths_are_filled_without_a_long_queue() {
    for (mbit, delay) in [(2.0, 30), (20.0, 5), (50.0, 200), (1000.0, 20)] {
        let delay = Duration::from_millis(delay);
        let path = Path { rate: mbit * MBIT, delay, queue: 4e6, ..Path::default() };
        let outcome = fresh(&path);
        assert!(outcome.used > 0.85, "{mbit} Mbit/s: {outcome:?}");
        assert!(outcome.queued < delay / 2 + Duration::from_millis(50), "{mbit} Mbit/s: {outcome:?}");
    }
}

#[test]
fn held_up_acknowledgements_do_not_starve_it() {
    for hold in [2, 8, 16] {
        let (delay, hold) = (Duration::from_micros(400), Duration::from_millis(hold));
        let path = Path { rate: 800.0 * MBIT, delay, hold, queue: 4e6, ..Path::default() };
        let outcome = fresh(&path);
        assert!(outcome.used > 0.8, "{hold:?}: {outcome:?}");
    }
}

#[test]
fn a_shallow_queue_is_not_flooded() {
    let path = Path { queue: 20_000.0, ..Path::default() };
    let outcome = fresh(&path);
    assert!(outcome.used > 0.7 && outcome.lost < 0.05, "{outcome:?}");
}

#[test]
fn a_path_that_changes_is_followed() {
    let start = Instant::now();
    let mut rate = Rate::new(start, MTU);
    let path = |mbit: f64| Path { rate: mbit * MBIT, lose_one_in: 200, ..Path::default() };
    for (n, mbit) in [100.0, 20.0, 200.0].into_iter().enumerate() {
        let outcome = run(&path(mbit), &mut rate, start + Duration::from_secs(20 * n as u64), 10);
        assert!(outcome.used > 0.85, "{mbit}: {outcome:?}");
    }
}

#[test]
fn after_an_outage_it_starts_anew_and_small() {
    let start = Instant::now();
    let mut rate = Rate::new(start, MTU);
    let path = Path::default();
    run(&path, &mut rate, start, 2);
    let later = start + Duration::from_secs(30);
    rate.lost(later, 1_000_000, true);
    assert_eq!(rate.window(), INITIAL_PACKETS * u64::from(MTU));
    let outcome = run(&path, &mut rate, later, 5);
    assert!(outcome.used > 0.9, "{outcome:?}");
}
