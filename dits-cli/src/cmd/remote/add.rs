//! `dits remote add`

use dits_core::config::{self, Edit, Layer, Value};
use dits_core::remote::{Refspec, Remote};
use dits_core::repo::RepoError;

use super::tell;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::remotes::parse;
use crate::repository::Opened;

/// What to add.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to call it
    name: String,
    /// Where it is: `dits://`, `https://`, `ssh://`, `file://` or a path
    #[arg(value_hint = clap::ValueHint::DirPath)]
    url: String,
    /// Follow only this branch of it (may be repeated)
    #[arg(short = 't', long = "track", value_name = "BRANCH")]
    track: Vec<String>,
}

/// Adds it.
pub fn run(opened: &Opened, cx: &Context, args: &Args) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let name = &args.name;
    Remote::check_name(name).map_err(RepoError::from)?;
    parse(&args.url)?;
    if Remote::find(repo.config(), name).map_err(RepoError::from)?.is_some() {
        return Err(CliError::usage(format!("remote {name} already exists."))
            .hint(format!("`dits remote set-url {name} URL` changes where it is")));
    }
    let edits = settings(name, &args.url, &args.track)?;
    config::update(Layer::Repository, &repo.layout().config(), &edits)?;
    tell(opened, cx, "added", &[name])
}

/// The settings of a new remote; without branches it is followed as a whole.
///
/// # Errors
/// When a branch cannot have its name.
pub fn settings(name: &str, url: &str, branches: &[String]) -> Result<Vec<Edit>, CliError> {
    let mut specs = Vec::new();
    for branch in branches {
        dits_core::refs::RefName::branch(branch).map_err(RepoError::from)?;
        specs.push(Refspec::one_branch(name, branch));
    }
    if specs.is_empty() {
        specs.push(Refspec::all_branches(name));
    }
    let fetch = Value::List(specs.iter().map(|spec| Value::Text(spec.to_string())).collect());
    let edit = |key: &str, value| Edit::Set(format!("remote.{name}.{key}"), value);
    Ok(vec![edit("url", Value::Text(url.to_owned())), edit("fetch", fetch)])
}
