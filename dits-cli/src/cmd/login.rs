//! `dits login`

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use dits_core::durable::IoContext;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::context::Context;
use crate::credentials;
use crate::env::Secret;
use crate::error::CliError;
use crate::exit::Exit;
use crate::remotes;

/// Keep the token that a server asks for
///
/// The token is asked for, or read from standard input, and kept in a file that only you can read. It holds for the
/// address and all below it: `dits://studio.example` for every repository there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits login dits://studio.example/film           asks for the token
  dits login origin < token.txt                   for a remote, from a file
  dits logout dits://studio.example/film          forget it")]
pub struct Args {
    /// A server's or repository's address, or the name of a remote
    #[arg(value_name = "URL|REMOTE")]
    to: String,
    /// Read the token from a file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    token_file: Option<PathBuf>,
}

/// Keeps it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let url = remotes::address(cx, &args.to)?;
    let token = match &args.token_file {
        Some(path) => read_from(std::fs::File::open(path).at("open", path)?, path)?,
        None if std::io::stdin().is_terminal() => ask(&url)?,
        None => read_from(std::io::stdin().lock(), Path::new("standard input"))?,
    };
    if !credentials::is_of_dits_server(&token) {
        cx.warn("this does not look like a token of dits-server: `dits_` and 64 hexadecimal digits");
    }
    let file = credentials::keep(cx, &url, token)?;
    if cx.json() {
        cx.out().json("login", &serde_json::json!({ "url": url, "file": file.display().to_string() }))?;
    } else {
        cx.note(format!("The token for {url} is kept in {}", file.display()));
    }
    Ok(Exit::Ok)
}

fn read_from(mut from: impl Read, name: &Path) -> Result<Secret, CliError> {
    let mut text = String::new();
    from.by_ref().take(1 << 20).read_to_string(&mut text).at("read", name)?;
    credentials::checked(&text, &name.display().to_string())
}

/// Asks on the terminal, without showing what is typed.
fn ask(url: &str) -> Result<Secret, CliError> {
    let mut error = std::io::stderr().lock();
    let failed = |errno: rustix::io::Errno| CliError::usage(format!("cannot use the terminal: {errno}"));
    write!(error, "Token for {url}: ").and_then(|()| error.flush()).at("write to", Path::new("the terminal"))?;
    let stdin = std::io::stdin();
    let shown = tcgetattr(&stdin).map_err(failed)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(failed)?;
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &shown).map_err(failed)?;
    // When the terminal is gone there is nobody left to tell.
    let _ = writeln!(error);
    read.at("read", Path::new("the terminal"))?;
    credentials::checked(&line, "what was typed")
}
