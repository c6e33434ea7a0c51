//! `dits branch`

use dits_core::config::Edit;
use dits_core::history::is_ancestor;
use dits_core::object::{CommitId, ObjectKind};
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::repo::{RepoError, Repository};
use dits_core::worktree::NewBranch;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::moves;
use crate::repository::Opened;
use crate::tracking::{self, TrackArgs};

mod list;
mod rename;
mod upstream;

/// List, make, rename and delete branches
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits branch                   list them; `*` marks the one you are on
  dits branch -v                with their newest commits
  dits branch grading           make one here (and go there: dits switch -c grading)
  dits branch fix v1.0          make one that begins at another version
  dits branch -m old new        rename one
  dits branch -d grading        delete one that is merged
  dits branch -vv               how far each is from what it follows
  dits branch -u origin/main    make the one you are on follow a remote's
  dits branch --contains 3f1c   which ones have a commit")]
pub struct Args {
    /// The branch, then where it begins; or the patterns, branches or old and new name that an option takes
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// List the remotes' branches too
    #[arg(short, long)]
    all: bool,
    /// List only the remotes' branches
    #[arg(short, long)]
    remotes: bool,
    /// List those whose names match the patterns
    #[arg(short, long)]
    list: bool,
    /// Delete branches that are merged into the one you are on
    #[arg(short, long, conflicts_with_all = ["rename", "force_rename", "copy", "list"])]
    delete: bool,
    /// Delete branches, merged or not
    #[arg(short = 'D', conflicts_with_all = ["rename", "force_rename", "copy", "list"])]
    force_delete: bool,
    /// Rename a branch, or with one name the one you are on
    #[arg(short = 'm', long = "move", conflicts_with_all = ["copy", "list"])]
    rename: bool,
    /// The same, replacing a branch that has the new name
    #[arg(short = 'M', conflicts_with_all = ["copy", "list"])]
    force_rename: bool,
    /// Copy a branch with its log
    #[arg(short, long, conflicts_with = "list")]
    copy: bool,
    /// Make a branch, by default the one you are on, follow another: `origin/main`
    #[arg(short = 'u', long, value_name = "UPSTREAM",
          conflicts_with_all = ["rename", "force_rename", "copy", "list", "delete", "force_delete"])]
    set_upstream_to: Option<String>,
    /// Make a branch follow nothing
    #[arg(long, conflicts_with_all = ["rename", "force_rename", "copy", "list", "delete", "force_delete", "set_upstream_to"])]
    unset_upstream: bool,
    /// What the new branch follows
    #[command(flatten)]
    track: TrackArgs,
    /// Move a branch that exists; delete one that is not merged
    #[arg(short, long)]
    force: bool,
    /// Print the branch that you are on, and nothing if there is none
    #[arg(long, exclusive = true)]
    show_current: bool,
    /// List those that have this commit
    #[arg(long, value_name = "REV", num_args = 0..=1, default_missing_value = "HEAD")]
    contains: Option<String>,
    /// List those that do not have this commit
    #[arg(long, value_name = "REV", num_args = 0..=1, default_missing_value = "HEAD")]
    no_contains: Option<String>,
    /// List those that this commit has all of
    #[arg(long, value_name = "REV", num_args = 0..=1, default_missing_value = "HEAD")]
    merged: Option<String>,
    /// List those that this commit does not have all of
    #[arg(long, value_name = "REV", num_args = 0..=1, default_missing_value = "HEAD")]
    no_merged: Option<String>,
    /// List those that are at this commit
    #[arg(long, value_name = "REV", num_args = 0..=1, default_missing_value = "HEAD")]
    points_at: Option<String>,
}

impl Args {
    fn filters(&self) -> bool {
        [&self.contains, &self.no_contains, &self.merged, &self.no_merged, &self.points_at].iter().any(|o| o.is_some())
    }
}

#[derive(Serialize)]
struct Done {
    action: &'static str,
    branches: Vec<Named>,
}

#[derive(Serialize)]
struct Named {
    name: String,
    commit: Option<String>,
}

/// Does what the options say.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    if args.show_current {
        return list::show_current(&opened, cx);
    }
    if let Some(to) = &args.set_upstream_to {
        return upstream::set(&opened, cx, &args.names, to);
    }
    if args.unset_upstream {
        return upstream::unset(&opened, cx, &args.names);
    }
    if args.delete || args.force_delete {
        return delete(&opened, cx, &args);
    }
    if args.rename || args.force_rename || args.copy {
        return rename::run(&opened, cx, &args);
    }
    if args.list || args.all || args.remotes || args.filters() || args.names.is_empty() {
        return list::run(&opened, cx, &args);
    }
    create(&opened, cx, &args)
}

fn create(opened: &Opened, cx: &Context, args: &Args) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let (name, start) = match &args.names[..] {
        [name] => (name, None),
        [name, start] => (name, Some(start)),
        _ => return Err(CliError::usage("a branch has one name and begins at one version")),
    };
    let from = match start {
        Some(start) => moves::expand(repo, start)?,
        None => repo.head()?.branch().map_or("HEAD".to_owned(), |branch| branch.short().to_owned()),
    };
    let commit = if start.is_some() { repo.resolve_commit(&from)? } else { repo.head_commit()?.0 };
    let branch = RefName::branch(name).map_err(RepoError::from)?;
    if let Some(worktree) = args.force.then(|| repo.branches_in_use()).transpose()?.and_then(|mut b| b.remove(&branch))
    {
        return Err(RepoError::BranchInUse { branch: name.clone(), worktree }.into());
    }
    let new = NewBranch { commit: Some(commit), from: from.clone(), reset: args.force };
    let edit = repo.branch_edit(&branch, &new, &opened.who(cx)?)?;
    let follow = args.track.follow(repo, start.map_or("HEAD", |_| from.as_str()))?;
    let _held = repo.hold(&[(ObjectKind::Commit, *commit.digest())])?;
    repo.refs().transaction(edit.into_iter().collect()).map_err(RepoError::from)?;
    if let Some(follow) = follow {
        tracking::set(opened, cx, &branch, &follow)?;
    }
    if cx.json() {
        let made = Named { name: name.clone(), commit: Some(commit.to_string()) };
        cx.out().json("branch", &Done { action: "created", branches: vec![made] })?;
    }
    Ok(Exit::Ok)
}

fn delete(opened: &Opened, cx: &Context, args: &Args) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    if args.names.is_empty() {
        return Err(CliError::usage("which branch? name at least one"));
    }
    let force = args.force_delete || args.force;
    let mut used = repo.branches_in_use()?;
    let mut found = Vec::new();
    for name in &args.names {
        let name = moves::expand(repo, name)?;
        let branch = find(repo, &name, args.remotes)?;
        if let Some(worktree) = used.remove(&branch) {
            let here = repo.layout().worktree.as_ref() == Some(&worktree);
            let mut error = CliError::from(RepoError::BranchInUse { branch: name, worktree });
            if here {
                error.hints = vec!["go to another branch first: dits switch BRANCH".to_owned()];
            }
            return Err(error);
        }
        let target = repo.refs().read(&branch).map_err(RepoError::from)?;
        if !force && !args.remotes {
            check_merged(repo, &name, target.as_ref())?;
        }
        found.push((branch, target));
    }
    let edits = found
        .iter()
        .map(|(branch, target)| RefEdit::delete(branch.clone(), target.clone().map_or(Expected::Absent, Expected::Is)));
    repo.refs().transaction(edits.collect()).map_err(RepoError::from)?;
    let gone: Vec<Edit> = found.iter().map(|(branch, _)| Edit::RemoveSection(tracking::section(branch))).collect();
    tracking::update(repo, &gone)?;
    tell_deleted(repo, cx, &found)
}

fn tell_deleted(repo: &Repository, cx: &Context, found: &[(RefName, Option<Target>)]) -> Result<Exit, CliError> {
    let commit = |target: &Option<Target>| match target {
        Some(Target::Id(digest)) => Some(*digest),
        _ => None,
    };
    if cx.json() {
        let named = |(branch, target): &(RefName, Option<Target>)| Named {
            name: branch.short().to_owned(),
            commit: commit(target).map(|digest| digest.to_string()),
        };
        cx.out().json("branch", &Done { action: "deleted", branches: found.iter().map(named).collect() })?;
        return Ok(Exit::Ok);
    }
    for (branch, target) in found.iter().filter(|_| !cx.quiet()) {
        let was = commit(target).map(|digest| repo.short_id(&digest)).transpose()?;
        writeln!(cx.out(), "Deleted branch {} (was {}).", branch.short(), was.unwrap_or_default())?;
    }
    Ok(Exit::Ok)
}

/// The branch of this name.
fn find(repo: &Repository, name: &str, remote: bool) -> Result<RefName, CliError> {
    let found = if remote {
        RefName::parse(&format!("refs/remotes/{name}"))
            .ok()
            .filter(|full| repo.refs().read(full).is_ok_and(|t| t.is_some()))
    } else {
        moves::branch_named(repo, name)?
    };
    found.ok_or_else(|| {
        CliError::new(Exit::Difference, format!("there is no branch `{name}`")).hint("`dits branch` lists the branches")
    })
}

/// A branch that HEAD does not have all of is the only name of its newest commits.
fn check_merged(repo: &Repository, name: &str, target: Option<&Target>) -> Result<(), CliError> {
    let (Some(Target::Id(tip)), Some(head)) = (target, repo.head()?.commit()) else { return Ok(()) };
    if is_ancestor(repo.store(), CommitId::from_digest(*tip), head).map_err(RepoError::from)? {
        return Ok(());
    }
    Err(CliError::new(Exit::Conflict, format!("branch `{name}` has commits that the current one does not have"))
        .hint(format!("merge it with `dits merge {name}`, or delete it all the same with `dits branch -D {name}`")))
}
