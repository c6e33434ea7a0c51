//! The attributes that dits itself acts on, with their values checked.

use super::{Attributes, State};

/// A value that an attribute of dits cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: the attribute `{name}` cannot be `{value}`: {allowed}")]
pub struct AttributeError {
    /// Which file has it, for people.
    pub path: String,
    /// The attribute.
    pub name: &'static str,
    /// What the file gives it.
    pub value: String,
    /// What it may be.
    pub allowed: &'static str,
}

/// How a file is to be cut into chunks: what `preset=` and `core.chunking` say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunking {
    /// By the content's type, or the setting of the repository: `auto`.
    Auto,
    /// 16/64/256 KiB: `default`, `video`.
    Video,
    /// 2/8/32 KiB: `project`.
    Project,
    /// 1/4/16 KiB: `small`.
    Small,
    /// `16K/64K/256K`: smallest, average, largest chunk in bytes. The sizes are not checked against each other.
    Sizes {
        /// The smallest chunk.
        min: u32,
        /// The average chunk.
        avg: u32,
        /// The largest chunk.
        max: u32,
    },
}

impl Chunking {
    /// What a text must be.
    pub const ALLOWED: &'static str =
        "use auto, video, project, small, or the smallest, average and largest size, as in 16K/64K/256K";

    /// Reads a preset's name or three sizes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => return Some(Self::Auto),
            "default" | "video" => return Some(Self::Video),
            "project" => return Some(Self::Project),
            "small" => return Some(Self::Small),
            _ => {}
        }
        let mut sizes = text.split('/').map(|size| crate::config::parse_size(size.trim()));
        let mut next = || sizes.next().flatten().and_then(|size| u32::try_from(size).ok());
        let (min, avg, max) = (next()?, next()?, next()?);
        sizes.next().is_none().then_some(Self::Sizes { min, avg, max })
    }
}

/// How chunks of a file are to be compressed: what `compression=` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// `off`, `0` or `-compression`: stored as they are.
    Off,
    /// A zstd level, 1 to 22.
    Level(u8),
}

impl Compression {
    /// The zstd level; 0 is not at all.
    #[must_use]
    pub fn level(self) -> i32 {
        match self {
            Self::Off => 0,
            Self::Level(level) => level.into(),
        }
    }
}

impl Attributes {
    /// The error for a value that an attribute cannot have.
    pub(crate) fn refused(&self, name: &'static str, value: &str, allowed: &'static str) -> AttributeError {
        let path = self.path.as_ref().map_or_else(|| "a file".to_owned(), ToString::to_string);
        AttributeError { path, name, value: value.to_owned(), allowed }
    }

    /// `preset`: how to chunk; `None` leaves it to the content's type.
    ///
    /// # Errors
    /// When the value is neither a preset nor sizes.
    pub fn preset(&self) -> Result<Option<Chunking>, AttributeError> {
        let bad = |value: &str| self.refused("preset", value, Chunking::ALLOWED);
        match self.get("preset") {
            None | Some(State::Unset) => Ok(None),
            Some(State::Set) => Err(bad("set")),
            Some(State::Value(text)) => Chunking::parse(text).map(Some).ok_or_else(|| bad(text)),
        }
    }

    /// `compression`: the level; `None` leaves it to `core.compression`.
    ///
    /// # Errors
    /// When the value is no level.
    pub fn compression(&self) -> Result<Option<Compression>, AttributeError> {
        match self.get("compression") {
            None | Some(State::Set) => Ok(None),
            Some(State::Unset) => Ok(Some(Compression::Off)),
            Some(State::Value(text)) => match (text.as_str(), text.parse()) {
                ("off", _) | (_, Ok(0)) => Ok(Some(Compression::Off)),
                (_, Ok(level @ 1..=22)) => Ok(Some(Compression::Level(level))),
                _ => {
                    let allowed = "use off, or a level from 0 to 22";
                    Err(self.refused("compression", text, allowed))
                }
            },
        }
    }

    /// `lockable`; `None` leaves it to the content's type.
    ///
    /// # Errors
    /// When it has a value other than `true` and `false`.
    pub fn lockable(&self) -> Result<Option<bool>, AttributeError> {
        match self.get("lockable") {
            None => Ok(None),
            Some(State::Set) => Ok(Some(true)),
            Some(State::Unset) => Ok(Some(false)),
            Some(State::Value(text)) => match text.as_str() {
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                _ => {
                    let allowed = "write `lockable`, `-lockable`, `lockable=true` or `lockable=false`";
                    Err(self.refused("lockable", text, allowed))
                }
            },
        }
    }

    /// `lock=`, as written.
    #[must_use]
    pub fn lock(&self) -> Option<&str> {
        self.value("lock")
    }

    /// `release=`, as written.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        self.value("release")
    }

    /// Whether the content is never to be shown or merged as text; `None` leaves it to the content.
    #[must_use]
    pub fn binary(&self) -> Option<bool> {
        self.flag("binary").filter(|binary| *binary).or_else(|| self.text().map(|text| !text))
    }

    /// `text`: whether the content is text; `None` (also for `text=auto`) leaves it to the content.
    #[must_use]
    pub fn text(&self) -> Option<bool> {
        self.flag("text")
    }

    /// `diff`: unset, set, or how.
    #[must_use]
    pub fn diff(&self) -> Option<&State> {
        self.get("diff")
    }

    /// `merge`: unset, set, or how.
    #[must_use]
    pub fn merge(&self) -> Option<&State> {
        self.get("merge")
    }

    fn value(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(State::Value(text)) => Some(text),
            _ => None,
        }
    }

    fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name) {
            Some(State::Set) => Some(true),
            Some(State::Unset) => Some(false),
            Some(State::Value(_)) | None => None,
        }
    }
}
