//! Joining lines of work, path by path. Content is never merged: a file that both sides changed is a conflict, which
//! leaves ours in place, puts theirs beside it, and waits for a person to choose.

mod apply;
mod merge_commit;
mod resolve;
mod revert;
mod three_way;

pub use apply::Applied;
pub use merge_commit::{FastForward, MergeOptions, MergeOutcome};
pub use resolve::Choice;
pub use revert::RevertOutcome;
pub use three_way::{Conflict, Merged, three_way};
