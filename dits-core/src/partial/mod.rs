//! What a repository lacks on purpose: content that a remote promised to hold, and history before some commits
//! (`docs/format/partial.md`).

mod absent;
mod drop;
mod nearby;
mod promised;
mod promises;
mod shallow;
mod source;
#[cfg(test)]
mod tests;
mod unstaged;
mod whereabouts;
mod whose;

pub use absent::{Absent, Hydrated};
pub use drop::{DropOptions, Dropped, KeptBack, Lacking};
pub use promised::{Promised, first_missing, travels_with_metadata};
pub(crate) use promised::{each_chunk, id_of};
pub use promises::{Promises, PromisesError};
pub use shallow::{Cut, Shallow, ShallowError, cut};
pub use source::{Arrived, ChunkSink, ChunkSource, Fetched, SourceError};
pub use whereabouts::{Found, Share, Whereabouts};
pub use whose::Owner;
