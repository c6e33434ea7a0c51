//! The content-addressed store. Its files are described in `docs/format/frame.md`, `pack.md` and `store.md`.

mod both;
pub mod condemned;
mod encode;
mod error;
pub mod folder;
pub mod frame;
mod lockfile;
mod loose;
mod map;
mod odb;
pub mod pack;
mod writer;
pub mod writers;

pub use both::{Finished, Store, StoreWriter, StoreWriterOptions};
pub use encode::Hint;
pub use error::StoreError;
pub use odb::{HexPrefix, Location, ObjectInfo, Odb, OdbOptions, PackInfo};
pub use pack::layout::PackId;
pub use writer::{Put, WriteStats, Writer, WriterOptions};

#[cfg(test)]
mod tests;
