//! `+refs/branches/*:refs/remotes/origin/*`

use std::fmt;
use std::str::FromStr;

use super::{Remote, RemoteError};

/// Which refs of one side become which of the other: `[+]SOURCE[:TARGET]`, each side with at most one `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refspec {
    /// `+`: also where that is no fast-forward.
    pub force: bool,
    /// What is taken; empty to delete the target.
    pub source: String,
    /// What it becomes; `None` when nothing was said.
    pub target: Option<String>,
}

impl Refspec {
    /// Parses one.
    ///
    /// # Errors
    /// [`RemoteError::BadRefspec`].
    pub fn parse(text: &str) -> Result<Self, RemoteError> {
        let bad = |why| RemoteError::BadRefspec { text: text.to_owned(), why };
        let (force, rest) = text.strip_prefix('+').map_or((false, text), |rest| (true, rest));
        let (source, target) = match rest.split_once(':') {
            Some((source, target)) => (source, Some(target)),
            None => (rest, None),
        };
        if source.starts_with('^') {
            return Err(bad("excluding refs with `^` is not supported"));
        }
        if rest.is_empty() || rest == ":" || target == Some("") {
            return Err(bad("write SOURCE:TARGET, or only SOURCE"));
        }
        if rest.matches(':').count() > 1 || rest.contains(|c: char| c.is_control() || c == ' ') {
            return Err(bad("it has two colons, a space or a control character"));
        }
        let stars = |side: &str| side.matches('*').count();
        if stars(source) > 1 || target.is_some_and(|target| stars(target) != stars(source)) {
            return Err(bad("a `*` stands once on each side or on none"));
        }
        Ok(Self { force, source: source.to_owned(), target: target.map(str::to_owned) })
    }

    /// The one of a new remote: all its branches, below its name.
    #[must_use]
    pub fn all_branches(remote: &str) -> Self {
        let target = Some(format!("{}*", Remote::space(remote)));
        Self { force: true, source: "refs/branches/*".to_owned(), target }
    }

    /// The one that follows a single branch.
    #[must_use]
    pub fn one_branch(remote: &str, branch: &str) -> Self {
        let target = Some(format!("{}{branch}", Remote::space(remote)));
        Self { force: true, source: format!("refs/branches/{branch}"), target }
    }

    /// Whether it stands for many refs.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.source.contains('*')
    }

    /// Whether a ref is one that it takes.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        matched(&self.source, name).is_some()
    }

    /// What a ref becomes; `None` if it is not one that it takes, or nothing was said.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<String> {
        let part = matched(&self.source, name)?;
        Some(self.target.as_ref()?.replacen('*', part, 1))
    }

    /// What became a ref; `None` if nothing did.
    #[must_use]
    pub fn map_back(&self, name: &str) -> Option<String> {
        let part = matched(self.target.as_ref()?, name)?;
        Some(self.source.replacen('*', part, 1))
    }
}

/// What the `*` of a pattern stands for in a name; nothing where there is no `*` and they are the same.
fn matched<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    match pattern.split_once('*') {
        Some((start, end)) => name.strip_prefix(start)?.strip_suffix(end).filter(|part| !part.is_empty()),
        None => (pattern == name).then_some(""),
    }
}

impl fmt::Display for Refspec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.force { "+" } else { "" }, self.source)?;
        self.target.as_ref().map_or(Ok(()), |target| write!(f, ":{target}"))
    }
}

impl FromStr for Refspec {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_mapped_there_and_back() {
        let spec = Refspec::parse("+refs/branches/*:refs/remotes/o/*").unwrap();
        assert_eq!(spec.map("refs/branches/a/b").as_deref(), Some("refs/remotes/o/a/b"));
        assert_eq!(spec.map_back("refs/remotes/o/a/b").as_deref(), Some("refs/branches/a/b"));
        assert_eq!(spec.map("refs/tags/a"), None);
        assert_eq!(spec.map("refs/branches/"), None);
        assert_eq!(spec, Refspec::all_branches("o"));
        let one = Refspec::one_branch("o", "main");
        assert_eq!(one.map("refs/branches/main").as_deref(), Some("refs/remotes/o/main"));
        assert_eq!(one.map("refs/branches/main2"), None);
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for text in ["main", "+main:other", ":gone", "refs/branches/*:refs/remotes/o/*", "HEAD~1:refs/branches/x"] {
            assert_eq!(Refspec::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "+", ":", "a:", "^a", "a*:b", "a:b*", "*a*", "a:b:c", "a b"] {
            assert!(Refspec::parse(bad).is_err(), "{bad}");
        }
    }
}
