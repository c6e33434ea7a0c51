//! `dits clone`

use std::path::{Path, PathBuf};

use dits_core::object::CommitId;
use dits_core::repo::Repository;
use dits_core::store::Store;
use dits_sync::client::Listing;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::moves::{self, Files};
use crate::output::path::quote_text;
use crate::sharing::amounts::Amounts;
use crate::sharing::filter::Filter;
use crate::sharing::options::TransferArgs;
use crate::sharing::peer::{self, Peer, Surroundings};

mod begin;
mod fill;
mod folder;

pub use begin::folder_of;
use folder::Folder;

/// Copy a repository from somewhere else
///
/// Brings branches, tags, history and content, checks out the branch, and names the origin `origin`. With a filter it
/// brings history without content: files are ghosts until `dits fetch PATH` brings them. A clone that is interrupted
/// goes on where it stopped: run the same command again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits clone dits://studio.example/film             into the folder `film`
  dits clone -b grading dits://studio.example/film  on another branch
  dits clone --filter=none URL                      history without content (dits help sharing)
  dits clone --depth 1 URL                          only the newest version
  dits clone --bare . /mnt/backup/film              a repository to share, without files")]
pub struct Args {
    /// Where it is: `dits://`, `https://`, `ssh://`, `file://` or a path
    #[arg(value_hint = clap::ValueHint::DirPath)]
    url: String,
    /// The folder; without it, named like the repository
    #[arg(value_hint = clap::ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// Which content comes: all, none (also blob:none), or blob:limit=SIZE, that of files up to SIZE
    #[arg(long, value_name = "FILTER", value_parser = Filter::parse, default_value = "all", hide_default_value = true)]
    filter: Filter,
    /// Only so many commits, and only of one branch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    depth: Option<u32>,
    /// Go to this branch or tag, not to the one HEAD names there
    #[arg(short, long, value_name = "NAME")]
    branch: Option<String>,
    /// Bring only the branch that is gone to
    #[arg(long, overrides_with = "no_single_branch")]
    single_branch: bool,
    /// Bring all branches, also with --depth
    #[arg(long)]
    no_single_branch: bool,
    /// Bring no tags
    #[arg(long)]
    no_tags: bool,
    /// Write no files
    #[arg(short, long)]
    no_checkout: bool,
    /// Without a worktree: the folder itself holds the repository
    #[arg(long)]
    bare: bool,
    /// What to call the remote
    #[arg(short, long, value_name = "NAME", default_value = "origin")]
    origin: String,
    /// A repository on this machine to copy pieces from rather than carry them (may be repeated)
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::DirPath)]
    reference: Vec<PathBuf>,
    /// Options of the transfer
    #[command(flatten)]
    transfer: TransferArgs,
}

impl Args {
    /// History without content and without files.
    fn for_mount(url: String, folder: PathBuf) -> Self {
        Self {
            url,
            folder: Some(folder),
            filter: Filter::Nothing,
            depth: None,
            branch: None,
            single_branch: false,
            no_single_branch: false,
            no_tags: false,
            no_checkout: true,
            bare: false,
            origin: "origin".to_owned(),
            reference: Vec::new(),
            transfer: TransferArgs::default(),
        }
    }
}

#[derive(Serialize)]
struct Answer {
    url: String,
    path: String,
    bare: bool,
    remote: String,
    branch: Option<String>,
    commit: Option<String>,
    filter: String,
    files: Files,
    #[serde(flatten)]
    amounts: Amounts,
}

/// A clone that is being made.
struct Job<'a> {
    cx: &'a Context,
    args: &'a Args,
    url: String,
    peer: Peer,
    listing: Listing,
    start: begin::Start,
    alternates: Vec<Store>,
}

/// What came of it.
struct Done {
    repo: Repository,
    commit: Option<CommitId>,
    amounts: Amounts,
    files: Files,
}

/// Clones, and tells.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let (job, path, done) = clone(&args, cx)?;
    tell(&job, &path, &done)?;
    Ok(Exit::Ok)
}

/// Clones what a mount shows.
///
/// # Errors
/// As the command.
pub fn for_mount(url: String, folder: PathBuf, cx: &Context) -> Result<(), CliError> {
    clone(&Args::for_mount(url, folder), cx).map(|_| ())
}

fn clone<'a>(args: &'a Args, cx: &'a Context) -> Result<(Job<'a>, PathBuf, Done), CliError> {
    dits_core::remote::Remote::check_name(&args.origin).map_err(dits_core::repo::RepoError::from)?;
    let url = begin::address(cx, &args.url)?;
    let path = cx.cwd.join(args.folder.clone().map_or_else(|| begin::folder_of(&args.url, args.bare), Ok)?);
    let folder = Folder::look(&path, args.bare, &url)?;
    let around = Surroundings {
        cx,
        config: &cx.config,
        repo: None,
        who: peer::nobody(cx, &cx.config)?,
        limit: args.transfer.limit_rate,
    };
    let peer = Peer::at(&around, url.clone(), None)?;
    let bare = if args.bare { "bare repository " } else { "" };
    let shown = args.folder.clone().unwrap_or_else(|| path.clone());
    cx.note(format!("Cloning into {bare}'{}'...", quote_text(shown_path(&shown, &cx.cwd).as_bytes())));
    // Before there is a folder: whatever is wrong with the address leaves nothing behind.
    let progress = cx.progress();
    let (listing, _) = peer.talk(&progress, |client, progress| client.listing(None, progress))?;
    drop(progress);
    let start = begin::choose(args, &listing)?;
    let alternates = begin::alternates(cx, &args.reference)?;
    let job = Job { cx, args, url, peer, listing, start, alternates };
    let done = job.fill(&folder)?;
    folder.finish()?;
    Ok((job, path, done))
}

fn shown_path(path: &Path, cwd: &Path) -> String {
    path.strip_prefix(cwd).unwrap_or(path).display().to_string()
}

fn tell(job: &Job<'_>, path: &Path, done: &Done) -> Result<(), CliError> {
    let cx = job.cx;
    if job.listing.refs.is_empty() {
        cx.warn("you appear to have cloned an empty repository");
    }
    if cx.json() {
        let head = done.repo.head()?;
        let answer = Answer {
            url: job.peer.shown(),
            path: path.display().to_string(),
            bare: job.args.bare,
            remote: job.args.origin.clone(),
            branch: head.branch().map(|branch| branch.short().to_owned()),
            commit: done.commit.map(|commit| commit.to_string()),
            filter: job.args.filter.to_string(),
            files: Files { ..done.files },
            amounts: done.amounts.clone(),
        };
        return cx.out().json("clone", &answer);
    }
    if !done.amounts.is_nothing() {
        cx.note(&done.amounts);
    }
    if let Some(commit) = done.commit.filter(|_| !job.args.bare) {
        cx.note(format!("HEAD is now at {}", moves::describe(&done.repo, commit)?));
    }
    if let Some(line) = done.files.line() {
        cx.note(line);
    }
    Ok(())
}
