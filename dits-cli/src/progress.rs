//! Shows on standard error how a long operation gets on, and passes Ctrl-C down to it.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dits_core::progress::Progress;

mod meter;
pub mod signal;

use meter::Meter;

/// An operation shorter than this shows nothing.
const APPEARS_AFTER: Duration = Duration::from_millis(250);

/// At most 30 times a second.
const REDRAW_EVERY: Duration = Duration::from_millis(34);

/// The progress line of a run. Erased when dropped, or by [`Terminal::clear`] before something else is printed.
pub struct Terminal {
    visible: bool,
    start: Instant,
    bytes: AtomicU64,
    items: AtomicU64,
    /// When the line may be drawn next, in milliseconds since `start`.
    next: AtomicU64,
    meter: Mutex<Meter>,
}

impl Terminal {
    /// A line that shows if `wanted` and standard error is a terminal; Ctrl-C is noticed either way.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        Self {
            visible: wanted && io::stderr().is_terminal(),
            start: Instant::now(),
            bytes: AtomicU64::new(0),
            items: AtomicU64::new(0),
            next: AtomicU64::new(millis(APPEARS_AFTER)),
            meter: Mutex::new(Meter::default()),
        }
    }

    /// Erases the line.
    pub fn clear(&self) {
        let mut meter = self.meter.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if std::mem::take(&mut meter.drawn) {
            // A terminal that takes no text shows none.
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }

    fn draw(&self) {
        let elapsed = self.start.elapsed();
        if millis(elapsed) < self.next.load(Ordering::Relaxed) {
            return;
        }
        // Whoever holds the lock is drawing already.
        let Ok(mut meter) = self.meter.try_lock() else { return };
        self.next.store(millis(elapsed + REDRAW_EVERY), Ordering::Relaxed);
        let (bytes, items) = (self.bytes.load(Ordering::Relaxed), self.items.load(Ordering::Relaxed));
        let line = meter.line(elapsed, bytes, items, width());
        meter.drawn = true;
        let _ = io::stderr().write_all(format!("\r{line}\x1b[K").as_bytes());
    }
}

impl Progress for Terminal {
    fn stage(&self, name: &'static str, bytes: Option<u64>, items: Option<u64>) {
        if !self.visible {
            return;
        }
        {
            let mut meter = self.meter.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            meter.begin(self.start.elapsed(), name, bytes, items);
            self.bytes.store(0, Ordering::Relaxed);
            self.items.store(0, Ordering::Relaxed);
        }
        self.draw();
    }

    fn advance(&self, bytes: u64, items: u64) {
        if self.visible {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.items.fetch_add(items, Ordering::Relaxed);
            self.draw();
        }
    }

    fn interrupted(&self) -> bool {
        signal::interrupted()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.clear();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Columns of the terminal, less one: a full line would wrap on some.
fn width() -> usize {
    let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0));
    columns.saturating_sub(1).max(20)
}
