//! `dits drop`

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use dits_core::object::{CommitId, Digest, ObjectKind};
use dits_core::partial::{DropOptions, Dropped, KeptBack, SourceError};
use dits_core::progress::Progress;
use dits_core::repo::RepoError;
use dits_core::worktree::Selection;
use dits_sync::client::Listing;
use dits_sync::url::Target;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::output::size::{format_bytes, plural};
use crate::remotes;
use crate::repository::Opened;
use crate::sharing::patterns::Patterns;
use crate::sharing::peer::{Peer, Surroundings, default_remote, find, local_layout};

/// How long commands that are writing are waited for.
const WAIT: Duration = Duration::from_secs(10);

/// Give back the space of files that a remote holds
///
/// Files become ghosts: links that lead nowhere until `dits fetch PATH` brings the content back. The remote is asked
/// first whether it has the content; what only this repository has, and what was changed, stays. So does what
/// `drop.keep` names.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits drop shots/010/            a folder
  dits drop --dry-run .           how much everything would give back
  dits drop --from backup '*.exr' what the remote `backup` holds")]
pub struct Args {
    /// Files, folders and patterns (`dits help pathspecs`)
    #[arg(value_name = "PATH", required = true, value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// The remote that is to hold it
    #[arg(long, value_name = "REMOTE")]
    from: Option<String>,
    /// Say how much would be given back, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    remote: String,
    files: Vec<Bytes>,
    worktree_bytes: u64,
    chunks: u64,
    store_bytes: u64,
    kept_chunks: u64,
    kept: Vec<Bytes>,
    dry_run: bool,
}

/// Drops it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let repo = &opened.repo;
    repo.worktree()?;
    let specs = opened.select(&args.paths)?;
    let progress = cx.progress();
    let holder = Holder::find(&opened, cx, args.from.as_deref(), &progress)?;
    let dropped = holder.give_back(&specs, args.dry_run, &progress).map_err(Refused::into_error)?;
    drop(progress);
    if dropped.files.is_empty() && dropped.pinned.is_empty() {
        specs.check_all_used()?;
    }
    tell(cx, &args, holder.name, &dropped)?;
    Ok(Exit::Ok)
}

/// A remote that holds content, and has said of which commits.
pub struct Holder<'a> {
    opened: &'a Opened,
    cx: &'a Context,
    peer: Peer,
    /// What the remote is called here.
    pub name: String,
    confirmed: Vec<CommitId>,
}

/// Why content was not given back.
pub enum Refused {
    /// Some of the files have to stay.
    KeptBack(KeptBack),
    /// All else.
    Other(CliError),
}

impl Refused {
    fn into_error(self) -> CliError {
        match self {
            Self::KeptBack(kept) => RepoError::KeptBack(kept).into(),
            Self::Other(error) => error,
        }
    }
}

impl<'a> Holder<'a> {
    /// Asks the named remote, or the usual one.
    ///
    /// # Errors
    /// When there is none, it cannot be asked, or cannot hold anything.
    pub fn find(
        opened: &'a Opened,
        cx: &'a Context,
        from: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<Self, CliError> {
        let repo = &opened.repo;
        let around = Surroundings { cx, config: repo.config(), repo: Some(repo), who: opened.who(cx)?, limit: None };
        let peer = match from {
            Some(from) => find(&around, from, false)?,
            None => Peer::named(&around, default_remote(repo, "drop --from")?, false)?,
        };
        let name = peer.remote.as_ref().map(|remote| remote.name.clone()).ok_or_else(|| {
            CliError::usage("only a remote with a name can be asked to hold content")
                .hint(format!("dits remote add NAME {}", peer.shown()))
        })?;
        refuse_this_one(opened, &peer)?;
        let confirmed = confirmed(opened, &peer, progress)?;
        Ok(Self { opened, cx, peer, name, confirmed })
    }

    /// Gives back what the selected files take in the store and the worktree, on the remote's word.
    ///
    /// # Errors
    /// When files have to stay, or something cannot be asked, read or written.
    pub fn give_back(
        &self,
        selection: &dyn Selection,
        dry_run: bool,
        progress: &dyn Progress,
    ) -> Result<Dropped, Refused> {
        let (Self { peer, name, confirmed, .. }, repo) = (self, &self.opened.repo);
        let kept = Patterns::kept(repo.config()).map_err(Refused::Other)?;
        // An error of the conversation is none of the repository.
        let failed: RefCell<Option<CliError>> = RefCell::default();
        let lacking = |chunks: &[Digest]| {
            let asked = peer.talk(progress, |client, progress| client.lacking(chunks, progress));
            asked.map(|(lacking, _)| lacking).map_err(|error| {
                let unavailable = SourceError::Unavailable { from: name.clone(), error: error.message.clone().into() };
                *failed.borrow_mut() = Some(error);
                unavailable
            })
        };
        let now = self.cx.now().map_err(Refused::Other)?.seconds;
        let (lacking, pinned, wait) = (&lacking, &kept, WAIT);
        let options = DropOptions { remote: name, confirmed, lacking, pinned, dry_run, wait, now };
        repo.drop_content(selection, &options, progress).map_err(|error| match (failed.take(), error) {
            (Some(failed), _) => Refused::Other(failed),
            (None, RepoError::KeptBack(kept)) => Refused::KeptBack(kept),
            (None, error) => Refused::Other(error.into()),
        })
    }
}

/// What this repository drops it cannot keep for itself.
fn refuse_this_one(opened: &Opened, peer: &Peer) -> Result<(), CliError> {
    let Target::Local(path) = remotes::parse(&peer.url)?.target().clone() else { return Ok(()) };
    let layout = opened.repo.layout();
    let top = layout.worktree.as_ref().unwrap_or(&layout.common);
    let there = fs::canonicalize(local_layout(&top.join(path))?.common);
    if there.is_ok_and(|there| fs::canonicalize(&layout.common).is_ok_and(|here| here == there)) {
        return Err(CliError::new(Exit::Conflict, "the remote is this repository itself; nothing was dropped")
            .hint("name another one: dits drop --from REMOTE PATH"));
    }
    Ok(())
}

/// The commits here that the remote's refs name, and whose content it means to have.
fn confirmed(opened: &Opened, peer: &Peer, progress: &dyn Progress) -> Result<Vec<CommitId>, CliError> {
    let asked = peer
        .talk(progress, |client, progress| Ok((client.listing(None, progress)?, client.welcome(progress)?.partial)));
    let ((listing, partial), _) = asked?;
    if partial {
        return Err(CliError::new(Exit::Conflict, "the remote itself lacks content on purpose; nothing was dropped")
            .hint("name a remote that has everything: dits drop --from REMOTE PATH"));
    }
    named(opened, &listing)
}

fn named(opened: &Opened, listing: &Listing) -> Result<Vec<CommitId>, CliError> {
    let (repo, mut commits) = (&opened.repo, Vec::new());
    for (_, id) in &listing.refs {
        match repo.store().meta.info(id)?.map(|info| info.kind) {
            Some(ObjectKind::Commit) => commits.push(CommitId::from_digest(*id)),
            Some(ObjectKind::Tag) => commits.extend(repo.resolve_commit(&id.to_string()).ok()),
            _ => {}
        }
    }
    if commits.is_empty() {
        return Err(CliError::new(
            Exit::Conflict,
            "the remote has none of the commits that are here; nothing was dropped",
        )
        .hint("bring them there first: `dits push`"));
    }
    Ok(commits)
}

fn tell(cx: &Context, args: &Args, remote: String, dropped: &Dropped) -> Result<(), CliError> {
    if cx.json() {
        let answer = Answer {
            remote,
            files: dropped.files.iter().map(Bytes::from).collect(),
            worktree_bytes: dropped.worktree_bytes,
            chunks: dropped.chunks,
            store_bytes: dropped.store_bytes,
            kept_chunks: dropped.kept_chunks,
            kept: dropped.pinned.iter().map(Bytes::from).collect(),
            dry_run: args.dry_run,
        };
        return cx.out().json("drop", &answer);
    }
    let what = if args.dry_run { "Would be ghosts" } else { "Ghosts now" };
    cx.note(format!(
        "{what}: {}; given back: {} in the worktree, {} in the store ({}, {})",
        plural(dropped.files.len() as u64, "file", "files"),
        format_bytes(dropped.worktree_bytes),
        format_bytes(dropped.store_bytes),
        plural(dropped.store_bytes, "byte", "bytes"),
        plural(dropped.chunks, "chunk", "chunks"),
    ));
    if dropped.kept_chunks > 0 {
        let chunks = plural(dropped.kept_chunks, "chunk stays", "chunks stay");
        cx.note(format!("{chunks}, because something else here needs them"));
    }
    if !dropped.pinned.is_empty() {
        let files = plural(dropped.pinned.len() as u64, "file stays", "files stay");
        cx.note(format!("{files}, because of drop.keep"));
    }
    Ok(())
}
