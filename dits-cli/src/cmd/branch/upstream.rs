//! Making a branch follow another.

use dits_core::config::Edit;
use dits_core::refs::{RefName, RefStore};
use dits_core::repo::RepoError;

use super::{Done, Named, find};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::moves;
use crate::repository::Opened;
use crate::tracking;

/// The branch that is meant: the one named, or the one HEAD is on.
fn meant(opened: &Opened, names: &[String]) -> Result<RefName, CliError> {
    let repo = &opened.repo;
    match names {
        [] => {
            let on_none = || CliError::usage("HEAD is on no branch; name the branch that is meant");
            repo.head()?.branch().cloned().ok_or_else(on_none)
        }
        [name] => find(repo, &moves::expand(repo, name)?, false),
        _ => Err(CliError::usage("only one branch at a time")),
    }
}

/// Makes it follow `to`.
pub fn set(opened: &Opened, cx: &Context, names: &[String], to: &str) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let branch = meant(opened, names)?;
    let missing = || {
        CliError::new(Exit::Difference, format!("the requested upstream branch '{to}' does not exist"))
            .hint("`dits branch -a` lists what there is; `dits fetch` brings what a remote has by now")
            .hint(format!("to push `{}` and follow it there: dits push -u origin {0}", branch.short()))
    };
    let named = repo.ref_named(&moves::expand(repo, to)?)?.ok_or_else(missing)?;
    let named = repo.refs().follow(&named).map_err(RepoError::from)?.0;
    let follow = repo.to_follow(&named)?.ok_or_else(|| {
        CliError::usage(format!("cannot follow '{to}': it is not a branch")).hint("`dits branch -a` lists them")
    })?;
    tracking::set(opened, cx, &branch, &follow)?;
    tell(cx, "upstream-set", &branch)
}

/// Makes it follow nothing.
pub fn unset(opened: &Opened, cx: &Context, names: &[String]) -> Result<Exit, CliError> {
    let branch = meant(opened, names)?;
    if opened.repo.upstream(&branch)?.is_none() {
        let message = format!("branch '{}' has no upstream information", branch.short());
        return Err(CliError::new(Exit::Difference, message));
    }
    let key = |name: &str| Edit::Unset(format!("{}.{name}", tracking::section(&branch)));
    tracking::update(&opened.repo, &[key("remote"), key("merge")])?;
    tell(cx, "upstream-unset", &branch)
}

fn tell(cx: &Context, action: &'static str, branch: &RefName) -> Result<Exit, CliError> {
    if cx.json() {
        let named = Named { name: branch.short().to_owned(), commit: None };
        cx.out().json("branch", &Done { action, branches: vec![named] })?;
    }
    Ok(Exit::Ok)
}
