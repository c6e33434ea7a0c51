//! Between the bytes of a file and what the store keeps of them.

mod compare;
mod export;
mod identify;
mod ingest;

pub use compare::{CompareError, Comparison, compare};
pub use export::{Exporter, copy_to};
pub use identify::{Identified, identify};
pub use ingest::{IngestError, Ingested, Ingestor, Source, profile_of};
