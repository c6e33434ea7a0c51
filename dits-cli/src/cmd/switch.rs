//! `dits switch`

use dits_core::path::portable;
use dits_core::refs::{BRANCHES, REMOTES, RefName, RefStore};
use dits_core::repo::{RepoError, Repository};
use dits_core::worktree::{Destination, NewBranch};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::moves::{self, Journey};
use crate::tracking::TrackArgs;

/// Go to another branch
///
/// Files and staging area become those of the branch; only files that differ are written. Changes that are not
/// committed come along if the two branches agree on those files; otherwise nothing happens and they are named.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits switch main            go to a branch
  dits switch -c grading      make a branch here and go to it
  dits switch -c fix v1.0     make one that begins at another version
  dits switch colour          a branch that only a remote has: make it here, and follow it
  dits switch --detach HEAD~3 look at an old version
  dits switch -               back to where you were")]
pub struct Args {
    /// The branch, or where a new one begins; `-` is the previous one
    #[arg(value_name = "BRANCH")]
    to: Option<String>,
    /// Make a branch and go to it
    #[arg(short = 'c', long, value_name = "NEW", conflicts_with_all = ["force_create", "detach", "orphan"])]
    create: Option<String>,
    /// The same, moving the branch if it exists
    #[arg(short = 'C', long, value_name = "NEW", conflicts_with_all = ["detach", "orphan"])]
    force_create: Option<String>,
    /// Go to a commit, on no branch
    #[arg(short, long)]
    detach: bool,
    /// Make a branch without history: no files, no commits
    #[arg(long, value_name = "NEW", conflicts_with_all = ["detach", "to"])]
    orphan: Option<String>,
    /// Throw away changes that are not committed
    #[arg(short = 'f', long, visible_alias = "discard-changes")]
    force: bool,
    /// Do not take a remote's branch of that name for the start of a new one
    #[arg(long)]
    no_guess: bool,
    /// What the new branch follows
    #[command(flatten)]
    track: TrackArgs,
}

/// Goes there.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let repo = &opened.repo;
    let mut journey = destination(repo, &args)?;
    journey.options.force = args.force;
    moves::go(&opened, cx, "switch", &journey)
}

fn destination(repo: &Repository, args: &Args) -> Result<Journey, CliError> {
    if let Some(name) = &args.orphan {
        let new = NewBranch { commit: None, from: "HEAD".to_owned(), reset: false };
        return Ok(Journey::to_new(RefName::branch(name).map_err(RepoError::from)?, new, None));
    }
    if let Some(name) = args.create.as_ref().or(args.force_create.as_ref()) {
        return new_branch(repo, name, args.to.as_deref(), args.force_create.is_some(), args.track);
    }
    let typed = args.to.as_deref().or(args.detach.then_some("HEAD"));
    let typed = typed.ok_or_else(|| CliError::usage("where to? name a branch, or make one with -c NEW"))?;
    let name = moves::expand(repo, typed)?;
    if args.track.asked() {
        return new_branch(repo, &name_of(repo, &name)?, Some(&name), false, args.track);
    }
    if args.detach {
        let commit = repo.resolve_commit(&name)?;
        let mut journey = Journey::to(Destination::Commit(commit));
        journey.options.named = Some(name);
        return Ok(journey);
    }
    if let Some(branch) = moves::branch_named(repo, &name)? {
        return Ok(Journey::to(Destination::Branch(branch)));
    }
    if !args.no_guess
        && let Some(journey) = Journey::guess(repo, &name)?
    {
        return Ok(journey);
    }
    if repo.head()?.branch().is_some_and(|branch| branch.short() == name) {
        return Err(RepoError::Unborn { branch: name }.into());
    }
    Err(match repo.resolve_commit(&name) {
        Ok(_) => CliError::usage(format!("`{name}` is a version, not a branch")).hint(format!(
            "`dits switch --detach {name}` goes there; `dits switch -c NEW {name}` makes a branch there"
        )),
        Err(_) => {
            let error = CliError::new(Exit::Difference, format!("there is no branch `{name}`"));
            let alike = |branch: &RefName| portable::fold(branch.short().as_bytes()) == portable::fold(name.as_bytes());
            match repo.refs().list(BRANCHES)?.iter().find(|(branch, _)| alike(branch)) {
                Some((branch, _)) => error.hint(format!("did you mean `{}`?", branch.short())),
                None => error.hint(format!("`dits branch` lists the branches; `dits switch -c {name}` makes this one")),
            }
        }
    })
}

/// The name of a branch that is made for one of a remote: `origin/x` becomes `x`.
///
/// # Errors
/// When it is no remote's branch.
pub fn name_of(repo: &Repository, start: &str) -> Result<String, CliError> {
    let named = repo.ref_named(start)?;
    let short = named.as_ref().and_then(|name| name.as_str().strip_prefix(REMOTES)?.split_once('/'));
    short.map(|(_, name)| name.to_owned()).ok_or_else(|| {
        CliError::usage(format!("`{start}` is no branch of a remote, so the new branch needs a name"))
            .hint(format!("dits switch -c NAME --track {start}"))
    })
}

/// Where a branch that is to be made begins.
///
/// # Errors
/// When the name is none or the start is not found.
pub fn new_branch(
    repo: &Repository,
    name: &str,
    start: Option<&str>,
    reset: bool,
    track: TrackArgs,
) -> Result<Journey, CliError> {
    let branch = RefName::branch(name).map_err(RepoError::from)?;
    let from = moves::expand(repo, start.unwrap_or("HEAD"))?;
    let commit = match (start, repo.head()?.commit()) {
        // Before the first commit, another name for the branch to be.
        (None, None) => None,
        _ => Some(repo.resolve_commit(&from)?),
    };
    let follow = track.follow(repo, &from)?;
    Ok(Journey::to_new(branch, NewBranch { commit, from, reset }, follow))
}
