//! What the commands that move HEAD or write files have in common: finding the destination, and telling what was done.

use std::ffi::OsString;

use dits_core::commit::Commit;
use dits_core::history::Walk;
use dits_core::object::CommitId;
use dits_core::refs::{BRANCHES, REMOTES, RefName, RefStore, TAGS};
use dits_core::remote::Follow;
use dits_core::repo::{Head, RepoError, Repository};
use dits_core::revision::Revision;
use dits_core::worktree::{CheckoutReport, Destination, NewBranch, SwitchOptions};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::size::{format_bytes, plural};
use crate::repository::Opened;
use crate::tracking::{self, Tracking};

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
    /// What a branch that was made follows now.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
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

/// Where to go, and what a branch that is made for it will follow.
pub struct Journey {
    /// Where.
    pub to: Destination,
    /// How.
    pub options: SwitchOptions,
    /// What the new branch follows.
    pub follow: Option<Follow>,
}

impl Journey {
    /// To what is there already.
    #[must_use]
    pub fn to(to: Destination) -> Self {
        Self { to, options: SwitchOptions::default(), follow: None }
    }

    /// To a new branch.
    #[must_use]
    pub fn to_new(branch: RefName, new: NewBranch, follow: Option<Follow>) -> Self {
        let options = SwitchOptions { create: Some(new), ..SwitchOptions::default() };
        Self { to: Destination::Branch(branch), options, follow }
    }

    /// To a branch that is made from the one of a remote that has this name.
    ///
    /// # Errors
    /// When several remotes have one, or refs cannot be read.
    pub fn guess(repo: &Repository, name: &str) -> Result<Option<Self>, CliError> {
        let Some((follow, tracking)) = tracking::guess(repo, name)? else { return Ok(None) };
        let commit = Some(repo.resolve_commit(tracking.as_str())?);
        let branch = RefName::branch(name).map_err(RepoError::from)?;
        let new = NewBranch { commit, from: tracking.to_string(), reset: false };
        Ok(Some(Self::to_new(branch, new, Some(follow))))
    }
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
    Journey { to, options, follow }: &Journey,
) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let before = match repo.head() {
        // That is what it is to be mended with.
        Err(RepoError::NoHead { .. }) if options.force => None,
        head => Some(head?),
    };
    let progress = cx.progress();
    let report = repo.switch_with(to, options, &opened.who(cx)?, &progress)?;
    drop(progress);
    let after = repo.head()?;
    let files = Files::from(&report);
    if let (Destination::Branch(branch), Some(follow)) = (to, follow) {
        tracking::set(opened, cx, branch, follow)?;
    }
    if cx.json() {
        let branch = after.branch().map(|branch| branch.short().to_owned());
        let commit = after.commit().map(|commit| commit.to_string());
        let created = options.create.is_some();
        let upstream = follow.as_ref().map(|follow| format!("{}/{}", follow.remote, follow.branch()));
        cx.out().json(command, &Answer { branch, commit, created, upstream, files })?;
        return Ok(Exit::Ok);
    }
    if let Some(Head::Detached { commit: old }) = before
        && Some(old) != after.commit()
    {
        say_left_behind(repo, cx, old)?;
    }
    let same = before.as_ref().is_some_and(|before| before.branch() == after.branch());
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
            if before.as_ref().and_then(Head::branch).is_some() {
                cx.note(detached_note(options.named.as_deref().unwrap_or("this commit")));
            }
            cx.note(format!("HEAD is now at {}", describe(repo, *commit)?));
        }
    }
    if let Some(line) = files.line() {
        cx.note(line);
    }
    match to {
        Destination::Branch(branch) if options.create.is_none() => say_distance(repo, cx, branch, after.commit()),
        _ => Ok(Exit::Ok),
    }
}

/// How far the branch is from what it follows, where it follows anything.
fn say_distance(repo: &Repository, cx: &Context, branch: &RefName, tip: Option<CommitId>) -> Result<Exit, CliError> {
    if let Some(tracking) = Tracking::of(repo, branch, tip)?.filter(|_| !cx.quiet()) {
        write!(cx.out(), "{}", tracking.report(true))?;
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
