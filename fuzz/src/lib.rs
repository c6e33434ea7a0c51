//! Fuzz targets: every decoder must return on any bytes, without a panic and within its memory limit.
//!
//! A target is a plain function over bytes in [`targets`] and one line in [`TARGETS`]. `cargo xtask test` replays
//! `fuzz/corpus/<target>/` and runs seeded mutations of it on the stable compiler; for coverage-guided runs see
//! `fuzz/README.md`.

pub mod mutate;
pub mod targets;

/// A target: its name, which is that of its corpus folder, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target there is.
pub const TARGETS: &[Target] = &[("decode", targets::decode), ("repo_path", targets::repo_path)];

/// Finds a target by name.
#[must_use]
pub fn target(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, run)| *run)
}
