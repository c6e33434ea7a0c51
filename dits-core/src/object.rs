//! What every stored object has: a kind, a digest that is its name, and a place to be read from.
//!
//! A chunk is named by the plain BLAKE3 of its bytes, so `b3sum` agrees. Metadata is named by BLAKE3 in `derive_key`
//! mode with one context per kind, so that no file content can ever pass for a commit.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};

use crate::store::StoreError;

pub mod memory;

/// The longest encoded metadata object: commits and tags. Nodes of Merkle trees are far smaller.
pub const MAX_METADATA: usize = 16 << 20;

/// The longest chunk of any profile, in bytes.
pub const MAX_CHUNK: usize = 8 << 20;

/// What an object is. The number is part of the frame format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ObjectKind {
    /// A piece of file content.
    Chunk = 1,
    /// A node of the Merkle tree that lists a file's chunks.
    Manifest = 2,
    /// A node of the Merkle tree that lists a folder's entries.
    Tree = 3,
    /// A version of the whole project.
    Commit = 4,
    /// An annotated tag.
    Tag = 5,
    /// A record that an object was removed on purpose (reserved).
    Tombstone = 6,
}

impl ObjectKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 6] = [Self::Chunk, Self::Manifest, Self::Tree, Self::Commit, Self::Tag, Self::Tombstone];

    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// The kind's name, as `cat-file -t` prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chunk => "chunk",
            Self::Manifest => "manifest",
            Self::Tree => "tree",
            Self::Commit => "commit",
            Self::Tag => "tag",
            Self::Tombstone => "tombstone",
        }
    }

    /// Whether this is file content rather than metadata; the two are stored apart.
    #[must_use]
    pub fn is_content(self) -> bool {
        self == Self::Chunk
    }

    /// The digest that names an object of this kind with these bytes.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let context = match self {
            Self::Chunk => return Digest(*blake3::hash(bytes).as_bytes()),
            Self::Manifest => "dits 2026 manifest node v1",
            Self::Tree => "dits 2026 tree node v1",
            Self::Commit => "dits 2026 commit v1",
            Self::Tag => "dits 2026 tag v1",
            Self::Tombstone => "dits 2026 tombstone v1",
        };
        Digest(blake3::derive_key(context, bytes))
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The 32 bytes that name an object of any kind: what the store works with. History and files use the typed ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The first eight bytes as a number: uniformly distributed, for interpolation search and sampling.
    #[must_use]
    pub fn prefix_u64(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an object id: 64 hexadecimal digits are needed")]
pub struct ParseIdError(pub String);

impl FromStr for Digest {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let bad = || ParseIdError(text.chars().take(80).collect());
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(Digest);

        impl $name {
            /// The kind of object this names.
            pub const KIND: ObjectKind = $kind;

            /// The id of the object with these bytes.
            #[must_use]
            pub fn of(bytes: &[u8]) -> Self {
                Self(Self::KIND.digest(bytes))
            }

            /// Takes a digest to be the name of an object of this kind.
            #[must_use]
            pub fn from_digest(digest: Digest) -> Self {
                Self(digest)
            }

            /// The digest, without the kind.
            #[must_use]
            pub fn digest(&self) -> &Digest {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}:{}", Self::KIND, self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.parse().map(Self)
            }
        }
    };
}

typed_id!(
    /// Names a chunk: BLAKE3 of its plain bytes.
    ChunkId,
    ObjectKind::Chunk
);
typed_id!(
    /// Names a manifest by its root node.
    ManifestId,
    ObjectKind::Manifest
);
typed_id!(
    /// Names a folder by the root node of its entries.
    TreeId,
    ObjectKind::Tree
);
typed_id!(
    /// Names a commit.
    CommitId,
    ObjectKind::Commit
);
typed_id!(
    /// Names an annotated tag.
    TagId,
    ObjectKind::Tag
);

/// A part of an object that this version of dits may not know. Objects end in a list of these, sorted by tag, each tag
/// once. Readers keep what they do not know; gc and push refuse it, because it may refer to other objects.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Extension {
    /// What the payload is.
    pub tag: u32,
    /// The payload.
    pub bytes: Vec<u8>,
}

/// Where objects are read from. Every read is verified: the bytes returned hash to the digest asked for.
pub trait ObjectRead: Send + Sync {
    /// The plain bytes of an object; [`StoreError::Missing`] when it is not there.
    ///
    /// # Errors
    /// When the object is missing, damaged, of another kind or cannot be read.
    fn read(&self, kind: ObjectKind, digest: &Digest) -> Result<Vec<u8>, StoreError>;

    /// Whether the parents of a commit are absent on purpose, and history ends with it.
    ///
    /// # Errors
    /// When that cannot be read.
    fn is_shallow(&self, _commit: &CommitId) -> Result<bool, StoreError> {
        Ok(false)
    }
}

/// Where objects are written to. What is written may be read back at once through the same handle; others see it, and
/// it is durable, only after the writer behind it has been finished.
pub trait ObjectWrite: ObjectRead {
    /// Stores an object unless it is there already, and returns its name.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    fn write(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Digest, StoreError>;
}
