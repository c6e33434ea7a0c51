//! The user pressed Ctrl-C.

use dits_core::progress::Interrupted;

use super::CliError;
use crate::exit::Exit;

impl From<Interrupted> for CliError {
    fn from(error: Interrupted) -> Self {
        Self::new(Exit::Interrupted, error.to_string())
    }
}
