//! `dits push`

use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::refs::{Expected, LogLine, RefEdit, RefName, RefStore, Target};
use dits_core::remote::{Follow, Refspec};
use dits_core::repo::RepoError;
use dits_core::signature::Signature;
use dits_core::store::StoreError;
use dits_sync::SyncError;
use dits_sync::client::{LockRefusal, PushRequest, PushStats, Update, UpdateOutcome};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locking::refusal::RefusalJson;
use crate::repository::Opened;
use crate::sharing::amounts::Amounts;
use crate::sharing::departures::{self, Departure, Lease};
use crate::sharing::lines::{self, Moved, MovedJson, Status};
use crate::sharing::options::TransferArgs;
use crate::sharing::peer::{Carried, Peer, Surroundings, default_remote, find};
use crate::sharing::seen;
use crate::tracking;

mod locks;
mod which;

use locks::Locks;

/// Bring commits to another repository, and move its branches and tags
///
/// Without arguments the branch you are on goes where it follows (`push.default`). A push that would lose commits there
/// is refused. Only what is missing there is sent; what was interrupted goes on where it stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits push                         the current branch
  dits push -u origin grading       a new branch, and follow it from now on
  dits push origin v1.0             a tag
  dits push origin main:review      under another name
  dits push --dry-run               what would be sent, in bytes and chunks
  dits push --force-with-lease      replace what you have seen last, and nothing newer
  dits push -d origin grading       delete a branch there")]
pub struct Args {
    /// The remote's name or address
    #[arg(value_name = "REMOTE|URL", value_hint = clap::ValueHint::DirPath)]
    to: Option<String>,
    /// Branches and tags, as `NAME`, `FROM:TO`, `+FROM:TO` or `:GONE`
    #[arg(value_name = "REFSPEC")]
    specs: Vec<String>,
    /// Follow what was pushed to
    #[arg(short = 'u', long)]
    set_upstream: bool,
    /// All branches
    #[arg(long, visible_alias = "branches", conflicts_with = "delete")]
    all: bool,
    /// All tags too
    #[arg(long, conflicts_with = "delete")]
    tags: bool,
    /// Delete what is named, there
    #[arg(short, long, requires = "specs")]
    delete: bool,
    /// Move branches also where that loses commits
    #[arg(short, long)]
    force: bool,
    /// The same, but only if the remote is as it was last seen, or as is said
    #[arg(long, value_name = "REF[:ID]", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    force_with_lease: Vec<String>,
    /// Move all of them or none
    #[arg(long)]
    atomic: bool,
    /// Say what would be sent, in bytes and chunks, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Options of the transfer
    #[command(flatten)]
    transfer: TransferArgs,
}

#[derive(Serialize)]
struct Answer {
    remote: Option<String>,
    url: String,
    refs: Vec<MovedJson>,
    /// What the server's hooks said.
    message: String,
    #[serde(flatten)]
    amounts: Amounts,
    dry_run: bool,
    /// The files that locks stand against.
    locked: Vec<RefusalJson>,
}

/// What was sent, and what became of it.
struct Sent {
    departures: Vec<Departure>,
    /// The files that locks stand against, and why.
    against: Vec<(RepoPath, LockRefusal)>,
    text: String,
    stats: PushStats,
}

/// Pushes.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let repo = &opened.repo;
    let who = opened.who(cx)?;
    let around =
        Surroundings { cx, config: repo.config(), repo: Some(repo), who: who.clone(), limit: args.transfer.limit_rate };
    let peer = match &args.to {
        Some(to) => find(&around, to, true)?,
        None => Peer::named(&around, default_remote(repo, "push")?, true)?,
    };
    let (specs, follows) = specs(&opened, &args, &peer)?;
    let mut locks = Locks::new(&opened, &peer, cx)?;
    let progress = cx.progress();
    let (sent, carried) = send(&opened, &args, &peer, &specs, &mut locks, &progress)?;
    drop(progress);
    if !args.dry_run {
        remember(&opened, &peer, &sent, who)?;
    }
    locks.record()?;
    let exit = tell(&opened, cx, &args, &peer, &sent, &locks, carried)?;
    if follows && !args.dry_run {
        follow(&opened, cx, &peer, &sent)?;
    }
    exit
}

/// What is pushed, and whether it is followed from then on.
fn specs(opened: &Opened, args: &Args, peer: &Peer) -> Result<(Vec<Refspec>, bool), CliError> {
    let parse = |text: &str| Refspec::parse(text).map_err(|error| CliError::from(RepoError::from(error)));
    let mut specs = Vec::new();
    if args.all {
        if !args.specs.is_empty() {
            return Err(CliError::usage("--all does not make sense with refspecs"));
        }
        specs.push(parse("refs/branches/*:refs/branches/*")?);
    }
    for text in &args.specs {
        specs.push(if args.delete { parse(&format!(":{text}"))? } else { parse(text)? });
    }
    let mut follows = args.set_upstream;
    if specs.is_empty() && !args.tags {
        let chosen = which::by_default(opened, peer, args.set_upstream)?;
        specs = chosen.specs;
        follows |= chosen.follows;
    }
    if args.tags {
        specs.push(parse("refs/tags/*:refs/tags/*")?);
    }
    Ok((specs, follows))
}

fn send(
    opened: &Opened,
    args: &Args,
    peer: &Peer,
    specs: &[Refspec],
    locks: &mut Locks<'_>,
    progress: &dyn Progress,
) -> Result<(Sent, Carried), CliError> {
    let leases: Vec<Lease> = args.force_with_lease.iter().map(|text| Lease::parse(text)).collect();
    let (mut refused, mut absent) = (None, None);
    let talked = peer.talk(progress, |client, progress| {
        let listing = seen::listing(&opened.repo, peer, client, progress)?;
        let planned = departures::plan(&departures::Request {
            repo: &opened.repo,
            remote: peer.remote.as_ref(),
            listing: &listing,
            specs,
            force: args.force,
            leases: &leases,
        });
        let mut departures = match planned {
            Ok(departures) => departures,
            Err(error) => {
                refused = Some(error);
                return Ok(None);
            }
        };
        if args.atomic && departures.iter().any(|departure| departure.moved.status.is_refused()) {
            refuse_all(&mut departures);
        }
        let updates: Vec<Update> = departures.iter().filter(|departure| departure.goes()).map(update).collect();
        let (text, stats) = (String::new(), PushStats::default());
        let mut sent = Sent { departures, against: Vec::new(), text, stats };
        if updates.is_empty() {
            return Ok(Some(sent));
        }
        let request = PushRequest { updates, atomic: args.atomic, dry_run: args.dry_run, ..PushRequest::default() };
        let pushed = locks.push(client, &request, &listing, progress).inspect_err(|error| {
            if let SyncError::Repo(RepoError::Store(StoreError::Absent { digest })) = error {
                absent = Some(*digest);
            }
        })?;
        let going = sent.departures.iter_mut().filter(|departure| departure.goes());
        for (departure, outcome) in going.zip(pushed.outcomes) {
            settle(&mut departure.moved, outcome, &mut sent.against);
        }
        (sent.text, sent.stats) = (pushed.text, pushed.sent);
        Ok(Some(sent))
    });
    if let Some(error) = refused {
        return Err(error);
    }
    let (sent, carried) = talked.map_err(|error| match absent {
        Some(chunk) => {
            crate::absent::of_chunk(&opened.repo, &chunk).hint("then push again: the remote does not have it either")
        }
        None => error,
    })?;
    Ok((sent.ok_or_else(|| CliError::usage("the remote answered nothing"))?, carried))
}

fn update(departure: &Departure) -> Update {
    let Moved { old, new, .. } = departure.moved;
    Update { name: departure.name.clone(), old, new, force: departure.force }
}

fn refuse_all(departures: &mut [Departure]) {
    for departure in departures.iter_mut().filter(|departure| departure.goes()) {
        departure.moved.status = Status::Rejected;
        departure.moved.reason = Some("atomic push failed".to_owned());
    }
}

/// Why a ref stays that locks stand against.
const LOCKED: &str = "locked files";

/// What the remote says of it, in git's words.
fn settle(moved: &mut Moved, outcome: UpdateOutcome, against: &mut Vec<(RepoPath, LockRefusal)>) {
    let (status, reason) = match outcome {
        UpdateOutcome::Done => return,
        UpdateOutcome::UpToDate => (Status::UpToDate, None),
        UpdateOutcome::NotFastForward => (Status::Rejected, Some("non-fast-forward".to_owned())),
        UpdateOutcome::Changed => (Status::Rejected, Some("fetch first".to_owned())),
        UpdateOutcome::Refused(reason) => (Status::RemoteRejected, Some(reason)),
        UpdateOutcome::Locked(paths) => {
            let more = paths.into_iter().filter(|(path, _)| !against.iter().any(|(known, _)| known == path));
            against.extend(more.collect::<Vec<_>>());
            (Status::RemoteRejected, Some(LOCKED.to_owned()))
        }
    };
    (moved.status, moved.reason) = (status, reason);
}

/// What was pushed is what was last seen of the remote.
fn remember(opened: &Opened, peer: &Peer, sent: &Sent, who: Signature) -> Result<(), CliError> {
    let Some(remote) = &peer.remote else { return Ok(()) };
    let mut edits = Vec::new();
    for departure in sent.departures.iter().filter(|departure| !departure.moved.status.is_refused()) {
        let Some(tracking) = remote.tracking(departure.name.as_str()) else { continue };
        let here = opened.repo.refs().resolve(&tracking).map_err(RepoError::from)?.map(|(_, id)| id);
        if here == departure.moved.new {
            continue;
        }
        edits.push(match departure.moved.new {
            None => RefEdit::delete(tracking, Expected::Any),
            Some(new) => {
                let message = "update by push".to_owned();
                let line = LogLine { old: here, new: Some(new), who: who.clone(), message };
                RefEdit::set(tracking, Expected::Any, Target::Id(new)).with_log(line)
            }
        });
    }
    Ok(opened.repo.refs().transaction(edits).map_err(RepoError::from)?)
}

fn follow(opened: &Opened, cx: &Context, peer: &Peer, sent: &Sent) -> Result<(), CliError> {
    let Some(remote) = &peer.remote else {
        return Err(CliError::usage("a branch can follow a remote only by its name")
            .hint(format!("dits remote add origin {}", peer.shown())));
    };
    for departure in sent.departures.iter().filter(|departure| !departure.moved.status.is_refused()) {
        let Some(branch) = departure.branch.as_ref().filter(|_| departure.name.as_branch().is_some()) else { continue };
        let follow = Follow { remote: remote.name.clone(), merge: departure.name.to_string() };
        tracking::set(opened, cx, branch, &follow)?;
    }
    Ok(())
}

/// git's lines, the amounts, and what to do about what was refused.
fn tell(
    opened: &Opened,
    cx: &Context,
    args: &Args,
    peer: &Peer,
    sent: &Sent,
    locks: &Locks<'_>,
    carried: Carried,
) -> Result<Result<Exit, CliError>, CliError> {
    let moves: Vec<Moved> = sent.departures.iter().map(|departure| departure.moved.clone()).collect();
    let amounts = Amounts::pushed(&sent.stats, carried, args.dry_run);
    for line in sent.text.lines() {
        cx.note(format!("remote: {line}"));
    }
    let mut shown: Vec<Moved> =
        moves.iter().filter(|moved| cx.verbose() > 0 || moved.status != Status::UpToDate).cloned().collect();
    shown.sort_by_key(|moved| moved.status.is_refused());
    if shown.is_empty() {
        cx.note("Everything up-to-date");
    } else {
        cx.note(format!("To {}", peer.shown()));
        cx.note(lines::pushed(&opened.repo, &shown)?.trim_end_matches('\n'));
    }
    if !amounts.is_nothing() {
        cx.note(&amounts);
    }
    if cx.json() {
        let refs = moves.iter().map(MovedJson::from).collect();
        let remote = peer.remote.as_ref().map(|remote| remote.name.clone());
        let (url, message) = (peer.shown(), sent.text.clone());
        let locked = sent.against.iter().map(|(path, why)| locks.teller().json(path, why)).collect();
        cx.out().json("push", &Answer { remote, url, refs, message, amounts, dry_run: args.dry_run, locked })?;
        cx.out().flush()?;
    }
    Ok(refusal(opened, peer, sent, locks).map_or(Ok(Exit::Ok), Err))
}

/// Why a push failed as a whole, and what to do.
fn refusal(opened: &Opened, peer: &Peer, sent: &Sent, locks: &Locks<'_>) -> Option<CliError> {
    let refused: Vec<&Departure> =
        sent.departures.iter().filter(|departure| departure.moved.status.is_refused()).collect();
    refused.first()?;
    let of = |reason: &str| refused.iter().find(|d| d.moved.reason.as_deref() == Some(reason));
    let message = format!("failed to push some refs to '{}'", peer.shown());
    if let Some(behind) = of("non-fast-forward").or(of("fetch first")) {
        return Some(CliError::new(Exit::Conflict, message).hint(pull_hint(opened, peer, behind)));
    }
    let conflict = CliError::new(Exit::Conflict, message.clone());
    if of("stale info").is_some() {
        return Some(conflict.hint("the remote is not what you have seen last: `dits fetch`, look, and push again"));
    }
    if of("already exists").is_some() {
        return Some(conflict.hint("tags do not move; take another name, or replace it there with --force"));
    }
    if of(LOCKED).is_some() {
        return locks.teller().failure(&message, &sent.against);
    }
    let hint =
        "the remote's reasons stand beside the names; another branch may be open to you: dits push REMOTE HERE:THERE";
    Some(CliError::new(Exit::Network, message).hint(hint))
}

/// The commits that are there have to be here first.
fn pull_hint(opened: &Opened, peer: &Peer, behind: &Departure) -> String {
    let on = opened.repo.head().ok().and_then(|head| head.branch().cloned());
    let upstream = behind.branch.as_ref().and_then(|branch| opened.repo.upstream(branch).ok().flatten());
    let remote = peer.remote.as_ref().map(|remote| remote.name.as_str());
    let follows = upstream.is_some_and(|upstream| {
        Some(upstream.follow.remote.as_str()) == remote && upstream.follow.merge == behind.name.as_str()
    });
    let commits = "the remote has commits that you do not have";
    if behind.branch.is_some() && on != behind.branch {
        let branch = behind.branch.as_ref().map(RefName::short).unwrap_or_default();
        return format!("{commits}: `dits switch {branch}` and `dits pull` first, then push again");
    }
    match (follows, remote) {
        (true, _) => format!("{commits}: `dits pull` first, then push again"),
        (false, remote) => {
            let from = remote.map_or_else(|| peer.shown(), str::to_owned);
            format!("{commits}: `dits pull {from} {}` first, then push again", behind.name.short())
        }
    }
}
