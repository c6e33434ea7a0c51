//! `dits cache stats`

use dits_core::partial::Whereabouts;
use dits_core::repo::{Head, Repository};
use dits_fuse::details::{Details, Wish};
use dits_fuse::table::Mount;
use serde::Serialize;

use super::Part;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::size::{format_bytes, format_percent, plural};
use crate::output::table::{Align, Table};
use crate::sharing::disk;

#[derive(Serialize)]
struct Answer {
    quota: u64,
    /// Bytes of its files.
    used: u64,
    chunks: u64,
    packs: u64,
    /// Whole copies of files, and the bytes of them, which are part of what is used.
    copies: u64,
    copied: u64,
    head: Option<HeadIs>,
    mounts: Vec<Uses>,
}

/// Where the content of HEAD is. A chunk that is in the store and in the cache counts for the store.
#[derive(Serialize)]
struct HeadIs {
    files: u64,
    /// Bytes of the files.
    logical: u64,
    all: Part,
    store: Part,
    cache: Part,
    absent: Part,
}

#[derive(Serialize)]
struct Uses {
    path: String,
    pid: u32,
    read_only: bool,
    /// Bytes that came from remotes since it was mounted.
    received: u64,
}

/// Says what it takes.
pub fn run(cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let repo = &opened.repo;
    let mounts = disk::tell_mounts(repo, Wish::Settle)?;
    let cache = disk::peek(repo)?;
    let usage = cache.usage()?;
    let answer = Answer {
        quota: cache.quota(),
        used: usage.bytes,
        chunks: usage.chunks,
        packs: usage.packs,
        copies: usage.copies,
        copied: usage.copied,
        head: head(repo, cx, &cache)?,
        mounts: mounts.iter().map(uses).collect(),
    };
    match cx.json() {
        true => cx.out().json("cache", &answer)?,
        false => tell(cx, &answer)?,
    }
    Ok(Exit::Ok)
}

fn head(repo: &Repository, cx: &Context, cache: &dits_core::store::ChunkCache) -> Result<Option<HeadIs>, CliError> {
    if matches!(repo.head()?, Head::Unborn { .. }) {
        return Ok(None);
    }
    let files = disk::head(repo)?;
    let found: Whereabouts = repo.whereabouts(&files, Some(cache), &cx.progress())?;
    Ok(Some(HeadIs {
        files: files.len() as u64,
        logical: found.bytes,
        all: found.share(|_| true).into(),
        store: found.share(|found| found.store).into(),
        cache: found.share(|found| found.cache && !found.store).into(),
        absent: found.share(|found| !found.cache && !found.store).into(),
    }))
}

fn uses((mount, details): &(Mount, Details)) -> Uses {
    let Details { pid, read_only, received, .. } = *details;
    Uses { path: mount.point.display().to_string(), pid, read_only, received }
}

fn tell(cx: &Context, answer: &Answer) -> Result<(), CliError> {
    let Answer { quota, used, chunks, packs, copies, copied, head, mounts } = answer;
    writeln!(
        cx.out(),
        "{} of {} used ({}): {} in {}",
        format_bytes(*used),
        format_bytes(*quota),
        plural(*used, "byte", "bytes"),
        plural(*chunks, "chunk", "chunks"),
        plural(*packs, "pack", "packs"),
    )?;
    if *copies > 0 {
        let files = plural(*copies, "whole copy of a file", "whole copies of files");
        writeln!(cx.out(), "{} of it in {files}, which the system reads by itself", format_bytes(*copied))?;
    }
    if let Some(head) = head {
        writeln!(cx.out(), "HEAD: {}, {}", plural(head.files, "file", "files"), format_bytes(head.logical))?;
        let mut table = Table::new(&[Align::Left, Align::Right, Align::Right, Align::Right]);
        for (name, part) in [("  store", head.store), ("  cache", head.cache), ("  absent", head.absent)] {
            let percent = format_percent(part.bytes, head.all.bytes);
            table.row([name.to_owned(), format_bytes(part.bytes), percent, plural(part.chunks, "chunk", "chunks")]);
        }
        write!(cx.out(), "{}", table.render())?;
    }
    for Uses { path, received, .. } in mounts {
        writeln!(cx.out(), "{path}: {} came since it was mounted", format_bytes(*received))?;
    }
    Ok(())
}
