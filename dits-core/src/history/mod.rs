//! Walking the graph of commits.

mod ancestry;
pub mod brought;
mod limited;
mod walk;

pub use ancestry::{Divergence, divergence, is_ancestor, merge_base, merge_bases};
pub use limited::{Interest, Limited, Step, connected};
pub(crate) use walk::topological_order;
pub use walk::{Order, Walk};
