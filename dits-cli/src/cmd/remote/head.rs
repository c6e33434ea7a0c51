//! `dits remote set-head`

use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::repo::RepoError;

use super::tell;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::remotes::named;
use crate::repository::Opened;

/// Which branch it is to be.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The remote
    name: String,
    /// The branch
    #[arg(required_unless_present = "delete")]
    branch: Option<String>,
    /// Let the name stand for no branch
    #[arg(short, long, conflicts_with = "branch")]
    delete: bool,
}

/// Sets it.
pub fn run(opened: &Opened, cx: &Context, args: &Args) -> Result<Exit, CliError> {
    let (repo, name) = (&opened.repo, &args.name);
    named(repo, name)?;
    let head = RefName::remote(name, "HEAD").map_err(RepoError::from)?;
    let edit = match &args.branch {
        None => RefEdit::delete(head, Expected::Any),
        Some(branch) => {
            let target = RefName::remote(name, branch).map_err(RepoError::from)?;
            if repo.refs().read(&target).map_err(RepoError::from)?.is_none() {
                return Err(CliError::new(Exit::Difference, format!("there is no branch `{}`", target.short()))
                    .hint(format!("`dits fetch {name}` brings what the remote has by now")));
            }
            RefEdit::set(head, Expected::Any, Target::Symbolic(target))
        }
    };
    repo.refs().transaction(vec![edit]).map_err(RepoError::from)?;
    tell(opened, cx, "head-set", &[name])
}
