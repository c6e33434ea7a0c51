//! Everything that reaches standard output: text in colour or not, through a pager or not, and JSON.
//!
//! A command writes with `write!(cx.out(), …)?`, which fails with a [`CliError`] and so never panics on a closed pipe.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};

use anstyle::Style;

use crate::error::CliError;

pub mod amounts;
pub mod color;
pub mod json;
pub mod pager;
pub mod path;
pub mod size;
pub mod table;

use color::ColorWhen;
use pager::Pager;

/// Standard output of one run.
pub struct Output {
    sink: RefCell<Sink>,
    color: bool,
    is_terminal: bool,
}

enum Sink {
    Stdout(BufWriter<io::Stdout>),
    Pager(Pager),
    #[cfg(test)]
    Memory(Vec<u8>),
}

impl Output {
    /// Standard output, in colour if `color` and the terminal say so.
    #[must_use]
    pub fn stdout(color: ColorWhen) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let sink = RefCell::new(Sink::Stdout(BufWriter::new(io::stdout())));
        Self { sink, color: color.on(is_terminal), is_terminal }
    }

    /// Keeps what is written, for tests.
    #[cfg(test)]
    #[must_use]
    pub fn memory(color: bool) -> Self {
        Self { sink: RefCell::new(Sink::Memory(Vec::new())), color, is_terminal: false }
    }

    /// What was written to [`Output::memory`].
    #[cfg(test)]
    #[must_use]
    pub fn written(&self) -> String {
        match &*self.sink.borrow() {
            Sink::Memory(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }

    /// Whether a person watches.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether text is coloured.
    #[must_use]
    pub fn color(&self) -> bool {
        self.color
    }

    /// `text` in this style, where colours are on.
    pub fn paint<T: fmt::Display>(&self, style: Style, text: T) -> Painted<T> {
        Painted { style: if self.color { style } else { Style::new() }, text }
    }

    /// Sends the rest of the output through a pager. Does nothing if one runs already or nobody watches.
    pub fn page_through(&self, command: &pager::Command) -> Result<(), CliError> {
        let mut sink = self.sink.borrow_mut();
        let Sink::Stdout(stdout) = &mut *sink else { return Ok(()) };
        if !self.is_terminal {
            return Ok(());
        }
        stdout.flush().map_err(|e| CliError::output(&e))?;
        if let Some(pager) = Pager::start(command)? {
            *sink = Sink::Pager(pager);
        }
        Ok(())
    }

    /// Target of `write!` and `writeln!`.
    ///
    /// # Errors
    /// When the output cannot be written; quiet if its reader went away.
    pub fn write_fmt(&self, arguments: fmt::Arguments<'_>) -> Result<(), CliError> {
        self.io(|writer| writer.write_fmt(arguments))
    }

    /// Writes raw bytes.
    ///
    /// # Errors
    /// As [`Output::write_fmt`].
    pub fn write_bytes(&self, bytes: &[u8]) -> Result<(), CliError> {
        self.io(|writer| writer.write_all(bytes))
    }

    /// Hands the raw stream to a function that wants an [`io::Write`].
    ///
    /// # Errors
    /// As [`Output::write_fmt`].
    pub fn io(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), CliError> {
        let result = match &mut *self.sink.borrow_mut() {
            Sink::Stdout(stdout) => write(stdout),
            Sink::Pager(pager) => return write(pager.input()).map_err(|e| pager.closed(&e)),
            #[cfg(test)]
            Sink::Memory(bytes) => write(bytes),
        };
        result.map_err(|e| CliError::output(&e))
    }

    /// Pushes out what is buffered, so that it is seen before something slow or something on standard error.
    ///
    /// # Errors
    /// As [`Output::write_fmt`].
    pub fn flush(&self) -> Result<(), CliError> {
        self.io(|writer| writer.flush())
    }

    /// Ends the output: flushes, and waits until the user leaves the pager.
    ///
    /// # Errors
    /// As [`Output::write_fmt`].
    pub fn finish(self) -> Result<(), CliError> {
        self.flush()?;
        if let Sink::Pager(pager) = self.sink.into_inner() {
            pager.wait();
        }
        Ok(())
    }
}

/// Text with a style; made by [`Output::paint`].
#[derive(Debug, Clone, Copy)]
pub struct Painted<T> {
    style: Style,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = self.style;
        write!(f, "{style}")?;
        self.text.fmt(f)?;
        write!(f, "{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paints_only_when_colour_is_on() {
        for (color, expected) in [(false, "ab"), (true, "\x1b[31ma\x1b[0mb")] {
            let out = Output::memory(color);
            write!(out, "{}b", out.paint(color::DELETED, "a")).unwrap();
            assert_eq!(out.written(), expected);
        }
    }

    #[test]
    fn a_pad_counts_the_text_and_not_the_colour() {
        let out = Output::memory(true);
        assert_eq!(format!("{:>3}", out.paint(color::DELETED, "a")), "\x1b[31m  a\x1b[0m");
    }
}
