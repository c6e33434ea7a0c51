//! The `dits` binary as users see it: a clean environment, arguments in, text and exit codes out.

#![allow(clippy::unwrap_used)]

mod branches;
mod faults;
mod git_twin;
mod hostile;
mod media;
mod restoring;
mod scale;
mod skeleton;
mod staging;
mod status_git;
mod status_times;
