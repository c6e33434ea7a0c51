//! `dits cache`

use clap::Subcommand;
use dits_core::partial::Share;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

mod clear;
mod log;
mod stats;

/// Look at and empty the disk cache of mounts
///
/// What mounts read from remotes is kept in the repository's disk cache, up to `mount.cacheSize`; what was not read for
/// the longest time goes first. All mounts of a repository share it. Nothing is lost with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits cache stats                  what it takes, and how much of the project is here
  dits cache log                    which programs had content brought
  dits cache clear                  also while something is mounted
  dits config set mount.cacheSize 50G")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what it takes, how much of HEAD is here, and which mounts use it
    Stats,
    /// Empty it
    Clear,
    /// Say which programs had content brought by the mounts there are, most hungry first
    Log {
        /// Also which files
        #[arg(short, long)]
        files: bool,
    },
}

/// A part of the content.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Part {
    /// Chunks.
    pub chunks: u64,
    /// Bytes of their content.
    pub bytes: u64,
}

impl From<Share> for Part {
    fn from(share: Share) -> Self {
        Self { chunks: share.chunks, bytes: share.bytes }
    }
}

/// Does it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    match args.action {
        Action::Stats => stats::run(cx),
        Action::Clear => clear::run(cx),
        Action::Log { files } => log::run(files, cx),
    }
}
