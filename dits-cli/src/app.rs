//! From the arguments to a command, and from its outcome to the exit code.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser};

use crate::alias;
use crate::cmd::{self, Command};
use crate::context::Context;
use crate::env::{self, Env};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::color::ColorWhen;
use crate::progress::signal;

/// Version control for media: video, audio, images, 3D, projects of any size
#[derive(Debug, Parser)]
#[command(name = "dits", version, disable_help_subcommand = true, arg_required_else_help = true)]
#[command(propagate_version = false, max_term_width = 100)]
pub struct Cli {
    /// The options of every command.
    #[command(flatten)]
    pub globals: Globals,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The options of every command. Those that are `global` may stand behind it too.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Globals {
    /// Run as if started in DIR (may be repeated)
    #[arg(short = 'C', value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub folders: Vec<PathBuf>,
    /// Set a configuration value for this run (may be repeated)
    #[arg(short = 'c', value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// The repository's `.dits` folder, instead of looking for it
    #[arg(long, visible_alias = "ditsdir", value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub dits_dir: Option<PathBuf>,
    /// The top folder of the worktree
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub work_tree: Option<PathBuf>,
    /// Do not page long output
    #[arg(long, global = true)]
    pub no_pager: bool,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", value_enum, num_args = 0..=1, require_equals = true,
          default_missing_value = "always")]
    pub color: Option<ColorWhen>,
    /// Say less: no progress, no summaries
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// The whole command line as clap knows it, for help, man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    let command = Cli::command();
    let overview = cmd::overview(&command);
    command.help_template(format!("{{about}}\n\n{{usage-heading}} {{usage}}\n\n{overview}Options:\n{{options}}\n\nBegin with `dits help tutorial`; `dits help` lists all guides.\n{{after-help}}"))
}

/// The command line that knows the one command that seems to be meant: all seventy take as long to describe as a small command
/// takes to run.
fn lean_command(arguments: &[OsString]) -> Option<clap::Command> {
    let mut words = arguments.iter().map(|word| word.to_str());
    let typed = loop {
        match words.next()?? {
            "-C" | "-c" | "--dits-dir" | "--ditsdir" | "--work-tree" => drop(words.next()),
            option if option.starts_with('-') => {}
            command => break command,
        }
    };
    let base = clap::Command::new("dits").disable_help_subcommand(true);
    cmd::with_only(Globals::augment_args(base), typed)
}

/// Runs dits.
pub fn main() -> ExitCode {
    signal::install();
    let arguments = env::arguments();
    let json = env::has_argument(&arguments, "--json");
    let env = Env::of_process();
    let color = color_of_errors(&arguments, &env);
    match run(arguments, env) {
        Ok(exit) => exit.into(),
        Err(error) => {
            error.print(json, color);
            error.exit.into()
        }
    }
}

/// Errors can come before the options are understood, so this looks at the plain words.
fn color_of_errors(arguments: &[OsString], env: &Env) -> bool {
    let given = |option: &str| env::has_argument(arguments, option);
    let wanted = !env.no_color && !env.is_dumb() && std::io::stderr().is_terminal();
    given("--color=always") || given("--color") || (wanted && !given("--color=never"))
}

fn run(arguments: Vec<OsString>, env: Env) -> Result<Exit, CliError> {
    let cli = match parse(&arguments, &env) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, env::has_argument(&arguments, "--json")),
    };
    for folder in &cli.globals.folders {
        env::enter_folder(folder)?;
    }
    let cwd = env::current_folder()?;
    // A file of settings that cannot be read must not be in the way of its repair.
    let repairs = matches!(cli.command, Command::Config(_));
    let cx = Context::new(cli.globals, env, cwd, repairs)?;
    let outcome = cmd::run(cli.command, &cx);
    let outcome = match (outcome, cx.finish()) {
        (Ok(_), Err(error)) => Err(error.only_output_lost()),
        (outcome, _) => outcome,
    };
    // An operation that noticed Ctrl-C may have failed in another way because of it.
    match outcome {
        Err(error) if signal::interrupted() && error.exit != Exit::Interrupted => {
            Err(CliError::new(Exit::Interrupted, "interrupted"))
        }
        outcome => outcome,
    }
}

/// Reads the arguments; a command that does not exist may be an alias.
fn parse(arguments: &[OsString], env: &Env) -> Result<Cli, clap::Error> {
    let read = |command: clap::Command, arguments: &[OsString]| {
        let words = std::iter::once(OsString::from("dits")).chain(arguments.iter().cloned());
        command.try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches))
    };
    // What goes wrong, and help, is told by the one that knows all commands.
    if let Some(Ok(cli)) = lean_command(arguments).map(|lean| read(lean, arguments)) {
        return Ok(cli);
    }
    let mut arguments = arguments.to_vec();
    let mut seen = Vec::new();
    loop {
        let error = match read(command(), &arguments) {
            Err(error) if error.kind() == ErrorKind::InvalidSubcommand => error,
            outcome => return outcome,
        };
        match alias::expand(&arguments, &error, env, &mut seen) {
            Some(expanded) => arguments = expanded,
            None => return Err(alias::loops(&error, &seen).unwrap_or(error)),
        }
    }
}

/// Help and version go to standard output and are no failure; the rest is a usage error.
fn refuse(error: &clap::Error, json: bool) -> Result<Exit, CliError> {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if json && !is_answer {
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut usage = CliError::usage(message.trim());
        usage.hints.extend(rest.split("\n\n").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()));
        return Err(usage);
    }
    // clap knows which stream it is for, and its colours.
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    match printed {
        Err(error) if is_answer => Err(CliError::output(&error)),
        // A closed standard error has no reader to tell.
        _ => Ok(if is_answer { Exit::Ok } else { Exit::Usage }),
    }
}

#[cfg(test)]
mod tests;
