//! `dits commit`

use std::ffi::OsString;
use std::io::Read;

use dits_core::commit::Commit;
use dits_core::diff::{RenameOptions, find_renames};
use dits_core::durable::IoContext;
use dits_core::repo::{CommitOptions, NewCommit, Novelty, RepoError};
use dits_core::signature::Signature;
use dits_core::worktree::{AddOptions, Everything};
use serde::Serialize;

use super::status;
use crate::context::Context;
use crate::date::Moment;
use crate::editor;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identity::{Identity, Role};
use crate::locking::unheld;
use crate::output::amounts::Amounts;
use crate::output::json::Bytes;
use crate::output::size::plural;
use crate::repository::Opened;

/// Record what is staged
///
/// Makes a commit of everything that is staged and moves the branch to it. Without a message given as an option, your
/// editor is opened to write one; an empty message means that nothing is committed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits commit -m \"New grade for scene 4\"
  dits commit -a -m \"All of it\"     stages changes and removals of tracked files first
  dits commit --amend --no-edit     put what is staged into the last commit")]
pub struct Args {
    /// What the commit is about; several become paragraphs
    #[arg(short, long = "message", value_name = "MESSAGE")]
    messages: Vec<String>,
    /// A file with the message; `-` is standard input
    #[arg(short = 'F', long, value_name = "FILE", conflicts_with = "messages", value_hint = clap::ValueHint::FilePath)]
    file: Option<OsString>,
    /// First stage what has changed in tracked files, and which are gone
    #[arg(short, long)]
    all: bool,
    /// Replace the last commit
    #[arg(long)]
    amend: bool,
    /// Take the prepared message, or that of the commit to be amended, as it is
    #[arg(long, conflicts_with_all = ["messages", "file", "edit"])]
    no_edit: bool,
    /// Open the editor also on a message that was given
    #[arg(short, long)]
    edit: bool,
    /// Commit even if nothing has changed
    #[arg(long)]
    allow_empty: bool,
    /// Who made the changes: `Name <address>`
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,
    /// When they were made
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// When amending, be the author, now
    #[arg(long, requires = "amend", conflicts_with = "author")]
    reset_author: bool,
    /// A commit takes what is staged
    #[arg(value_name = "PATH", hide = true)]
    paths: Vec<OsString>,
    /// Change nothing, show what would be committed
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    commit: String,
    branch: Option<String>,
    parents: Vec<String>,
    files_changed: usize,
    changed: Vec<Bytes>,
    #[serde(flatten)]
    amounts: Amounts,
}

/// Commits.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    if let Some(path) = args.paths.first().map(|path| path.to_string_lossy()) {
        let message = format!("a commit takes what is staged; `{path}` cannot be committed by itself");
        return Err(CliError::usage(message).hint(format!("dits add {path}, then dits commit")));
    }
    let opened = cx.open()?;
    opened.repo.worktree()?;
    if args.dry_run {
        return try_it(&args, &opened, cx);
    }
    let amended = if args.amend { Some(newest(&opened)?) } else { None };
    // Whatever can fail does so before anything is staged.
    let committer = opened.signature(cx, Role::Committer)?;
    let author = author(&args, amended.as_ref(), &opened, cx)?;
    check_ready(&args, &opened)?;
    if args.all {
        stage_tracked(&opened, cx)?;
    }
    let message = message(&args, amended.as_ref(), &opened, cx)?;
    let options = CommitOptions { author, committer, message, amend: args.amend, allow_empty: args.allow_empty };
    match opened.repo.commit(&options) {
        Err(RepoError::NothingToCommit) if !cx.json() => {
            status::show_long(&opened, cx)?;
            Ok(Exit::Difference)
        }
        made => {
            let made = made?;
            unheld::warn(&opened, cx, made.changes.iter().map(|change| (&change.path, change.old.is_none())))?;
            show(&made, &opened, cx)?;
            super::gc::after_command(&opened, cx);
            Ok(Exit::Ok)
        }
    }
}

fn try_it(args: &Args, opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let staged = status::show_long(opened, cx)?;
    let tracked = AddOptions { new_files: false, dry_run: true, ..AddOptions::default() };
    let more = || -> Result<bool, CliError> {
        let report = opened.repo.add(&Everything, tracked, &cx.progress())?;
        Ok(!report.added.is_empty() || !report.removed.is_empty())
    };
    Ok(if staged || (args.all && more()?) { Exit::Ok } else { Exit::Difference })
}

fn newest(opened: &Opened) -> Result<Commit, CliError> {
    match opened.repo.head_commit() {
        Err(RepoError::Unborn { .. }) => Err(RepoError::NothingToAmend.into()),
        newest => Ok(newest?.1),
    }
}

/// Conflicts are for a person to decide; `-a` does not do it by the way.
fn check_ready(args: &Args, opened: &Opened) -> Result<(), CliError> {
    let index = opened.repo.index()?;
    let paths: Vec<_> = index.conflicts().into_iter().map(|conflict| conflict.path).collect();
    if !paths.is_empty() {
        return Err(RepoError::Unresolved { paths }.into());
    }
    if args.amend && opened.repo.pending()?.is_some() {
        return Err(RepoError::AmendDuringMerge.into());
    }
    Ok(())
}

fn stage_tracked(opened: &Opened, cx: &Context) -> Result<(), CliError> {
    let options = AddOptions { new_files: false, ..AddOptions::default() };
    opened.repo.add(&Everything, options, &cx.progress())?;
    Ok(())
}

fn author(args: &Args, amended: Option<&Commit>, opened: &Opened, cx: &Context) -> Result<Signature, CliError> {
    let now = cx.now()?;
    let date = args.date.as_deref().map(|date| Moment::parse(date, now)).transpose()?;
    let mut author = match (&args.author, amended) {
        (Some(author), amended) => {
            let when =
                amended.map_or(now, |commit| Moment { seconds: commit.author.time, offset: commit.author.offset });
            Identity::parse(author, when)?.signature()?
        }
        (None, Some(commit)) if !args.reset_author => commit.author.clone(),
        _ => opened.signature(cx, Role::Author)?,
    };
    if let Some(date) = date {
        (author.time, author.offset) = (date.seconds, date.offset);
    }
    Ok(author)
}

fn message(args: &Args, amended: Option<&Commit>, opened: &Opened, cx: &Context) -> Result<String, CliError> {
    let given = if !args.messages.is_empty() {
        Some(args.messages.join("\n\n"))
    } else {
        args.file.as_ref().map(|file| read_message(file, cx)).transpose()?
    };
    let prepared = match amended {
        Some(commit) => Some(commit.message.clone()),
        None => opened.repo.pending()?.map(|pending| pending.message).filter(|message| !message.is_empty()),
    };
    let message = match (given, prepared) {
        (Some(given), _) if !args.edit => editor::clean_given(&given),
        (_, Some(prepared)) if args.no_edit => prepared,
        (given, prepared) => write_message(given.or(prepared).unwrap_or_default(), opened, cx)?,
    };
    match message.trim().is_empty() {
        true => Err(CliError::usage("the message is empty, so nothing was committed")),
        false => Ok(message),
    }
}

fn read_message(file: &OsString, cx: &Context) -> Result<String, CliError> {
    if file == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).at("read", std::path::Path::new("standard input"))?;
        return Ok(text);
    }
    let path = cx.cwd.join(file);
    Ok(std::fs::read_to_string(&path).at("read", &path)?)
}

/// Opens the editor on a message with the staged changes below it.
fn write_message(begun: String, opened: &Opened, cx: &Context) -> Result<String, CliError> {
    let editor = editor::choose(&cx.env, opened.repo.config())?;
    let listed = status::staged_lines(opened, cx)?;
    let mut template = format!("{begun}\n# What is this commit about? The first line is its title.\n");
    template.push_str("# Lines that begin with # are left out; without any other, nothing is committed.\n#\n");
    for line in listed {
        template.push_str(&format!("#   {line}\n"));
    }
    editor::edit(&editor, &opened.repo.layout().private.join("COMMIT_EDITMSG"), &template)
}

fn novelty(made: &NewCommit, opened: &Opened) -> Result<Novelty, RepoError> {
    let parent = made.commit.parents.first().map(|id| Commit::read(opened.repo.store(), *id)).transpose()?;
    opened.repo.novelty(&made.changes, parent.map(|commit| commit.tree))
}

/// How many files changed, as `show --stat` says: one that was renamed is one.
fn count(made: &NewCommit, opened: &Opened) -> usize {
    let renames = find_renames(opened.repo.store(), &made.changes, RenameOptions::default());
    made.changes.len() - renames.map_or(0, |renames| renames.len())
}

fn show(made: &NewCommit, opened: &Opened, cx: &Context) -> Result<(), CliError> {
    if cx.quiet() && !cx.json() {
        return Ok(());
    }
    // The commit is made: damage met while measuring it must not make it look as if it were not.
    let novelty = novelty(made, opened).unwrap_or_else(|error| {
        cx.warn(format!("the commit is made, but how much of it is new cannot be told: {error}"));
        Novelty::default()
    });
    let amounts = Amounts::committed(&novelty);
    if cx.json() {
        let answer = Answer {
            commit: made.id.to_string(),
            branch: made.branch.as_ref().map(|branch| branch.short().to_owned()),
            parents: made.commit.parents.iter().map(ToString::to_string).collect(),
            files_changed: count(made, opened),
            changed: made.changes.iter().map(|change| Bytes::from(&change.path)).collect(),
            amounts,
        };
        return cx.out().json("commit", &answer);
    }
    let branch = made.branch.as_ref().map_or("detached HEAD", |branch| branch.short());
    let root = if made.commit.parents.is_empty() { " (root-commit)" } else { "" };
    let id = made.id.to_string();
    writeln!(cx.out(), "[{branch}{root} {}] {}", &id[..7], made.commit.message.lines().next().unwrap_or_default())?;
    let files = plural(count(made, opened) as u64, "file", "files");
    match amounts.logical {
        0 => writeln!(cx.out(), " {files} changed"),
        _ => writeln!(cx.out(), " {files} changed, {amounts}"),
    }
}
