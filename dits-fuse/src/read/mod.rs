//! From a range of a file to its bytes.

mod ahead;
mod mixed;
mod recipe;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use dits_core::store::Store;
use dits_core::tree::{Content, TreeEntry};

pub use ahead::{Budget, Window};
pub use recipe::{Piece, Recipe};

use crate::chunks::Chunks;
use crate::error::{Reach, ReadError};
use crate::policy::Opener;

/// A file that somebody has open.
pub struct OpenFile {
    /// Its inode number.
    pub ino: u64,
    recipe: Mutex<Arc<Recipe>>,
    /// All of it, if it is not of the store.
    bytes: Option<Bytes>,
    window: Mutex<Window>,
    /// Bytes that were asked for.
    read: AtomicU64,
    opener: Opener,
}

/// The bytes of a range, in the chunks that hold them.
pub struct Gathered {
    range: Range<u64>,
    /// Chunks in order, each with the offset it starts at.
    chunks: Vec<(u64, Bytes)>,
}

impl OpenFile {
    /// Opens a file. Nothing is read yet.
    ///
    /// # Errors
    /// When it is not a file that this version can read.
    pub fn new(ino: u64, entry: &TreeEntry) -> Result<Self, ReadError> {
        Self::of(ino, &entry.content, entry.size)
    }

    /// Opens a file of this content.
    ///
    /// # Errors
    /// As [`OpenFile::new`].
    pub fn of(ino: u64, content: &Content, size: u64) -> Result<Self, ReadError> {
        let recipe = Mutex::new(Arc::new(Recipe::of(content, size)?));
        Ok(Self {
            ino,
            recipe,
            bytes: None,
            window: Mutex::default(),
            read: AtomicU64::new(0),
            opener: Opener::default(),
        })
    }

    /// A file that is not of the store.
    #[must_use]
    pub fn of_bytes(ino: u64, bytes: Bytes) -> Self {
        let recipe = Mutex::new(Arc::new(Recipe::none(bytes.len() as u64)));
        Self {
            ino,
            recipe,
            bytes: Some(bytes),
            window: Mutex::default(),
            read: AtomicU64::new(0),
            opener: Opener::default(),
        }
    }

    /// It is this who has it open.
    #[must_use]
    pub fn opened_by(self, opener: Opener) -> Self {
        Self { opener, ..self }
    }

    /// Who has it open.
    #[must_use]
    pub fn opener(&self) -> &Opener {
        &self.opener
    }

    /// Its recipe.
    #[must_use]
    pub fn recipe(&self) -> Arc<Recipe> {
        Arc::clone(&self.recipe.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The recipe of its base content, which another one may have taken the place of.
    fn recipe_of(&self, content: &Content, size: u64) -> Result<Arc<Recipe>, ReadError> {
        let mut recipe = self.recipe.lock().unwrap_or_else(PoisonError::into_inner);
        if !recipe.is_of(content, size) {
            *recipe = Arc::new(Recipe::of(content, size)?);
        }
        Ok(Arc::clone(&recipe))
    }

    /// What of a request lies in the file.
    #[must_use]
    pub fn clip(&self, offset: u64, len: u32) -> Range<u64> {
        let end = offset.saturating_add(len.into()).min(self.recipe().size());
        offset.min(end)..end
    }

    /// Counts what is asked for, and says whether half of the file has been asked for by that.
    pub(crate) fn count(&self, range: &Range<u64>) -> bool {
        let (len, half) = (range.end - range.start, self.recipe().size() / 2);
        let before = self.read.fetch_add(len, Ordering::Relaxed);
        before < half && before + len >= half
    }

    /// Whether half of the file has been asked for.
    pub(crate) fn is_read(&self) -> bool {
        self.read.load(Ordering::Relaxed) >= self.recipe().size() / 2
    }

    /// Notes that a range is read; gives what should be read ahead now, if anything.
    #[must_use]
    pub fn note(&self, range: &Range<u64>, budget: &Budget) -> Option<Range<u64>> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.note(range, self.recipe().size(), budget)
    }

    /// Nobody reads any more: what was read ahead counts no longer.
    pub fn close(&self, budget: &Budget) {
        self.window.lock().unwrap_or_else(PoisonError::into_inner).release(budget);
    }

    /// Gathers a range that lies in the file.
    ///
    /// # Errors
    /// [`ReadError::OutOfReach`] when part of it is further away than that; otherwise why it cannot be read.
    pub fn gather(
        &self,
        store: &Store,
        chunks: &Chunks,
        range: Range<u64>,
        reach: Reach,
    ) -> Result<Gathered, ReadError> {
        if let Some(bytes) = &self.bytes {
            return Ok(Gathered {
                chunks: if range.is_empty() { Vec::new() } else { vec![(0, bytes.clone())] },
                range,
            });
        }
        gather(&self.recipe(), store, chunks, range, reach)
    }
}

/// Gathers a range of content.
fn gather(
    recipe: &Recipe,
    store: &Store,
    chunks: &Chunks,
    range: Range<u64>,
    reach: Reach,
) -> Result<Gathered, ReadError> {
    if range.is_empty() {
        return Ok(Gathered { range, chunks: Vec::new() });
    }
    let pieces = recipe.pieces(store, &range, reach)?;
    let wanted: Vec<_> = pieces.iter().map(|piece| piece.chunk).collect();
    let bytes = chunks.get(&wanted, reach)?;
    let starts = pieces.iter().map(|piece| piece.start);
    Ok(Gathered { range, chunks: starts.zip(bytes).collect() })
}

impl Gathered {
    /// Appends the range's bytes to `out`.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        for (start, bytes) in &self.chunks {
            let within = |at: u64| usize::try_from(at.saturating_sub(*start)).unwrap_or(usize::MAX).min(bytes.len());
            out.extend_from_slice(&bytes[within(self.range.start)..within(self.range.end)]);
        }
    }

    /// The range's bytes, if they lie in one chunk.
    #[must_use]
    pub fn in_one(&self) -> Option<Bytes> {
        let [(start, bytes)] = &self.chunks[..] else { return None };
        let within = |at: u64| usize::try_from(at - start).ok();
        Some(bytes.slice(within(self.range.start)?..within(self.range.end)?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
