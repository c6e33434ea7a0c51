//! Which repository and which version a mount shows.

use std::path::{Path, PathBuf};

use dits_core::commit::Commit;
use dits_core::durable;
use dits_core::object::{ChunkId, CommitId};
use dits_core::refs::{self, Expected, RefEdit, RefName, RefStore};
use dits_core::repo::{Head, RepoError, Repository};
use dits_sync::url::Target;

use super::Args;
use crate::cmd::{clone, fetch};
use crate::context::Context;
use crate::error::CliError;
use crate::remotes;
use crate::repository::Opened;
use crate::sharing::options::TransferArgs;
use crate::sharing::peer::local_layout;

/// A version of a repository.
pub struct Shown {
    /// The repository.
    pub opened: Opened,
    /// The branch that it is of if none was named.
    pub branch: Option<RefName>,
    /// How the version was named.
    pub reference: String,
    /// The commit.
    pub id: CommitId,
    /// What it says.
    pub commit: Commit,
}

/// Finds the repository, or brings its history, and the version.
///
/// # Errors
/// When there is no such repository or version.
pub fn find(args: &Args, cx: &Context) -> Result<Shown, CliError> {
    let address = args.source().and_then(Path::to_str).map(|text| Ok::<_, CliError>((text, remotes::parse(text)?)));
    let (opened, names, far) = match (address.transpose()?, args.source()) {
        (Some((url, parsed)), _) => match parsed.target() {
            Target::Local(path) => (open(&cx.cwd.join(path), cx)?, here(args), false),
            _ => (of_address(url, args.offline, cx)?, of_remote(args), true),
        },
        (None, Some(path)) => (open(&cx.cwd.join(path), cx)?, here(args), false),
        (None, None) => (cx.open()?, here(args), false),
    };
    let branch = if far { default_branch(&opened.repo)? } else { opened.repo.head()?.branch().cloned() };
    let mut failed = None;
    for name in names {
        match opened.repo.resolve_commit(&name) {
            Ok(id) => {
                let commit = Commit::read(opened.repo.store(), id).map_err(RepoError::from)?;
                return Ok(Shown { opened, branch, reference: name, id, commit });
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.map_or_else(|| CliError::usage("no version was named"), CliError::from))
}

fn here(args: &Args) -> Vec<String> {
    vec![args.reference.clone().unwrap_or_else(|| "HEAD".to_owned())]
}

/// In a clone that follows its remote, what the remote calls so comes first: nobody works in that clone.
fn of_remote(args: &Args) -> Vec<String> {
    let name = args.reference.as_deref().unwrap_or("HEAD");
    vec![format!("origin/{name}"), name.to_owned()]
}

/// The branch that the remote's HEAD is on.
fn default_branch(repo: &Repository) -> Result<Option<RefName>, CliError> {
    let head = RefName::remote("origin", "HEAD").map_err(RepoError::from)?;
    let Some(refs::Target::Symbolic(to)) = repo.refs().read(&head).map_err(RepoError::from)? else { return Ok(None) };
    Ok(to.as_str().strip_prefix("refs/remotes/origin/").and_then(|short| RefName::branch(short).ok()))
}

fn open(path: &Path, cx: &Context) -> Result<Opened, CliError> {
    Ok(Opened::whole(Repository::open(local_layout(path)?, &cx.environment()?)?))
}

/// The clone that stands for an address in the user's cache: made when it is first mounted, brought up to date later.
fn of_address(url: &str, offline: bool, cx: &Context) -> Result<Opened, CliError> {
    let folder = clone_of(url, cx)?;
    let unfinished = folder.join(".dits/clone-unfinished").exists();
    if folder.join(".dits/format").exists() && !unfinished {
        let opened = open(&folder, cx)?;
        if !offline {
            fetch::for_pull(&opened, cx, None, &[], TransferArgs::default())?;
        }
        return open(&folder, cx);
    }
    if offline {
        return Err(CliError::usage(format!("{url} was never mounted, and --offline forbids to ask for it")));
    }
    durable::create_dir_all(folder.parent().unwrap_or(Path::new("/")))?;
    clone::for_mount(url.to_owned(), folder.clone(), cx)?;
    let opened = open(&folder, cx)?;
    // Nobody works in the clone itself: its branches are for mounts to be on.
    if let Head::Branch { commit, .. } = opened.repo.head()? {
        let detached = RefEdit::set(RefName::head(), Expected::Any, refs::Target::Id(*commit.digest()));
        opened.repo.refs().transaction(vec![detached]).map_err(RepoError::from)?;
    }
    Ok(opened)
}

fn clone_of(url: &str, cx: &Context) -> Result<PathBuf, CliError> {
    let cache = cx.env.cache_folder().ok_or_else(|| {
        CliError::usage("there is no home folder to keep the clone in").hint("set XDG_CACHE_HOME to a folder")
    })?;
    let hash = ChunkId::of(url.as_bytes()).to_string();
    let name = clone::folder_of(url, false)?;
    Ok(cache.join("mounts").join(format!("{}-{}", name.display(), &hash[..12])))
}
