//! `server.toml`: what the server is told by its administrator.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dits_core::config::parse_duration;
use dits_core::durable::{self, IoError};
use serde::{Deserialize, Deserializer, de};

/// The version of the file.
const VERSION: u32 = 1;
/// The longest file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What a new folder gets.
pub const TEMPLATE: &str = include_str!("server.toml");

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not TOML, a key that is not known, or a value that is not allowed.
    #[error("{}: {what}", .file.display())]
    Bad {
        /// The file.
        file: PathBuf,
        /// Where and why.
        what: String,
    },
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// A span of time, written as in dits' own settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bad = || de::Error::custom(format!("`{text}` is no time: write 90s, 15m, 24h, 14d or never"));
        parse_duration(&text).map(Self).ok_or_else(bad)
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// The least important events that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What needs somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// What happens.
    Info,
    /// How it happens.
    Debug,
    /// Everything.
    Trace,
}

macro_rules! sections {
    ($($(#[$doc:meta])* $section:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty = $default:expr,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Deserialize)]
            #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
            pub struct $section { $($(#[$field_doc])* pub $field: $kind,)* }

            impl Default for $section {
                fn default() -> Self {
                    Self { $($field: $default,)* }
                }
            }
        )*
    };
}

const fn seconds(seconds: u64) -> Span {
    Span(Duration::from_secs(seconds))
}

/// Where clients of this machine connect.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5557);

sections! {
    /// Everything.
    Settings {
        /// The version of the file.
        version: u32 = VERSION,
        /// Where to listen.
        listen: Listen = Listen::default(),
        /// How much at once.
        limits: Limits = Limits::default(),
        /// Hooks.
        hooks: Hooks = Hooks::default(),
        /// Ending.
        shutdown: Shutdown = Shutdown::default(),
        /// Tidying.
        gc: Gc = Gc::default(),
        /// Logging.
        log: Log = Log::default(),
        /// The audit log.
        audit: Audit = Audit::default(),
        /// The lock tables.
        locks: Locks = Locks::default(),
    }
    /// Where to listen.
    Listen {
        /// For clients.
        address: SocketAddr = ADDRESS,
        /// For metrics and health.
        http: Option<SocketAddr> = None,
    }
    /// How much at once.
    Limits {
        /// Connections.
        connections: usize = 256,
        /// Of them from one address.
        connections_per_address: usize = 64,
        /// Pushes to one repository.
        pushes_per_repository: usize = 4,
        /// How long further pushes wait.
        push_wait: Span = seconds(600),
    }
    /// Hooks.
    Hooks {
        /// How long one may run.
        timeout: Span = seconds(60),
    }
    /// Ending.
    Shutdown {
        /// How long transfers may go on.
        patience: Span = seconds(30),
    }
    /// Tidying.
    Gc {
        /// How often each repository is tidied.
        interval: Span = seconds(24 * 3600),
    }
    /// Logging.
    Log {
        /// How lines are written.
        format: LogFormat = LogFormat::Text,
        /// What is logged.
        level: LogLevel = LogLevel::Info,
    }
    /// The audit log.
    Audit {
        /// Whether fetches are in it.
        reads: bool = true,
    }
    /// The lock tables.
    Locks {
        /// Where they are kept: `embedded`, or the address of a Redis.
        store: String = crate::locks::EMBEDDED.to_owned(),
        /// The file with the password of that Redis.
        password_file: Option<PathBuf> = None,
        /// The file with the certificate of who vouches for it.
        ca_file: Option<PathBuf> = None,
        /// What all keys in it begin with.
        prefix: String = "dits".to_owned(),
    }
}

impl Settings {
    /// Reads a file; one that is not there sets nothing.
    ///
    /// # Errors
    /// When it is not TOML, has an unknown key, or a value out of bounds.
    pub fn load(file: &Path) -> Result<Self, SettingsError> {
        let Some(bytes) = durable::read_limited(file, MAX_FILE)? else { return Ok(Self::default()) };
        let bad = |what: &dyn fmt::Display| SettingsError::Bad { file: file.to_owned(), what: what.to_string() };
        let text = str::from_utf8(&bytes).map_err(|e| bad(&e))?;
        let settings: Self = toml_edit::de::from_str(text).map_err(|e| bad(&e.to_string().trim_end()))?;
        settings.check().map_err(|what| bad(&what))?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("version {} needs another dits-server; this one reads {VERSION}", self.version));
        }
        let at_least_one = [
            ("limits.connections", self.limits.connections),
            ("limits.connectionsPerAddress", self.limits.connections_per_address),
            ("limits.pushesPerRepository", self.limits.pushes_per_repository),
        ];
        if let Some((key, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(format!("{key} must be at least 1"));
        }
        let spans = [("hooks.timeout", self.hooks.timeout), ("gc.interval", self.gc.interval)];
        match spans.into_iter().find(|(_, span)| span.0.is_zero()) {
            Some((key, _)) => Err(format!("{key} cannot be now")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, SettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server.toml");
        std::fs::write(&file, text).unwrap();
        Settings::load(&file)
    }

    #[test]
    fn the_template_shows_every_default() {
        let shown: String = TEMPLATE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let mut expected = Settings::default();
        // A default that is nothing cannot be written down; the template shows an example.
        let examples = load(&shown).unwrap();
        expected.listen.http = examples.listen.http;
        expected.locks.password_file = examples.locks.password_file;
        expected.locks.ca_file = examples.locks.ca_file;
        assert!(expected.listen.http.is_some() && expected.locks.ca_file.is_some());
        assert!(expected.locks.password_file.is_some());
        assert_eq!(format!("{:?}", load(&shown).unwrap()), format!("{expected:?}"));
        assert_eq!(format!("{:?}", load(TEMPLATE).unwrap()), format!("{:?}", Settings::default()));
    }

    #[test]
    fn unknown_keys_and_bad_values_are_errors_that_name_the_line() {
        for (text, expected) in [
            ("[limits]\nconection = 3\n", "conection"),
            ("[listen]\naddress = 'here'\n", "line 2"),
            ("[hooks]\ntimeout = 'soon'\n", "`soon` is no time"),
            ("[hooks]\ntimeout = 'now'\n", "hooks.timeout cannot be now"),
            ("[limits]\nconnections = 0\n", "limits.connections must be at least 1"),
            ("version = 2\n", "version 2 needs another"),
            ("[log]\nformat = 'xml'\n", "xml"),
            ("[", "line 1"),
        ] {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        assert_eq!(load("[gc]\ninterval = 'never'\n").unwrap().gc.interval.0, Duration::MAX);
    }
}
