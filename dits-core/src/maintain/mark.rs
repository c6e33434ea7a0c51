//! Following references: each object is visited once.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::commit::Commit;
use crate::manifest;
use crate::object::{CommitId, Digest, ObjectKind, ObjectRead, TagId};
use crate::progress::Progress;
use crate::repo::RepoError;
use crate::store::StoreError;
use crate::tag::Tag;
use crate::tree::{self, Content};

/// What an object refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Metadata, in order.
    pub meta: Vec<(ObjectKind, Digest)>,
    /// Chunks with their lengths, in order.
    pub chunks: Vec<(Digest, u64)>,
    /// Whether it holds an extension of a later version, which may refer to more.
    pub unknown: bool,
    /// For nodes of a Merkle tree: their own child nodes, which are in `meta` too.
    pub nodes: Vec<Digest>,
    /// For leaves: the sum of what they say their items' sizes are, in bytes.
    pub bytes: u64,
    /// Files and folders with the sizes that are said of them.
    pub sizes: Vec<(Digest, u64)>,
}

impl References {
    fn content(&mut self, content: &Content, size: u64) {
        match content {
            Content::Chunk(id) => self.chunks.push((*id.digest(), size)),
            Content::Manifest(id) => {
                self.meta.push((ObjectKind::Manifest, *id.digest()));
                self.sizes.push((*id.digest(), size));
            }
            Content::Tree(id) => {
                self.meta.push((ObjectKind::Tree, *id.digest()));
                self.sizes.push((*id.digest(), size));
            }
            Content::Recipe(_) => self.unknown = true,
            Content::Empty | Content::Symlink(_) => {}
        }
    }
}

/// What an object with these bytes refers to.
///
/// # Errors
/// When the bytes break a rule of the format.
pub fn references(kind: ObjectKind, digest: &Digest, bytes: &[u8]) -> Result<References, StoreError> {
    let mut found = References::default();
    match kind {
        ObjectKind::Chunk => {}
        ObjectKind::Manifest => {
            let node = manifest::references(digest, bytes)?;
            found.meta.extend(node.nodes.iter().map(|child| (ObjectKind::Manifest, *child)));
            found.nodes = node.nodes;
            found.bytes = node.chunks.iter().map(|chunk| u64::from(chunk.len)).sum();
            found.chunks.extend(node.chunks.iter().map(|chunk| (*chunk.id.digest(), u64::from(chunk.len))));
            found.unknown = node.unknown_extensions;
        }
        ObjectKind::Tree => {
            let node = tree::references(digest, bytes)?;
            found.unknown = node.unknown_extensions;
            found.meta.extend(node.nodes.iter().map(|child| (ObjectKind::Tree, *child)));
            found.nodes = node.nodes;
            found.bytes = node.entries.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.size));
            node.entries.iter().for_each(|entry| found.content(&entry.content, entry.size));
        }
        ObjectKind::Commit => {
            let commit = Commit::from_bytes(CommitId::from_digest(*digest), bytes)?;
            found.meta.extend(commit.parents.iter().map(|parent| (ObjectKind::Commit, *parent.digest())));
            found.meta.push((ObjectKind::Tree, *commit.tree.digest()));
            found.unknown = commit.has_unknown_extensions();
        }
        ObjectKind::Tag => {
            let tag = Tag::from_bytes(TagId::from_digest(*digest), bytes)?;
            found.unknown = tag.has_unknown_extensions();
            match tag.target_kind {
                ObjectKind::Chunk => found.unknown = true,
                kind => found.meta.push((kind, tag.target)),
            }
        }
        ObjectKind::Tombstone => found.unknown = true,
    }
    Ok(found)
}

/// [`references`] of an object in a store: those to parents that are absent on purpose are left out.
///
/// # Errors
/// As there, and when it cannot be read where history ends.
pub fn references_in(
    read: &dyn ObjectRead,
    kind: ObjectKind,
    digest: &Digest,
    bytes: &[u8],
) -> Result<References, StoreError> {
    let mut found = references(kind, digest, bytes)?;
    if kind == ObjectKind::Commit && read.is_shallow(&CommitId::from_digest(*digest))? {
        found.meta.retain(|(kind, _)| *kind != ObjectKind::Commit);
    }
    Ok(found)
}

/// A digest is uniformly distributed already: its first bytes are its hash.
#[derive(Clone, Copy, Debug, Default)]
pub struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(prefix) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*prefix);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

/// Objects that were reached.
pub type Reached = HashSet<Digest, BuildHasherDefault<DigestHasher>>;

/// The objects that were reached.
#[derive(Debug, Default)]
pub struct Mark {
    /// Chunks.
    pub content: Reached,
    /// Everything else.
    pub meta: Reached,
}

impl Mark {
    /// Follows all references from an object, stopping at what was reached before. `met` hears of objects that are
    /// missing or damaged, with what named them; what it returns as an error ends the walk.
    ///
    /// # Errors
    /// What `met` returns, and [`RepoError::Interrupted`].
    pub fn reach(
        &mut self,
        read: &dyn ObjectRead,
        kind: ObjectKind,
        digest: Digest,
        progress: &dyn Progress,
        met: &mut dyn FnMut(ObjectKind, Digest, Met<'_>) -> Result<(), RepoError>,
    ) -> Result<(), RepoError> {
        let mut stack = vec![(kind, digest)];
        while let Some((kind, digest)) = stack.pop() {
            if kind.is_content() {
                self.content.insert(digest);
                continue;
            }
            if !self.meta.insert(digest) {
                continue;
            }
            progress.check()?;
            progress.advance(0, 1);
            let found = read.read(kind, &digest).and_then(|bytes| references_in(read, kind, &digest, &bytes));
            match found {
                Ok(found) => {
                    if found.unknown {
                        met(kind, digest, Met::Unknown)?;
                    }
                    met(kind, digest, Met::Node(&found))?;
                    for (chunk, len) in &found.chunks {
                        if self.content.insert(*chunk) {
                            met(ObjectKind::Chunk, *chunk, Met::NewChunk { len: *len, named_by: digest })?;
                        }
                    }
                    // Reversed, so that the walk goes in the objects' own order.
                    stack.extend(found.meta.into_iter().rev());
                }
                Err(error) => met(kind, digest, Met::Unreadable(error))?,
            }
        }
        Ok(())
    }
}

/// What [`Mark::reach`] met.
#[derive(Debug)]
pub enum Met<'a> {
    /// An object of metadata, and what it refers to.
    Node(&'a References),
    /// A chunk, for the first time. Whether it is there is for the listener to find out.
    NewChunk {
        /// The length it must have.
        len: u64,
        /// The object that names it.
        named_by: Digest,
    },
    /// Something of a later version, which may refer to more.
    Unknown,
    /// An object that cannot be read.
    Unreadable(StoreError),
}
