//! Settings that cannot be read or written.

use dits_core::config::ConfigError;

use super::CliError;
use crate::exit::Exit;

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Io(error) => error.into(),
            error @ ConfigError::Locked(_) => Self::new(Exit::Lock, error.to_string()),
            error => Self::usage(error.to_string()),
        }
    }
}
