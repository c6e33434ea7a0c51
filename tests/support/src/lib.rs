//! What the tests, the demo and the benchmarks of dits share: hermetic command runs with a time limit, seeded files,
//! real media, tree comparison, mounted file systems, system-call faults, programs in the background, Redis servers and
//! bad networks.
//!
//! A rig that does not work here (not root, no loop device) says so through [`skip`] and the test returns: a skipped
//! test is visible, never silently green.

#![allow(clippy::print_stderr, reason = "a test support crate speaks to the person who runs the tests")]

pub mod background;
pub mod bounded;
pub mod built;
pub mod edit;
pub mod media;
pub mod mount;
pub mod net;
pub mod processes;
pub mod random;
pub mod redis;
pub mod sandbox;
pub mod snapshot;
pub mod strace;

pub use background::Background;
pub use bounded::Finished;
pub use built::built;
pub use random::SplitMix64;
pub use redis::Redis;
pub use sandbox::Sandbox;
pub use snapshot::{Node, Snapshot};

/// The variable that makes long tests run.
pub const LONG: &str = "DITS_TEST_LONG";

/// The variable by which `cargo xtask test` recognises every process a test started; it stays in a sandbox's
/// otherwise clean environment.
pub const RUN: &str = "DITS_TEST_RUN";

/// Whether long tests are wanted; otherwise says that `test` is skipped. Use as
/// `if !dits_testkit::long("sixteen_gib") { return; }`.
#[must_use]
pub fn long(test: &str) -> bool {
    let wanted = std::env::var_os(LONG).is_some_and(|value| value == "1");
    if !wanted {
        skip(test, "long (cargo xtask test --long)");
    }
    wanted
}

/// Says past libtest's capture that a test did not run, and why.
pub fn skip(test: &str, why: &str) {
    use std::io::Write;
    // eprintln! is captured for a test that passes; a skip has to be seen.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// Whether a program is on the `PATH`.
#[must_use]
pub fn installed(program: &str) -> bool {
    std::env::split_paths(&administrators_path()).any(|folder| folder.join(program).is_file())
}

/// The `PATH` with the folders of programs for administrators.
fn administrators_path() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    std::env::join_paths(folders).unwrap_or_else(|_| path.clone())
}
