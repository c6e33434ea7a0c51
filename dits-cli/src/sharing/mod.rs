//! What `fetch`, `pull`, `push` and `clone` have in common: which refs become which, and how that is told.

pub mod amounts;
pub mod arrivals;
pub mod departures;
pub mod disk;
pub mod fetching;
pub mod filter;
pub mod lines;
pub mod live;
pub mod options;
pub mod patterns;
pub mod peer;
pub mod seen;
