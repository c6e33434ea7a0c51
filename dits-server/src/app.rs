//! From the arguments to a command, and from its outcome to the exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser};

use crate::cmd::{self, Command};
use crate::env::{self, Env};
use crate::error::CliError;
use crate::exit::Exit;
use crate::root::Root;

/// Hosts dits repositories: one program, one folder, no other service
#[derive(Debug, Parser)]
#[command(name = "dits-server", version, arg_required_else_help = true)]
#[command(max_term_width = 100, args_conflicts_with_subcommands = false)]
#[command(after_help = "Examples:
  dits-server repo create film --root /srv/dits
  dits-server token create ada --repository film --allow read,write --root /srv/dits
  dits-server serve --root /srv/dits --listen 0.0.0.0:5557

docs/server.md explains everything.")]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    /// Serve one repository on standard input and output, with what the user who runs this may do; for ssh
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::DirPath)]
    stdio: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Globals {
    /// The server's folder [default: DITS_SERVER_ROOT]
    #[arg(long, global = true, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub root: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What every command gets.
pub struct Context {
    /// The options of every command.
    pub globals: Globals,
    /// The environment.
    pub env: Env,
}

impl Context {
    fn root_path(&self) -> Result<&PathBuf, CliError> {
        self.globals.root.as_ref().or(self.env.root.as_ref()).ok_or_else(|| {
            CliError::usage("which server?").hint("name its folder with --root DIR, or in DITS_SERVER_ROOT")
        })
    }

    /// The server's folder, which must be there.
    ///
    /// # Errors
    /// When it was not named, or is none.
    pub fn root(&self) -> Result<Root, CliError> {
        Ok(Root::open(self.root_path()?)?)
    }

    /// The server's folder; what is missing is made.
    ///
    /// # Errors
    /// When it was not named, or cannot be made.
    pub fn root_or_new(&self) -> Result<Root, CliError> {
        Ok(Root::open_or_create(self.root_path()?)?)
    }

    /// Whether the answer is to be JSON.
    #[must_use]
    pub fn json(&self) -> bool {
        self.globals.json
    }
}

/// Runs dits-server.
pub fn main() -> ExitCode {
    let arguments = env::arguments();
    let json = arguments.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let words = std::iter::once("dits-server".into()).chain(arguments);
    let outcome = match Cli::try_parse_from(words) {
        Ok(cli) => run(cli),
        Err(error) => refuse(&error, json),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.print(json);
            error.exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, CliError> {
    let cx = Context { globals: cli.globals, env: Env::of_process() };
    match (cli.stdio, cli.command) {
        (Some(path), None) => cmd::stdio::run(&path, &cx),
        (None, Some(command)) => cmd::run(command, &cx),
        _ => Err(CliError::usage("--stdio stands alone, without a command")),
    }
}

/// Help and version go to standard output and are no failure; the rest is a usage error.
fn refuse(error: &clap::Error, json: bool) -> Result<Exit, CliError> {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if json && !is_answer {
        let text = error.render().to_string();
        return Err(CliError::usage(text.strip_prefix("error: ").unwrap_or(&text).trim()));
    }
    // clap knows which stream it is for. A closed stream has no reader to tell.
    let _ = error.print();
    Ok(if is_answer { Exit::Ok } else { Exit::Usage })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["dits-server", "repo", "list", "--root", "/r", "--json"]).unwrap();
        assert!(cli.globals.json && cli.globals.root.is_some());
    }
}
