//! The state machines of both ends of a transfer, without I/O or clock: who has named what, who has asked for what, and
//! whether an answer fits. `docs/protocol.md`, "What is missing: chunks exactly".

mod filter;
mod list;
mod receiving;
mod sending;

pub use filter::{ContentFilter, FilteredChunk};
pub use receiving::{Holdings, Receiving};
pub use sending::{Named, Sending};

/// How many chunks a segment names before it is closed; one object more may follow.
pub const SEGMENT_CHUNKS: usize = 1024;

/// How many bytes of metadata a segment has before it is closed.
pub const SEGMENT_BYTES: usize = 1 << 20;

/// How many segments may be open: closed by the sender, and not yet answered and served.
pub const WINDOW: usize = 8;

/// How many requests by name a receiver has open at once.
pub const OPEN_GETS: usize = 4;

/// How many chunks may be asked for and not be there yet. A sender that keeps to its window and sends what it is asked for
/// stays far below, so a receiver's memory is bounded by it.
pub const OUTSTANDING: usize = 1 << 20;

/// How many names a receiver remembers: of metadata that something names and that has not come, most of which it has
/// already, and of chunks that were asked for, which in a dry run never come.
pub const NAMES: usize = 1 << 24;

/// The other side broke the rules of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the other side broke the protocol: {0}")]
pub struct Violation(pub String);

impl Violation {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

#[cfg(test)]
mod tests;
