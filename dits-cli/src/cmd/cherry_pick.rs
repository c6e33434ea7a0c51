//! `dits cherry-pick`

use dits_core::merge::Pick;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::picking::{self, PickArgs};

/// Repeat the changes of other commits on this branch
///
/// Each commit is made again on top of HEAD, with its author and message. Files changed here too are a conflict, as in
/// a merge.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits cherry-pick grading            the newest commit of a branch
  dits cherry-pick main~3..main       the last three of main, oldest first
  dits cherry-pick --abort            give up after a conflict")]
pub struct Args {
    #[command(flatten)]
    pick: PickArgs,
    /// Name the original commit in the message
    #[arg(short = 'x')]
    name_origin: bool,
}

/// Picks.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    picking::run(&args.pick, Pick::CherryPick { name_origin: args.name_origin }, cx)
}
