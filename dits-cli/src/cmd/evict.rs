//! `dits evict`

use std::collections::BTreeMap;
use std::ffi::OsString;

use dits_core::diff::FileVersion;
use dits_core::partial::{Dropped, KeptBack};
use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::store::DigestSet;
use dits_core::worktree::Selection;
use dits_fuse::details::Wish;
use serde::Serialize;

use super::drop::{Holder, Refused};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::output::size::{format_bytes, plural};
use crate::repository::Opened;
use crate::sharing::disk;

/// Give back what files take here, in the disk cache and in the store
///
/// In the store it is given back once the remote has confirmed that it holds it, as with `dits drop`; what only this
/// repository has, what was changed, and what `drop.keep` names stays. In a mount the files look the same before and
/// after: what is read comes again. In a partial clone they become ghosts.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits evict shots/010/             a folder
  dits evict --dry-run .            how much everything would give back
  dits evict --cache-only '*.mov'   what is pinned stays, and no remote is asked")]
pub struct Args {
    /// Files, folders and patterns (`dits help pathspecs`)
    #[arg(value_name = "PATH", required = true, value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// The remote that is to hold it
    #[arg(long, value_name = "REMOTE", conflicts_with = "cache_only")]
    from: Option<String>,
    /// Only what is in the disk cache
    #[arg(long)]
    cache_only: bool,
    /// Say how much would be given back, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    files: u64,
    /// What the disk cache gives back.
    cache: Given,
    /// What the store gives back.
    store: Given,
    worktree_bytes: u64,
    /// Chunks of these files that stay in the store, because something else here needs them.
    kept_chunks: u64,
    /// Files that stay in the store, or in the cache while they are in use.
    kept: Vec<Kept>,
    dry_run: bool,
}

#[derive(Serialize, Default)]
struct Given {
    chunks: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Kept {
    path: Bytes,
    why: &'static str,
}

/// Evicts.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let specs = opened.select(&args.paths)?;
    let files = disk::files(&opened.repo, &specs)?;
    specs.check_all_used()?;
    let progress = cx.progress();
    progress.stage("Looking for what is here", None, None);
    disk::tell_mounts(&opened.repo, Wish::Settle)?;
    let cache = disk::peek(&opened.repo)?;
    let found = opened.repo.whereabouts(&files, Some(&cache), &progress)?;
    let cached = found.chunks.iter().filter(|found| found.cache).map(|found| *found.chunk.id.digest());
    let removed = cache.evict(&DigestSet::new(cached.collect()), args.dry_run, &progress)?;
    let named = files.iter().filter_map(|(_, version)| version.content.of_chunks());
    let copies = cache.remove_wholes(Some(&DigestSet::new(named.collect())), args.dry_run)?;
    if removed.objects > 0 && !args.dry_run {
        // What is removed takes space as long as somebody has it open.
        disk::tell_mounts(&opened.repo, Wish::Settle)?;
    }
    let in_store = found.chunks.iter().any(|found| found.store);
    let mut kept = BTreeMap::new();
    let dropped = match in_store && !args.cache_only {
        true => give_back(&opened, cx, &args, &specs, &mut kept, &progress)?,
        false => Dropped::default(),
    };
    drop(progress);
    let held = |version: &FileVersion| version.content.of_chunks().is_some_and(|id| copies.held.contains(&id));
    let held = files.iter().filter(|(_, version)| held(version));
    kept.extend(held.map(|(path, _)| (path.clone(), "in_use")));
    let cache = Given { chunks: removed.objects, bytes: removed.freed + copies.bytes };
    tell(cx, &opened, &args, files.len() as u64, cache, &dropped, &kept)?;
    Ok(Exit::Ok)
}

/// Files that stay, and why.
type Staying = BTreeMap<RepoPath, &'static str>;

/// What is selected, except what has to stay.
struct Except<'a>(&'a dyn Selection, &'a Staying);

impl Selection for Except<'_> {
    fn includes(&self, path: &RepoPath) -> bool {
        self.0.includes(path) && !self.1.contains_key(path)
    }

    fn enters(&self, folder: &RepoPath) -> bool {
        self.0.enters(folder)
    }
}

/// Gives back what the store has of files. Those that have to stay are passed over.
fn give_back(
    opened: &Opened,
    cx: &Context,
    args: &Args,
    selection: &dyn Selection,
    kept: &mut Staying,
    progress: &dyn Progress,
) -> Result<Dropped, CliError> {
    let holder = Holder::find(opened, cx, args.from.as_deref(), progress)?;
    loop {
        match holder.give_back(&Except(selection, kept), args.dry_run, progress) {
            Ok(dropped) => {
                kept.extend(dropped.pinned.iter().map(|path| (path.clone(), "drop.keep")));
                return Ok(dropped);
            }
            Err(Refused::Other(error)) => return Err(error),
            Err(Refused::KeptBack(KeptBack { only_here, not_there, changed })) => {
                let before = kept.len();
                for (paths, why) in [(only_here, "only_here"), (not_there, "not_there"), (changed, "changed")] {
                    kept.extend(paths.into_iter().map(|path| (path, why)));
                }
                if kept.len() == before {
                    return Err(CliError::new(Exit::Conflict, "what has to stay changes all the time; try again"));
                }
            }
        }
    }
}

fn tell(
    cx: &Context,
    opened: &Opened,
    args: &Args,
    files: u64,
    cache: Given,
    dropped: &Dropped,
    kept: &Staying,
) -> Result<(), CliError> {
    if cx.json() {
        let kept = kept.iter().map(|(path, why)| Kept { path: path.into(), why }).collect();
        let answer = Answer {
            files,
            cache,
            store: Given { chunks: dropped.chunks, bytes: dropped.store_bytes },
            worktree_bytes: dropped.worktree_bytes,
            kept_chunks: dropped.kept_chunks,
            kept,
            dry_run: args.dry_run,
        };
        return cx.out().json("evict", &answer);
    }
    let bytes = |bytes| format!("{} ({})", format_bytes(bytes), plural(bytes, "byte", "bytes"));
    cx.note(format!(
        "{}: {} in the cache, {} in the store, {} in the worktree",
        if args.dry_run { "Would be given back" } else { "Given back" },
        bytes(cache.bytes),
        bytes(dropped.store_bytes),
        bytes(dropped.worktree_bytes),
    ));
    if dropped.kept_chunks > 0 {
        let chunks = plural(dropped.kept_chunks, "chunk stays", "chunks stay");
        cx.note(format!("{chunks} in the store, because something else here needs them"));
    }
    for (path, why) in kept {
        let why = match *why {
            "only_here" => "no remote has it: `dits push`",
            "not_there" => "the remote lacks it",
            "changed" => "it was changed",
            "in_use" => "in the cache, while a program reads it",
            _ => "because of drop.keep",
        };
        cx.note(format!("stays: {} ({why})", opened.show(path)));
    }
    Ok(())
}
