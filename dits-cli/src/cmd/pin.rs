//! `dits pin`

use std::ffi::OsString;

use serde::Serialize;

use super::fetch::{Content, ContentAnswer};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::sharing::options::TransferArgs;

/// Keep the content of files here, until it is evicted
///
/// What is not here comes from the remote that promised it, except what the disk cache of mounts has already. It is kept
/// in the store, which no quota empties. In a mount the files look the same before and after; in a partial clone they
/// take the place of their ghosts, as with `dits fetch PATH`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits pin shots/010/               to work on it without a connection
  dits pin --dry-run .              how much everything would be
  dits pin '*.wav'                  all sound
  dits evict shots/010/             gives the space back")]
pub struct Args {
    /// Files, folders and patterns (`dits help pathspecs`)
    #[arg(value_name = "PATH", required = true, value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// Say how much would come, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Options of the transfer
    #[command(flatten)]
    transfer: TransferArgs,
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    content: ContentAnswer,
    dry_run: bool,
}

/// Pins.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let content = Content { opened: &opened, cx, limit: args.transfer.limit_rate, dry_run: args.dry_run };
    let content = content.paths(&args.paths)?;
    if cx.json() {
        cx.out().json("pin", &Answer { content, dry_run: args.dry_run })?;
    }
    Ok(Exit::Ok)
}
