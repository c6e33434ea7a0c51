//! Which chunks a range of a file lies in.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dits_core::chunk::ChunkRef;
use dits_core::manifest::Manifest;
use dits_core::object::ManifestId;
use dits_core::store::{Store, StoreError};
use dits_core::tree::{Content, TreeEntry};

use crate::error::{Reach, ReadError};

/// So many pieces are looked up at a time, unless one range has more.
const SPAN: usize = 256;
/// So many times what was looked up last is remembered: where somebody reads, and what is read ahead for them, which is further on
/// by several spans. With one, they would take it from each other at every request.
const SPANS: usize = 4;

/// A chunk and the offset it starts at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The offset in the file.
    pub start: u64,
    /// The chunk.
    pub chunk: ChunkRef,
}

impl Piece {
    fn end(&self) -> u64 {
        self.start + u64::from(self.chunk.len)
    }
}

/// What a file is made of. Remembers the pieces around the places that were read last.
pub struct Recipe {
    content: Content,
    size: u64,
    manifest: Option<ManifestId>,
    /// The latest last.
    spans: Mutex<Vec<Arc<[Piece]>>>,
}

impl Recipe {
    /// The recipe of a tree's entry.
    ///
    /// # Errors
    /// When it is not of a file that this version can read.
    pub fn new(entry: &TreeEntry) -> Result<Self, ReadError> {
        Self::of(&entry.content, entry.size)
    }

    /// The recipe of a file's content.
    ///
    /// # Errors
    /// When it is not of a file that this version can read.
    pub fn of(content: &Content, size: u64) -> Result<Self, ReadError> {
        let whole = |chunk| Some(Arc::from([Piece { start: 0, chunk }]));
        let (manifest, span): (_, Option<Arc<[Piece]>>) = match content {
            Content::Empty => (None, None),
            Content::Chunk(id) => {
                // The format allows no chunk longer than that.
                let len = u32::try_from(size).map_err(|_| ReadError::TooNew)?;
                (None, whole(ChunkRef { id: *id, len }))
            }
            Content::Manifest(id) => (Some(*id), None),
            Content::Recipe(_) => return Err(ReadError::TooNew),
            Content::Symlink(_) | Content::Tree(_) => return Err(ReadError::IsAFolder),
        };
        Ok(Self { content: content.clone(), size, manifest, spans: Mutex::new(span.into_iter().collect()) })
    }

    /// Whether it is the recipe of this content.
    #[must_use]
    pub fn is_of(&self, content: &Content, size: u64) -> bool {
        self.content == *content && self.size == size
    }

    /// The recipe of so many bytes that no chunk holds.
    #[must_use]
    pub fn none(size: u64) -> Self {
        Self { content: Content::Empty, size, manifest: None, spans: Mutex::default() }
    }

    /// What it is the recipe of.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The file's length.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The pieces that a range lies in, which is not empty and inside the file.
    ///
    /// # Errors
    /// When they are not in memory and may not be looked for, or the manifest cannot be read.
    pub fn pieces(&self, store: &Store, range: &Range<u64>, reach: Reach) -> Result<Vec<Piece>, ReadError> {
        if let Some(pieces) = self.spans().iter().rev().find_map(|span| cut(span, range)) {
            return Ok(pieces.to_vec());
        }
        let Some(manifest) = self.manifest else { return Ok(Vec::new()) };
        if reach == Reach::Memory {
            return Err(ReadError::OutOfReach);
        }
        let manifest_id = manifest;
        let manifest = Manifest::open_sized(store, manifest_id, self.size)?;
        let mut span = Vec::new();
        for step in manifest.iter_from(range.start)? {
            let (start, chunk) = step?;
            if start >= range.end && span.len() >= SPAN {
                break;
            }
            span.push(Piece { start, chunk });
        }
        let span: Arc<[Piece]> = span.into();
        {
            let mut spans = self.spans();
            if spans.len() == SPANS {
                spans.remove(0);
            }
            spans.push(Arc::clone(&span));
        }
        let pieces = cut(&span, range).ok_or_else(|| StoreError::Malformed {
            kind: ManifestId::KIND,
            digest: *manifest_id.digest(),
            what: "its chunks end before the file does".to_owned(),
        })?;
        Ok(pieces.to_vec())
    }

    fn spans(&self) -> MutexGuard<'_, Vec<Arc<[Piece]>>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `visit` with every piece, in order, as long as it returns true.
    ///
    /// # Errors
    /// When the manifest cannot be read, or `visit` fails.
    pub fn each(
        &self,
        store: &Store,
        visit: &mut dyn FnMut(Piece) -> Result<bool, ReadError>,
    ) -> Result<(), ReadError> {
        let Some(manifest) = self.manifest else {
            let whole = self.spans().last().cloned();
            return whole.iter().flat_map(|span| span.iter()).try_for_each(|piece| visit(*piece).map(|_| ()));
        };
        let manifest = Manifest::open_sized(store, manifest, self.size)?;
        for step in manifest.iter_from(0)? {
            let (start, chunk) = step?;
            if !visit(Piece { start, chunk })? {
                break;
            }
        }
        Ok(())
    }
}

/// The pieces of a span that a range lies in, if it does.
fn cut<'a>(span: &'a [Piece], range: &Range<u64>) -> Option<&'a [Piece]> {
    let (first, last) = (span.first()?, span.last()?);
    if range.start < first.start || range.end > last.end() {
        return None;
    }
    let from = span.partition_point(|piece| piece.end() <= range.start);
    let to = span.partition_point(|piece| piece.start < range.end);
    Some(&span[from..to])
}
