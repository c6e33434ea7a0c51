//! The content-addressed store. Its files are described in `docs/format/frame.md`, `pack.md` and `store.md`.

mod adopt;
mod both;
mod check;
mod chunk_cache;
pub mod condemned;
mod error;
mod filter;
pub mod folder;
pub mod frame;
mod lacking;
pub(crate) mod lockfile;
mod loose;
mod map;
mod odb;
pub mod pack;
mod pending;
mod relied;
mod remove;
mod salvage;
mod writer;
pub mod writers;

pub use adopt::Adopted;
pub use both::{Finished, Store, StoreWriter, StoreWriterOptions};
pub use check::{Depth, Finding};
pub use chunk_cache::{CacheUsage, ChunkCache, Copies, Draft, Whole};
pub use condemned::{Condemned, CondemnedSet, DigestSet};
pub use error::StoreError;
pub use odb::{HexPrefix, Location, ObjectInfo, Odb, OdbOptions, PackInfo};
pub use pack::layout::PackId;
pub use remove::{ConsolidateOptions, Consolidated, Removed};
pub use salvage::Salvaged;
pub use writer::{Hint, Put, WriteStats, Writer, WriterOptions};
pub use writers::{WriterGuard, live_writers_older_than};

#[cfg(test)]
mod tests;
