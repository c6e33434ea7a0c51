//! `dits commit`

use dits_core::repo::{CommitOptions, NewCommit};
use serde::Serialize;

use crate::context::Context;
use crate::editor;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identity::Role;
use crate::output::size::plural;

/// Record what is staged
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What the commit is about; several become paragraphs
    #[arg(short, long = "message", value_name = "MESSAGE")]
    messages: Vec<String>,
    /// Commit even if nothing has changed
    #[arg(long)]
    allow_empty: bool,
}

#[derive(Serialize)]
struct Answer {
    commit: String,
    files_changed: usize,
}

/// Commits.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let message = editor::clean_given(&args.messages.join("\n\n"));
    if message.is_empty() {
        return Err(CliError::usage("the message is empty, so nothing was committed"));
    }
    let options = CommitOptions {
        author: opened.signature(cx, Role::Author)?,
        committer: opened.signature(cx, Role::Committer)?,
        message,
        amend: false,
        allow_empty: args.allow_empty,
    };
    let made = opened.repo.commit(&options)?;
    show(&made, cx)?;
    Ok(Exit::Ok)
}

fn show(made: &NewCommit, cx: &Context) -> Result<(), CliError> {
    if cx.json() {
        return cx.out().json("commit", &Answer { commit: made.id.to_string(), files_changed: made.changes.len() });
    }
    if cx.quiet() {
        return Ok(());
    }
    let branch = made.branch.as_ref().map_or("detached HEAD", |branch| branch.short());
    let root = if made.commit.parents.is_empty() { " (root-commit)" } else { "" };
    let id = made.id.to_string();
    writeln!(cx.out(), "[{branch}{root} {}] {}", &id[..7], made.commit.message.lines().next().unwrap_or_default())?;
    writeln!(cx.out(), " {} changed", plural(made.changes.len() as u64, "file", "files"))
}
