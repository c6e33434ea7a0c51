//! `dits remote show` and `prune`

use dits_core::refs::{RefName, RefStore};
use dits_core::repo::RepoError;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::remotes::{named, shown_url};
use crate::repository::Opened;
use crate::sharing::arrivals::{self, Plan, Tags};
use crate::sharing::lines::{Moved, MovedJson};
use crate::sharing::peer::{Peer, Surroundings};

#[derive(Serialize)]
struct Shown {
    action: &'static str,
    name: String,
    url: Option<String>,
    push_url: Option<String>,
    head: Option<String>,
    branches: Vec<Branch>,
    followers: Vec<Follower>,
}

#[derive(Serialize)]
struct Branch {
    name: String,
    /// `tracked`, `new` (the next fetch brings it) or `stale` (it is gone there).
    state: &'static str,
}

#[derive(Serialize)]
struct Follower {
    branch: String,
    follows: String,
}

/// What a fetch would find there.
fn look(opened: &Opened, cx: &Context, name: &str) -> Result<(Peer, Plan, Option<RefName>), CliError> {
    let repo = &opened.repo;
    let around = Surroundings { cx, config: repo.config(), repo: Some(repo), who: opened.who(cx)?, limit: None };
    let peer = Peer::named(&around, named(repo, name)?, false)?;
    let progress = cx.progress();
    let (listing, _) = peer.talk(&progress, |client, progress| client.listing(None, progress))?;
    drop(progress);
    let request = arrivals::Request {
        repo,
        remote: peer.remote.as_ref(),
        listing: &listing,
        specs: &[],
        tags: Tags::None,
        prune: true,
        force: false,
    };
    let plan = arrivals::plan(&request)?;
    Ok((peer, plan, listing.head))
}

/// Shows what is there, and what follows it.
pub fn show(opened: &Opened, cx: &Context, name: &str) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let (peer, plan, head) = look(opened, cx, name)?;
    let remote = named(repo, name)?;
    let mut branches = Vec::new();
    for arrival in &plan.arrivals {
        let Some(local) = &arrival.local else { continue };
        let here = repo.refs().read(local).map_err(RepoError::from)?.is_some();
        let state = if here { "tracked" } else { "new" };
        branches.push(Branch { name: arrival.source.short().to_owned(), state });
    }
    let source = |gone: &RefName| remote.source(gone).map_or_else(|| gone.to_string(), |source| short(&source));
    branches.extend(plan.gone.iter().map(|(gone, _)| Branch { name: source(gone), state: "stale" }));
    branches.sort_by(|a, b| a.name.cmp(&b.name));
    let mut followers = Vec::new();
    for (branch, _) in repo.refs().list(dits_core::refs::BRANCHES).map_err(RepoError::from)? {
        let upstream = repo.upstream(&branch)?.filter(|upstream| upstream.follow.remote == name);
        followers.extend(upstream.map(|upstream| Follower {
            branch: branch.short().to_owned(),
            follows: upstream.follow.branch().to_owned(),
        }));
    }
    let shown = Shown {
        action: "shown",
        name: name.to_owned(),
        url: Some(peer.shown()),
        push_url: remote.push_url().map(shown_url),
        head: head.map(|head| head.short().to_owned()),
        branches,
        followers,
    };
    if cx.json() {
        cx.out().json("remote", &shown)?;
        return Ok(Exit::Ok);
    }
    print(cx, &shown)?;
    Ok(Exit::Ok)
}

fn short(name: &str) -> String {
    RefName::parse(name).map_or_else(|_| name.to_owned(), |name| name.short().to_owned())
}

/// git's form, but for what a push would do.
fn print(cx: &Context, shown: &Shown) -> Result<(), CliError> {
    let out = cx.out();
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "(unknown)".to_owned());
    writeln!(out, "* remote {}", shown.name)?;
    writeln!(out, "  Fetch URL: {}\n  Push  URL: {}", known(&shown.url), known(&shown.push_url))?;
    writeln!(out, "  HEAD branch: {}", known(&shown.head))?;
    if !shown.branches.is_empty() {
        writeln!(out, "  Remote branch{}:", if shown.branches.len() == 1 { "" } else { "es" })?;
    }
    let width = shown.branches.iter().map(|branch| branch.name.len()).max().unwrap_or(0);
    for branch in &shown.branches {
        let state = match branch.state {
            "new" => format!("new (next fetch will store in remotes/{})", shown.name),
            "stale" => format!("stale (use 'dits remote prune {}' to remove)", shown.name),
            state => state.to_owned(),
        };
        writeln!(out, "    {:<width$} {state}", branch.name)?;
    }
    if !shown.followers.is_empty() {
        let plural = if shown.followers.len() == 1 { "branch" } else { "branches" };
        writeln!(out, "  Local {plural} configured for 'dits pull':")?;
    }
    let width = shown.followers.iter().map(|follower| follower.branch.len()).max().unwrap_or(0);
    shown
        .followers
        .iter()
        .try_for_each(|Follower { branch, follows }| writeln!(out, "    {branch:<width$} merges with remote {follows}"))
}

#[derive(Serialize)]
struct Pruned {
    action: &'static str,
    refs: Vec<MovedJson>,
    dry_run: bool,
}

/// Forgets branches that are gone there.
pub fn prune(opened: &Opened, cx: &Context, name: &str, dry_run: bool) -> Result<Exit, CliError> {
    let (peer, plan, _) = look(opened, cx, name)?;
    let plan = plan.only_gone();
    let (moves, edits): (Vec<Moved>, _) = plan.settle(&opened.repo, &opened.who(cx)?, "remote prune")?;
    if !dry_run {
        opened.repo.refs().transaction(edits).map_err(RepoError::from)?;
    }
    if cx.json() {
        let refs = moves.iter().map(MovedJson::from).collect();
        cx.out().json("remote", &Pruned { action: "pruned", refs, dry_run })?;
    } else if !moves.is_empty() && !cx.quiet() {
        writeln!(cx.out(), "Pruning {name}\nURL: {}", peer.shown())?;
        let what = if dry_run { "would prune" } else { "pruned" };
        moves.iter().try_for_each(|moved| writeln!(cx.out(), " * [{what}] {}", short(&moved.to)))?;
    }
    Ok(Exit::Ok)
}
