//! The targets. Each checks more than "no panic" where there is a law to check.

use dits_core::codec;
use dits_core::path::{RepoPath, check_component};

/// The codec: what decodes, encodes to the same bytes.
///
/// # Panics
/// When that law is broken.
pub fn decode(data: &[u8]) {
    if let Ok(value) = codec::decode::<Vec<(u64, Vec<u8>)>, 12_288>(data) {
        assert_eq!(codec::encode(&value), data);
    }
    if let Ok(value) = codec::decode::<Vec<Option<String>>, 1_048_576>(data) {
        assert_eq!(codec::encode(&value), data);
    }
    if let Ok(path) = codec::decode::<RepoPath, 12_288>(data) {
        assert_eq!(codec::encode(&path), data);
    }
}

/// Names: an accepted path stays inside its folder and is made of accepted components.
///
/// # Panics
/// When that law is broken.
pub fn repo_path(data: &[u8]) {
    let Ok(path) = RepoPath::parse(data) else { return };
    assert_eq!(path.as_bytes(), data);
    assert!(path.components().all(|name| check_component(name).is_ok()));
    assert!(path.as_path().components().all(|part| matches!(part, std::path::Component::Normal(_))));
    let first = path.components().next().unwrap_or_default();
    assert!(!first.eq_ignore_ascii_case(b".dits") && !first.eq_ignore_ascii_case(b".git"));
}
