//! The patterns of tokens and of protected branches. All of them are read from the top on, so that none matches more
//! than it shows: `film` is not `archive/film`.

use dits_core::glob::PathPattern;

/// A pattern for names with slashes: `*` and `?` inside one part, `**` for any number of parts.
#[derive(Debug, Clone)]
pub struct Pattern(PathPattern);

impl Pattern {
    /// Reads a pattern.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(PathPattern::parse(format!("/{}", text.trim_start_matches('/')).as_bytes()))
    }

    /// A pattern for refs: `main` is short for `refs/branches/main`.
    #[must_use]
    pub fn of_refs(text: &str) -> Self {
        if text.starts_with("refs/") { Self::parse(text) } else { Self::parse(&format!("refs/branches/{text}")) }
    }

    /// Whether it matches this whole name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.matches(name.as_bytes(), false)
    }

    /// Whether it matches this path or a folder that it is in.
    #[must_use]
    pub fn covers(&self, path: &[u8]) -> bool {
        let folders = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| &path[..end]);
        self.0.matches(path, false) || folders.into_iter().any(|folder| self.0.matches(folder, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_matches_more_than_it_shows() {
        for (pattern, name, expected) in [
            ("film", "film", true),
            ("film", "archive/film", false),
            ("film", "film2", false),
            ("studio/*", "studio/a", true),
            ("studio/*", "studio/a/b", false),
            ("studio/**", "studio/a/b", true),
            ("studio/**", "studio", false),
            ("**", "a/b", true),
            ("*", "a", true),
            ("*", "a/b", false),
            ("/film", "film", true),
            ("", "film", false),
        ] {
            assert_eq!(Pattern::parse(pattern).matches(name), expected, "{pattern} on {name}");
        }
        assert!(Pattern::of_refs("main").matches("refs/branches/main"));
        assert!(!Pattern::of_refs("main").matches("refs/tags/main"));
        assert!(Pattern::of_refs("refs/tags/*").matches("refs/tags/v1"));
    }

    #[test]
    fn a_folder_stands_for_all_below_it() {
        for (pattern, path, expected) in [
            ("Level_3", "Level_3/a/b.mov", true),
            ("Level_3/", "Level_3/a", true),
            ("Level_3/", "Level_3", false),
            ("Level_3", "Level_30/a", false),
            ("Level_3", "x/Level_3/a", false),
            ("**/*.md", "a/b/c.md", true),
            ("**/*.md", "c.md", true),
            ("*.md", "a/c.md", false),
        ] {
            assert_eq!(Pattern::parse(pattern).covers(path.as_bytes()), expected, "{pattern} on {path}");
        }
    }
}
