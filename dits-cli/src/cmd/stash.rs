//! `dits stash`

use dits_core::commit::Commit;
use dits_core::diff::{self, ChangeKind};
use dits_core::merge::Applied;
use dits_core::object::CommitId;
use dits_core::repo::{PendingKind, RepoError};
use dits_core::stash::StashOptions;
use serde::Serialize;

use crate::conflicts::{self, ConflictJson};
use crate::context::Context;
use crate::editor;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::amounts::Amounts;
use crate::output::json::Bytes;
use crate::output::size::format_bytes;
use crate::repository::Opened;

/// Put changes aside, and bring them back later
///
/// `dits stash` puts everything that is changed or staged since HEAD aside: the files are as HEAD has them then.
/// `dits stash pop` brings it back, on this commit or another.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  dits stash                    put changes aside
  dits stash -u -m 'new cut'    with files that are not tracked, and a note
  dits stash list               what is put aside
  dits stash pop                bring the newest back
  dits stash apply 2            bring another back, and keep the entry")]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    push: Push,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Put changes aside (what `dits stash` does by itself)
    Push(Push),
    /// List the entries, newest first
    List,
    /// Show which files an entry changes
    Show {
        /// `2` or `stash@{2}`; the newest is 0
        #[arg(value_name = "ENTRY")]
        entry: Option<String>,
    },
    /// Bring an entry's changes back; the entry stays
    Apply(Back),
    /// Bring an entry's changes back, and forget the entry
    Pop(Back),
    /// Forget an entry
    Drop {
        /// `2` or `stash@{2}`; the newest is 0
        #[arg(value_name = "ENTRY")]
        entry: Option<String>,
    },
    /// Forget all entries
    Clear,
    /// Give up an `apply` or `pop` that met conflicts
    Abort,
}

#[derive(Debug, clap::Args)]
struct Push {
    /// A note to find it by
    #[arg(short, long, value_name = "MESSAGE")]
    message: Option<String>,
    /// Also files that are not tracked
    #[arg(short = 'u', long)]
    include_untracked: bool,
    /// Leave in place what is staged
    #[arg(short, long)]
    keep_index: bool,
}

#[derive(Debug, clap::Args)]
struct Back {
    /// `2` or `stash@{2}`; the newest is 0
    #[arg(value_name = "ENTRY")]
    entry: Option<String>,
    /// Also stage again what was staged
    #[arg(long)]
    index: bool,
}

#[derive(Serialize, Default)]
struct Answer {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<EntryJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conflicts: Option<Vec<ConflictJson>>,
}

#[derive(Serialize)]
struct Pushed {
    #[serde(flatten)]
    answer: Answer,
    #[serde(flatten)]
    amounts: Amounts,
}

#[derive(Serialize)]
struct EntryJson {
    number: usize,
    commit: String,
    message: String,
    time: i64,
    offset: i16,
}

#[derive(Serialize)]
struct FileJson {
    status: char,
    path: Bytes,
    old_size: Option<u64>,
    new_size: Option<u64>,
}

/// Runs the action.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    match args.action {
        None => push(&args.push, &opened, cx),
        Some(Action::Push(push_args)) => push(&push_args, &opened, cx),
        Some(Action::List) => list(&opened, cx),
        Some(Action::Show { entry }) => show(number(entry.as_deref())?, &opened, cx),
        Some(Action::Apply(back)) => apply(&back, false, &opened, cx),
        Some(Action::Pop(back)) => apply(&back, true, &opened, cx),
        Some(Action::Drop { entry }) => {
            let number = number(entry.as_deref())?;
            let id = opened.repo.stash_drop(number)?;
            say("drop", Some(id), &format!("Dropped stash@{{{number}}} ({})", short(id)), cx)
        }
        Some(Action::Clear) => {
            opened.repo.stash_clear()?;
            say("clear", None, "All entries are forgotten", cx)
        }
        Some(Action::Abort) => {
            let progress = cx.progress();
            opened.repo.abort_pending(PendingKind::Stash, &opened.who(cx)?, &progress)?;
            drop(progress);
            say("abort", None, "Given up; the stash entry is still there", cx)
        }
    }
}

fn push(args: &Push, opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let options = StashOptions { untracked: args.include_untracked, keep_index: args.keep_index };
    let message = args.message.as_deref().map(|text| editor::clean_given(text).trim_end().to_owned());
    let progress = cx.progress();
    let message = message.as_deref().filter(|text| !text.is_empty());
    let made = opened.repo.stash_push(message, options, &opened.who(cx)?, &progress)?;
    drop(progress);
    let Some(made) = made else { return say("nothing", None, "No local changes to save", cx) };
    let amounts = Amounts::written(made.logical, &made.stats);
    if cx.json() {
        let answer = Answer { action: "push", commit: Some(made.commit.to_string()), ..Answer::default() };
        cx.out().json("stash", &Pushed { answer, amounts })?;
    } else if !cx.quiet() {
        let text = opened.repo.stash_list()?.into_iter().next().map(|entry| entry.message).unwrap_or_default();
        writeln!(cx.out(), "Put aside: {text}\n {amounts}")?;
    }
    Ok(Exit::Ok)
}

fn list(opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let entries = opened.repo.stash_list()?;
    if cx.json() {
        let one = |(number, entry): (usize, &dits_core::refs::LogEntry)| EntryJson {
            number,
            commit: entry.new.map(|id| id.to_string()).unwrap_or_default(),
            message: entry.message.clone(),
            time: entry.who.time,
            offset: entry.who.offset,
        };
        let entries = Some(entries.iter().enumerate().map(one).collect());
        cx.out().json("stash", &Answer { action: "list", entries, ..Answer::default() })?;
        return Ok(Exit::Ok);
    }
    for (number, entry) in entries.iter().enumerate() {
        writeln!(cx.out(), "stash@{{{number}}}: {}", entry.message)?;
    }
    Ok(Exit::Ok)
}

fn show(number: usize, opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let store = opened.repo.store();
    let entry = Commit::read(store, opened.repo.stash_commit(number)?).map_err(RepoError::from)?;
    let before = entry.parents.first().map(|id| Commit::read(store, *id)).transpose().map_err(RepoError::from)?;
    let mut changes =
        diff::trees(store, before.map(|commit| commit.tree), Some(entry.tree)).map_err(RepoError::from)?;
    if let Some(id) = entry.parents.get(2) {
        let untracked = Commit::read(store, *id).map_err(RepoError::from)?.tree;
        changes.extend(diff::trees(store, None, Some(untracked)).map_err(RepoError::from)?);
    }
    let file = |change: &diff::Change| FileJson {
        status: match change.kind() {
            ChangeKind::Added => 'A',
            ChangeKind::Deleted => 'D',
            ChangeKind::Modified => 'M',
            ChangeKind::TypeChanged => 'T',
        },
        path: Bytes::from(&change.path),
        old_size: change.old.as_ref().map(|version| version.size),
        new_size: change.new.as_ref().map(|version| version.size),
    };
    let files: Vec<FileJson> = changes.iter().map(file).collect();
    if cx.json() {
        cx.out().json("stash", &Answer { action: "show", files: Some(files), ..Answer::default() })?;
        return Ok(Exit::Ok);
    }
    for (file, change) in files.iter().zip(&changes) {
        let sizes: Vec<String> = [file.old_size, file.new_size].into_iter().flatten().map(format_bytes).collect();
        writeln!(cx.out(), "{}\t{} ({})", file.status, opened.show(&change.path), sizes.join(" -> "))?;
    }
    Ok(Exit::Ok)
}

fn apply(back: &Back, pop: bool, opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let number = number(back.entry.as_deref())?;
    let progress = cx.progress();
    let applied = opened.repo.stash_apply(number, back.index, &progress)?;
    drop(progress);
    if !applied.conflicts.is_empty() {
        return in_conflict(&applied, pop, opened, cx);
    }
    let (action, dropped) = match pop {
        true => ("pop", Some(opened.repo.stash_drop(number)?)),
        false => ("apply", None),
    };
    let (written, removed) = (applied.report.written, applied.report.removed);
    let mut text = format!("Brought back stash@{{{number}}}: {written} written, {removed} removed");
    if let Some(id) = dropped {
        text.push_str(&format!("\nDropped stash@{{{number}}} ({})", short(id)));
    }
    say(action, dropped, &text, cx)
}

fn in_conflict(applied: &Applied, pop: bool, opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    if cx.json() {
        let conflicts = Some(conflicts::to_json(&applied.conflicts, &applied.beside));
        cx.out().json("stash", &Answer { action: "conflicts", conflicts, ..Answer::default() })?;
    } else {
        conflicts::report(applied, "Bringing back the changes", None, "dits stash abort", opened, cx)?;
        if pop && !cx.quiet() {
            writeln!(cx.out(), "The stash entry is kept in case you need it again.")?;
        }
    }
    Ok(Exit::Conflict)
}

fn say(action: &'static str, id: Option<CommitId>, text: &str, cx: &Context) -> Result<Exit, CliError> {
    if cx.json() {
        let commit = id.map(|id| id.to_string());
        cx.out().json("stash", &Answer { action, commit, ..Answer::default() })?;
    } else if !cx.quiet() {
        writeln!(cx.out(), "{text}")?;
    }
    Ok(Exit::Ok)
}

/// `2`, `stash@{2}`, `stash`, or nothing for the newest.
fn number(entry: Option<&str>) -> Result<usize, CliError> {
    let Some(text) = entry.filter(|text| *text != "stash") else { return Ok(0) };
    let inner = text.strip_prefix("stash@{").and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    inner.parse().map_err(|_| CliError::usage(format!("`{text}` is not a stash entry: it is `2` or `stash@{{2}}`")))
}

fn short(id: CommitId) -> String {
    id.to_string()[..7].to_owned()
}
