//! What an entry is and holds: stand-ins with the shape of `tree::{Mode, Content}`.

use crate::object::{ChunkId, Digest, ManifestId, TreeId};

/// What an entry is to the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link.
    Symlink,
    /// A folder; never in the index.
    Directory,
}

/// What an entry holds: its identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// A file without content.
    Empty,
    /// A file of one chunk.
    Chunk(ChunkId),
    /// A file of two chunks or more.
    Manifest(ManifestId),
    /// A file composed of streams (reserved).
    Recipe(Digest),
    /// The target of a symbolic link.
    Symlink(Vec<u8>),
    /// A folder; never in the index.
    Tree(TreeId),
}
