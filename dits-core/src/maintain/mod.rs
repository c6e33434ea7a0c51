//! Keeping a repository healthy: what is reachable, what can go, what is damaged.

mod fsck;
mod gc;
mod leftovers;
mod mark;
mod roots;
mod shape;
mod usage;

pub use fsck::{Finding, FsckOptions, FsckReport, Severity};
pub(crate) use gc::pack_names;
pub use gc::{GcOptions, GcReport};
pub use mark::{DigestHasher, Mark, Met, Reached, References, references, references_in};
pub use roots::{Root, roots, roots_with};
pub use usage::{Amount, GroupUsage, StoredKind, Usage};
