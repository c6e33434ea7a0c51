//! The names of refs.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};

use crate::path::{MAX_COMPONENT, check_component};

/// The longest name, in bytes.
pub const MAX_NAME: usize = 1024;

/// Where branches live.
pub const BRANCHES: &str = "refs/branches/";
/// Where tags live.
pub const TAGS: &str = "refs/tags/";
/// Where the branches of remotes live, each remote in its own folder.
pub const REMOTES: &str = "refs/remotes/";

/// A text that is not the name of a ref.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid name for a branch, tag or ref: {why}")]
pub struct RefNameError {
    /// What was given.
    pub name: String,
    /// The rule it breaks.
    pub why: &'static str,
}

/// A checked name: `HEAD` or a name in capitals that ends in `_HEAD`, which each worktree has for itself, or
/// `refs/branches/…`, `refs/tags/…`, `refs/remotes/REMOTE/…`, `refs/stash`, which all worktrees share.
///
/// The rules are those of `git check-ref-format`, plus those of every stored name ([`check_component`]).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

impl RefName {
    /// Checks a full name.
    ///
    /// # Errors
    /// When it breaks a rule; the error says which.
    pub fn parse(name: &str) -> Result<Self, RefNameError> {
        match check(name) {
            Ok(()) => Ok(Self(name.to_owned())),
            Err(why) => Err(RefNameError { name: name.chars().take(300).collect(), why }),
        }
    }

    /// `HEAD`: what this worktree has checked out.
    #[must_use]
    pub fn head() -> Self {
        Self("HEAD".to_owned())
    }

    /// `ORIG_HEAD`: where HEAD was before the last reset or merge.
    #[must_use]
    pub fn orig_head() -> Self {
        Self("ORIG_HEAD".to_owned())
    }

    /// `BASE_HEAD`: the commit below what was written in a mount.
    #[must_use]
    pub fn base_head() -> Self {
        Self("BASE_HEAD".to_owned())
    }

    /// The newest entry of the stash.
    #[must_use]
    pub fn stash() -> Self {
        Self("refs/stash".to_owned())
    }

    /// The branch with this short name.
    ///
    /// # Errors
    /// As [`RefName::parse`], and for `HEAD`.
    pub fn branch(short: &str) -> Result<Self, RefNameError> {
        Self::within(BRANCHES, short)
    }

    /// The tag with this short name.
    ///
    /// # Errors
    /// As [`RefName::parse`], and for `HEAD`.
    pub fn tag(short: &str) -> Result<Self, RefNameError> {
        Self::within(TAGS, short)
    }

    /// The branch `short` of the remote `remote`, as it was when last seen.
    ///
    /// # Errors
    /// As [`RefName::parse`], and for a remote whose name has a slash.
    pub fn remote(remote: &str, short: &str) -> Result<Self, RefNameError> {
        if remote.contains('/') {
            return Err(RefNameError { name: remote.to_owned(), why: "a remote's name has no slash" });
        }
        Self::within(REMOTES, &format!("{remote}/{short}"))
    }

    fn within(space: &str, short: &str) -> Result<Self, RefNameError> {
        Self::parse(&format!("{space}{short}")).map_err(|e| RefNameError { name: short.to_owned(), ..e })
    }

    /// The full name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name people use: without `refs/branches/`, `refs/tags/`, `refs/remotes/` or `refs/`.
    #[must_use]
    pub fn short(&self) -> &str {
        [BRANCHES, TAGS, REMOTES, "refs/"].into_iter().find_map(|space| self.0.strip_prefix(space)).unwrap_or(&self.0)
    }

    /// The branch's short name, if this is a branch.
    #[must_use]
    pub fn as_branch(&self) -> Option<&str> {
        self.0.strip_prefix(BRANCHES)
    }

    /// The tag's short name, if this is a tag.
    #[must_use]
    pub fn as_tag(&self) -> Option<&str> {
        self.0.strip_prefix(TAGS)
    }

    /// Whether each worktree has its own ref of this name.
    #[must_use]
    pub fn is_per_worktree(&self) -> bool {
        !self.0.starts_with("refs/")
    }
}

fn check(name: &str) -> Result<(), &'static str> {
    if name.len() > MAX_NAME {
        return Err("it is longer than 1024 bytes");
    }
    let Some(rest) = name.strip_prefix("refs/") else {
        // Ending in HEAD sets them apart from other files that a worktree has, such as MERGE_MSG.
        let capitals = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
            && (name == "HEAD" || name.ends_with("_HEAD"))
            && name.len() <= MAX_COMPONENT;
        return if capitals { Ok(()) } else { Err("a full name is `HEAD`, ends in `_HEAD`, or starts with `refs/`") };
    };
    if rest == "stash" {
        return Ok(());
    }
    let space = [BRANCHES, TAGS, REMOTES].into_iter().find(|space| name.starts_with(space));
    let Some(space) = space else {
        return Err("after `refs/` comes `branches/`, `tags/`, `remotes/` or `stash`");
    };
    let short = &name[space.len()..];
    if space == REMOTES && !short.contains('/') {
        return Err("a remote's name is followed by a branch");
    }
    if space != REMOTES && short == "HEAD" {
        return Err("`HEAD` is taken");
    }
    check_short(short)
}

fn check_short(short: &str) -> Result<(), &'static str> {
    if short.starts_with('-') {
        return Err("it starts with `-`");
    }
    if short.contains("..") || short.contains("@{") || short.ends_with('.') || short == "@" {
        return Err("it has `..` or `@{`, ends with `.`, or is `@`");
    }
    if short.chars().any(|c| c.is_control() || matches!(c, ' ' | '\\' | '~' | '^' | ':' | '?' | '*' | '[')) {
        return Err("it has a space, a control character or one of `\\~^:?*[`");
    }
    short.split('/').try_for_each(|component| match component {
        "" => Err("it has an empty part: a slash at an end, or two in a row"),
        _ if component.starts_with('.') => Err("a part of it starts with `.`"),
        _ if component.ends_with(".lock") => Err("a part of it ends with `.lock`"),
        _ => check_component(component.as_bytes()).map_err(|_| "a part of it is too long or reserved"),
    })
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RefName {
    type Err = RefNameError;

    fn from_str(name: &str) -> Result<Self, RefNameError> {
        Self::parse(name)
    }
}

impl Encode for RefName {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        self.0.encode(encoder)
    }
}

impl<C> Decode<C> for RefName {
    fn decode<D: bincode::de::Decoder<Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        let name: String = Decode::decode(decoder)?;
        Self::parse(&name).map_err(|e| bincode::error::DecodeError::OtherString(e.to_string()))
    }
}

bincode::impl_borrow_decode!(RefName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for good in ["HEAD", "ORIG_HEAD", "refs/stash", "refs/branches/main", "refs/branches/a/b-c", "refs/tags/v1.0"] {
            assert_eq!(RefName::parse(good).unwrap().as_str(), good);
        }
        for good in ["ä/ö", "a-", "a@b", "a.b", "x{", "HEAD/x", "日本"] {
            assert_eq!(RefName::branch(good).unwrap().short(), good);
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "..",
            "a..b",
            "-a",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a\nb",
            "a\x7f",
            "@",
            "a@{1",
            "a\\b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a b",
            "a.",
            "HEAD",
            "\u{200c}.git",
            "x/.dits",
        ] {
            assert!(RefName::branch(bad).is_err(), "{bad:?}");
        }
        assert!(RefName::branch(&"a".repeat(256)).is_err());
        assert!(RefName::branch(&"a".repeat(255)).is_ok());
        for bad in [
            "",
            "head",
            "refs",
            "refs/",
            "refs/HEAD",
            "refs/heads/x",
            "refs/stash/x",
            "refs/remotes/o",
            "A/B",
            "_HEAD",
            "MERGE_MSG",
        ] {
            assert!(RefName::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(RefName::remote("origin", "a/b").unwrap().short(), "origin/a/b");
        assert!(RefName::remote("a/b", "c").is_err());
    }
}
