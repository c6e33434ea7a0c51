//! Settings: TOML files in layers, each value remembering where it is from.
//!
//! Nothing here looks for files: the caller names them, the environment and the home folder being its business. A key is
//! `section.name` or `section.sub.section.name`; as in git, section and name are alike in upper and lower case and what
//! is between is taken as it is. [`KEYS`] lists what dits knows; other keys may be set and read all the same.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::durable::{self, IoError};

mod edit;
mod keys;
mod text;
mod value;

#[cfg(test)]
mod tests;

pub use edit::{Edit, set, unset, update};
pub use keys::{KEYS, Key, Kind, known, reference};
pub use value::{Value, parse_bool, parse_duration, parse_size};

/// The longest configuration file, in bytes.
pub const MAX_CONFIG_FILE: u64 = 4 << 20;

/// Where a setting is from; later ones override earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Built in.
    Default,
    /// For all users of the machine.
    System,
    /// For all repositories of the user.
    User,
    /// `.dits/config`
    Repository,
    /// For one worktree of a repository.
    Worktree,
    /// `-c key=value`
    CommandLine,
}

impl Layer {
    /// The layer's name, as `config list --show-scope` prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::System => "system",
            Self::User => "user",
            Self::Repository => "repository",
            Self::Worktree => "worktree",
            Self::CommandLine => "command line",
        }
    }
}

/// The layer and, for the layers that have one, the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The layer.
    pub layer: Layer,
    /// The file; `None` for built-in settings and the command line.
    pub file: Option<PathBuf>,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}", file.display()),
            None => f.write_str(self.layer.name()),
        }
    }
}

/// A setting that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML.
    #[error("{} is not valid TOML; correct it by hand: {what}", .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Line, column and reason.
        what: String,
    },
    /// Not UTF-8.
    #[error("{} is not UTF-8, which TOML must be; it is text up to byte {valid}", .file.display())]
    NotUtf8 {
        /// The file.
        file: PathBuf,
        /// How many bytes at its start are good.
        valid: usize,
    },
    /// A value of another type than the key's, or out of bounds.
    #[error("{origin}: {key} cannot be `{value}`: {allowed}")]
    BadValue {
        /// Where the value is.
        origin: Origin,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// Not a key at all.
    #[error("`{0}` is not the name of a setting: write `section.name`, as in `user.email`")]
    BadKey(String),
    /// A key cannot be set because its section is a plain value, or the other way round.
    #[error("{}: `{key}` cannot be set, because `{other}` is in its way; unset that first", .file.display())]
    InTheWay {
        /// The file.
        file: PathBuf,
        /// The key to be set.
        key: String,
        /// What is there instead.
        other: String,
    },
    /// `-c` without a key.
    #[error("`{0}` does not set anything: write `-c section.name=value`")]
    BadOverride(String),
    /// Another process holds the file for long.
    #[error("{} is being changed by another process; try again", .0.display())]
    Locked(PathBuf),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl ConfigError {
    /// Whether a file cannot be read as settings at all. Nothing that is stored is lost by that.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Syntax { .. } | Self::NotUtf8 { .. })
    }
}

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The key as written in the file, or as [`KEYS`] spells it for the built-in ones.
    pub key: String,
    /// What it is set to.
    pub value: Value,
    /// Where that is said.
    pub origin: Origin,
}

/// All layers put together. Reading needs no file any more.
#[derive(Debug, Clone)]
pub struct Config {
    /// Weakest first.
    settings: Vec<Setting>,
}

impl Default for Config {
    fn default() -> Self {
        let origin = Origin { layer: Layer::Default, file: None };
        let setting = |key: &Key| {
            let value = Value::Text(key.default?.to_owned());
            Some(Setting { key: key.name.to_owned(), value, origin: origin.clone() })
        };
        Self { settings: KEYS.iter().filter_map(setting).collect() }
    }
}

impl Config {
    /// The built-in settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the settings of a file to those of its layer. A file that does not exist has none.
    ///
    /// # Errors
    /// When it cannot be read, or is not TOML.
    pub fn add_file(&mut self, layer: Layer, path: &Path) -> Result<(), ConfigError> {
        let Some(bytes) = durable::read_limited(path, MAX_CONFIG_FILE)? else { return Ok(()) };
        let origin = Origin { layer, file: Some(path.to_owned()) };
        for (key, value) in text::flatten(&text::parse(path, bytes)?) {
            self.add(Setting { key, value, origin: origin.clone() });
        }
        Ok(())
    }

    /// The built-in settings and those of a repository's file with this content; `path` is what errors call it.
    ///
    /// # Errors
    /// When it is not TOML.
    pub fn of_bytes(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        let mut config = Self::new();
        let origin = Origin { layer: Layer::Repository, file: Some(path.to_owned()) };
        for (key, value) in text::flatten(&text::parse(path, bytes.to_vec())?) {
            config.add(Setting { key, value, origin: origin.clone() });
        }
        Ok(config)
    }

    /// Adds one `key=value` of the command line; `key` alone is `key=true`.
    ///
    /// # Errors
    /// When there is no key in it.
    pub fn add_override(&mut self, argument: &str) -> Result<(), ConfigError> {
        let (key, value) = argument.split_once('=').unwrap_or((argument, "true"));
        if !text::is_key(key) {
            return Err(ConfigError::BadOverride(argument.to_owned()));
        }
        let origin = Origin { layer: Layer::CommandLine, file: None };
        self.add(Setting { key: key.to_owned(), value: Value::Text(value.to_owned()), origin });
        Ok(())
    }

    fn add(&mut self, setting: Setting) {
        let at = self.settings.partition_point(|s| s.origin.layer <= setting.origin.layer);
        self.settings.insert(at, setting);
    }

    /// The setting in force.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().rev().find(|setting| text::same_key(&setting.key, key))
    }

    /// Every layer's setting of the key, the one in force first.
    pub fn get_all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Setting> {
        self.settings.iter().rev().filter(move |setting| text::same_key(&setting.key, key))
    }

    /// Every setting of every layer, weakest first.
    pub fn list(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter()
    }

    /// The settings in force below a section: `alias` yields what is after `alias.`, each once, in no certain order.
    pub fn section<'a>(&'a self, section: &str) -> Vec<(&'a str, &'a Setting)> {
        let mut found: Vec<(&str, &Setting)> = Vec::new();
        for setting in self.settings.iter().rev() {
            let Some((start, rest)) = setting.key.split_at_checked(section.len()) else { continue };
            let Some(rest) = rest.strip_prefix('.') else { continue };
            if start.eq_ignore_ascii_case(section) && !found.iter().any(|(_, s)| text::same_key(&s.key, &setting.key)) {
                found.push((rest, setting));
            }
        }
        found
    }

    fn typed<T>(
        &self,
        key: &str,
        allowed: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(setting) = self.get(key) else { return Ok(None) };
        let value = read(&setting.value);
        let kind = known(key).map(|known| known.kind);
        match value.filter(|_| kind.is_none_or(|kind| kind.accepts(&setting.value))) {
            Some(value) => Ok(Some(value)),
            None => Err(ConfigError::BadValue {
                origin: setting.origin.clone(),
                key: setting.key.clone(),
                value: setting.value.to_string(),
                allowed: kind.map_or_else(|| allowed.to_owned(), Kind::allowed),
            }),
        }
    }

    /// A text; numbers and booleans are spelled out.
    ///
    /// # Errors
    /// When it is a list, or a known key's value is not allowed.
    pub fn get_str(&self, key: &str) -> Result<Option<String>, ConfigError> {
        self.typed(key, "a text is needed", Value::to_text)
    }

    /// `true`/`false`, also `yes`/`no`, `on`/`off` and `1`/`0`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn get_bool(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        self.typed(key, &Kind::Bool.allowed(), |value| parse_bool(&value.to_text()?))
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it is not one, or out of a known key's bounds.
    pub fn get_int(&self, key: &str) -> Result<Option<i64>, ConfigError> {
        self.typed(key, "a whole number is needed", |value| value.to_text()?.parse().ok())
    }

    /// A size in bytes: `4096`, `16K`, `16KiB`, `4M`, `1G`; all units are powers of 1024.
    ///
    /// # Errors
    /// When it is not one.
    pub fn get_size(&self, key: &str) -> Result<Option<u64>, ConfigError> {
        self.typed(key, &Kind::Size.allowed(), |value| parse_size(&value.to_text()?))
    }

    /// A span of time: `90s`, `15m`, `12h`, `14d`, `2w`, `now` (nothing) or `never` ([`Duration::MAX`]).
    ///
    /// # Errors
    /// When it is not one.
    pub fn get_duration(&self, key: &str) -> Result<Option<Duration>, ConfigError> {
        self.typed(key, &Kind::Duration.allowed(), |value| parse_duration(&value.to_text()?))
    }

    /// A list of texts; a single text is a list of one.
    ///
    /// # Errors
    /// When a known key's value is not allowed.
    pub fn get_list(&self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        self.typed(key, &Kind::List.allowed(), |value| Some(value.to_list()))
    }
}
