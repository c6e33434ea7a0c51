//! `dits pull`

use dits_core::merge::FastForward;
use dits_core::object::CommitId;
use dits_core::refs::RefName;
use dits_core::remote::Refspec;
use dits_core::repo::RepoError;
use serde::Serialize;

use super::fetch::{self, Content, Pulled};
use super::merge::{self, Join};
use crate::context::Context;
use crate::editor;
use crate::error::CliError;
use crate::exit::Exit;
use crate::repository::Opened;
use crate::sharing::options::TransferArgs;

/// Fetch what is new, and merge it into the branch
///
/// `dits fetch`, then `dits merge` of what the branch follows. Files that both sides changed are conflicts: both versions
/// stay, and `dits resolve` decides.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits pull                     from where the branch follows
  dits pull --ff-only           only if nothing has to be joined
  dits pull origin grading      another branch of a remote")]
pub struct Args {
    /// The remote's name or address
    #[arg(value_name = "REMOTE|URL", value_hint = clap::ValueHint::DirPath)]
    from: Option<String>,
    /// The branch of it; without one, what the branch follows
    #[arg(value_name = "BRANCH")]
    branch: Option<String>,
    /// Move the branch forward if that is enough (the default)
    #[arg(long, overrides_with_all = ["no_ff", "ff_only"])]
    ff: bool,
    /// Make a merge commit even then
    #[arg(long, overrides_with_all = ["ff", "ff_only"])]
    no_ff: bool,
    /// Fail unless moving the branch forward is enough
    #[arg(long, overrides_with_all = ["ff", "no_ff"])]
    ff_only: bool,
    /// Merge even if the histories have nothing in common
    #[arg(long)]
    allow_unrelated_histories: bool,
    /// The message of the merge commit
    #[arg(short, long = "message", value_name = "MESSAGE")]
    messages: Vec<String>,
    /// Options of the transfer
    #[command(flatten)]
    transfer: TransferArgs,
}

#[derive(Serialize)]
struct Answer {
    fetch: fetch::Answer,
    merge: merge::Answer,
}

/// What is merged, and what the merge commit calls it.
struct Theirs {
    commit: CommitId,
    called: String,
}

/// Pulls.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    opened.repo.worktree()?;
    if let Some(pending) = opened.repo.pending()? {
        return Err(RepoError::OperationPending { command: pending.kind.command() }.into());
    }
    let spec = args.branch.as_deref().map(Refspec::parse).transpose().map_err(RepoError::from)?;
    if spec.is_none() {
        check_follows(&opened, args.from.as_deref())?;
    }
    let specs: Vec<Refspec> = spec.into_iter().collect();
    let pulled = fetch::for_pull(&opened, cx, args.from.as_deref(), &specs, args.transfer)?;
    if pulled.exit != Exit::Ok {
        return Err(CliError::new(pulled.exit, "some refs could not be updated; nothing was merged"));
    }
    // What was fetched is seen by what is opened anew.
    let opened = cx.open()?;
    let theirs = theirs(&opened, &args, &pulled)?;
    let join = Join {
        theirs: theirs.commit,
        message: match editor::clean_given(&args.messages.join("\n\n")) {
            given if given.is_empty() => merge::message(&opened, &theirs.called)?,
            given => given,
        },
        fast_forward: fast_forward(&args, &opened)?,
        no_commit: false,
        unrelated: args.allow_unrelated_histories,
    };
    let (exit, merge) = join.carry_out(&opened, cx)?;
    let content = match exit {
        Exit::Ok => {
            let limit = args.transfer.limit_rate;
            Content { opened: &opened, cx, limit, dry_run: false }.configured(false)?
        }
        _ => None,
    };
    if cx.json() {
        let mut fetch = pulled.answer;
        fetch.content = content;
        cx.out().json("pull", &Answer { fetch, merge })?;
    }
    Ok(exit)
}

/// Before anything is fetched: is it clear what is to be merged?
fn check_follows(opened: &Opened, from: Option<&str>) -> Result<(), CliError> {
    let head = opened.repo.head()?;
    let Some(branch) = head.branch() else {
        return Err(CliError::usage("you are not currently on a branch")
            .hint("say which branch to merge: dits pull <remote> <branch>"));
    };
    let follow = opened.repo.upstream(branch)?.map(|upstream| upstream.follow);
    let fits = follow.as_ref().is_some_and(|follow| from.is_none_or(|from| from == follow.remote));
    if fits {
        return Ok(());
    }
    let remote = from.unwrap_or("origin");
    Err(CliError::usage("there is no tracking information for the current branch")
        .hint("say which branch to merge: dits pull <remote> <branch>")
        .hint(format!("or set it: dits branch --set-upstream-to={remote}/<branch> {}", branch.short())))
}

fn theirs(opened: &Opened, args: &Args, pulled: &Pulled) -> Result<Theirs, CliError> {
    let repo = &opened.repo;
    if args.branch.is_some() {
        let named = pulled.brought.plan.arrivals.iter().find(|arrival| arrival.named);
        let named = named.ok_or_else(|| CliError::usage("the remote answered nothing"))?;
        let kind = if named.source.as_tag().is_some() { "tag" } else { "branch" };
        let called = format!("{kind} '{}' of {}", named.source.short(), pulled.url);
        return Ok(Theirs { commit: repo.resolve_commit(&named.id.to_string())?, called });
    }
    let tracking: RefName = repo.upstream_ref("HEAD")?;
    let upstream = repo.head()?.branch().map(|branch| repo.upstream(branch)).transpose()?.flatten();
    let branch = upstream.map_or_else(|| tracking.short().to_owned(), |upstream| upstream.follow.branch().to_owned());
    let called = format!("branch '{branch}' of {}", pulled.url);
    Ok(Theirs { commit: repo.resolve_commit(tracking.as_str())?, called })
}

fn fast_forward(args: &Args, opened: &Opened) -> Result<FastForward, CliError> {
    let configured = opened.repo.config().get_str("pull.ff")?;
    Ok(match () {
        () if args.ff_only => FastForward::Only,
        () if args.no_ff => FastForward::Never,
        () if args.ff => FastForward::Allowed,
        () => match configured.as_deref() {
            Some("only") => FastForward::Only,
            Some(text) if dits_core::config::parse_bool(text) == Some(false) => FastForward::Never,
            _ => FastForward::Allowed,
        },
    })
}
