//! `dits release`

use std::ffi::OsString;

use dits_core::lock::Standing;
use dits_core::path::RepoPath;
use dits_sync::client::UnlockOutcome;
use serde::Serialize;

use super::lock::list;
use super::unlock::give_back;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locking::changes::{self, Change, Kind};
use crate::locking::desk::Desk;
use crate::output::json::Bytes;

/// Give back the locks of files that you have not changed
///
/// Locks of files with changes that are not pushed stay, and are listed. For files with the rule `release=close` this is
/// what closing them does in a mount.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits release                all that you have and did not need
  dits release shots/010      below a folder")]
pub struct Args {
    /// Files, folders and patterns (`dits help pathspecs`); without any, all
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
}

#[derive(Serialize)]
struct Answer {
    remote: String,
    released: Vec<Bytes>,
    kept: Vec<KeptJson>,
}

#[derive(Serialize)]
struct KeptJson {
    path: Bytes,
    /// `not-committed`, `not-pushed`.
    why: &'static str,
}

/// Releases.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    opened.repo.worktree()?;
    let desk = Desk::open(&opened, cx)?;
    let (state, us) = (desk.state()?, Some(desk.place.clone));
    let specs = opened.select(&args.paths)?;
    let ours = |path: &&RepoPath| matches!(state.standing(path, us, None, None), Standing::Ours(_) | Standing::Offline);
    let known = state.tokens.values().map(|token| &token.path).chain(state.offline.values());
    let mut paths: Vec<RepoPath> = known.filter(ours).filter(|path| specs.matches(path, false)).cloned().collect();
    paths.sort();
    paths.dedup();
    let changed = changes::of(&opened.repo, &desk.remote, &paths, cx, &cx.progress())?;
    paths.retain(|path| !changed.contains_key(path));
    let done = if paths.is_empty() { Vec::new() } else { give_back(&desk, &paths, false, &cx.progress())? };
    let released = done.iter().filter(|(_, outcome)| !matches!(outcome, UnlockOutcome::Denied(_)));
    let released: Vec<&RepoPath> = released.map(|(path, _)| path).collect();
    if cx.json() {
        let why = |change: &Change| match change.kind {
            Kind::NotCommitted => "not-committed",
            Kind::NotPushed => "not-pushed",
        };
        let kept =
            changed.iter().map(|(path, change)| KeptJson { path: Bytes::from(path), why: why(change) }).collect();
        let released = released.iter().map(|path| Bytes::from(*path)).collect();
        cx.out().json("release", &Answer { remote: desk.remote.name.clone(), released, kept })?;
        return Ok(Exit::Ok);
    }
    if !cx.quiet() {
        list(cx, &opened, "Released", &released)?;
    }
    for (path, change) in &changed {
        cx.note(format!("{} {}: it stays locked", opened.show(path), change.words()));
    }
    if released.is_empty() && changed.is_empty() {
        cx.note("you have locked nothing");
    }
    Ok(Exit::Ok)
}
