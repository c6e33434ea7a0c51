//! What `fetch`, `pull`, `push` and `clone` have in common: which refs become which, and how that is told.

pub mod arrivals;
pub mod departures;
pub mod lines;
