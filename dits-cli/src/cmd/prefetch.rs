//! `dits prefetch`

use std::ffi::OsString;

use dits_core::chunk::ChunkRef;
use dits_core::partial::{Arrived, ChunkSink, ChunkSource, Share, Whereabouts};
use dits_core::progress::Progress;
use dits_core::repo::{RepoError, Repository};
use dits_core::store::{ChunkCache, StoreError};
use dits_fuse::details::Wish;
use serde::Serialize;

use super::cache::Part;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::size::{format_bytes, plural};
use crate::repository::Opened;
use crate::sharing::disk;
use crate::sharing::live::Remotes;

/// So many chunks are asked for at a time.
const BATCH: usize = 512;

/// Bring the content of files to the disk cache, so that reading them in a mount is fast
///
/// What is brought may go again when the cache needs its space for something else (`mount.cacheSize`); `dits pin` brings
/// what is to stay. What does not fit into the cache is not asked for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits prefetch shots/010/          before the day begins
  dits prefetch --dry-run .         how much that would be
  dits cache stats                  how much fits")]
pub struct Args {
    /// Files, folders and patterns (`dits help pathspecs`)
    #[arg(value_name = "PATH", required = true, value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<OsString>,
    /// Say how much would come, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer {
    files: u64,
    /// Bytes of the files.
    bytes: u64,
    /// What came, or would come.
    brought: Part,
    /// What was in the store,
    store: Part,
    /// or in the cache already.
    cache: Part,
    /// What does not fit.
    left_out: Part,
    /// Bytes through the socket.
    received: u64,
    quota: u64,
    dry_run: bool,
}

/// Prefetches.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let repo = &opened.repo;
    let specs = opened.select(&args.paths)?;
    let files = disk::files(repo, &specs)?;
    specs.check_all_used()?;
    let progress = cx.progress();
    progress.stage("Looking for what is absent", None, None);
    disk::tell_mounts(repo, Wish::Settle)?;
    let cache = match args.dry_run {
        true => disk::peek(repo)?,
        false => ChunkCache::open(disk::folder(repo), disk::quota(repo.config())?)?,
    };
    let found = repo.whereabouts(&files, Some(&cache), &progress)?;
    let (wanted, mut left_out) = fitting(&found, &cache);
    let mut brought = share(&wanted);
    let mut received = 0;
    if !args.dry_run && !wanted.is_empty() {
        received = bring(&opened, cx, &wanted, &cache, &progress)?;
        // A mount with a smaller quota, or one that reads much at the same time, may have needed the space.
        let mut gone = Vec::new();
        for chunk in &wanted {
            gone.extend((!cache.contains(chunk.id.digest())?).then_some(*chunk));
        }
        let gone = share(&gone);
        (brought.chunks, brought.bytes) = (brought.chunks - gone.chunks, brought.bytes - gone.bytes);
        (left_out.chunks, left_out.bytes) = (left_out.chunks + gone.chunks, left_out.bytes + gone.bytes);
    }
    drop(progress);
    let answer = Answer {
        files: files.len() as u64,
        bytes: found.bytes,
        brought: brought.into(),
        store: found.share(|found| found.store).into(),
        cache: found.share(|found| found.cache && !found.store).into(),
        left_out: left_out.into(),
        received,
        quota: cache.quota(),
        dry_run: args.dry_run,
    };
    tell(cx, &answer)?;
    Ok(Exit::Ok)
}

/// Which chunks that are absent fit beside those that are in the cache already; and what does not.
fn fitting(found: &Whereabouts, cache: &ChunkCache) -> (Vec<ChunkRef>, Share) {
    let needed = found.share(|found| !found.store);
    let here = found.share(|found| found.cache && !found.store);
    let mut room = cache.room_for(needed.chunks).saturating_sub(here.bytes);
    let (mut wanted, mut left_out) = (Vec::new(), Share::default());
    for found in found.chunks.iter().filter(|found| !found.store) {
        let len = u64::from(found.chunk.len);
        if found.cache {
            cache.keep(found.chunk.id.digest());
        } else if len <= room && left_out.chunks == 0 {
            room -= len;
            wanted.push(found.chunk);
        } else {
            left_out = Share { chunks: left_out.chunks + 1, bytes: left_out.bytes + len };
        }
    }
    (wanted, left_out)
}

fn share(chunks: &[ChunkRef]) -> Share {
    Share { chunks: chunks.len() as u64, bytes: chunks.iter().map(|chunk| u64::from(chunk.len)).sum() }
}

/// Brings chunks to the cache; says how many bytes travelled.
fn bring(
    opened: &Opened,
    cx: &Context,
    wanted: &[ChunkRef],
    cache: &ChunkCache,
    progress: &dyn Progress,
) -> Result<u64, CliError> {
    let remotes = Remotes::of(opened, cx)?.ok_or_else(|| nobody(&opened.repo))?;
    let all = share(wanted);
    progress.stage("Bringing content", Some(all.bytes), Some(all.chunks));
    let sink = Sink { cache, progress };
    for batch in wanted.chunks(BATCH) {
        remotes.fetch(batch, &sink, progress).map_err(RepoError::from)?;
    }
    cache.settle()?;
    Ok(remotes.received())
}

fn nobody(repo: &Repository) -> CliError {
    let lost = CliError::new(Exit::Corruption, "content is lost here, and there is no remote that may have it");
    lost.hint(format!("dits fsck says more of {}", repo.layout().common.display()))
}

struct Sink<'a> {
    cache: &'a ChunkCache,
    progress: &'a dyn Progress,
}

impl ChunkSink for Sink<'_> {
    fn take(&self, chunk: Arrived<'_>) -> Result<(), StoreError> {
        self.cache.put(&chunk.header, chunk.frame)?;
        self.progress.advance(chunk.plain.len() as u64, 1);
        Ok(())
    }
}

fn tell(cx: &Context, answer: &Answer) -> Result<(), CliError> {
    if cx.json() {
        return cx.out().json("prefetch", answer);
    }
    let Answer { brought, store, cache, left_out, .. } = answer;
    let what = if answer.dry_run { "Would come" } else { "Came" };
    match brought.chunks {
        0 if left_out.chunks == 0 => cx.note("Everything is here already"),
        _ => cx.note(format!(
            "{what}: {} ({} in {}); here already: {} in the store, {} in the cache",
            format_bytes(brought.bytes),
            plural(brought.bytes, "byte", "bytes"),
            plural(brought.chunks, "chunk", "chunks"),
            format_bytes(store.bytes),
            format_bytes(cache.bytes),
        )),
    }
    if left_out.chunks > 0 {
        cx.note(format!(
            "{} ({}) do not fit into the disk cache of {}: `dits config set mount.cacheSize`, or `dits pin`",
            format_bytes(left_out.bytes),
            plural(left_out.bytes, "byte", "bytes"),
            format_bytes(answer.quota),
        ));
    }
    Ok(())
}
