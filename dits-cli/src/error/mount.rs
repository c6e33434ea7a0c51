//! Failures of a mount.

use dits_core::overlay::LogError;
use dits_core::repo::RepoError;
use dits_fuse::ReadError;
use dits_fuse::overlay::OpenError;

use super::CliError;
use crate::exit::Exit;

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Log(LogError::Io(error)) => error.into(),
            OpenError::Log(error) => RepoError::from(error).into(),
            OpenError::Base(ReadError::Store(ref store)) if store.is_corruption() => {
                Self::new(Exit::Corruption, error.to_string()).hint("`dits fsck` says what is damaged")
            }
            error => Self::usage(error.to_string()),
        }
    }
}
