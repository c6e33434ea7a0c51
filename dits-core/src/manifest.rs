//! The recipe of a file: its chunks in order, as a Merkle tree (`docs/format/manifest.md`).
//!
//! A file without content or of one chunk has no manifest: see [`Content`].

mod diff;
mod splice;

pub use diff::{Diff, Span, diff};
pub use splice::splice;

use bincode::{Decode, Encode};

use crate::chunk::{ChunkRef, OldChunks, Profile};
use crate::codec;
use crate::merkle::{self, Builder, Cut, Entry, Link, Node, Shape, SpliceError, Walk};
use crate::object::{Digest, Extension, MAX_CHUNK, ManifestId, ObjectKind, ObjectRead, ObjectWrite};
use crate::store::StoreError;
use crate::tree::Content;

/// The tag of the root's extension that holds the [`Profile`].
const PROFILE_TAG: u32 = 1;

/// Why a manifest could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chunk of no bytes or of more than [`MAX_CHUNK`].
    #[error("a chunk of {0} bytes: 1 byte to 8 MiB are allowed")]
    ChunkLength(u32),
    /// The file would be longer than a u64 can say.
    #[error("the file gets longer than 2^64 - 1 bytes")]
    TooLong,
    /// A splice does not fit the old file.
    #[error("byte {0} is no chunk boundary of the old file, or the splices are not in order")]
    Position(u64),
}

impl From<SpliceError> for ManifestError {
    fn from(error: SpliceError) -> Self {
        match error {
            SpliceError::Store(error) => Self::Store(error),
            SpliceError::Position(position) => Self::Position(position),
        }
    }
}

/// What a link of a manifest says of the chunks below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub(crate) struct Sum {
    bytes: u64,
    chunks: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Chunks {}

fn check_len(len: u32) -> Result<(), ManifestError> {
    if len == 0 || len as usize > MAX_CHUNK { Err(ManifestError::ChunkLength(len)) } else { Ok(()) }
}

impl Shape for Chunks {
    const KIND: ObjectKind = ObjectKind::Manifest;
    const ROOT_TAGS: &[u32] = &[PROFILE_TAG];
    type Item = ChunkRef;
    type Sum = Sum;

    fn sum(item: &ChunkRef) -> Sum {
        Sum { bytes: item.len.into(), chunks: 1 }
    }

    fn absorb(sum: &mut Sum, next: &Sum) -> Result<(), &'static str> {
        let too_long = "its lengths add up to more than a file can have";
        sum.bytes = sum.bytes.checked_add(next.bytes).ok_or(too_long)?;
        sum.chunks = sum.chunks.checked_add(next.chunks).ok_or(too_long)?;
        Ok(())
    }

    fn extent(sum: &Sum) -> u64 {
        sum.bytes
    }

    fn check_item(item: &ChunkRef) -> Result<(), String> {
        check_len(item.len).map_err(|e| e.to_string())
    }

    fn check_sum(sum: &Sum) -> Result<(), String> {
        if sum.chunks == 0 || sum.bytes < sum.chunks {
            return Err("a link says that there are fewer bytes than chunks, or no chunks".to_owned());
        }
        Ok(())
    }

    fn item_cut(item: &ChunkRef) -> Cut {
        Cut { weight: 37, hash: item.id.digest().prefix_u64() }
    }

    fn link_cut(_: u8, link: &Link<Self>) -> Cut {
        Cut { weight: 50, hash: link.child.prefix_u64() }
    }
}

fn profile_extension(profile: &Profile) -> Vec<Extension> {
    vec![Extension { tag: PROFILE_TAG, bytes: codec::encode(profile) }]
}

/// Makes a manifest from chunks in order. Holds a few nodes, whatever the file's length.
pub struct ManifestBuilder {
    tree: Builder<Chunks>,
    first: Option<ChunkRef>,
    chunks: u64,
    bytes: u64,
}

impl ManifestBuilder {
    /// A builder for a file cut with `profile`.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self { tree: Builder::new(profile_extension(&profile)), first: None, chunks: 0, bytes: 0 }
    }

    /// Adds the next chunk.
    ///
    /// # Errors
    /// When the chunk's length is out of bounds, the file gets too long, or the store fails.
    pub fn push(&mut self, chunk: ChunkRef, write: &dyn ObjectWrite) -> Result<(), ManifestError> {
        check_len(chunk.len)?;
        self.bytes = self.bytes.checked_add(chunk.len.into()).ok_or(ManifestError::TooLong)?;
        self.chunks += 1;
        self.first.get_or_insert(chunk);
        Ok(self.tree.push(Entry::Item(chunk), write)?)
    }

    /// The bytes of all chunks so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The content that the chunks make: a manifest, or for fewer than two chunks what stands in its place.
    ///
    /// # Errors
    /// When the store fails.
    pub fn finish(self, write: &dyn ObjectWrite) -> Result<Content, ManifestError> {
        match (self.chunks, self.first) {
            (0, _) | (_, None) => Ok(Content::Empty),
            (1, Some(chunk)) => Ok(Content::Chunk(chunk.id)),
            _ => Ok(Content::Manifest(ManifestId::from_digest(self.tree.finish(write)?))),
        }
    }
}

/// The content that these chunks make.
///
/// # Errors
/// As [`ManifestBuilder::push`] and [`ManifestBuilder::finish`].
pub fn write(
    profile: Profile,
    chunks: impl IntoIterator<Item = ChunkRef>,
    write: &dyn ObjectWrite,
) -> Result<Content, ManifestError> {
    let mut builder = ManifestBuilder::new(profile);
    chunks.into_iter().try_for_each(|chunk| builder.push(chunk, write))?;
    builder.finish(write)
}

/// A manifest opened for reading: its root, and where to read the rest when it is asked for.
pub struct Manifest<'a> {
    read: &'a dyn ObjectRead,
    root: Node<Chunks>,
    profile: Profile,
    sum: Sum,
}

impl<'a> Manifest<'a> {
    /// Reads the root.
    ///
    /// # Errors
    /// When the store fails or the root breaks a rule of the format.
    pub fn open(read: &'a dyn ObjectRead, id: ManifestId) -> Result<Self, StoreError> {
        let root: Node<Chunks> = merkle::read_root(read, id.digest())?;
        let malformed = |what: String| StoreError::Malformed { kind: ObjectKind::Manifest, digest: *id.digest(), what };
        let Some(profile) = root.extension(PROFILE_TAG) else {
            return Err(malformed("it has no chunking profile".to_owned()));
        };
        let profile = codec::decode::<Profile, 64>(&profile.bytes).map_err(|e| malformed(e.to_string()))?;
        match root.sum() {
            Ok(Some(sum)) if sum.chunks >= 2 => Ok(Self { read, root, profile, sum }),
            _ => Err(malformed("it has fewer than two chunks".to_owned())),
        }
    }

    /// [`Manifest::open`] for a file that must have `size` bytes.
    ///
    /// # Errors
    /// As there, and when the recipe is of a file of another length.
    pub fn open_sized(read: &'a dyn ObjectRead, id: ManifestId, size: u64) -> Result<Self, StoreError> {
        let manifest = Self::open(read, id)?;
        if manifest.len() == size {
            return Ok(manifest);
        }
        let what = format!("it makes a file of {} bytes, where one of {size} is named", manifest.len());
        Err(StoreError::Malformed { kind: ObjectKind::Manifest, digest: *id.digest(), what })
    }

    /// How the file was cut.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The file's length in bytes. The links say so: that the chunks agree shows only when they are read.
    #[expect(clippy::len_without_is_empty, reason = "an empty file has no manifest")]
    #[must_use]
    pub fn len(&self) -> u64 {
        self.sum.bytes
    }

    /// How many chunks the file has.
    #[must_use]
    pub fn chunk_count(&self) -> u64 {
        self.sum.chunks
    }

    /// The chunk that holds the byte at `offset`, and the offset it starts at; `None` past the end.
    ///
    /// # Errors
    /// When a node on the way cannot be read or breaks a rule.
    pub fn at_offset(&self, offset: u64) -> Result<Option<(u64, ChunkRef)>, StoreError> {
        self.iter_from(offset)?.next().transpose()
    }

    /// The chunks from the one that holds the byte at `offset` on, each with the offset it starts at. Nodes are read as
    /// the iterator gets to them.
    ///
    /// # Errors
    /// When a node on the way to the first chunk cannot be read or breaks a rule.
    pub fn iter_from(&self, offset: u64) -> Result<ChunkIter<'a>, StoreError> {
        let mut start = 0;
        let walk = Walk::seek(self.read, self.root.clone(), |entries| {
            entries.iter().position(|entry| {
                let end = start + entry.extent();
                let found = offset < end;
                start = if found { start } else { end };
                found
            })
        })?;
        Ok(ChunkIter { walk, at: start })
    }

    /// Whether the root holds something this version does not know, which may refer to other objects.
    #[must_use]
    pub fn has_unknown_extensions(&self) -> bool {
        self.root.has_unknown_extensions()
    }
}

impl OldChunks for Manifest<'_> {
    type Error = StoreError;

    fn total_len(&self) -> u64 {
        self.len()
    }

    fn at_offset(&self, offset: u64) -> Result<Option<(u64, ChunkRef)>, StoreError> {
        self.at_offset(offset)
    }
}

/// The chunks of a manifest with the offsets they start at.
pub struct ChunkIter<'a> {
    walk: Walk<'a, Chunks>,
    at: u64,
}

impl Iterator for ChunkIter<'_> {
    type Item = Result<(u64, ChunkRef), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.walk.next()?;
        Some(step.map(|chunk| {
            let start = self.at;
            self.at += u64::from(chunk.len);
            (start, chunk)
        }))
    }
}

/// What one node of a manifest refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct References {
    /// Child nodes, in order.
    pub nodes: Vec<Digest>,
    /// Chunks, in order: a node has either these or child nodes.
    pub chunks: Vec<ChunkRef>,
    /// Whether it holds an extension of a later version, which may refer to more.
    pub unknown_extensions: bool,
}

/// What the node named `digest` with these bytes refers to: for gc, fsck and transfer, which visit each node once.
///
/// # Errors
/// When the bytes break a rule of the format.
pub fn references(digest: &Digest, bytes: &[u8]) -> Result<References, StoreError> {
    let node: Node<Chunks> = merkle::decode_node(digest, bytes)?;
    let unknown_extensions = node.has_unknown_extensions();
    let mut references = References { nodes: Vec::new(), chunks: Vec::new(), unknown_extensions };
    for entry in node.entries {
        match entry {
            Entry::Item(chunk) => references.chunks.push(chunk),
            Entry::Link(link) => references.nodes.push(link.child),
        }
    }
    Ok(references)
}

#[cfg(test)]
mod tests;
