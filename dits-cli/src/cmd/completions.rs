//! `dits completions`

use clap_complete::Shell;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Write the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits completions bash > ~/.local/share/bash-completion/completions/dits
  dits completions zsh > ~/.zfunc/_dits        (with ~/.zfunc in fpath, before compinit)
  dits completions fish > ~/.config/fish/completions/dits.fish")]
pub struct Args {
    /// The shell
    pub shell: Shell,
}

/// Writes the script to standard output.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::app::command(), "dits", &mut script);
    cx.out().write_bytes(&script)?;
    Ok(Exit::Ok)
}
