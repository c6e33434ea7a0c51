//! What people write: paths, patterns, revisions, settings.

use std::path::Path;

use dits_core::attributes::AttributeRules;
use dits_core::config::{parse_duration, parse_size};
use dits_core::glob::PathPattern;
use dits_core::ignore::IgnoreRules;
use dits_core::path::{RepoPath, check_component};
use dits_core::revision::{Range, Revision};
use dits_core::worktree::drive::{DriveContent, Place, Settled};

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

/// Two lines: a pattern and a path.
pub fn glob(data: &[u8]) {
    let (pattern, path) = split(data);
    let pattern = PathPattern::parse(pattern);
    let _ = (pattern.matches(path, false), pattern.matches(path, true));
}

/// A file of ignore rules, whose first line is the path to ask about too.
pub fn ignore(data: &[u8]) {
    let (path, _) = split(data);
    let rules = IgnoreRules::new(&[(Path::new("rules"), data)]).enter(None, Some(data));
    if let Ok(path) = RepoPath::parse(path) {
        let _ = (rules.is_ignored(&path, false), rules.is_ignored(&path, true));
        let _ = rules.enter(Some(&path), Some(data)).matched(&path, false);
    }
}

/// A file of attributes, whose first line is the path to ask about too.
pub fn attributes(data: &[u8]) {
    let (path, rest) = split(data);
    let Ok(path) = RepoPath::parse(path) else { return };
    let Ok(rules) = AttributeRules::new(Some((Path::new("info"), rest))) else { return };
    let Ok(rules) = rules.enter(None, Some(rest)) else { return };
    let found = rules.attributes_of(&path);
    let _ = (found.preset(), found.compression(), found.lockable(), found.binary());
}

/// A revision and a range of them.
pub fn revision(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let _ = (Revision::parse(text), Range::parse(text));
}

/// A file of settings; every setting can be asked for.
pub fn config(data: &[u8]) {
    if let Ok(config) = dits_core::config::Config::of_bytes(Path::new("config"), data) {
        let keys: Vec<String> = config.list().map(|setting| setting.key.clone()).collect();
        for key in keys {
            assert!(config.get(&key).is_some(), "{key}");
            let _ = (config.get_bool(&key), config.get_size(&key), config.get_duration(&key), config.get_list(&key));
        }
    }
    if let Ok(text) = str::from_utf8(data) {
        let _ = (parse_size(text), parse_duration(text));
    }
}

fn split(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, b""),
    }
}

/// A value of an attribute by which dits and the daemon of a mount talk: what is understood has this one text.
///
/// # Panics
/// When that law is broken.
pub fn drive(data: &[u8]) {
    if let Ok(content) = DriveContent::decode(data) {
        assert_eq!(content.encode(), data);
    }
    if let Ok(settled) = Settled::decode(data) {
        assert_eq!(settled.encode(), data);
    }
    if let Ok(place) = Place::decode(data) {
        assert_eq!(place.encode(), data);
    }
}
