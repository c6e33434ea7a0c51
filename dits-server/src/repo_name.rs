//! The names of repositories on a server.

use std::fmt;
use std::path::{Path, PathBuf};

/// The longest name, in bytes.
const MAX_NAME: usize = 200;
/// The most parts of a name.
const MAX_PARTS: usize = 8;
/// What a repository's folder ends in.
pub const SUFFIX: &str = ".dits";

/// A text that is no name of a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name for a repository: 1 to 8 parts of letters, digits and `._-`, joined by `/`; no part begins \
     with `.` or `-` or ends with `.dits`"
)]
pub struct RepoNameError(String);

/// A checked name. It never leads out of the folder of repositories, nor into one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoName(String);

impl RepoName {
    /// Checks a name; one `.dits` at the end is left away, as are slashes around it.
    ///
    /// # Errors
    /// When it breaks a rule.
    pub fn parse(text: &str) -> Result<Self, RepoNameError> {
        let name = text.trim_matches('/');
        let name = name.strip_suffix(SUFFIX).unwrap_or(name);
        let parts = name.split('/');
        let good = name.len() <= MAX_NAME && parts.clone().count() <= MAX_PARTS && parts.clone().all(is_part);
        if good { Ok(Self(name.to_owned())) } else { Err(RepoNameError(text.chars().take(MAX_NAME).collect())) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The repository's folder.
    #[must_use]
    pub fn folder(&self, repositories: &Path) -> PathBuf {
        repositories.join(format!("{}{SUFFIX}", self.0))
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_part(part: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !part.is_empty()
        && part.bytes().all(allowed)
        && !part.starts_with(['.', '-'])
        && !part.to_ascii_lowercase().ends_with(SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for (text, name) in [("film", "film"), ("/studio/a.b-c_1/", "studio/a.b-c_1"), ("film.dits", "film")] {
            assert_eq!(RepoName::parse(text).unwrap().as_str(), name);
        }
        for bad in ["", "/", "..", "a/../b", ".a", "-a", "a//b", "a.dits/b", "a.DITS/b", "ä", "a b", "a\0", "a\\b"] {
            assert!(RepoName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(RepoName::parse("a/b/c/d/e/f/g/h/i").is_err());
        assert!(RepoName::parse(&"a".repeat(201)).is_err());
    }
}
