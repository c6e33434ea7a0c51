//! Whole copies of files that are read a lot: the kernel reads them itself, and nobody is asked.
//!
//! A copy costs about what a reader has cost who read half of the file, so that is when it is made: never for who looks at the
//! beginning, and never later than would have paid. It is made beside the reading, of what is on this machine, and serves
//! whoever opens the file next.

mod modes;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dits_core::object::Digest;
use dits_core::store::{ChunkCache, Whole};

use crate::drive::Drive;
use crate::error::{Reach, ReadError};
use crate::pool::Pool;
use crate::read::OpenFile;

pub(crate) use modes::Modes;

/// A smaller file is in the kernel's pages after a request or two.
const SMALLEST: u64 = 1 << 20;

/// Who makes whole copies.
pub(crate) struct Copier {
    wanted: AtomicBool,
    making: Mutex<HashSet<Digest>>,
    /// One after the other, so that the disk is there for readers.
    pool: Pool,
}

impl Copier {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { wanted: AtomicBool::new(false), making: Mutex::default(), pool: Pool::new("copy", 1)? })
    }
}

impl Drive {
    /// Whole copies are of use, or of no use any more.
    pub(crate) fn want_copies(&self, wanted: bool) {
        self.copier.wanted.store(wanted, Ordering::Relaxed);
    }

    /// The disk cache, if it may have a whole copy of this file, and what names that.
    fn place_of_copy(&self, file: &OpenFile) -> Option<(&ChunkCache, Digest, u64)> {
        let recipe = file.recipe();
        let size = recipe.size();
        let wanted = self.copier.wanted.load(Ordering::Relaxed) && size >= SMALLEST;
        Some((self.chunks().disk()?, recipe.content().of_chunks()?, size)).filter(|_| wanted)
    }

    /// The whole copy of a file, if there is one.
    ///
    /// # Errors
    /// [`ReadError::OutOfReach`] when only the disk knows.
    pub(crate) fn copy_of(&self, file: &OpenFile, reach: Reach) -> Result<Option<Whole>, ReadError> {
        let Some((disk, content, size)) = self.place_of_copy(file) else { return Ok(None) };
        match reach {
            Reach::Memory => Err(ReadError::OutOfReach),
            // One that cannot be opened is none.
            Reach::Disk | Reach::Remote(_) => Ok(disk.whole(&content, size).unwrap_or_default()),
        }
    }

    /// Has a copy of a file made, now that so much of it was read. Where something is not here yet, or there is no room, there
    /// will be none.
    pub(crate) fn make_copy(self: &Arc<Self>, file: &Arc<OpenFile>) {
        let Some((disk, content, _)) = self.place_of_copy(file) else { return };
        let making = || self.copier.making.lock().unwrap_or_else(PoisonError::into_inner);
        if disk.has_whole(&content) || !making().insert(content) {
            return;
        }
        let (drive, file) = (Arc::clone(self), Arc::clone(file));
        self.copier.pool.submit(move || {
            // Who reads the file learns what is wrong with it.
            let _ = drive.copy(&file);
            drive.copier.making.lock().unwrap_or_else(PoisonError::into_inner).remove(&content);
        });
    }

    fn copy(&self, file: &OpenFile) -> Result<(), ReadError> {
        let Some((disk, content, size)) = self.place_of_copy(file) else { return Ok(()) };
        let (recipe, store, chunks) = (file.recipe(), self.view.store(), self.chunks());
        recipe.each(store, &mut |piece| match chunks.is_here(piece.chunk.id.digest())? {
            true => Ok(true),
            false => Err(ReadError::OutOfReach),
        })?;
        disk.make_whole(&content, size, |out| {
            recipe.each(store, &mut |piece| {
                out.write(&chunks.once(&piece.chunk)?)?;
                Ok(true)
            })
        })?;
        Ok(())
    }

    /// Nobody reads a copy any more: it may be one that there is no room for.
    pub(crate) fn let_go(self: &Arc<Self>) {
        self.copier.pool.submit({
            let drive = Arc::clone(self);
            move || {
                // The next who puts something into the cache tries again.
                let _ = drive.chunks().disk().map(ChunkCache::trim);
            }
        });
    }
}
