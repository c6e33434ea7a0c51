//! `dits revert`

use dits_core::merge::Pick;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::picking::{self, PickArgs};

/// Undo what earlier commits did, with new commits
///
/// The history stays; a commit with the opposite changes is added. Files changed again since are a conflict, as in a
/// merge. `dits reset` instead takes commits away from the branch.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits revert HEAD              undo the last commit
  dits revert HEAD~3..HEAD      undo the last three, newest first
  dits revert -m 1 MERGE        undo a merge, back to this branch's side")]
pub struct Args {
    #[command(flatten)]
    pick: PickArgs,
}

/// Reverts.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    picking::run(&args.pick, Pick::Revert, cx)
}
