//! What was carried, in the numbers that every command about content ends with.

use std::fmt;

use dits_sync::client::{FetchStats, PushStats};
use serde::Serialize;

use super::peer::Carried;
use crate::output::size::{format_bytes, plural};

/// How much, and how fast.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Amounts {
    /// The content that was asked for, in bytes.
    pub logical: u64,
    /// How many of these were carried.
    pub new: u64,
    /// How many were there already.
    pub deduplicated: u64,
    /// What those that were carried take in the store, compressed.
    pub stored: u64,
    /// Pieces carried.
    pub chunks: u64,
    /// Objects of history and folders carried.
    pub metadata: u64,
    /// Bytes through the socket.
    pub sent: u64,
    /// Bytes through the socket.
    pub received: u64,
    /// How long it took.
    pub seconds: f64,
    #[serde(skip)]
    dry_run: bool,
}

impl Amounts {
    /// Those of a fetch.
    #[must_use]
    pub fn fetched(stats: &FetchStats, carried: Carried, dry_run: bool) -> Self {
        let deduplicated = stats.known.1 + stats.borrowed.1;
        Self {
            logical: stats.plain + deduplicated,
            new: stats.plain,
            deduplicated,
            stored: stats.stored,
            chunks: stats.chunks,
            metadata: stats.metadata,
            dry_run,
            ..Self::of(carried)
        }
    }

    /// Those of a push.
    #[must_use]
    pub fn pushed(stats: &PushStats, carried: Carried, dry_run: bool) -> Self {
        let (chunks, metadata) = (stats.chunks, stats.metadata);
        let (new, stored) = (stats.plain, stats.stored);
        let logical = stats.named.max(new);
        let deduplicated = logical - new;
        Self { logical, new, deduplicated, stored, chunks, metadata, dry_run, ..Self::of(carried) }
    }

    fn of(carried: Carried) -> Self {
        let (sent, received) = (carried.traffic.sent, carried.traffic.received);
        Self { sent, received, seconds: carried.time.as_secs_f64(), ..Self::default() }
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.logical == 0 && self.metadata == 0
    }
}

impl fmt::Display for Amounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [logical, new, deduplicated, stored] =
            [self.logical, self.new, self.deduplicated, self.stored].map(format_bytes);
        let pieces = plural(self.chunks, "chunk", "chunks");
        if self.dry_run {
            // What they take compressed is not known before they come.
            let stored = if self.stored > 0 { format!(" ({stored} compressed)") } else { String::new() };
            let bytes = plural(self.new, "byte", "bytes");
            return write!(f, "{logical}: {new}{stored} to transfer, {deduplicated} deduplicated; {bytes} in {pieces}");
        }
        let wire = self.sent + self.received;
        let rate = if self.seconds > 0.0 { wire as f64 / self.seconds } else { 0.0 };
        write!(
            f,
            "{logical}: {new} transferred ({stored} compressed, {pieces}), {deduplicated} deduplicated; {} at {}/s",
            format_bytes(wire),
            format_bytes(rate as u64)
        )
    }
}
