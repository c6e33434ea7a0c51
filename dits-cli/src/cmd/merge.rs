//! `dits merge`

use dits_core::diff;
use dits_core::merge::{Applied, FastForward, MergeOptions, MergeOutcome};
use dits_core::object::CommitId;
use dits_core::repo::{CommitOptions, NewCommit, PendingKind, RepoError};
use serde::Serialize;

use crate::conflicts::{self, Changed, ConflictJson};
use crate::context::Context;
use crate::editor;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identity::Role;
use crate::repository::Opened;

/// Join another line of work into the current branch
///
/// Files that only one side changed are taken from that side. A file that both changed is a conflict: ours stays in
/// place, theirs is put beside it (`shot.mov`, `shot.theirs.mov`), and you decide with `dits resolve`. Contents are
/// never mixed. A file that one side moved and the other changed is changed in its new place.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits merge grading            the branch `grading` into this one
  dits merge --ff-only main     only if nothing has to be joined
  dits merge                    what the branch follows, as `dits fetch` saw it last
  dits merge --abort            give up a merge with conflicts
  dits merge --continue         commit it, once all is decided")]
pub struct Args {
    /// What to merge: a branch, tag or commit; without it, what the branch follows
    #[arg(value_name = "REV")]
    revisions: Vec<String>,
    /// Move the branch forward if that is enough (the default)
    #[arg(long, overrides_with_all = ["no_ff", "ff_only"])]
    ff: bool,
    /// Make a merge commit even then
    #[arg(long, overrides_with_all = ["ff", "ff_only"])]
    no_ff: bool,
    /// Fail unless moving the branch forward is enough
    #[arg(long, overrides_with_all = ["ff", "no_ff"])]
    ff_only: bool,
    /// Stage the result without committing it
    #[arg(long)]
    no_commit: bool,
    /// As always: no editor is opened
    #[arg(long = "no-edit", hide = true)]
    _no_edit: bool,
    /// The message of the merge commit; several become paragraphs
    #[arg(short, long = "message", value_name = "MESSAGE")]
    messages: Vec<String>,
    /// Merge even if the histories have nothing in common
    #[arg(long)]
    allow_unrelated_histories: bool,
    /// Give up a merge: everything is as it was before
    #[arg(long, conflicts_with_all = ["revisions", "resume"])]
    abort: bool,
    /// Commit a merge whose conflicts are decided
    #[arg(long = "continue", conflicts_with = "revisions")]
    resume: bool,
}

/// What a merge came to, in JSON.
#[derive(Serialize, Default)]
pub struct Answer {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    files: Changed,
    conflicts: Vec<ConflictJson>,
}

/// Merges.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    opened.repo.worktree()?;
    if args.abort {
        return abort(&opened, cx);
    }
    if args.resume {
        return resume(&args, &opened, cx);
    }
    let revision = match &args.revisions[..] {
        [] => opened.repo.upstream_ref("HEAD")?.short().to_owned(),
        [revision] => revision.clone(),
        _ => {
            return Err(
                CliError::usage("only one commit can be merged at a time").hint("merge them one after the other")
            );
        }
    };
    let revision = &revision;
    let theirs = opened.repo.resolve_commit(revision)?;
    let message = match editor::clean_given(&args.messages.join("\n\n")) {
        given if given.is_empty() => default_message(&opened, revision)?,
        given => given,
    };
    let fast_forward = match () {
        () if args.ff_only => FastForward::Only,
        () if args.no_ff => FastForward::Never,
        () => FastForward::Allowed,
    };
    let join =
        Join { theirs, message, fast_forward, no_commit: args.no_commit, unrelated: args.allow_unrelated_histories };
    let (exit, answer) = join.carry_out(&opened, cx)?;
    if cx.json() {
        cx.out().json("merge", &answer)?;
    }
    Ok(exit)
}

/// A merge to be made.
pub struct Join {
    /// What is merged.
    pub theirs: CommitId,
    /// The message of the merge commit.
    pub message: String,
    /// Whether moving forward is enough.
    pub fast_forward: FastForward,
    /// Stages only.
    pub no_commit: bool,
    /// Even without a common commit.
    pub unrelated: bool,
}

impl Join {
    /// Merges, and tells what came of it, but for the JSON.
    ///
    /// # Errors
    /// When it cannot be begun.
    pub fn carry_out(self, opened: &Opened, cx: &Context) -> Result<(Exit, Answer), CliError> {
        let Self { theirs, message, fast_forward, no_commit, unrelated } = self;
        // Moving forward commits nothing: then nobody has to have a name.
        let (fast_forward, who, nameless) = match opened.signature(cx, Role::Committer) {
            Ok(who) => (fast_forward, who, None),
            Err(error) if fast_forward == FastForward::Never => return Err(error),
            Err(error) => {
                (FastForward::Only, opened.who(cx)?, (self.fast_forward != FastForward::Only).then_some(error))
            }
        };
        let options = MergeOptions { fast_forward, no_commit, unrelated, message, who };
        let progress = cx.progress();
        let outcome = match (opened.repo.merge(theirs, &options, &progress), nameless) {
            (Err(RepoError::NotFastForward), Some(nameless)) => return Err(nameless),
            (outcome, _) => outcome?,
        };
        drop(progress);
        show(outcome, theirs, opened, cx)
    }
}

fn show(outcome: MergeOutcome, theirs: CommitId, opened: &Opened, cx: &Context) -> Result<(Exit, Answer), CliError> {
    match outcome {
        MergeOutcome::UpToDate => {
            let answer = Answer { outcome: "up-to-date", ..Answer::default() };
            said(answer, "Already up to date.", cx)
        }
        MergeOutcome::FastForwarded { from, .. } => {
            let (old, new) = (from.map(|id| tree(opened, id)).transpose()?, tree(opened, theirs)?);
            let files = Changed::of(&diff::trees(opened.repo.store(), old, Some(new)).map_err(RepoError::from)?);
            let before = from.map_or_else(|| "nothing".to_owned(), short);
            let text = format!("Updating {before}..{}\nFast-forward\n {files}", short(theirs));
            let (from, commit) = (from.map(|id| id.to_string()), Some(theirs.to_string()));
            said(Answer { outcome: "fast-forward", from, commit, files, conflicts: Vec::new() }, &text, cx)
        }
        MergeOutcome::Merged(made, _) => merged(&made, cx),
        MergeOutcome::Staged(_) => {
            let answer = Answer { outcome: "staged", ..Answer::default() };
            said(answer, "The merge is staged and not committed, as asked; commit it with `dits merge --continue`", cx)
        }
        MergeOutcome::Conflicts(applied) => in_conflict(&applied, opened, cx),
    }
}

fn merged(made: &NewCommit, cx: &Context) -> Result<(Exit, Answer), CliError> {
    let files = Changed::of(&made.changes);
    let answer = Answer { outcome: "merged", commit: Some(made.id.to_string()), files, ..Answer::default() };
    said(answer, &format!("Merge made: {}\n {files}", short(made.id)), cx)
}

fn in_conflict(applied: &Applied, opened: &Opened, cx: &Context) -> Result<(Exit, Answer), CliError> {
    let conflicts = conflicts::to_json(&applied.conflicts, &applied.beside);
    if !cx.json() {
        conflicts::report(applied, "The merge", Some("dits merge --continue"), "dits merge --abort", opened, cx)?;
    }
    Ok((Exit::Conflict, Answer { outcome: "conflicts", conflicts, ..Answer::default() }))
}

fn said(answer: Answer, text: &str, cx: &Context) -> Result<(Exit, Answer), CliError> {
    if !cx.json() && !cx.quiet() {
        writeln!(cx.out(), "{text}")?;
    }
    Ok((Exit::Ok, answer))
}

fn say(answer: Answer, text: &str, cx: &Context) -> Result<Exit, CliError> {
    let (exit, answer) = said(answer, text, cx)?;
    if cx.json() {
        cx.out().json("merge", &answer)?;
    }
    Ok(exit)
}

fn abort(opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let progress = cx.progress();
    opened.repo.abort_pending(PendingKind::Merge, &opened.who(cx)?, &progress)?;
    drop(progress);
    let answer = Answer { outcome: "aborted", ..Answer::default() };
    say(answer, "The merge is given up; everything is as it was before", cx)
}

fn resume(args: &Args, opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let pending = opened.repo.pending()?.filter(|pending| pending.kind == PendingKind::Merge);
    let pending = pending.ok_or(RepoError::NothingPending { command: "merge" })?;
    let given = editor::clean_given(&args.messages.join("\n\n"));
    let made = opened.repo.commit(&CommitOptions {
        author: opened.signature(cx, Role::Author)?,
        committer: opened.signature(cx, Role::Committer)?,
        message: if given.is_empty() { pending.message } else { given },
        amend: false,
        allow_empty: true,
    })?;
    let (exit, answer) = merged(&made, cx)?;
    if cx.json() {
        cx.out().json("merge", &answer)?;
    }
    Ok(exit)
}

/// git's words: `Merge branch 'x' into y`, where the first branch is not worth naming.
fn default_message(opened: &Opened, revision: &str) -> Result<String, CliError> {
    let named = opened.repo.ref_named(revision)?;
    let what = match &named {
        Some(name) if name.as_branch().is_some() => "branch",
        Some(name) if name.as_tag().is_some() => "tag",
        Some(name) if name.as_str().starts_with("refs/remotes/") => "remote-tracking branch",
        _ => "commit",
    };
    message(opened, &format!("{what} '{revision}'"))
}

/// `Merge …`, and into what, where that is not the usual branch.
///
/// # Errors
/// When HEAD cannot be read.
pub fn message(opened: &Opened, what: &str) -> Result<String, CliError> {
    let into = match opened.repo.head()?.branch().map(|branch| branch.short().to_owned()) {
        Some(branch) if branch == "main" || branch == "master" => String::new(),
        Some(branch) => format!(" into {branch}"),
        None => " into HEAD".to_owned(),
    };
    Ok(format!("Merge {what}{into}\n"))
}

fn tree(opened: &Opened, id: CommitId) -> Result<dits_core::object::TreeId, CliError> {
    Ok(dits_core::commit::Commit::read(opened.repo.store(), id).map_err(RepoError::from)?.tree)
}

fn short(id: CommitId) -> String {
    id.to_string()[..7].to_owned()
}
