//! The `dits` binary as users see it: a clean environment, arguments in, text and exit codes out.

#![allow(clippy::unwrap_used)]

mod branches;
mod caching;
mod carriers;
mod config;
mod damage;
mod dropping;
mod exerciser;
mod faults;
mod faults_sharing;
mod ghosts;
mod git_twin;
mod history;
mod hostile;
mod inspect;
mod locking;
mod locking_mount;
mod many_refs;
mod media;
mod memory;
mod merging;
mod mounting;
mod moving;
mod nearby;
mod partial;
mod passing;
mod posix;
mod power;
mod programs;
mod remote;
mod restoring;
mod scale;
mod served;
mod sharing;
mod skeleton;
mod space;
mod staging;
mod status_git;
mod status_times;
mod tracking;
mod walkthrough;
mod webdav;
mod working;
