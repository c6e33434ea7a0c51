//! `dits fetch`

use std::ffi::OsString;

use dits_core::remote::{Refspec, Remote};
use dits_core::repo::RepoError;
use dits_sync::client::UNLIMITED_DEPTH;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::repository::Opened;
use crate::sharing::amounts::Amounts;
use crate::sharing::arrivals::Tags;
use crate::sharing::fetching::{self, Brought, Job};
use crate::sharing::lines::{self, MovedJson, Status};
use crate::sharing::options::TransferArgs;
use crate::sharing::peer::{Peer, Surroundings, default_remote, find};

mod content;

pub use content::{Answer as ContentAnswer, Content};

/// Bring what is new from another repository, or the content of files
///
/// Branches of a remote come as `REMOTE/BRANCH`; your own branches and files stay as they are (`dits merge` or `dits
/// pull` takes over what is new). In a partial clone, paths bring the content of files: an argument that names no remote
/// is a path. What was interrupted goes on where it stopped.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Examples:
  dits fetch                        what is new on the remote
  dits fetch origin grading         one branch of it
  dits fetch --all --prune          from all remotes, forgetting branches that are gone
  dits fetch shots/010/             the content of a folder (partial clone)
  dits fetch --dry-run shots/       how much that would be
  dits fetch --unshallow            all of the history")]
pub struct Args {
    /// A remote, then branches, tags or refspecs of it; or paths
    #[arg(value_name = "REMOTE|PATH", value_hint = clap::ValueHint::AnyPath)]
    words: Vec<OsString>,
    /// Paths, so that none is taken for a remote
    #[arg(last = true, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// From all remotes
    #[arg(long)]
    all: bool,
    /// Forget branches that are gone there
    #[arg(short, long)]
    prune: bool,
    /// Keep them, whatever is configured
    #[arg(long, overrides_with = "prune")]
    no_prune: bool,
    /// Bring all tags
    #[arg(short, long)]
    tags: bool,
    /// Bring no tags
    #[arg(short = 'n', long, overrides_with = "tags")]
    no_tags: bool,
    /// How many commits deep the history is to be
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    depth: Option<u32>,
    /// Bring all of the history
    #[arg(long, conflicts_with = "depth")]
    unshallow: bool,
    /// Also the content of branches with commits of the last days (`fetch.recentDays`)
    #[arg(long)]
    recent: bool,
    /// Also where that loses commits here
    #[arg(short, long)]
    force: bool,
    /// Say what would come, in bytes and chunks, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Options of the transfer
    #[command(flatten)]
    transfer: TransferArgs,
}

/// What was fetched, in JSON.
#[derive(Serialize)]
pub struct Answer {
    remotes: Vec<FromRemote>,
    /// What came for the settings, or for the paths that were named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<content::Answer>,
    dry_run: bool,
}

#[derive(Serialize)]
struct FromRemote {
    remote: Option<String>,
    url: String,
    refs: Vec<MovedJson>,
    #[serde(flatten)]
    amounts: Amounts,
}

/// What the words stand for.
enum Wanted<'a> {
    Refs { from: Option<&'a str>, specs: Vec<Refspec> },
    Content(&'a [OsString]),
}

/// Fetches.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let content = Content { opened: &opened, cx, limit: args.transfer.limit_rate, dry_run: args.dry_run };
    let (exit, answer) = match wanted(&opened, &args)? {
        Wanted::Content(paths) => {
            let content = Some(content.paths(paths)?);
            (Exit::Ok, Answer { remotes: Vec::new(), content, dry_run: args.dry_run })
        }
        Wanted::Refs { from, specs } => {
            let (exit, remotes, _) = fetch_refs(&opened, cx, &args, from, &specs)?;
            let content = content.configured(args.recent)?;
            (exit, Answer { remotes, content, dry_run: args.dry_run })
        }
    };
    if cx.json() {
        cx.out().json("fetch", &answer)?;
    }
    Ok(exit)
}

fn wanted<'a>(opened: &Opened, args: &'a Args) -> Result<Wanted<'a>, CliError> {
    if args.all {
        return match args.words.is_empty() && args.paths.is_empty() {
            true => Ok(Wanted::Refs { from: None, specs: Vec::new() }),
            false => Err(CliError::usage("fetch --all does not make sense with a remote or paths")),
        };
    }
    if !args.paths.is_empty() {
        return match args.words.is_empty() {
            true => Ok(Wanted::Content(&args.paths)),
            false => {
                Err(CliError::usage("paths come from the remote that promised them; name none")
                    .hint("dits fetch -- PATH"))
            }
        };
    }
    let Some((first, rest)) = args.words.split_first() else {
        return Ok(Wanted::Refs { from: None, specs: Vec::new() });
    };
    let Some(from) = first.to_str().filter(|first| is_remote(opened, first)) else {
        return Ok(Wanted::Content(&args.words));
    };
    let mut specs = Vec::new();
    for word in rest {
        specs.push(Refspec::parse(crate::moves::text(word)?).map_err(RepoError::from)?);
    }
    Ok(Wanted::Refs { from: Some(from), specs })
}

fn is_remote(opened: &Opened, word: &str) -> bool {
    word.contains("://") || Remote::names(opened.repo.config()).iter().any(|name| name == word)
}

/// Fetches from one remote or all, and tells; also gives what came last.
fn fetch_refs(
    opened: &Opened,
    cx: &Context,
    args: &Args,
    from: Option<&str>,
    specs: &[Refspec],
) -> Result<(Exit, Vec<FromRemote>, Option<Brought>), CliError> {
    let repo = &opened.repo;
    let around = Surroundings {
        cx,
        config: repo.config(),
        repo: Some(repo),
        who: opened.who(cx)?,
        limit: args.transfer.limit_rate,
    };
    let mut peers = Vec::new();
    match from {
        Some(from) => peers.push(find(&around, from, false)?),
        None if args.all => {
            for remote in Remote::all(repo.config()).map_err(RepoError::from)? {
                peers.push(Peer::named(&around, remote, false)?);
            }
        }
        None => peers.push(Peer::named(&around, default_remote(repo, "fetch")?, false)?),
    }
    let (mut exit, mut answers, mut last) = (Exit::Ok, Vec::new(), None);
    for peer in &peers {
        let brought = from_peer(opened, cx, args, peer, specs, "fetch")?;
        if brought.moves.iter().any(|moved| moved.status.is_refused()) {
            exit = Exit::Conflict;
        }
        answers.push(FromRemote {
            remote: peer.remote.as_ref().map(|remote| remote.name.clone()),
            url: peer.shown(),
            refs: brought.moves.iter().map(MovedJson::from).collect(),
            amounts: brought.amounts.clone(),
        });
        last = Some(brought);
    }
    Ok((exit, answers, last))
}

/// Fetches from one repository, and tells.
fn from_peer(
    opened: &Opened,
    cx: &Context,
    args: &Args,
    peer: &Peer,
    specs: &[Refspec],
    command: &str,
) -> Result<Brought, CliError> {
    let repo = &opened.repo;
    let name = peer.remote.as_ref().map_or_else(|| peer.shown(), |remote| remote.name.clone());
    let job = Job {
        repo,
        peer,
        specs,
        tags: match (args.no_tags, args.tags) {
            (true, _) => Tags::None,
            (false, true) => Tags::All,
            (false, false) => Tags::New,
        },
        prune: !args.no_prune && (args.prune || fetching::prunes(repo, peer.remote.as_ref())?),
        force: args.force,
        depth: if args.unshallow { UNLIMITED_DEPTH } else { args.depth.unwrap_or(0) },
        filter: fetching::filter_of(repo, peer.remote.as_ref())?,
        alternates: Vec::new(),
        dry_run: args.dry_run,
        who: opened.who(cx)?,
        log: format!("{command} {name}"),
    };
    let progress = cx.progress();
    let brought = job.carry_out(&progress)?;
    drop(progress);
    tell(opened, cx, peer, &brought)?;
    Ok(brought)
}

/// git's lines, and the amounts.
fn tell(opened: &Opened, cx: &Context, peer: &Peer, brought: &Brought) -> Result<(), CliError> {
    let shown: Vec<_> =
        brought.moves.iter().filter(|moved| cx.verbose() > 0 || moved.status != Status::UpToDate).cloned().collect();
    if !shown.is_empty() {
        cx.note(format!("From {}", peer.shown()));
        cx.note(lines::fetched(&opened.repo, &shown)?.trim_end_matches('\n'));
    }
    if !brought.amounts.is_nothing() {
        cx.note(&brought.amounts);
    }
    Ok(())
}

/// What `pull` fetches: everything that the remote is set up to bring, or what was named.
pub struct Pulled {
    /// How the refs came out.
    pub exit: Exit,
    /// For the JSON answer.
    pub answer: Answer,
    /// What came.
    pub brought: Brought,
    /// From where.
    pub url: String,
}

/// Fetches for `pull`.
///
/// # Errors
/// As `fetch`.
pub fn for_pull(
    opened: &Opened,
    cx: &Context,
    from: Option<&str>,
    specs: &[Refspec],
    transfer: TransferArgs,
) -> Result<Pulled, CliError> {
    let args = Args { transfer, ..Args::default() };
    let (exit, remotes, last) = fetch_refs(opened, cx, &args, from, specs)?;
    let url = remotes.first().map(|one| one.url.clone()).unwrap_or_default();
    let brought = last.ok_or_else(|| CliError::usage("there is nothing to pull from"))?;
    Ok(Pulled { exit, answer: Answer { remotes, content: None, dry_run: false }, brought, url })
}
