//! Standard output: text, and JSON in the envelope of `docs/json.md`.

use std::io::{self, Write};

use serde::Serialize;

use crate::error::CliError;

/// The version of all JSON output, that of dits.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Envelope<'a, T> {
    schema: u32,
    command: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

/// Writes a text.
///
/// # Errors
/// When the output cannot be written.
pub fn text(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| CliError::output(&e))
}

/// Warns on standard error. Whoever closed it wants none.
pub fn warning(text: &str) {
    let _ = writeln!(io::stderr().lock(), "warning: {text}");
}

/// Writes the answer of `command` on one line.
///
/// # Errors
/// When the output cannot be written.
pub fn json<T: Serialize>(command: &str, body: &T) -> Result<(), CliError> {
    let line = serde_json::to_string(&Envelope { schema: SCHEMA, command, body })
        .map_err(|e| CliError::output(&io::Error::other(e)))?;
    text(&format!("{line}\n"))
}
