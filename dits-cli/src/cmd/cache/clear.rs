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
    /// Whole copies of files.
    copies: u64,
    /// Bytes that stay, because a program reads them from a whole copy.
    held: u64,
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
    let left = cache.usage()?;
    let (bytes, copies) = (usage.bytes.saturating_sub(left.copied), usage.copies.saturating_sub(left.copies));
    if cx.json() {
        let answer = Answer { bytes, chunks: usage.chunks, packs: usage.packs, copies, held: left.copied };
        cx.out().json("cache", &answer)?;
    } else {
        let chunks = plural(usage.chunks, "chunk", "chunks");
        cx.note(format!("Given back: {} ({}, {chunks})", format_bytes(bytes), plural(bytes, "byte", "bytes")));
        if left.copied > 0 {
            let copies = plural(left.copies, "whole copy stays", "whole copies stay");
            cx.note(format!("{copies} ({}): in use", format_bytes(left.copied)));
        }
    }
    Ok(Exit::Ok)
}
