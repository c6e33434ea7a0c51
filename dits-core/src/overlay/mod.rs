//! What was made and changed in a writable mount since its base commit: `docs/format/overlay.md`.
//!
//! - [`Record`]: one change, and its bytes.
//! - [`Log`]: the changes on disk, in batches that count whole or not at all.
//! - [`State`]: what they come to. Live operations and replay apply the same records by the same code.
//! - [`Ranges`]: which bytes of a file are not those of its base content.

mod log;
mod ranges;
mod record;
mod state;

use std::path::{Path, PathBuf};

pub use log::{Log, LogError, base, contents, replay};
pub use ranges::{Fill, Ranges};
pub use record::{Attributes, Boot, MADE_HERE, Record, Time, kind};
pub use state::{FileState, Kind, Node, State};

/// The folder of the overlay in a mount's private folder.
#[must_use]
pub fn folder(private: &Path) -> PathBuf {
    private.join("overlay")
}

/// The log of a mount's overlay.
#[must_use]
pub fn log_path(private: &Path) -> PathBuf {
    folder(private).join("log")
}
