//! Showing commits: for `log` and `show`.

pub mod decorate;
pub mod format;
pub mod graph;
pub mod json;
pub mod options;
