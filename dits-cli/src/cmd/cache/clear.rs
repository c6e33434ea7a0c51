//! `dits cache clear`

use dits_fuse::details::Wish;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::size::{format_bytes, plural};
use crate::sharing::disk;

#[derive(Serialize)]
struct Answer {
    bytes: u64,
    chunks: u64,
    packs: u64,
}

/// Empties it.
pub fn run(cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let repo = &opened.repo;
    disk::tell_mounts(repo, Wish::Settle)?;
    let cache = disk::peek(repo)?;
    let usage = cache.usage()?;
    // They give up what they have open and not finished; what is nobody's goes afterwards.
    disk::tell_mounts(repo, Wish::Clear)?;
    cache.clear()?;
    if cx.json() {
        cx.out().json("cache", &Answer { bytes: usage.bytes, chunks: usage.chunks, packs: usage.packs })?;
    } else {
        let chunks = plural(usage.chunks, "chunk", "chunks");
        cx.note(format!(
            "Given back: {} ({}, {chunks})",
            format_bytes(usage.bytes),
            plural(usage.bytes, "byte", "bytes")
        ));
    }
    Ok(Exit::Ok)
}
