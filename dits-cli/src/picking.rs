//! What `dits revert` and `dits cherry-pick` have in common.

use dits_core::history::Walk;
use dits_core::merge::{Pick, PickOptions, PickOutcome, Picked};
use dits_core::object::CommitId;
use dits_core::repo::RepoError;
use dits_core::revision::Range;
use serde::Serialize;

use crate::conflicts::{self, Changed, ConflictJson};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identity::Role;
use crate::repository::Opened;

/// The arguments that both have.
#[derive(Debug, clap::Args)]
pub struct PickArgs {
    /// Commits, or ranges of them (`A..B`)
    #[arg(value_name = "REV", required_unless_present_any = ["abort", "resume", "skip"])]
    revisions: Vec<String>,
    /// Stage the result of a single commit without committing it
    #[arg(short, long)]
    no_commit: bool,
    /// As always: no editor is opened
    #[arg(long = "no-edit", hide = true)]
    _no_edit: bool,
    /// For a merge commit: the number of the parent it is compared with, from 1
    #[arg(short, long, value_name = "PARENT", value_parser = clap::value_parser!(u32).range(1..))]
    mainline: Option<u32>,
    /// Commit what waits, its conflicts decided, and go on
    #[arg(long = "continue", conflicts_with_all = ["revisions", "abort", "skip"])]
    resume: bool,
    /// Leave out the commit that waits, and go on
    #[arg(long, conflicts_with_all = ["revisions", "abort"])]
    skip: bool,
    /// Give up: everything is as it was before the command
    #[arg(long, conflicts_with = "revisions")]
    abort: bool,
}

#[derive(Serialize)]
struct Answer {
    outcome: &'static str,
    commits: Vec<CommitJson>,
    staged: bool,
    /// Commits that changed nothing any more.
    nothing: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_at: Option<String>,
    conflicts: Vec<ConflictJson>,
}

#[derive(Serialize)]
struct CommitJson {
    commit: String,
    subject: String,
    files: Changed,
}

/// Runs one of the two.
///
/// # Errors
/// Those of the engine.
pub fn run(args: &PickArgs, pick: Pick, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    opened.repo.worktree()?;
    let command = pick.kind().command();
    let progress = cx.progress();
    if args.abort {
        opened.repo.abort_pending(pick.kind(), &opened.who(cx)?, &progress)?;
        drop(progress);
        return aborted(command, cx);
    }
    let who = opened.signature(cx, Role::Committer)?;
    let options = PickOptions { mainline: args.mainline.unwrap_or(0), no_commit: args.no_commit, who };
    let outcome = if args.resume {
        opened.repo.pick_continue(pick, None, &options, &progress)?
    } else if args.skip {
        opened.repo.pick_skip(pick, &options, &progress)?
    } else {
        let commits = commits(&args.revisions, pick, &opened)?;
        if args.no_commit && commits.len() > 1 {
            return Err(CliError::usage("--no-commit takes one commit at a time"));
        }
        opened.repo.pick(pick, &commits, &options, &progress)?
    };
    drop(progress);
    show(&outcome, pick, &opened, cx)
}

/// The commits in the order in which they are done: ranges from old to new, to undo them from new to old.
fn commits(revisions: &[String], pick: Pick, opened: &Opened) -> Result<Vec<CommitId>, CliError> {
    let mut commits = Vec::new();
    for text in revisions {
        match Range::parse(text).map_err(RepoError::from)? {
            Range::Single(revision) => commits.push(opened.repo.commit_of(&revision)?),
            range => {
                let (tips, hidden) = opened.repo.resolve_ranges(&[range])?;
                let walk = Walk::new(opened.repo.store(), &tips, &hidden).map_err(RepoError::from)?;
                let mut list = Vec::new();
                for item in walk {
                    list.push(item.map_err(RepoError::from)?.0);
                }
                if pick != Pick::Revert {
                    list.reverse();
                }
                commits.extend(list);
            }
        }
    }
    if commits.is_empty() {
        return Err(CliError::usage("these revisions select no commit"));
    }
    Ok(commits)
}

fn aborted(command: &'static str, cx: &Context) -> Result<Exit, CliError> {
    if cx.json() {
        let answer = Answer {
            outcome: "aborted",
            commits: Vec::new(),
            staged: false,
            nothing: Vec::new(),
            stopped_at: None,
            conflicts: Vec::new(),
        };
        cx.out().json(command, &answer)?;
    } else if !cx.quiet() {
        writeln!(cx.out(), "The {command} is given up; everything is as it was before")?;
    }
    Ok(Exit::Ok)
}

fn show(outcome: &PickOutcome, pick: Pick, opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let command = pick.kind().command();
    let idle = outcome.stopped.is_none() && !outcome.done.is_empty() && all_idle(outcome);
    let exit = match (&outcome.stopped, idle) {
        (Some(_), _) => Exit::Conflict,
        (None, true) => Exit::Difference,
        (None, false) => Exit::Ok,
    };
    if cx.json() {
        cx.out().json(command, &answer(outcome, idle))?;
        return Ok(exit);
    }
    for done in outcome.done.iter().filter(|_| !cx.quiet()) {
        match done {
            Picked::Committed(made) => {
                let branch = made.branch.as_ref().map_or("detached HEAD", |branch| branch.short());
                let subject = made.commit.message.lines().next().unwrap_or_default();
                writeln!(cx.out(), "[{branch} {}] {subject}", short(made.id))?;
                writeln!(cx.out(), " {}", Changed::of(&made.changes))?;
            }
            Picked::Staged(_) => writeln!(cx.out(), "Staged and not committed, as asked")?,
            Picked::Nothing(id) => writeln!(cx.out(), "{} has nothing to change here any more", short(*id))?,
        }
    }
    if let Some((id, applied)) = &outcome.stopped {
        let (go_on, give_up) = (format!("dits {command} --continue"), format!("dits {command} --abort"));
        let what = format!("The {command} of {}", short(*id));
        conflicts::report(applied, &what, Some(&go_on), &give_up, opened, cx)?;
    }
    Ok(exit)
}

fn all_idle(outcome: &PickOutcome) -> bool {
    outcome.done.iter().all(|done| matches!(done, Picked::Nothing(_)))
}

fn answer(outcome: &PickOutcome, idle: bool) -> Answer {
    let mut answer = Answer {
        outcome: "done",
        commits: Vec::new(),
        staged: false,
        nothing: Vec::new(),
        stopped_at: None,
        conflicts: Vec::new(),
    };
    for done in &outcome.done {
        match done {
            Picked::Committed(made) => answer.commits.push(CommitJson {
                commit: made.id.to_string(),
                subject: made.commit.message.lines().next().unwrap_or_default().to_owned(),
                files: Changed::of(&made.changes),
            }),
            Picked::Staged(_) => answer.staged = true,
            Picked::Nothing(id) => answer.nothing.push(id.to_string()),
        }
    }
    if idle {
        answer.outcome = "nothing";
    }
    if let Some((id, applied)) = &outcome.stopped {
        answer.outcome = "conflicts";
        answer.stopped_at = Some(id.to_string());
        answer.conflicts = conflicts::to_json(&applied.conflicts, &applied.beside);
    }
    answer
}

fn short(id: CommitId) -> String {
    id.to_string()[..7].to_owned()
}
