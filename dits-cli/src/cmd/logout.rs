//! `dits logout`

use crate::context::Context;
use crate::credentials;
use crate::error::CliError;
use crate::exit::Exit;
use crate::remotes;

/// Forget the token that is kept for a server
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits logout dits://studio.example/film
  dits logout origin")]
pub struct Args {
    /// A server's or repository's address, or the name of a remote
    #[arg(value_name = "URL|REMOTE")]
    from: String,
}

/// Forgets it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let url = remotes::address(cx, &args.from)?;
    let found = credentials::forget(cx, &url)?;
    if cx.json() {
        cx.out().json("logout", &serde_json::json!({ "url": url, "removed": found }))?;
    } else {
        cx.note(match found {
            true => format!("The token for {url} is forgotten"),
            false => format!("no token is kept for {url}"),
        });
    }
    Ok(if found { Exit::Ok } else { Exit::Difference })
}
