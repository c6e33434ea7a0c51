//! What `.ditsattributes` says about locking a file.

use super::Release;
use crate::attributes::{AttributeError, Attributes, State};

/// What holds for one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `lockable`: read-only in the working tree until it is locked.
    pub lockable: bool,
    /// `lock=auto`: in a mount, the first write locks it.
    pub auto: bool,
    /// `release=`.
    pub release: Release,
}

impl Rules {
    /// Reads them. A file with any of the three attributes is lockable, unless `-lockable` says that it is not.
    ///
    /// # Errors
    /// When a value is none of those allowed.
    pub fn of(attributes: &Attributes) -> Result<Self, AttributeError> {
        let bad = |name, state, allowed| attributes.refused(name, &shown(name, state), allowed);
        let auto = match attributes.get("lock") {
            None | Some(State::Unset) => false,
            Some(State::Value(value)) if value == "auto" => true,
            Some(other) => return Err(bad("lock", other, "write lock=auto")),
        };
        let release = match attributes.get("release") {
            None => None,
            Some(State::Value(value)) if Release::parse(value).is_some() => Release::parse(value),
            Some(other) => return Err(bad("release", other, "write close, push, merge or manual")),
        };
        let lockable = attributes.lockable()?.unwrap_or(auto || release.is_some());
        Ok(Self { lockable, auto: auto && lockable, release: release.unwrap_or_default() })
    }
}

fn shown(name: &str, state: &State) -> String {
    match state {
        State::Set => name.to_owned(),
        State::Unset => format!("-{name}"),
        State::Value(value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::AttributeRules;
    use crate::path::RepoPath;

    fn rules(line: &str) -> Result<Rules, String> {
        let all = AttributeRules::new(None).unwrap().enter(None, Some(line.as_bytes())).unwrap();
        Rules::of(&all.attributes_of(&RepoPath::parse(b"a.umap").unwrap())).map_err(|e| e.to_string())
    }

    #[test]
    fn say_what_is_lockable_and_when_it_ends() {
        assert_eq!(rules("*.psd lockable").unwrap(), Rules::default());
        let lockable = Rules { lockable: true, ..Rules::default() };
        assert_eq!(rules("*.umap lockable").unwrap(), lockable);
        assert_eq!(rules("*.umap lock=auto").unwrap(), Rules { auto: true, ..lockable });
        assert_eq!(rules("*.umap release=merge").unwrap(), Rules { release: Release::Merge, ..lockable });
        assert!(!rules("*.umap lock=auto release=close -lockable").unwrap().lockable);
        for (line, expected) in [
            ("*.umap lock", "cannot be `lock`: write lock=auto"),
            ("*.umap release=soon", "cannot be `soon`"),
            ("*.umap lockable=yes", "cannot be `yes`"),
        ] {
            assert!(rules(line).unwrap_err().contains(expected), "{line}");
        }
    }
}
