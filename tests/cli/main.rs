//! The `dits` binary as users see it: a clean environment, arguments in, text and exit codes out.

#![allow(clippy::unwrap_used)]

mod git_twin;
mod skeleton;
