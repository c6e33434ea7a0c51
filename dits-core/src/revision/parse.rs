//! The grammar, apart from any repository.

use super::RevisionError;

/// A step from one object to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Navigation {
    /// `^n`: the nth parent; 0 is the commit itself.
    Parent(u32),
    /// `~n`: n times the first parent.
    Ancestor(u32),
    /// `^{commit}`, `^{tree}`, `^{}`: what an annotated tag or a commit leads to.
    Peel(String),
}

/// One revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// What was typed, for messages.
    pub text: String,
    /// A ref or the beginning of an id; empty for the index (`:path`).
    pub base: String,
    /// `@{n}`: the nth entry of the base's log.
    pub log_entry: Option<usize>,
    /// `@{-n}`: the nth branch that was left.
    pub left_branch: Option<usize>,
    /// `@{u}`: what the base, a branch, follows.
    pub upstream: bool,
    /// The steps from there.
    pub steps: Vec<Navigation>,
    /// The path after a colon.
    pub path: Option<String>,
}

/// What stands for one version or for a set of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    /// One revision: it and its ancestors.
    Single(Revision),
    /// `^A`: A and its ancestors are left out.
    Not(Revision),
    /// `A..B`: what B has and A has not.
    Between(Revision, Revision),
    /// `A...B`: what only one of them has; for a diff, from their merge base to B.
    Symmetric(Revision, Revision),
}

impl Range {
    /// Parses a range; a missing end is HEAD.
    ///
    /// # Errors
    /// [`RevisionError::Syntax`].
    pub fn parse(text: &str) -> Result<Self, RevisionError> {
        let end = |part: &str| Revision::parse(if part.is_empty() { "HEAD" } else { part });
        // A path after a colon may hold dots itself.
        let limit = text.find(':').unwrap_or(text.len());
        if let Some(at) = text[..limit].find("...") {
            return Ok(Self::Symmetric(end(&text[..at])?, end(&text[at + 3..])?));
        }
        if let Some(at) = text[..limit].find("..") {
            return Ok(Self::Between(end(&text[..at])?, end(&text[at + 2..])?));
        }
        match text.strip_prefix('^') {
            Some(rest) => Ok(Self::Not(Revision::parse(rest)?)),
            None => Ok(Self::Single(Revision::parse(text)?)),
        }
    }
}

impl Revision {
    /// Parses one revision.
    ///
    /// # Errors
    /// [`RevisionError::Syntax`].
    pub fn parse(text: &str) -> Result<Self, RevisionError> {
        let syntax = |why| RevisionError::Syntax { text: text.to_owned(), why };
        if text.is_empty() {
            return Err(syntax("it is empty"));
        }
        if text.starts_with('-') && text != "-" {
            return Err(syntax("it begins with a dash"));
        }
        let (name, path) = match text.split_once(':') {
            Some((name, path)) => (name, Some(path.to_owned())),
            None => (text, None),
        };
        let mut revision = Self {
            text: text.to_owned(),
            base: String::new(),
            log_entry: None,
            left_branch: None,
            upstream: false,
            steps: Vec::new(),
            path,
        };
        if name == "-" {
            revision.left_branch = Some(1);
            return Ok(revision);
        }
        let end = name.char_indices().find(|(at, c)| matches!(c, '~' | '^') || name[*at..].starts_with("@{"));
        let (base, mut rest) = name.split_at(end.map_or(name.len(), |(at, _)| at));
        revision.base = if base == "@" { "HEAD".to_owned() } else { base.to_owned() };
        if let Some(inner) = rest.strip_prefix("@{") {
            let (selector, after) = inner.split_once('}').ok_or_else(|| syntax("`@{` is not closed"))?;
            revision.selector(selector).ok_or_else(|| syntax("`@{…}` takes a number, or `u` for the upstream"))?;
            rest = after;
        }
        revision.parse_steps(rest).map_err(syntax)?;
        if revision.base.is_empty() && revision.path.is_none() && revision.left_branch.is_none() {
            return Err(syntax("a name is missing"));
        }
        Ok(revision)
    }

    fn selector(&mut self, number: &str) -> Option<()> {
        if ["u", "upstream"].iter().any(|word| number.eq_ignore_ascii_case(word)) {
            self.upstream = true;
            if self.base.is_empty() {
                self.base = "HEAD".to_owned();
            }
        } else if let Some(back) = number.strip_prefix('-').filter(|_| self.base.is_empty()) {
            self.left_branch = Some(back.parse().ok().filter(|n| *n > 0)?);
        } else {
            self.log_entry = Some(number.parse().ok()?);
            if self.base.is_empty() {
                self.base = "HEAD".to_owned();
            }
        }
        Some(())
    }

    fn parse_steps(&mut self, mut rest: &str) -> Result<(), &'static str> {
        while let Some(kind) = rest.chars().next() {
            rest = &rest[kind.len_utf8()..];
            if let ('^', Some(inner)) = (kind, rest.strip_prefix('{')) {
                let (what, after) = inner.split_once('}').ok_or("`^{` is not closed")?;
                self.steps.push(Navigation::Peel(what.to_owned()));
                rest = after;
                continue;
            }
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number = if digits == 0 { Ok(1) } else { rest[..digits].parse() };
            let number = number.map_err(|_| "the number is too large")?;
            self.steps.push(match kind {
                '~' => Navigation::Ancestor(number),
                '^' => Navigation::Parent(number),
                _ => return Err("after a name come only `~`, `^`, `@{…}` and `:path`"),
            });
            rest = &rest[digits..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Navigation, Range, Revision};

    fn steps(text: &str) -> (String, Vec<Navigation>) {
        let parsed = Revision::parse(text).expect(text);
        (parsed.base, parsed.steps)
    }

    #[test]
    fn steps_are_read_in_order() {
        assert_eq!(steps("HEAD~2"), ("HEAD".into(), vec![Navigation::Ancestor(2)]));
        assert_eq!(
            steps("main^^2~"),
            ("main".into(), vec![Navigation::Parent(1), Navigation::Parent(2), Navigation::Ancestor(1)])
        );
        assert_eq!(steps("v1^{tree}"), ("v1".into(), vec![Navigation::Peel("tree".into())]));
        assert_eq!(steps("@~1"), ("HEAD".into(), vec![Navigation::Ancestor(1)]));
    }

    #[test]
    fn logs_and_paths() {
        assert_eq!(Revision::parse("@{3}").map(|r| (r.base, r.log_entry)).ok(), Some(("HEAD".into(), Some(3))));
        for text in ["@{u}", "@{UPSTREAM}~2", "HEAD@{u}"] {
            assert_eq!(Revision::parse(text).map(|r| (r.base, r.upstream)).ok(), Some(("HEAD".into(), true)));
        }
        assert_eq!(Revision::parse("@{-2}").map(|r| r.left_branch).ok(), Some(Some(2)));
        assert_eq!(Revision::parse("-").map(|r| r.left_branch).ok(), Some(Some(1)));
        let path = Revision::parse("v1:shots/a..b.mov").expect("a revision with a path");
        assert_eq!((path.base.as_str(), path.path.as_deref()), ("v1", Some("shots/a..b.mov")));
        assert!(matches!(Range::parse("v1:a..b"), Ok(Range::Single(_))));
    }

    #[test]
    fn ranges() {
        assert!(matches!(Range::parse("a..b"), Ok(Range::Between(a, b)) if a.base == "a" && b.base == "b"));
        assert!(matches!(Range::parse("a.."), Ok(Range::Between(_, b)) if b.base == "HEAD"));
        assert!(matches!(Range::parse("a...b"), Ok(Range::Symmetric(..))));
        assert!(matches!(Range::parse("^a"), Ok(Range::Not(_))));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "--all", "a^{", "a@{x}", "a~99999999999", "^{tree}", "a~b"] {
            assert!(Revision::parse(text).is_err(), "{text:?} was accepted");
        }
    }
}
