//! Keeping a repository healthy: what is reachable, what can go, what is damaged.

mod fsck;
mod gc;
mod leftovers;
mod mark;
mod roots;
mod shape;
mod usage;

pub use fsck::{Finding, FsckOptions, FsckReport, Severity};
pub use gc::{GcOptions, GcReport};
pub use mark::{Mark, Met, Reached, References, references};
pub use roots::{Root, roots, roots_with};
pub use usage::{Amount, GroupUsage, StoredKind, Usage};
