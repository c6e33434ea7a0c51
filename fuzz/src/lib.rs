//! Fuzz targets: every decoder must return on any bytes, without a panic and within its memory limit.
//!
//! A target is a plain function over bytes in [`targets`] and one line in [`TARGETS`]. `cargo xtask test` replays
//! `fuzz/corpus/<target>/` and runs seeded mutations of it on the stable compiler; for coverage-guided runs see
//! `fuzz/README.md`.

pub mod mutate;
pub mod targets;

use targets::{media, objects, records, remote, store, text, wire};

/// A target: its name, which is that of its corpus folder, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target there is.
pub const TARGETS: &[Target] = &[
    ("attributes", text::attributes),
    ("batch", wire::batch),
    ("compress", store::compress),
    ("condemned", records::condemned),
    ("config", text::config),
    ("decode", objects::decode),
    ("drive", text::drive),
    ("fingerprint", remote::fingerprint),
    ("frame", store::frame),
    ("glob", text::glob),
    ("ignore", text::ignore),
    ("index_base", records::index_base),
    ("index_journal", records::index_journal),
    ("listing", wire::listing),
    ("lock_epoch", records::lock_epoch),
    ("lock_record", records::lock_record),
    ("lock_state", records::lock_state),
    ("media", media::facts),
    ("merged", store::merged),
    ("message", wire::message),
    ("object", objects::object),
    ("overlay_log", records::overlay_log),
    ("pack", store::pack),
    ("page", store::page),
    ("receiving", wire::receiving),
    ("record", records::record),
    ("promised", records::promised),
    ("ref_journal", records::ref_journal),
    ("ref_record", records::ref_record),
    ("reflog", records::reflog),
    ("repo_path", text::repo_path),
    ("revision", text::revision),
    ("sending", wire::sending),
    ("shallow", records::shallow),
    ("url", remote::url),
];

/// Finds a target by name.
#[must_use]
pub fn target(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, run)| *run)
}
