//! Between the bytes of a file and what the store keeps of them.

mod compare;
mod export;
mod ingest;

pub use compare::{Comparison, compare};
pub use export::{Exporter, copy_to};
pub use ingest::{IngestError, Ingested, Ingestor, Source};
