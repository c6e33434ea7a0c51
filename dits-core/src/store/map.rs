//! The one unsafe act of the store: mapping a file into memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{Mmap, MmapOptions};

/// Maps a range of a published file. `start` need not be aligned.
pub(super) fn map(file: &File, range: Range<u64>) -> io::Result<Mmap> {
    let len = usize::try_from(range.end - range.start).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut options = MmapOptions::new();
    options.offset(range.start).len(len);
    // SAFETY: the mapping is read-only and only ever read as plain bytes that are checked before they are believed.
    // It asks that nobody changes or cuts the file while it is mapped. dits publishes packs and merged indexes
    // read-only, by rename, and never writes to them again; replacing or removing one leaves the mapped inode alone.
    // Another program that cuts such a file in place makes this process end by SIGBUS: a server reads without
    // mapping (`OdbOptions::map`).
    let map = unsafe { options.map(file)? };
    // Lookups touch single pages; reading ahead would only fill memory. The advice may be refused without harm.
    let _ = map.advise(memmap2::Advice::Random);
    Ok(map)
}
