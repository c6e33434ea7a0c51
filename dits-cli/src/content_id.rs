//! How commands name what a file holds.

use dits_core::object::{Digest, ObjectKind};
use dits_core::tree::Content;

/// The name of the content's kind, as `ls-tree` and `cat-file -t` print it.
#[must_use]
pub fn kind_of(content: &Content) -> &'static str {
    match content {
        Content::Empty => "empty",
        Content::Chunk(_) => ObjectKind::Chunk.name(),
        Content::Manifest(_) => ObjectKind::Manifest.name(),
        Content::Recipe(_) => "recipe",
        Content::Symlink(_) => "link",
        Content::Tree(_) => ObjectKind::Tree.name(),
    }
}

/// The id of the content. Empty files and links have no object of their own: their id is the BLAKE3 of their bytes, so
/// that equal ids mean equal content.
#[must_use]
pub fn id_of(content: &Content) -> Digest {
    match content {
        Content::Empty => ObjectKind::Chunk.digest(b""),
        Content::Chunk(id) => *id.digest(),
        Content::Manifest(id) => *id.digest(),
        Content::Recipe(digest) => *digest,
        Content::Symlink(target) => ObjectKind::Chunk.digest(target),
        Content::Tree(id) => *id.digest(),
    }
}
