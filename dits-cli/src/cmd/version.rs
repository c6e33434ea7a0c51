//! `dits version`

use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Show the version of dits
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits version
  dits version --json")]
pub struct Args {}

#[derive(Serialize)]
struct Answer {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
}

/// Shows it, with the platform it was built for where asked.
pub fn run(_args: Args, cx: &Context) -> Result<Exit, CliError> {
    let version = env!("CARGO_PKG_VERSION");
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    if cx.json() {
        cx.out().json("version", &Answer { version, os, arch })?;
    } else {
        writeln!(cx.out(), "dits {version}")?;
        if cx.verbose() > 0 {
            writeln!(cx.out(), "built for {os} on {arch}")?;
        }
    }
    Ok(Exit::Ok)
}
