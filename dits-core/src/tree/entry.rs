//! One entry of a folder.

use bincode::{Decode, Encode};

use crate::object::{ChunkId, Digest, MAX_CHUNK, ManifestId, TreeId};
use crate::path::{self, PathError};

/// The longest target of a symbolic link, in bytes: what Linux holds.
pub const MAX_SYMLINK: usize = 4095;

/// What an entry is to the file system. The order is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Mode {
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link.
    Symlink,
    /// A folder.
    Directory,
}

impl Mode {
    /// The mode in git's octal notation.
    #[must_use]
    pub fn octal(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Directory => "040000",
        }
    }

    /// Whether this is a file, executable or not.
    #[must_use]
    pub fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Executable)
    }
}

/// What an entry holds: its identity. The order is part of the format.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Content {
    /// A file without content.
    Empty,
    /// A file of one chunk.
    Chunk(ChunkId),
    /// A file of two chunks or more.
    Manifest(ManifestId),
    /// A file composed of streams (reserved).
    Recipe(Digest),
    /// The target of a symbolic link: 1 to [`MAX_SYMLINK`] bytes without NUL.
    Symlink(Vec<u8>),
    /// A folder.
    Tree(TreeId),
}

impl Content {
    /// What names the bytes of a file that is made of chunks.
    #[must_use]
    pub fn of_chunks(&self) -> Option<Digest> {
        match self {
            Self::Chunk(id) => Some(*id.digest()),
            Self::Manifest(id) => Some(*id.digest()),
            Self::Empty | Self::Recipe(_) | Self::Symlink(_) | Self::Tree(_) => None,
        }
    }
}

/// A name in a folder and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct TreeEntry {
    /// The name: a component that [`path::check_component`] accepts.
    pub name: Vec<u8>,
    /// What it is to the file system.
    pub mode: Mode,
    /// The bytes of a file or of a link's target; for a folder the sum over all below it.
    pub size: u64,
    /// What it holds.
    pub content: Content,
}

/// Why an entry cannot be part of a folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] PathError),
    /// The target of a symbolic link is empty, too long or holds a NUL.
    #[error("a symbolic link's target has 1 to {MAX_SYMLINK} bytes and no NUL")]
    SymlinkTarget,
    /// Mode, size and content do not fit together.
    #[error("mode, size {0} and content do not fit together")]
    Mismatch(u64),
}

impl TreeEntry {
    /// Checks the rules that hold for an entry alone.
    ///
    /// # Errors
    /// When one is broken.
    pub fn check(&self) -> Result<(), EntryError> {
        path::check_component(&self.name)?;
        if let Content::Symlink(target) = &self.content
            && (target.is_empty() || target.len() > MAX_SYMLINK || target.contains(&0))
        {
            return Err(EntryError::SymlinkTarget);
        }
        let is_file = self.mode.is_file();
        let fits = match &self.content {
            Content::Empty => is_file && self.size == 0,
            Content::Chunk(_) => is_file && (1..=MAX_CHUNK as u64).contains(&self.size),
            Content::Manifest(_) => is_file && self.size >= 2,
            Content::Recipe(_) => is_file && self.size > 0,
            Content::Symlink(target) => self.mode == Mode::Symlink && self.size == target.len() as u64,
            Content::Tree(_) => self.mode == Mode::Directory,
        };
        if fits { Ok(()) } else { Err(EntryError::Mismatch(self.size)) }
    }
}
