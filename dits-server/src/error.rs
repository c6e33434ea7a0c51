//! What a failed command tells its user. The modules' own errors become a [`CliError`] here and nowhere else.

use std::io::{self, Write};

use dits_core::durable::IoError;
use dits_core::lockfile::LockError;
use dits_core::record::RecordError;
use dits_core::repo::RepoError;
use dits_sync::identity::IdentityError;
use dits_sync::link::ListenError;
use serde::Serialize;

use crate::audit::AuditError;
use crate::exit::Exit;
use crate::http::HttpError;
use crate::locks::LocksError;
use crate::output::SCHEMA;
use crate::repo_name::RepoNameError;
use crate::repositories::RepositoriesError;
use crate::root::RootError;
use crate::settings::SettingsError;
use crate::token::TokenError;

/// A failure as the user sees it.
#[derive(Debug)]
pub struct CliError {
    /// What happened, to what.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// The exit code.
    pub exit: Exit,
}

impl CliError {
    /// A failure without hints.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), exit }
    }

    /// The request makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// A failure to write the output: quiet if its reader went away.
    #[must_use]
    pub fn output(source: &io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::BrokenPipe, "the output was closed"),
            _ => Self::usage(format!("cannot write the output: {source}")),
        }
    }

    /// Prints it to standard error, as text or as one line of JSON.
    pub fn print(&self, json: bool) {
        if matches!(self.exit, Exit::BrokenPipe | Exit::Ok) {
            return;
        }
        let text = if json { self.to_json() } else { self.to_text() };
        // When standard error is closed there is nobody left to tell.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    fn to_text(&self) -> String {
        let hints = self.hints.iter().map(|hint| format!("hint: {hint}\n"));
        std::iter::once(format!("error: {}\n", self.message)).chain(hints).collect()
    }

    fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            message: &'a str,
            hints: &'a [String],
            kind: &'a str,
            exit: u8,
        }
        let body = Body { message: &self.message, hints: &self.hints, kind: self.exit.name(), exit: self.exit as u8 };
        format!("{}\n", serde_json::json!({ "schema": SCHEMA, "error": body }))
    }
}

impl From<IoError> for CliError {
    fn from(error: IoError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<LockError> for CliError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Io(error) => error.into(),
            busy @ LockError::Busy { .. } => Self::new(Exit::Lock, busy.to_string()),
        }
    }
}

impl From<RecordError> for CliError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Io(error) => error.into(),
            damaged @ RecordError::Corrupt { .. } => Self::new(Exit::Corruption, damaged.to_string()),
        }
    }
}

impl From<RepoError> for CliError {
    fn from(error: RepoError) -> Self {
        match error {
            RepoError::Io(error) => error.into(),
            error if error.is_corruption() => Self::new(Exit::Corruption, error.to_string()),
            error => Self::usage(error.to_string()),
        }
    }
}

impl From<RepoNameError> for CliError {
    fn from(error: RepoNameError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> Self {
        Self::usage(error.to_string()).hint("docs/server.md lists the settings")
    }
}

impl From<LocksError> for CliError {
    fn from(error: LocksError) -> Self {
        match error {
            LocksError::Io(error) => error.into(),
            error => Self::usage(error.to_string()).hint("docs/server.md says under *Locks* how to name a lock store"),
        }
    }
}

impl From<RootError> for CliError {
    fn from(error: RootError) -> Self {
        match error {
            RootError::Io(error) => error.into(),
            RootError::Settings(error) => error.into(),
            missing @ RootError::Missing { .. } => {
                Self::usage(missing.to_string()).hint("`dits-server serve` and `dits-server repo create` make it")
            }
            RootError::Served { .. } => Self::new(Exit::Lock, error.to_string())
                .hint("several servers serve one folder when all of them are given the same --locks redis://…"),
        }
    }
}

impl From<TokenError> for CliError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Io(error) => error.into(),
            TokenError::Lock(error) => error.into(),
            TokenError::Record(error) => error.into(),
            TokenError::Damaged { .. } => Self::new(Exit::Corruption, error.to_string()),
            TokenError::Exists(_) => {
                Self::new(Exit::Conflict, error.to_string()).hint("revoke it first, or take another name")
            }
            TokenError::NotFound(_) => {
                Self::new(Exit::Difference, error.to_string()).hint("`dits-server token list` lists them")
            }
            error => Self::usage(error.to_string()),
        }
    }
}

impl From<AuditError> for CliError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Io(error) => error.into(),
            AuditError::Lock(error) => error.into(),
            damaged @ AuditError::Damaged { .. } => Self::new(Exit::Corruption, damaged.to_string())
                .hint("`dits-server audit verify` says what is wrong; move the log aside to begin a new one"),
        }
    }
}

impl From<RepositoriesError> for CliError {
    fn from(error: RepositoriesError) -> Self {
        match error {
            RepositoriesError::Io(error) => error.into(),
            RepositoriesError::Repo(error) => error.into(),
            RepositoriesError::NotFound(_) => {
                Self::new(Exit::Difference, error.to_string()).hint("`dits-server repo list` lists them")
            }
        }
    }
}

impl From<IdentityError> for CliError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Io(error) => error.into(),
            error => Self::usage(error.to_string()),
        }
    }
}

impl From<ListenError> for CliError {
    fn from(error: ListenError) -> Self {
        Self::new(Exit::Network, error.to_string())
            .hint("another program may have the port; --listen takes another one")
    }
}

impl From<HttpError> for CliError {
    fn from(error: HttpError) -> Self {
        Self::new(Exit::Network, error.to_string()).hint("another program may have the port; --http takes another one")
    }
}
