//! What a push without refspecs pushes: `push.default`.

use dits_core::refs::RefName;
use dits_core::remote::Refspec;
use dits_core::repo::RepoError;

use crate::error::CliError;
use crate::repository::Opened;
use crate::sharing::peer::Peer;

/// What is pushed.
pub struct Chosen {
    /// As refspecs.
    pub specs: Vec<Refspec>,
    /// Whether it is followed from then on, although nobody said so.
    pub follows: bool,
}

impl Chosen {
    fn branch(from: &RefName, to: &str) -> Result<Self, CliError> {
        let spec = Refspec::parse(&format!("{from}:{to}")).map_err(RepoError::from)?;
        Ok(Self { specs: vec![spec], follows: false })
    }
}

/// Chooses.
///
/// # Errors
/// When nothing can be chosen; the hints say what to type.
pub fn by_default(opened: &Opened, peer: &Peer, sets_upstream: bool) -> Result<Chosen, CliError> {
    let config = opened.repo.config();
    let how = config.get_str("push.default")?.unwrap_or_default();
    let name = peer.remote.as_ref().map_or_else(|| peer.shown(), |remote| remote.name.clone());
    match how.as_str() {
        "nothing" => {
            return Err(CliError::usage("you did not say what to push, and push.default is \"nothing\"")
                .hint(format!("dits push {name} BRANCH")));
        }
        "matching" => {
            let spec = Refspec::parse("refs/branches/*:refs/branches/*").map_err(RepoError::from)?;
            return Ok(Chosen { specs: vec![spec], follows: false });
        }
        _ => {}
    }
    let head = opened.repo.head()?;
    let branch = head.branch().cloned().ok_or_else(|| {
        CliError::usage("you are not currently on a branch")
            .hint("to push the history leading to the current (detached HEAD) state now, use")
            .hint(format!("dits push {name} HEAD:<name-of-remote-branch>"))
    })?;
    if head.commit().is_none() {
        return Err(RepoError::Unborn { branch: branch.short().to_owned() }.into());
    }
    if how == "current" || sets_upstream {
        return Chosen::branch(&branch, branch.as_str());
    }
    let upstream = opened.repo.upstream(&branch)?.map(|upstream| upstream.follow);
    let here = peer.remote.as_ref().map(|remote| remote.name.as_str());
    match upstream {
        // To another remote than the one it follows: to a branch of the same name.
        Some(follow) if how == "simple" && Some(follow.remote.as_str()) != here => {
            Chosen::branch(&branch, branch.as_str())
        }
        Some(follow) if how == "upstream" || follow.merge == branch.as_str() => Chosen::branch(&branch, &follow.merge),
        Some(follow) => Err(CliError::usage(
            "the upstream branch of your current branch does not match the name of your current branch",
        )
        .hint(format!("to push to the upstream branch: dits push {name} HEAD:{}", follow.branch()))
        .hint(format!("to push to the branch of the same name: dits push {name} HEAD"))
        .hint("to choose for good: `dits config push.default upstream` or `current`")),
        None if config.get_bool("push.autoSetupRemote")? == Some(true) => {
            Ok(Chosen { follows: true, ..Chosen::branch(&branch, branch.as_str())? })
        }
        None => Err(no_upstream(&branch, &name)),
    }
}

fn no_upstream(branch: &RefName, remote: &str) -> CliError {
    CliError::usage(format!("the current branch {} has no upstream branch", branch.short()))
        .hint("to push the current branch and set the remote as upstream, use")
        .hint(format!("dits push --set-upstream {remote} {}", branch.short()))
        .hint("to have that done by itself: dits config push.autoSetupRemote true")
}
