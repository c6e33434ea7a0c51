//! `dits worktree add`

use std::path::{Path, PathBuf};

use dits_core::object::{CommitId, ObjectKind};
use dits_core::refs::{RefEdit, RefName, RefStore, Target};
use dits_core::remote::Follow;
use dits_core::repo::{RepoError, Repository};
use dits_core::worktree::NewBranch;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::moves::{self, Files};
use crate::repository::Opened;
use crate::tracking;

/// What to make.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder; it must be new or empty
    #[arg(value_hint = clap::ValueHint::DirPath)]
    path: PathBuf,
    /// The branch or version; without it, a branch named like the folder
    #[arg(value_name = "REV")]
    revision: Option<String>,
    /// Make a branch for it
    #[arg(short = 'b', value_name = "NEW", conflicts_with_all = ["reset_branch", "detach"])]
    branch: Option<String>,
    /// The same, moving the branch if it exists
    #[arg(short = 'B', value_name = "NEW", conflicts_with = "detach")]
    reset_branch: Option<String>,
    /// On no branch
    #[arg(short, long)]
    detach: bool,
}

#[derive(Serialize)]
struct Answer {
    path: String,
    branch: Option<String>,
    commit: Option<String>,
    created: bool,
    files: Files,
}

/// What HEAD of the new worktree will be.
struct Start {
    head: Target,
    commit: CommitId,
    new_branch: Option<RefEdit>,
    follow: Option<Follow>,
    said: String,
}

/// Makes it.
pub fn run(opened: &Opened, cx: &Context, args: Args) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let path = cx.cwd.join(&args.path);
    let start = start(opened, cx, &args)?;
    if let Target::Symbolic(branch) = &start.head {
        check_unused(repo, branch)?;
    }
    if path.read_dir().is_ok_and(|mut entries| entries.next().is_some()) || path.is_file() {
        return Err(RepoError::FolderNotEmpty { path }.into());
    }
    cx.note(format!("Preparing worktree ({})", start.said));
    let created = start.new_branch.is_some();
    let _held = repo.hold(&[(ObjectKind::Commit, *start.commit.digest())])?;
    repo.refs().transaction(start.new_branch.into_iter().collect()).map_err(RepoError::from)?;
    if let (Target::Symbolic(branch), Some(follow)) = (&start.head, &start.follow) {
        tracking::set(opened, cx, branch, follow)?;
    }
    let made = repo.add_worktree(&path, start.head, &cx.environment()?)?;
    let progress = cx.progress();
    let tree = dits_core::commit::Commit::read(made.store(), start.commit).map_err(RepoError::from)?.tree;
    let shown = path.display();
    let report = made.reset_hard(Some(tree), &progress).map_err(|error| {
        let hint = "the worktree is there, without all of its files: finish it there with `dits reset --hard`, or run";
        CliError::from(error).hint(format!("{hint} `dits worktree remove -f {shown}`"))
    })?;
    drop(progress);
    let files = Files::from(&report);
    if cx.json() {
        let branch = made.head()?.branch().map(|branch| branch.short().to_owned());
        let path = made.worktree()?.display().to_string();
        let commit = Some(start.commit.to_string());
        cx.out().json("worktree", &Answer { path, branch, commit, created, files })?;
        return Ok(Exit::Ok);
    }
    cx.note(format!("HEAD is now at {}", moves::describe(&made, start.commit)?));
    if let Some(line) = files.line() {
        cx.note(line);
    }
    Ok(Exit::Ok)
}

/// No worktree, this one included, may be on it.
fn check_unused(repo: &Repository, branch: &RefName) -> Result<(), CliError> {
    match repo.branches_in_use()?.remove(branch) {
        Some(worktree) => Err(RepoError::BranchInUse { branch: branch.short().to_owned(), worktree }.into()),
        None => Ok(()),
    }
}

fn start(opened: &Opened, cx: &Context, args: &Args) -> Result<Start, CliError> {
    let repo = &opened.repo;
    let revision = args.revision.as_deref().map(|text| moves::expand(repo, text)).transpose()?;
    let from = revision.clone().unwrap_or_else(|| "HEAD".to_owned());
    if let Some(name) = args.branch.as_ref().or(args.reset_branch.as_ref()) {
        return new_branch(opened, cx, name, &from, args.reset_branch.is_some());
    }
    if !args.detach {
        let name = revision.clone().or_else(|| folder_name(&args.path));
        if let Some(branch) = name.as_deref().map(|name| moves::branch_named(repo, name)).transpose()?.flatten() {
            let commit = repo.resolve_commit(branch.as_str())?;
            let said = format!("checking out '{}'", branch.short());
            return Ok(Start { head: Target::Symbolic(branch), commit, new_branch: None, follow: None, said });
        }
        if revision.is_none() {
            let name = name.ok_or_else(|| CliError::usage("name a branch for it with -b NEW"))?;
            return new_branch(opened, cx, &name, &from, false);
        }
        if repo.resolve_commit(&from).is_err()
            && let Some((follow, tracking)) = tracking::guess(repo, &from)?
        {
            let start = new_branch(opened, cx, &from, tracking.as_str(), false)?;
            return Ok(Start { follow: Some(follow), ..start });
        }
    }
    let commit = repo.resolve_commit(&from)?;
    let said = format!("detached HEAD {}", repo.short_id(commit.digest())?);
    Ok(Start { head: Target::Id(*commit.digest()), commit, new_branch: None, follow: None, said })
}

fn new_branch(opened: &Opened, cx: &Context, name: &str, from: &str, reset: bool) -> Result<Start, CliError> {
    let repo = &opened.repo;
    let branch = RefName::branch(name).map_err(RepoError::from)?;
    let commit = repo.resolve_commit(from)?;
    let new = NewBranch { commit: Some(commit), from: from.to_owned(), reset };
    let edit = repo.branch_edit(&branch, &new, &opened.who(cx)?)?;
    let said = format!("new branch '{name}'");
    Ok(Start { head: Target::Symbolic(branch), commit, new_branch: edit, follow: None, said })
}

fn folder_name(path: &Path) -> Option<String> {
    path.file_name().and_then(|name| name.to_str()).map(str::to_owned)
}
