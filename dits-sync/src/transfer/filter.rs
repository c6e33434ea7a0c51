//! Which content a receiver wants: all of it, or less in a partial clone. The sender knows nothing of this.

use std::collections::HashSet;

use dits_core::maintain::References;
use dits_core::object::{Digest, ObjectKind};
use dits_core::store::StoreError;
use dits_core::tree::{self, Content};

/// Files that always come, because commands cannot work without them.
const RULES: [&[u8]; 2] = [b".ditsattributes", b".ditsignore"];

/// A chunk that an object of metadata names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilteredChunk {
    /// Its name.
    pub digest: Digest,
    /// Its length in bytes.
    pub len: u64,
    /// Whether the receiver wants it, should it not have it.
    pub wanted: bool,
}

/// Decides file by file, as objects of metadata arrive.
#[derive(Debug, Default)]
pub struct ContentFilter {
    /// Files of more bytes are left out; `None` leaves nothing out.
    limit: Option<u64>,
    /// Nodes of recipes whose chunks are wanted all the same.
    wanted: HashSet<Digest>,
}

impl ContentFilter {
    /// Wants everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Wants files of at most so many bytes, and the files with rules.
    #[must_use]
    pub fn at_most(bytes: u64) -> Self {
        Self { limit: Some(bytes), wanted: HashSet::new() }
    }

    /// The same filter, for another walk.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { limit: self.limit, wanted: HashSet::new() }
    }

    /// Nodes of recipes that are wanted and were not met after what names them: they came before, with a file that is
    /// left out, or are here from another time.
    #[must_use]
    pub fn not_met(self) -> Vec<Digest> {
        self.wanted.into_iter().collect()
    }

    /// Whether everything is wanted.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.limit.is_none()
    }

    /// The chunks that an object names, each with whether it is wanted.
    ///
    /// # Errors
    /// When the bytes break a rule of their format.
    pub fn chunks(
        &mut self,
        kind: ObjectKind,
        digest: &Digest,
        bytes: &[u8],
        references: &References,
    ) -> Result<Vec<FilteredChunk>, StoreError> {
        let Some(limit) = self.limit else {
            return Ok(marked(references, true));
        };
        match kind {
            ObjectKind::Tree => {
                let node = tree::references(digest, bytes)?;
                let mut small = HashSet::new();
                for entry in node.entries {
                    let wanted = entry.size <= limit || RULES.contains(&&entry.name[..]);
                    match entry.content {
                        Content::Chunk(id) if wanted => _ = small.insert(*id.digest()),
                        Content::Manifest(id) if wanted => _ = self.wanted.insert(*id.digest()),
                        _ => {}
                    }
                }
                let chunk = |(digest, len): &(Digest, u64)| FilteredChunk {
                    digest: *digest,
                    len: *len,
                    wanted: small.contains(digest),
                };
                Ok(references.chunks.iter().map(chunk).collect())
            }
            ObjectKind::Manifest => {
                let wanted = self.wanted.remove(digest);
                if wanted {
                    self.wanted.extend(&references.nodes);
                }
                Ok(marked(references, wanted))
            }
            _ => Ok(marked(references, true)),
        }
    }
}

fn marked(references: &References, wanted: bool) -> Vec<FilteredChunk> {
    references.chunks.iter().map(|(digest, len)| FilteredChunk { digest: *digest, len: *len, wanted }).collect()
}
