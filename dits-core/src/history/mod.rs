//! Walking the graph of commits.

mod ancestry;
mod walk;

pub use ancestry::{Divergence, divergence, is_ancestor, merge_base, merge_bases};
pub use walk::{Order, Walk};
