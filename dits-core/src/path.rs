//! The names of files, as the only way into the index, trees, checkouts, mounts and the wire.
//!
//! A [`RepoPath`] is relative, slash-separated raw bytes. It never names anything outside the worktree, nor `.dits` or
//! `.git` in any disguise that some file system takes for them. [`portable`] holds the further rules of
//! `core.portable`.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bincode::{Decode, Encode};
use bstr::{BStr, ByteSlice};

mod disguise;
pub mod portable;

/// The longest component, in bytes: what common file systems hold.
pub const MAX_COMPONENT: usize = 255;

/// The longest path, in bytes: Linux' `PATH_MAX` less its NUL.
pub const MAX_PATH: usize = 4095;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// An empty path, or two slashes in a row, or one at an end.
    #[error("`{0}` has an empty component")]
    Empty(String),
    /// `.` or `..`.
    #[error("`{0}` leaves its folder: `.` and `..` are not names")]
    Dots(String),
    /// A NUL byte, or a slash inside a single name.
    #[error("`{0}` has a character that no name can have")]
    Character(String),
    /// Over [`MAX_COMPONENT`] or [`MAX_PATH`].
    #[error("`{0}` is too long: a name has at most 255 bytes, a path 4095")]
    TooLong(String),
    /// A name that some file system takes for `.dits` or `.git`.
    #[error("`{name}` is never versioned: {}", reserved(.0, .1), name = .0)]
    Reserved(String, &'static str),
}

fn reserved(name: &str, what: &str) -> String {
    match what.trim_matches('`') {
        what if what == name => "a repository keeps its own files in it".to_owned(),
        _ => format!("some file systems take it for {what}"),
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes.as_bstr().to_string().chars().take(300).collect()
}

/// Checks one component by the rules that always hold.
///
/// # Errors
/// When the name could leave its folder or reach a repository's own files.
pub fn check_component(name: &[u8]) -> Result<(), PathError> {
    match name {
        b"" => return Err(PathError::Empty(shown(name))),
        b"." | b".." => return Err(PathError::Dots(shown(name))),
        _ => {}
    }
    if name.len() > MAX_COMPONENT {
        return Err(PathError::TooLong(shown(name)));
    }
    if name.iter().any(|byte| matches!(byte, 0 | b'/')) {
        return Err(PathError::Character(shown(name)));
    }
    match disguise::reserved_as(name) {
        Some(what) => Err(PathError::Reserved(shown(name), what)),
        None => Ok(()),
    }
}

/// A checked path inside a repository, relative to its top folder. Ordered by raw bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Box<[u8]>);

impl RepoPath {
    /// Checks a path.
    ///
    /// # Errors
    /// When a component breaks a rule, or the whole is over [`MAX_PATH`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.len() > MAX_PATH {
            return Err(PathError::TooLong(shown(bytes)));
        }
        bytes.split(|byte| *byte == b'/').try_for_each(check_component).map_err(|e| match e {
            PathError::Empty(_) => PathError::Empty(shown(bytes)),
            PathError::Dots(_) => PathError::Dots(shown(bytes)),
            other => other,
        })?;
        Ok(Self(bytes.into()))
    }

    /// Takes bytes that a [`RepoPath`] was made of before and that have been guarded by a checksum since.
    pub(crate) fn from_checked(bytes: &[u8]) -> Self {
        debug_assert!(Self::parse(bytes).is_ok());
        Self(bytes.into())
    }

    /// The path `name` has inside this folder.
    ///
    /// # Errors
    /// When `name` is no valid component or the whole gets too long.
    pub fn join(&self, name: &[u8]) -> Result<Self, PathError> {
        check_component(name)?;
        let bytes = [&self.0, &b"/"[..], name].concat();
        if bytes.len() > MAX_PATH {
            return Err(PathError::TooLong(shown(&bytes)));
        }
        Ok(Self(bytes.into()))
    }

    /// [`RepoPath::join`] where the folder may be the top one.
    ///
    /// # Errors
    /// As [`RepoPath::join`].
    pub fn join_to(folder: Option<&Self>, name: &[u8]) -> Result<Self, PathError> {
        match folder {
            Some(folder) => folder.join(name),
            None => {
                check_component(name)?;
                Ok(Self(name.into()))
            }
        }
    }

    /// The path that `below`, relative to this folder, has from the top.
    ///
    /// # Errors
    /// [`PathError::TooLong`] when the whole gets too long.
    pub fn join_all(&self, below: &Self) -> Result<Self, PathError> {
        let bytes = [&self.0, &b"/"[..], &below.0].concat();
        if bytes.len() > MAX_PATH {
            return Err(PathError::TooLong(shown(&bytes)));
        }
        Ok(Self(bytes.into()))
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as a string for people: bytes that are not UTF-8 show as replacement characters.
    #[must_use]
    pub fn as_bstr(&self) -> &BStr {
        self.0.as_bstr()
    }

    /// The path for the operating system, still relative.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/')
    }

    /// The last component.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or(&self.0)
    }

    /// The folder this is in; `None` for the top folder.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|byte| *byte == b'/')?;
        Some(Self(self.0[..slash].into()))
    }

    /// Whether this is `folder` or lies somewhere below it.
    #[must_use]
    pub fn is_within(&self, folder: &Self) -> bool {
        self.0.strip_prefix(&*folder.0).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_bstr(), f)
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_bstr(), f)
    }
}

impl Encode for RepoPath {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        self.0.encode(encoder)
    }
}

bincode::impl_borrow_decode!(RepoPath);

impl<C> Decode<C> for RepoPath {
    fn decode<D: bincode::de::Decoder<Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        let bytes: Vec<u8> = Decode::decode(decoder)?;
        Self::parse(&bytes).map_err(|e| bincode::error::DecodeError::OtherString(e.to_string()))
    }
}
