//! Settings that cannot be read or written.

use dits_core::config::ConfigError;

use super::CliError;
use crate::exit::Exit;

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Io(error) => error.into(),
            error @ ConfigError::Locked(_) => Self::new(Exit::Lock, error.to_string()),
            error if error.is_corruption() => Self::new(Exit::Corruption, error.to_string())
                .hint("`dits config edit` opens this repository's settings, `dits config edit --global` yours"),
            error => Self::usage(error.to_string()),
        }
    }
}
