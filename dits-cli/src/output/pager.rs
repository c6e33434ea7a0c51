//! Long output goes through a pager when a person watches, like git's.

use std::io::{self, BufWriter, Write};
use std::process::{Child, ChildStdin, Stdio};

use crate::env::Env;
use crate::error::CliError;
use crate::exit::Exit;
use crate::progress::signal;
use crate::settings::Settings;

/// Leaves at once if all fits on a screen, passes colours through, leaves the text on the screen.
const DEFAULT: &str = "less -FRX";

/// Which pager to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    line: String,
    less_options: bool,
}

impl Command {
    /// The pager that `DITS_PAGER`, `core.pager` or `PAGER` names, else `less -FRX`; `None` if the first of them that
    /// is set is empty or `cat`.
    #[must_use]
    pub fn choose(env: &Env, settings: &dyn Settings) -> Option<Self> {
        let line = env.dits_pager.clone().or_else(|| settings.get("core.pager")).or_else(|| env.pager.clone());
        let line = line.unwrap_or_else(|| DEFAULT.to_owned());
        match line.trim() {
            "" | "cat" => None,
            line => Some(Self { line: line.to_owned(), less_options: !env.has_less }),
        }
    }

    /// A plain program is started directly, so that a missing one is noticed; anything else by the shell.
    fn to_process(&self) -> std::process::Command {
        let special = |c: char| !(c.is_alphanumeric() || " -_./+=,:".contains(c));
        let mut words = self.line.split_whitespace();
        let mut process = match words.next() {
            Some(program) if !self.line.contains(special) && !program.contains('=') => {
                let mut process = std::process::Command::new(program);
                process.args(words);
                process
            }
            _ => {
                let mut process = std::process::Command::new("sh");
                process.arg("-c").arg(&self.line);
                process
            }
        };
        if self.less_options {
            process.env("LESS", "FRX");
        }
        process
    }
}

/// A running pager.
pub struct Pager {
    child: Child,
    input: BufWriter<ChildStdin>,
}

impl Pager {
    /// Starts it; `None` if there is no such program, and the text then goes to the terminal as it is.
    pub fn start(command: &Command) -> Result<Option<Self>, CliError> {
        let mut child = match command.to_process().stdin(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                let message = format!("cannot start the pager `{}`: {e}", command.line);
                return Err(CliError::usage(message).hint("`--no-pager` does without one"));
            }
        };
        signal::leave_terminal();
        let input = child.stdin.take().expect("standard input was asked for as a pipe");
        Ok(Some(Self { child, input: BufWriter::new(input) }))
    }

    /// Where the text goes.
    pub fn input(&mut self) -> &mut dyn Write {
        &mut self.input
    }

    /// The error for text that the pager did not take, once the user has left it: leaving early ends the command,
    /// quietly and as a success.
    pub fn closed(&mut self, error: &io::Error) -> CliError {
        let _ = self.child.wait();
        match CliError::output(error) {
            closed if closed.exit == Exit::BrokenPipe => CliError { exit: Exit::Ok, ..closed },
            other => other,
        }
    }

    /// Waits until the user leaves.
    pub fn wait(self) {
        let Self { mut child, input } = self;
        drop(input);
        // How a pager ends says nothing about the command.
        let _ = child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Overrides;

    fn choose(dits_pager: Option<&str>, core_pager: Option<&str>, pager: Option<&str>) -> Option<String> {
        let env = Env { dits_pager: dits_pager.map(str::to_owned), pager: pager.map(str::to_owned), ..Env::default() };
        let given: Vec<String> = core_pager.map(|p| format!("core.pager={p}")).into_iter().collect();
        Command::choose(&env, &Overrides::parse(&given).unwrap()).map(|command| command.line)
    }

    #[test]
    fn the_first_that_is_set_decides() {
        assert_eq!(choose(None, None, None).as_deref(), Some("less -FRX"));
        assert_eq!(choose(None, None, Some("most")).as_deref(), Some("most"));
        assert_eq!(choose(None, Some("more"), Some("most")).as_deref(), Some("more"));
        assert_eq!(choose(Some(""), Some("more"), Some("most")), None);
        assert_eq!(choose(Some("cat"), None, None), None);
    }

    #[test]
    fn shell_syntax_goes_to_the_shell() {
        let program = |line: &str| {
            let command = Command { line: line.to_owned(), less_options: false };
            command.to_process().get_program().to_string_lossy().into_owned()
        };
        assert_eq!(program("less -R"), "less");
        assert_eq!(program("LESS=R less"), "sh");
        assert_eq!(program("less | cat"), "sh");
    }

    #[test]
    fn a_missing_pager_is_done_without() {
        let command = Command { line: "no-such-pager-anywhere".to_owned(), less_options: true };
        assert!(Pager::start(&command).unwrap().is_none());
    }
}
