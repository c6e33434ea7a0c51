//! `dits init`

use std::path::PathBuf;

use dits_core::repo::{InitOptions, Repository};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Make a folder a repository
///
/// Creates the folder `.dits`, which holds everything dits stores. Nothing else in the folder is touched. In a folder
/// that is a repository already nothing happens.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits init                 the current folder
  dits init project         a new folder
  dits init -b trunk        with another first branch than `main`")]
pub struct Args {
    /// The folder; it is created if need be
    #[arg(value_hint = clap::ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// The name of the first branch
    #[arg(short = 'b', long, value_name = "NAME")]
    initial_branch: Option<String>,
    /// Without a worktree: the folder itself holds the repository
    #[arg(long)]
    bare: bool,
}

#[derive(Serialize)]
struct Answer {
    path: String,
    created: bool,
    branch: String,
}

/// Makes it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let folder = cx.cwd.join(args.folder.unwrap_or_default());
    let branch = args.initial_branch.or_else(|| cx.settings().get("init.defaultBranch"));
    let options = InitOptions { branch: branch.unwrap_or_else(|| "main".to_owned()), bare: args.bare };
    let (repo, created) = Repository::init(&folder, &options, &cx.environment()?)?;
    let path = repo.layout().common.display().to_string();
    if cx.json() {
        cx.out().json("init", &Answer { path, created, branch: options.branch })?;
    } else if created && !cx.quiet() {
        writeln!(cx.out(), "Empty repository made in {path}")?;
    } else if !cx.quiet() {
        writeln!(cx.out(), "{path} is a repository already; nothing was changed")?;
    }
    Ok(Exit::Ok)
}
