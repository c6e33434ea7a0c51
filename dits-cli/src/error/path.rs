//! Names that no repository takes.

use dits_core::path::PathError;

use super::CliError;

impl From<PathError> for CliError {
    fn from(error: PathError) -> Self {
        Self::usage(error.to_string())
    }
}
