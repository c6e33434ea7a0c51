//! The path patterns of `.ditsignore` and `.ditsattributes`: git's, on raw bytes.
//!
//! A pattern without an inner slash matches the last component at any depth; any other is anchored at the folder of its
//! file. `*`, `?` and `[…]` do not match a slash, `**` between slashes matches any number of components. Components are
//! matched one by one: gix-glob does the wildcards inside one, where its work is bounded, and `**` is handled here,
//! because backtracking over both at once takes exponential time on patterns that a hostile repository can hold.

use bstr::ByteSlice;
use gix_glob::wildmatch::Mode;

/// One pattern, taken apart once.
#[derive(Debug, Clone)]
pub struct PathPattern {
    /// What the components of a path are matched against; just one if not `anchored`.
    parts: Box<[Part]>,
    /// Matched against the path from the rules' folder on, not against the last component only.
    anchored: bool,
    dir_only: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// Exactly this name.
    Name(Box<[u8]>),
    /// `*` and then exactly this.
    Suffix(Box<[u8]>),
    /// Wildcards.
    Glob(Box<[u8]>),
    /// `**`: any number of components; at the end at least one.
    Any,
}

const SPECIAL: &[u8] = b"*?[\\";

impl PathPattern {
    /// Takes a pattern apart. A trailing slash asks for a folder, a leading one anchors.
    #[must_use]
    pub fn parse(pattern: &[u8]) -> Self {
        let (body, dir_only) = match pattern.strip_suffix(b"/") {
            Some(body) => (body, true),
            None => (pattern, false),
        };
        let anchored = body.contains(&b'/');
        let body = body.strip_prefix(b"/").unwrap_or(body);
        let mut parts: Vec<Part> = split(body).iter().map(|text| Part::parse(text, anchored)).collect();
        parts.dedup_by(|a, b| *a == Part::Any && *b == Part::Any);
        Self { parts: parts.into(), anchored, dir_only }
    }

    /// Whether the pattern matches. `path` is relative to the folder of the file the pattern is from.
    #[must_use]
    pub fn matches(&self, path: &[u8], is_dir: bool) -> bool {
        if self.dir_only && !is_dir {
            return false;
        }
        if !self.anchored {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
            return self.parts[0].matches(name);
        }
        match &*self.parts {
            [only] if *only != Part::Any => only.matches(path) && !path.contains(&b'/'),
            _ => self.matches_components(path),
        }
    }

    /// Only the last `**` met needs to be tried again: what an earlier one could take besides, this one takes.
    fn matches_components(&self, path: &[u8]) -> bool {
        let mut rest = Some(path);
        let (mut part, mut retry) = (0, None);
        while let Some(left) = rest {
            let (name, after) = match left.split_once_str("/") {
                Some((name, after)) => (name, Some(after)),
                None => (left, None),
            };
            match self.parts.get(part) {
                Some(Part::Any) => {
                    part += 1;
                    retry = Some((part, after));
                }
                Some(wanted) if wanted.matches(name) => {
                    part += 1;
                    rest = after;
                }
                _ => {
                    let Some((first, from)) = retry else { return false };
                    part = first;
                    rest = from;
                    let next = from.map(|from| from.split_once_str("/").map(|(_, after)| after));
                    retry = Some((first, next.flatten()));
                }
            }
        }
        part == self.parts.len()
    }
}

impl Part {
    fn parse(text: &[u8], anchored: bool) -> Self {
        if anchored && text == b"**" {
            return Self::Any;
        }
        match text.strip_prefix(b"*") {
            _ if text.find_byteset(SPECIAL).is_none() => Self::Name(text.into()),
            Some(rest) if rest.find_byteset(SPECIAL).is_none() => Self::Suffix(rest.into()),
            _ => Self::Glob(without_double_stars(text).into()),
        }
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Name(wanted) => name == &**wanted,
            Self::Suffix(wanted) => name.ends_with(wanted),
            Self::Glob(glob) => gix_glob::wildmatch(glob.as_bstr(), name.as_bstr(), Mode::NO_MATCH_SLASH_LITERAL),
            Self::Any => true,
        }
    }
}

/// Splits at slashes, quoted by a backslash or not.
fn split(pattern: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut quoted = false;
    for byte in pattern {
        let last = parts.len() - 1;
        if *byte == b'/' {
            // A backslash before a slash quotes what needs no quoting.
            if quoted {
                parts[last].pop();
            }
            parts.push(Vec::new());
        } else {
            parts[last].push(*byte);
        }
        quoted = *byte == b'\\' && !quoted;
    }
    parts
}

/// Inside a component several stars in a row mean what one does.
fn without_double_stars(text: &[u8]) -> Vec<u8> {
    let mut short = Vec::with_capacity(text.len());
    let (mut quoted, mut star) = (false, false);
    for byte in text {
        let is_star = *byte == b'*' && !quoted;
        if !(is_star && star) {
            short.push(*byte);
        }
        quoted = *byte == b'\\' && !quoted;
        star = is_star;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::PathPattern;

    #[track_caller]
    fn check(pattern: &str, path: &str, is_dir: bool, expected: bool) {
        let found = PathPattern::parse(pattern.as_bytes()).matches(path.as_bytes(), is_dir);
        assert_eq!(found, expected, "{pattern} on {path}");
    }

    #[test]
    fn patterns_match_as_documented() {
        for (pattern, path, is_dir, expected) in [
            ("a", "a", false, true),
            ("a", "x/a", false, true),
            ("a", "ab", false, false),
            ("/a", "a", false, true),
            ("/a", "x/a", false, false),
            ("x/a", "x/a", false, true),
            ("x/a", "y/x/a", false, false),
            ("a/", "a", false, false),
            ("a/", "x/a", true, true),
            ("*.mov", "x/.mov", false, true),
            ("*.mov", "take.mov", false, true),
            ("*.mov", "take.mov.txt", false, false),
            ("x/*.mov", "x/y/take.mov", false, false),
            ("x/**", "x/y/take.mov", false, true),
            ("x/**", "x", true, false),
            ("**/b", "b", false, true),
            ("**/b", "a/x/b", false, true),
            ("a/**/b", "a/b", false, true),
            ("a/**/b", "a/x/y/b", false, true),
            ("\\#a", "#a", false, true),
            ("\\*", "*", false, true),
            ("\\*", "x", false, false),
            ("[a-c]x", "bx", false, true),
            ("[!a-c]x", "bx", false, false),
            ("?", "\u{0}", false, true),
            ("/", "a", true, false),
            ("", "a", false, false),
            ("[", "[", false, false),
            ("a\\/b", "a/b", false, true),
            ("/**", "a/b", false, true),
            ("a/**/**", "a", true, false),
            ("a/**/**", "a/b", true, true),
            ("**/a/**", "a/a", true, true),
            ("**/a/**", "x/a", true, false),
            ("**/a/b/**/c", "a/a/b/b/c", false, true),
            ("**/a/b/**/c", "a/x/b/b/c", false, false),
            ("**/a/**/a", "a", false, false),
            ("foo**/bar", "foox/bar", false, true),
            ("foo**/bar", "foox/y/bar", false, false),
            ("a**b", "x/ab", false, true),
            ("\\**", "*x", false, true),
            ("\\**", "x", false, false),
        ] {
            check(pattern, path, is_dir, expected);
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends_soon() {
        let pattern = "*a".repeat(60) + "/b";
        check(&pattern, &"a".repeat(200), false, false);
        check(&("**a".repeat(60) + "/b"), &"a".repeat(200), false, false);
        check(&("**a".repeat(60) + "b"), &"a".repeat(200), false, false);
        check(&"**/a/".repeat(40), &"a/".repeat(300), true, false);
    }

    #[test]
    fn bytes_that_are_not_utf8_match_as_themselves() {
        assert!(PathPattern::parse(b"\xff*").matches(b"x/\xff\xfe", false));
        assert!(!PathPattern::parse(b"\xff*").matches(b"\xfe", false));
    }
}
