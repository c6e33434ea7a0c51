//! Names of commits and of what is in them, as people type them: `HEAD~2`, `main`, `3f1c`, `@{1}`, `v1:shots/a.mov`,
//! `A..B`. The grammar is the part of gitrevisions(7) that dits has use for.

mod abbrev;
mod parse;
mod resolve;

pub use abbrev::SHORTEST;
pub use parse::{Navigation, Range, Revision};
pub use resolve::Resolved;

use crate::path::PathError;

/// A revision that cannot be understood or found.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// It does not follow the grammar.
    #[error("`{text}` is not a revision: {why}")]
    Syntax {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nothing has this name.
    #[error("`{text}` is not a branch, a tag, a commit or an object id")]
    Unknown {
        /// What was typed.
        text: String,
    },
    /// Several objects have ids that begin so.
    #[error("`{text}` is ambiguous: {}", .candidates.join(", "))]
    Ambiguous {
        /// What was typed.
        text: String,
        /// The objects, with their kinds.
        candidates: Vec<String>,
    },
    /// It names an object, but of another kind than needed here.
    #[error("`{text}` is a {found}, where a {wanted} is needed")]
    WrongKind {
        /// What was typed.
        text: String,
        /// What is needed.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// A commit has no such ancestor.
    #[error("`{text}` goes back further than the history does")]
    NoAncestor {
        /// What was typed.
        text: String,
    },
    /// A commit has fewer parents.
    #[error("`{text}`: there is no parent {number} of a commit that has {count}")]
    NoParent {
        /// What was typed.
        text: String,
        /// Which one was asked for.
        number: u32,
        /// How many there are.
        count: usize,
    },
    /// The reflog does not go back that far.
    #[error("`{text}`: the log of `{name}` has only {entries} entries")]
    NoLogEntry {
        /// What was typed.
        text: String,
        /// Whose log.
        name: String,
        /// How many entries it has.
        entries: usize,
    },
    /// The branch follows nothing.
    #[error("`{branch}` follows no branch")]
    NoUpstream {
        /// The branch.
        branch: String,
    },
    /// What the branch follows is not fetched, or gone.
    #[error("`{branch}` follows `{merge}` of `{remote}`, which is not here")]
    UpstreamGone {
        /// The branch.
        branch: String,
        /// What it follows.
        merge: String,
        /// Of which remote.
        remote: String,
    },
    /// There is no branch whose upstream could be meant.
    #[error("`{text}`: HEAD is on no branch")]
    NoBranch {
        /// What was typed.
        text: String,
    },
    /// The version has no such path.
    #[error("`{path}` is not in `{revision}`")]
    NoPath {
        /// The version.
        revision: String,
        /// The path.
        path: String,
    },
    /// The path after the colon is not one.
    #[error(transparent)]
    Path(#[from] PathError),
}
