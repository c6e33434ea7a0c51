//! Who may do what: tokens and the file that keeps their hashes (`docs/server.md`).

mod file;
mod secret;

use std::path::PathBuf;

use bincode::{Decode, Encode};
use dits_core::durable::IoError;
use dits_core::lockfile::LockError;
use dits_core::record::RecordError;
use dits_sync::server::Methods;

pub use file::TokenFile;
pub use secret::{Secret, TokenHash};

use crate::pattern::Pattern;
use crate::repo_name::RepoName;

/// The longest name of a token, in bytes.
const MAX_NAME: usize = 64;

/// Tokens that cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A name with characters that would confuse logs or `receive.protect`.
    #[error(
        "`{0}` is no name for a token: letters, digits and `._@-`, beginning with a letter or digit, 64 bytes at most"
    )]
    Name(String),
    /// What it may do is none of the methods.
    #[error("`{0}` is nothing a token may do: use read, write, lock, admin")]
    Method(String),
    /// A valid token has the name.
    #[error("there is a token `{0}` already")]
    Exists(String),
    /// No valid token has it.
    #[error("there is no valid token `{0}`")]
    NotFound(String),
    /// The file holds what cannot be.
    #[error("{} is damaged: {what}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The file is no such record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Another process is changing it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// A token as it is kept. Its secret is not.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Token {
    /// Who it is.
    pub name: String,
    /// What recognises the secret.
    pub hash: TokenHash,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// From when on it is worth nothing.
    pub expires: Option<i64>,
    /// Since when it is worth nothing.
    pub revoked: Option<i64>,
    /// What it may do.
    pub rights: Rights,
}

/// What a token may do, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Rights {
    /// Patterns of repositories.
    pub repositories: Vec<String>,
    /// Read (1), write (2), lock (4), administer (8).
    pub methods: u8,
    /// Patterns of refs a push may move; empty: all.
    pub refs: Vec<String>,
    /// Patterns of paths a push may change; empty: all.
    pub paths: Vec<String>,
}

/// The methods and their bits.
const METHODS: [(&str, u8); 4] = [("read", 1), ("write", 2), ("lock", 4), ("admin", 8)];

impl Rights {
    /// The bits of these methods.
    ///
    /// # Errors
    /// When one is none.
    pub fn methods_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<u8, TokenError> {
        names.into_iter().try_fold(0, |bits, name| {
            let known = METHODS.iter().find(|(known, _)| *known == name);
            known.map(|(_, bit)| bits | bit).ok_or_else(|| TokenError::Method(name.to_owned()))
        })
    }

    /// The names of the methods.
    #[must_use]
    pub fn method_names(&self) -> Vec<&'static str> {
        METHODS.iter().filter(|(_, bit)| self.methods & bit != 0).map(|(name, _)| *name).collect()
    }

    /// The methods.
    #[must_use]
    pub fn methods(&self) -> Methods {
        let has = |bit: u8| self.methods & bit != 0;
        Methods { read: has(1), write: has(2), lock: has(4), admin: has(8) }
    }

    /// Whether they hold in a repository.
    #[must_use]
    pub fn hold_in(&self, repository: &RepoName) -> bool {
        self.repositories.iter().any(|pattern| Pattern::parse(pattern).matches(repository.as_str()))
    }

    /// Whether a push may move this ref.
    #[must_use]
    pub fn allow_ref(&self, name: &str) -> bool {
        self.refs.is_empty() || self.refs.iter().any(|pattern| Pattern::of_refs(pattern).matches(name))
    }
}

/// What has become of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is worth something.
    Valid,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl State {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Token {
    /// What has become of it.
    #[must_use]
    pub fn state(&self, now: i64) -> State {
        match (self.revoked, self.expires) {
            (Some(_), _) => State::Revoked,
            (None, Some(end)) if now >= end => State::Expired,
            _ => State::Valid,
        }
    }
}

/// Checks a name.
///
/// # Errors
/// When it breaks a rule.
pub fn check_name(name: &str) -> Result<(), TokenError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    match begins && name.len() <= MAX_NAME && name.bytes().all(allowed) {
        true => Ok(()),
        false => Err(TokenError::Name(name.chars().take(MAX_NAME).collect())),
    }
}
