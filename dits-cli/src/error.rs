//! What a failed command tells the user, and the exit code it ends with.
//!
//! The engine's errors become a [`CliError`] here and nowhere else: one file per core module in `error/`, each an
//! `impl From<that module's error> for CliError` that picks the exit code and adds hints. A command just uses `?`.
//! There is no conversion from a bare [`std::io::Error`]: one that names no file helps nobody, so use
//! `dits_core::durable::IoContext::at` first.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::exit::Exit;
use crate::output::json::SCHEMA;

mod config;
mod date;
mod interrupted;
mod io_error;
mod mount;
mod path;
mod repo;
mod store;
mod sync;

pub use sync::GO_ON;

/// A failure as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    /// What happened, to what; one sentence without a capital and a full stop.
    pub message: String,
    /// What to do about it, each a sentence or a command to run.
    pub hints: Vec<String>,
    /// The exit code.
    pub exit: Exit,
}

impl CliError {
    /// A failure without hints.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), exit }
    }

    /// The request makes no sense ([`Exit::Usage`]).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The reader of the output went away. Nothing is printed.
    #[must_use]
    pub fn broken_pipe() -> Self {
        Self::new(Exit::BrokenPipe, "the output was closed")
    }

    /// A failure to write the output: quiet if its reader went away.
    #[must_use]
    pub fn output(source: &io::Error) -> Self {
        if source.kind() == io::ErrorKind::BrokenPipe {
            return Self::broken_pipe();
        }
        Self::new(Exit::Usage, format!("cannot write the output: {source}"))
    }

    /// Says of a failure to write the last of the output that everything else was done.
    #[must_use]
    pub fn only_output_lost(self) -> Self {
        self.hint("the command itself was carried out: only its output is lost")
    }

    /// Prints it to standard error: `error: …` and `hint: …` lines, or one JSON object on one line.
    pub fn print(&self, json: bool, color: bool) {
        if matches!(self.exit, Exit::BrokenPipe | Exit::Ok) {
            return;
        }
        let text = if json { self.to_json() } else { self.to_text(color) };
        // When standard error is closed there is nobody left to tell.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    fn to_text(&self, color: bool) -> String {
        let paint = |style: Style, word: &str| match color {
            true => format!("{style}{word}{style:#}"),
            false => word.to_owned(),
        };
        let error = paint(AnsiColor::Red.on_default().bold(), "error:");
        let hint = paint(AnsiColor::Yellow.on_default(), "hint:");
        let mut text = format!("{error} {}\n", self.message);
        for line in self.hints.iter().flat_map(|hint| hint.lines()) {
            text.push_str(&format!("{hint} {line}\n"));
        }
        text
    }

    fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Envelope<'a> {
            schema: u32,
            error: Body<'a>,
        }
        #[derive(Serialize)]
        struct Body<'a> {
            message: &'a str,
            hints: &'a [String],
            kind: &'a str,
            exit: u8,
        }
        let body = Body { message: &self.message, hints: &self.hints, kind: self.exit.name(), exit: self.exit.code() };
        let mut line = serde_json::to_string(&Envelope { schema: SCHEMA, error: body })
            .expect("strings and numbers always have a JSON form");
        line.push('\n');
        line
    }
}

/// Prints a line to standard error.
pub fn print_line(text: &str) {
    // When standard error is closed there is nobody left to tell.
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Prints a warning to standard error: `warning: …`, or one JSON object on one line.
pub fn print_warning(text: &str, json: bool) {
    match json {
        true => print_line(&serde_json::json!({ "schema": SCHEMA, "warning": text }).to_string()),
        false => print_line(&format!("warning: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_hints_below_the_error() {
        let error = CliError::usage("no such thing").hint("try this").hint("or\nthat");
        insta::assert_snapshot!(error.to_text(false), @r"
        error: no such thing
        hint: try this
        hint: or
        hint: that
        ");
    }

    #[test]
    fn json_is_one_line() {
        let error = CliError::new(Exit::Corruption, "bad\nbytes").hint("dits fsck");
        insta::assert_snapshot!(error.to_json(), @r#"{"schema":1,"error":{"message":"bad\nbytes","hints":["dits fsck"],"kind":"corruption","exit":6}}"#);
    }

    #[test]
    fn a_closed_pipe_is_quiet() {
        let error = CliError::output(&io::ErrorKind::BrokenPipe.into());
        assert_eq!(error.exit, Exit::BrokenPipe);
    }
}
