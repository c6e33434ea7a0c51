//! How many bytes an operation was about, and how few of them had to be stored.

use std::fmt;

use dits_core::repo::Novelty;
use dits_core::store::WriteStats;
use serde::Serialize;

use super::size::format_bytes;

/// The numbers that every command about content ends with, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// The sizes of the files.
    pub logical: u64,
    /// How many of these were not in the store.
    pub new: u64,
    /// How many of these were in it already.
    pub deduplicated: u64,
    /// What the new ones take in the store, compressed.
    pub stored: u64,
}

impl Amounts {
    /// Those of writing files of `logical` bytes.
    #[must_use]
    pub fn written(logical: u64, stats: &WriteStats) -> Self {
        let new = stats.plain_new.min(logical);
        Self { logical, new, deduplicated: logical - new, stored: stats.stored_new }
    }

    /// Those of the content of a commit.
    #[must_use]
    pub fn committed(novelty: &Novelty) -> Self {
        let new = novelty.new.min(novelty.logical);
        Self { logical: novelty.logical, new, deduplicated: novelty.logical - new, stored: novelty.stored }
    }
}

impl fmt::Display for Amounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [logical, new, deduplicated, stored] =
            [self.logical, self.new, self.deduplicated, self.stored].map(format_bytes);
        write!(f, "{logical}: {new} new, {deduplicated} deduplicated; {stored} stored")
    }
}
