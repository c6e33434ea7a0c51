//! Listing branches.

use std::collections::HashMap;
use std::path::PathBuf;

use dits_core::history::is_ancestor;
use dits_core::object::CommitId;
use dits_core::refs::{BRANCHES, REMOTES, RefName, RefStore, Target};
use dits_core::repo::{Head, RepoError, Repository};
use serde::Serialize;

use super::Args;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::moves;
use crate::output::color;
use crate::output::table::{Align, pad};
use crate::repository::Opened;
use crate::tracking::{Tracking, TrackingJson};

#[derive(Serialize)]
struct Answer {
    current: Option<String>,
    detached: Option<String>,
    branches: Vec<Branch>,
}

#[derive(Serialize)]
struct Branch {
    name: String,
    #[serde(rename = "ref")]
    full: String,
    commit: Option<String>,
    subject: Option<String>,
    current: bool,
    worktree: Option<String>,
    /// For a symbolic ref, such as a remote's HEAD: what it stands for.
    symbolic: Option<String>,
    upstream: Option<TrackingJson>,
    #[serde(skip)]
    tracking: Option<Tracking>,
    #[serde(skip)]
    remote: bool,
    #[serde(skip)]
    tip: Option<CommitId>,
}

/// The branch that HEAD is on.
pub fn show_current(opened: &Opened, cx: &Context) -> Result<Exit, CliError> {
    let head = opened.repo.head()?;
    let current = head.branch().map(|branch| branch.short().to_owned());
    if cx.json() {
        cx.out().json("branch", &serde_json::json!({ "current": current }))?;
    } else if let Some(current) = current {
        writeln!(cx.out(), "{current}")?;
    }
    Ok(Exit::Ok)
}

/// Lists.
pub fn run(opened: &Opened, cx: &Context, args: &Args) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let head = repo.head()?;
    let used = repo.branches_in_use()?;
    let mut branches = Vec::new();
    if !args.remotes || args.all {
        collect(repo, BRANCHES, &head, &used, &mut branches)?;
    }
    if args.remotes || args.all {
        collect(repo, REMOTES, &head, &used, &mut branches)?;
    }
    let filter = Filter::new(repo, args)?;
    let mut kept = Vec::new();
    for mut branch in branches {
        if filter.keeps(&branch)? {
            if !branch.remote && (cx.json() || cx.verbose() > 0) {
                let name = RefName::branch(&branch.name).map_err(RepoError::from)?;
                branch.tracking = Tracking::of(repo, &name, branch.tip)?;
                branch.upstream = branch.tracking.as_ref().map(TrackingJson::from);
            }
            kept.push(branch);
        }
    }
    let detached = head.branch().is_none().then(|| head.commit()).flatten();
    if cx.json() {
        let current = head.branch().map(|branch| branch.short().to_owned());
        let detached = detached.map(|commit| commit.to_string());
        cx.out().json("branch", &Answer { current, detached, branches: kept })?;
        return Ok(Exit::Ok);
    }
    cx.start_pager()?;
    print(repo, cx, args, detached.filter(|_| filter.is_empty() && !args.remotes), &kept)?;
    Ok(Exit::Ok)
}

fn collect(
    repo: &Repository,
    space: &str,
    head: &Head,
    used: &HashMap<RefName, PathBuf>,
    to: &mut Vec<Branch>,
) -> Result<(), RepoError> {
    for (full, target) in repo.refs().list(space)? {
        let tip = repo.target_digest(&target)?.map(CommitId::from_digest);
        let subject = tip.map(|tip| dits_core::commit::Commit::read(repo.store(), tip)).transpose()?;
        let current = head.branch() == Some(&full);
        to.push(Branch {
            name: full.short().to_owned(),
            commit: tip.map(|tip| tip.to_string()),
            subject: subject.map(|commit| commit.message.lines().next().unwrap_or_default().to_owned()),
            current,
            worktree: used.get(&full).map(|path| path.display().to_string()),
            symbolic: match target {
                Target::Symbolic(name) => Some(name.short().to_owned()),
                Target::Id(_) => None,
            },
            upstream: None,
            tracking: None,
            remote: space == REMOTES,
            full: full.to_string(),
            tip,
        });
    }
    Ok(())
}

struct Filter<'a> {
    repo: &'a Repository,
    patterns: &'a [String],
    contains: Option<CommitId>,
    no_contains: Option<CommitId>,
    merged: Option<CommitId>,
    no_merged: Option<CommitId>,
    points_at: Option<CommitId>,
}

impl<'a> Filter<'a> {
    fn new(repo: &'a Repository, args: &'a Args) -> Result<Self, CliError> {
        let commit = |text: &Option<String>| text.as_ref().map(|text| repo.resolve_commit(text)).transpose();
        Ok(Self {
            repo,
            patterns: &args.names,
            contains: commit(&args.contains)?,
            no_contains: commit(&args.no_contains)?,
            merged: commit(&args.merged)?,
            no_merged: commit(&args.no_merged)?,
            points_at: commit(&args.points_at)?,
        })
    }

    fn is_empty(&self) -> bool {
        let all = [self.contains, self.no_contains, self.merged, self.no_merged, self.points_at];
        self.patterns.is_empty() && all.iter().all(Option::is_none)
    }

    fn keeps(&self, branch: &Branch) -> Result<bool, RepoError> {
        if !self.patterns.is_empty() && !self.patterns.iter().any(|pattern| super::super::glob(pattern, &branch.name)) {
            return Ok(false);
        }
        let Some(tip) = branch.tip else { return Ok(self.is_empty() || !self.patterns.is_empty()) };
        let store = self.repo.store();
        let has = |commit: Option<CommitId>, wanted: bool| match commit {
            Some(commit) => is_ancestor(store, commit, tip).map(|found| found == wanted),
            None => Ok(true),
        };
        let within = |commit: Option<CommitId>, wanted: bool| match commit {
            Some(commit) => is_ancestor(store, tip, commit).map(|found| found == wanted),
            None => Ok(true),
        };
        Ok(self.points_at.is_none_or(|commit| commit == tip)
            && has(self.contains, true)?
            && has(self.no_contains, false)?
            && within(self.merged, true)?
            && within(self.no_merged, false)?)
    }
}

fn print(
    repo: &Repository,
    cx: &Context,
    args: &Args,
    detached: Option<CommitId>,
    branches: &[Branch],
) -> Result<(), CliError> {
    use unicode_width::UnicodeWidthStr;
    let prefix = |branch: &Branch| if branch.remote && args.all { "remotes/" } else { "" };
    let shown = |branch: &Branch| format!("{}{}", prefix(branch), branch.name);
    let at = detached.map(|commit| repo.short_id(commit.digest())).transpose()?;
    let at = at.map(|id| format!("(HEAD detached at {id})"));
    let widths = branches.iter().map(|branch| shown(branch).width()).chain(at.as_ref().map(|at| at.width()));
    let width = if cx.verbose() > 0 { widths.max().unwrap_or(0) } else { 0 };
    if let (Some(at), Some(commit)) = (at, detached) {
        let rest = if cx.verbose() > 0 { format!(" {}", moves::describe(repo, commit)?) } else { String::new() };
        writeln!(cx.out(), "* {}{rest}", cx.out().paint(color::CURRENT, pad(&at, width, Align::Left)))?;
    }
    for branch in branches {
        let mark = match (branch.current, &branch.worktree) {
            (true, _) => "*",
            (_, Some(_)) => "+",
            _ => " ",
        };
        let style = match (branch.current, branch.remote) {
            (true, _) => color::CURRENT,
            (_, true) => color::REMOTE,
            _ => anstyle::Style::new(),
        };
        let name = cx.out().paint(style, pad(&shown(branch), width, Align::Left));
        let rest = match (&branch.symbolic, branch.tip) {
            (Some(symbolic), _) => format!(" -> {symbolic}"),
            (None, Some(tip)) if cx.verbose() > 0 => details(repo, cx, branch, tip)?,
            _ => String::new(),
        };
        writeln!(cx.out(), "{mark} {name}{rest}")?;
    }
    Ok(())
}

/// What stands behind a branch's name: its commit, with `-vv` where it is checked out, and how far it is from what it
/// follows.
fn details(repo: &Repository, cx: &Context, branch: &Branch, tip: CommitId) -> Result<String, CliError> {
    let described = moves::describe(repo, tip)?;
    let (id, subject) = described.split_once(' ').unwrap_or((&described, ""));
    let more = cx.verbose() > 1;
    let place = branch.worktree.as_ref().filter(|_| more && !branch.current).map(|path| format!(" ({path})"));
    let distance = branch.tracking.as_ref().and_then(|tracking| match (more, tracking.short()) {
        (true, Some(distance)) => Some(format!(" [{}: {distance}]", tracking.name)),
        (true, None) => Some(format!(" [{}]", tracking.name)),
        (false, distance) => distance.map(|distance| format!(" [{distance}]")),
    });
    Ok(format!(" {id}{}{} {subject}", place.unwrap_or_default(), distance.unwrap_or_default()))
}
