//! Between the bytes of a file and what the store keeps of them.

mod compare;
mod edited;
mod export;
mod identify;
mod ingest;
mod reader;
mod rehearse;
mod sharing;

pub use compare::{CompareError, Comparison, compare, compare_at};
pub use edited::Edited;
pub use export::{Exporter, copy_to};
pub use identify::{Identified, identify};
pub use ingest::{IngestError, Ingested, Ingestor, Source, profile_of};
pub use reader::{ContentReader, detect_if_here, detect_stored, if_here, store_error};
pub use rehearse::{EachChunk, Rehearsal};
pub use sharing::{ChunkSample, InStore, Sharing, in_store, sharing};
