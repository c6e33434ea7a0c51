//! Refusals of the operating system.

use std::io;

use dits_core::durable::IoError;

use super::CliError;
use crate::exit::Exit;

impl From<IoError> for CliError {
    fn from(error: IoError) -> Self {
        let kind = error.source.kind();
        // Content that was streamed to the output.
        if kind == io::ErrorKind::BrokenPipe {
            return Self::broken_pipe();
        }
        with_hint(Self::new(Exit::Usage, error.to_string()), kind)
    }
}

/// Adds what a user can do about this kind of refusal.
pub(super) fn with_hint(error: CliError, kind: io::ErrorKind) -> CliError {
    match kind {
        io::ErrorKind::StorageFull => error
            .hint("the disk is full; nothing half-written was recorded, so free some space and run the command again")
            .hint("`dits gc --dry-run` shows what dits itself could give back"),
        io::ErrorKind::QuotaExceeded => error.hint("your disk quota is used up; free some space and run it again"),
        io::ErrorKind::PermissionDenied => error.hint("check who owns the file and its permissions"),
        io::ErrorKind::ReadOnlyFilesystem => error.hint("the file system is mounted read-only"),
        io::ErrorKind::FileTooLarge => error.hint("the file system cannot hold a file of this size"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_what_to_do() {
        let source = io::Error::from_raw_os_error(28);
        let error = CliError::from(IoError { op: "write", path: "/x/pack".into(), source });
        assert!(error.message.starts_with("cannot write /x/pack: "), "{}", error.message);
        assert!(error.hints[0].contains("disk is full"), "{:?}", error.hints);
    }
}
