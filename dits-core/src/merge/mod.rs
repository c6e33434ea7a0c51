//! Joining lines of work, path by path. Content is never merged: a file that both sides changed is a conflict, which
//! leaves ours in place, puts theirs beside it, and waits for a person to choose.

mod abort;
mod apply;
mod bases;
mod merge_commit;
mod pick;
mod resolve;
mod three_way;

pub use apply::Applied;
pub use bases::merge_commits;
pub use merge_commit::{FastForward, MergeOptions, MergeOutcome};
pub use pick::{Pick, PickOptions, PickOutcome, Picked};
pub use resolve::Choice;
pub use three_way::{Conflict, Merged, three_way};

#[cfg(test)]
pub(crate) mod tests;
