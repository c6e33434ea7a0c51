//! What the commands that move HEAD or write files have in common: finding the destination, and telling what was done.

use std::ffi::OsString;

use dits_core::commit::Commit;
use dits_core::history::Walk;
use dits_core::object::CommitId;
use dits_core::refs::{BRANCHES, REMOTES, RefName, RefStore, TAGS, Target};
use dits_core::repo::{RepoError, Repository};
use dits_core::revision::Revision;
use dits_core::worktree::{CheckoutReport, Destination, NewBranch, SwitchOptions};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::size::{format_bytes, plural};
use crate::repository::Opened;

/// Files written and removed, in JSON.
#[derive(Debug, Default, Serialize)]
pub struct Files {
    /// How many were written.
    pub written: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many were removed.
    pub removed: u64,
    /// Of how many only a ghost was written.
    pub ghosts: u64,
}

impl From<&CheckoutReport> for Files {
    fn from(report: &CheckoutReport) -> Self {
        Self { written: report.written, bytes: report.bytes, removed: report.removed, ghosts: report.ghosts }
    }
}

impl Files {
    /// `3 files written (1.20 MiB), 1 removed, 2 not here`; `None` when there was nothing to do.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        let files = |count| plural(count, "file", "files");
        let mut parts = Vec::new();
        let mut part = |count: u64, what: &str| {
            if count > 0 {
                // Only the first says what is counted.
                let counted = if parts.is_empty() { files(count) } else { count.to_string() };
                parts.push(format!("{counted} {what}"));
            }
        };
        part(self.written, &format!("written ({})", format_bytes(self.bytes)));
        part(self.removed, "removed");
        part(self.ghosts, "not here");
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[derive(Serialize)]
struct Answer {
    branch: Option<String>,
    commit: Option<String>,
    created: bool,
    files: Files,
}

/// `abc1234 Subject`.
///
/// # Errors
/// When the commit cannot be read.
pub fn describe(repo: &Repository, id: CommitId) -> Result<String, RepoError> {
    let commit = Commit::read(repo.store(), id)?;
    Ok(format!("{} {}", repo.short_id(id.digest())?, commit.message.lines().next().unwrap_or_default()))
}

/// A command-line word as text; names of branches and revisions are always UTF-8.
///
/// # Errors
/// When it is not.
pub fn text(word: &OsString) -> Result<&str, CliError> {
    word.to_str().ok_or_else(|| CliError::usage(format!("`{}` is not a revision", word.to_string_lossy())))
}

/// `-` and `@{-1}` as the name of the branch or commit they stand for; anything else as it is.
///
/// # Errors
/// When HEAD was not on that many.
pub fn expand(repo: &Repository, text: &str) -> Result<String, CliError> {
    match Revision::parse(text) {
        Ok(Revision { left_branch: Some(back), steps, path: None, .. }) if steps.is_empty() => {
            let revision = Revision::parse(text).map_err(RepoError::from)?;
            repo.branch_left(&revision, back).map_err(|_| {
                CliError::new(Exit::Difference, format!("`{text}`: there is no branch to go back to yet"))
                    .hint("`dits branch` lists the branches")
            })
        }
        _ => Ok(text.to_owned()),
    }
}

/// The branch of this name, if it exists.
///
/// # Errors
/// When it is damaged.
pub fn branch_named(repo: &Repository, name: &str) -> Result<Option<RefName>, RepoError> {
    let name = name.strip_prefix(BRANCHES).unwrap_or(name);
    let Ok(branch) = RefName::branch(name) else { return Ok(None) };
    Ok(repo.refs().read(&branch)?.map(|_| branch))
}

/// The one branch of a remote with this name, if there is no branch of our own: a branch to be made from it.
///
/// # Errors
/// When refs cannot be read.
pub fn remote_branch(repo: &Repository, name: &str) -> Result<Option<(RefName, NewBranch)>, RepoError> {
    let Ok(branch) = RefName::branch(name) else { return Ok(None) };
    let of_remote = |full: &RefName| {
        full.as_str().strip_prefix(REMOTES).and_then(|rest| rest.split_once('/')).is_some_and(|(_, b)| b == name)
    };
    let mut found: Vec<_> = repo.refs().list(REMOTES)?.into_iter().filter(|(full, _)| of_remote(full)).collect();
    let (Some((from, Target::Id(digest))), true) = (found.pop(), found.is_empty()) else { return Ok(None) };
    let commit = Some(CommitId::from_digest(digest));
    Ok(Some((branch, NewBranch { commit, from: from.to_string(), reset: false })))
}

/// What the user is told when HEAD is on no branch.
fn detached_note(named: &str) -> String {
    format!(
        "Now at `{named}`, on no branch (a \"detached HEAD\"). Look around, change and commit as you like; what you\n\
         commit here belongs to no branch until you make one for it:\n\n  dits switch -c NAME\n\n\
         or go back to where you were with `dits switch -`.\n"
    )
}

/// Goes somewhere, and tells what was done.
///
/// # Errors
/// When something that is recorded nowhere would be lost, or the destination cannot be read.
pub fn go(
    opened: &Opened,
    cx: &Context,
    command: &str,
    to: &Destination,
    options: &SwitchOptions,
) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let before = repo.head()?;
    let progress = cx.progress();
    let report = repo.switch_with(to, options, &opened.who(cx)?, &progress)?;
    drop(progress);
    let after = repo.head()?;
    let files = Files::from(&report);
    if cx.json() {
        let branch = after.branch().map(|branch| branch.short().to_owned());
        let commit = after.commit().map(|commit| commit.to_string());
        let created = options.create.is_some();
        cx.out().json(command, &Answer { branch, commit, created, files })?;
        return Ok(Exit::Ok);
    }
    if let (None, Some(old)) = (before.branch(), before.commit())
        && before.commit() != after.commit()
    {
        say_left_behind(repo, cx, old)?;
    }
    let same = before.branch() == after.branch();
    match to {
        Destination::Branch(branch) => {
            let name = branch.short();
            cx.note(match &options.create {
                Some(new) if new.reset && same => format!("Reset branch `{name}`"),
                Some(_) => format!("Switched to a new branch `{name}`"),
                None if same => format!("Already on `{name}`"),
                None => format!("Switched to branch `{name}`"),
            });
        }
        Destination::Commit(commit) => {
            if before.branch().is_some() {
                cx.note(detached_note(options.named.as_deref().unwrap_or("this commit")));
            }
            cx.note(format!("HEAD is now at {}", describe(repo, *commit)?));
        }
    }
    if let Some(line) = files.line() {
        cx.note(line);
    }
    Ok(Exit::Ok)
}

/// Commits that only a detached HEAD had are hard to find again.
fn say_left_behind(repo: &Repository, cx: &Context, old: CommitId) -> Result<(), CliError> {
    let mut named = Vec::new();
    for space in [BRANCHES, TAGS, REMOTES] {
        let tips = repo.refs().list(space)?.into_iter();
        named.extend(tips.filter_map(|(name, _)| repo.resolve_commit(name.as_str()).ok()));
    }
    named.extend(repo.head()?.commit());
    let lost = Walk::new(repo.store(), &[old], &named)
        .and_then(|mut walk| walk.try_fold(0_u64, |count, commit| commit.map(|_| count + 1)))
        .map_err(RepoError::from)?;
    if lost == 0 {
        cx.note(format!("HEAD was at {}", describe(repo, old)?));
    } else {
        cx.warn(format!(
            "{} left behind that no branch has: {}\nto keep, make a branch for it: dits branch NAME {}",
            plural(lost, "commit is", "commits are"),
            describe(repo, old)?,
            repo.short_id(old.digest())?
        ));
    }
    Ok(())
}
