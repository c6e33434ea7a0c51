//! The audit log: what was done, each line bound to the one before (`docs/server.md`).

mod line;
mod log;
mod verify;

use std::path::PathBuf;

use dits_core::durable::IoError;
use dits_core::lockfile::LockError;

pub use line::{Head, Record, RefChange};
pub use log::AuditLog;
pub use verify::{Finding, verify};

/// A log that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Its end cannot be continued.
    #[error("{} cannot be continued: {what}", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Another process is writing it for long.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}
