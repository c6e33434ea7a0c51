//! Dates that cannot be read.

use super::CliError;
use crate::date::DateError;

impl From<DateError> for CliError {
    fn from(error: DateError) -> Self {
        Self::usage(error.to_string())
    }
}
