//! The text of the progress line. Time comes in from outside.

use std::time::Duration;

use crate::output::size::{format_bytes, format_count, format_duration, format_percent};
use crate::output::table::truncate;

/// The rate is smoothed over about this long.
const SMOOTHING: Duration = Duration::from_secs(3);

/// A rate measured over less is noise.
const MEASURE_AFTER: Duration = Duration::from_millis(500);

/// What a stage does, and how fast.
#[derive(Debug, Default)]
pub struct Meter {
    /// Whether the line is on the screen.
    pub drawn: bool,
    stage: &'static str,
    total_bytes: Option<u64>,
    total_items: Option<u64>,
    last: Duration,
    last_done: u64,
    rate: Option<f64>,
}

impl Meter {
    /// A new stage begins at `now`, a time since any fixed moment.
    pub fn begin(&mut self, now: Duration, stage: &'static str, bytes: Option<u64>, items: Option<u64>) {
        let drawn = self.drawn;
        *self = Self { drawn, stage, total_bytes: bytes, total_items: items, last: now, ..Self::default() };
    }

    /// The line at `now`, after that much of the stage, cut to `width` columns.
    pub fn line(&mut self, now: Duration, bytes: u64, items: u64, width: usize) -> String {
        let by_bytes = self.total_bytes.is_some() || bytes > 0;
        let (done, total) = if by_bytes { (bytes, self.total_bytes) } else { (items, self.total_items) };
        self.measure(now, done);
        let mut parts = Vec::new();
        if by_bytes {
            parts.push(match total {
                Some(total) => format!("{} / {}", format_bytes(bytes), format_bytes(total)),
                None => format_bytes(bytes),
            });
        }
        // What was announced can turn out too small, when files grow; no number then, rather than 104 %.
        let total = total.filter(|total| *total > 0 && done <= *total);
        parts.extend(total.map(|total| format_percent(done, total)));
        if by_bytes {
            parts.extend(self.rate.map(|rate| format!("{}/s", format_bytes(rate as u64))));
        }
        parts.extend(self.items(items));
        parts.extend(self.left(done, total).map(|left| format!("ETA {}", format_duration(left))));
        truncate(&format!("{}: {}", self.stage, parts.join("  ")), width)
    }

    fn items(&self, items: u64) -> Option<String> {
        match self.total_items {
            Some(total) => Some(format!("{} of {}", format_count(items), format_count(total))),
            None => (items > 0).then(|| format_count(items)),
        }
    }

    /// Exponential smoothing, weighted by the time between two measurements.
    fn measure(&mut self, now: Duration, done: u64) {
        let since = now.saturating_sub(self.last);
        if since < MEASURE_AFTER {
            return;
        }
        let current = done.saturating_sub(self.last_done) as f64 / since.as_secs_f64();
        let keep = (-since.as_secs_f64() / SMOOTHING.as_secs_f64()).exp();
        self.rate = Some(self.rate.map_or(current, |rate| rate * keep + current * (1.0 - keep)));
        (self.last, self.last_done) = (now, done);
    }

    fn left(&self, done: u64, total: Option<u64>) -> Option<Duration> {
        let rate = self.rate.filter(|rate| *rate > 0.0)?;
        // Capped at a day or so: beyond that it is a guess about nothing.
        let seconds = (total? - done) as f64 / rate;
        (seconds < 100_000.0).then(|| Duration::from_secs_f64(seconds.ceil()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn shows_bytes_share_rate_and_time_left() {
        let mut meter = Meter::default();
        meter.begin(ms(0), "chunking", Some(1 << 30), Some(7));
        insta::assert_snapshot!(meter.line(ms(250), 0, 0, 100), @"chunking: 0 B / 1.00 GiB  0 %  0 of 7");
        insta::assert_snapshot!(
            meter.line(ms(1000), 256 << 20, 2, 100),
            @"chunking: 256 MiB / 1.00 GiB  25 %  256 MiB/s  2 of 7  ETA 0:03"
        );
        // A stall shows in the rate, but not at once.
        insta::assert_snapshot!(
            meter.line(ms(2000), 256 << 20, 2, 100),
            @"chunking: 256 MiB / 1.00 GiB  25 %  183 MiB/s  2 of 7  ETA 0:05"
        );
        insta::assert_snapshot!(meter.line(ms(2100), 256 << 20, 2, 30), @"chunking: 256 MiB / 1.00 GiB …");
    }

    #[test]
    fn counts_items_where_there_are_no_bytes() {
        let mut meter = Meter::default();
        meter.begin(ms(0), "scanning", None, None);
        insta::assert_snapshot!(meter.line(ms(1000), 0, 1234, 100), @"scanning: 1,234");
        meter.begin(ms(1000), "checking", None, Some(2000));
        insta::assert_snapshot!(meter.line(ms(2000), 0, 1000, 100), @"checking: 50 %  1,000 of 2,000  ETA 0:01");
    }

    #[test]
    fn a_total_that_was_too_small_is_not_shown_as_a_share() {
        let mut meter = Meter::default();
        meter.begin(ms(0), "reading", Some(100), None);
        insta::assert_snapshot!(meter.line(ms(100), 150, 0, 100), @"reading: 150 B / 100 B");
    }
}
