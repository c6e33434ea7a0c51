//! Versions of the whole project (`docs/format/commit.md`).

use bincode::{Decode, Encode};

use crate::codec;
use crate::merkle::extensions_in_order;
use crate::object::{CommitId, Extension, MAX_METADATA, ObjectKind, ObjectRead, ObjectWrite, TreeId};
use crate::path::RepoPath;
use crate::signature::{Signature, SignatureError};
use crate::store::StoreError;

/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 1 << 20;
/// The longest cryptographic signature, in bytes.
pub const MAX_SIGNATURE: usize = 64 << 10;

/// The most recorded moves.
pub const MAX_MOVES: usize = 1 << 20;
/// The most extensions.
pub const MAX_EXTENSIONS: usize = 1024;

/// The version of the format; the first byte of every commit.
const VERSION: u8 = 1;

/// Why a commit or tag cannot be.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A person or moment that cannot be recorded.
    #[error(transparent)]
    Who(#[from] SignatureError),
    /// A message over [`MAX_MESSAGE`].
    #[error("a message of {0} bytes: at most 1 MiB is allowed")]
    Message(usize),
    /// The same parent twice.
    #[error("{0} is a parent twice")]
    Parent(CommitId),
    /// Moves that are not sorted by old path, or of one path twice, or to itself.
    #[error("the recorded moves are not in order at `{0}`")]
    Moves(RepoPath),
    /// A signature over [`MAX_SIGNATURE`].
    #[error("a cryptographic signature of {0} bytes: at most 64 KiB is allowed")]
    Signature(usize),
    /// More than [`MAX_MOVES`].
    #[error("{0} recorded moves: at most 1048576 are allowed")]
    TooManyMoves(usize),
    /// The extensions are not sorted by tag, each once, or more than [`MAX_EXTENSIONS`].
    #[error("the extensions are not in order, or more than 1024")]
    Extensions,
    /// More than [`MAX_METADATA`] in all.
    #[error("it takes {0} bytes: at most 16 MiB is allowed")]
    TooLong(usize),
    /// A tag's name that is empty, over 255 bytes, or has control characters.
    #[error("`{0}` cannot be a tag's name")]
    TagName(String),
    /// A target that cannot be tagged.
    #[error("an object of kind {0} cannot be tagged")]
    TagTarget(u8),
}

/// A version of the project.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Commit {
    /// The versions this one came from, each once: none for the first, two or more for a merge.
    pub parents: Vec<CommitId>,
    /// The top folder.
    pub tree: TreeId,
    /// Who made the changes.
    pub author: Signature,
    /// Who made the commit.
    pub committer: Signature,
    /// What it says, at most [`MAX_MESSAGE`] bytes.
    pub message: String,
    /// Moves that were made as such: old path and new path, sorted by old path, each of these once.
    pub moves: Vec<(RepoPath, RepoPath)>,
    /// A cryptographic signature of [`Commit::signed_bytes`], in a format of the signer's choice.
    pub signature: Option<Vec<u8>>,
    /// What later versions add, sorted by tag.
    pub extensions: Vec<Extension>,
}

impl Commit {
    /// A commit with nothing optional.
    #[must_use]
    pub fn new(parents: Vec<CommitId>, tree: TreeId, author: Signature, committer: Signature, message: String) -> Self {
        let (moves, extensions) = (Vec::new(), Vec::new());
        Self { parents, tree, author, committer, message, moves, signature: None, extensions }
    }

    /// Checks the rules for all fields.
    ///
    /// # Errors
    /// When one is broken.
    pub fn check(&self) -> Result<(), CommitError> {
        let mut sorted: Vec<&CommitId> = self.parents.iter().collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(CommitError::Parent(*pair[0]));
        }
        self.author.validate()?;
        self.committer.validate()?;
        check_message(&self.message)?;
        if self.moves.len() > MAX_MOVES {
            return Err(CommitError::TooManyMoves(self.moves.len()));
        }
        if let Some((old, _)) = self.moves.iter().find(|(old, new)| old == new) {
            return Err(CommitError::Moves(old.clone()));
        }
        if let Some(pair) = self.moves.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            return Err(CommitError::Moves(pair[1].0.clone()));
        }
        check_end(self.signature.as_deref(), &self.extensions)
    }

    /// Reads a commit. One whose parents are absent on purpose comes without parents: this is where history ends.
    ///
    /// # Errors
    /// When it cannot be read or breaks a rule of the format.
    pub fn read(read: &dyn ObjectRead, id: CommitId) -> Result<Self, StoreError> {
        let mut commit = Self::from_bytes(id, &read.read(ObjectKind::Commit, id.digest())?)?;
        if !commit.parents.is_empty() && read.is_shallow(&id)? {
            commit.parents.clear();
        }
        Ok(commit)
    }

    /// Decodes the bytes of the commit named `id`.
    ///
    /// # Errors
    /// When they break a rule of the format.
    pub fn from_bytes(id: CommitId, bytes: &[u8]) -> Result<Self, StoreError> {
        let decoded = decode_versioned(bytes, VERSION, Self::check);
        decoded.map_err(|unread| unread.named(ObjectKind::Commit, *id.digest()))
    }

    /// Stores the commit.
    ///
    /// # Errors
    /// When it breaks a rule, or the store fails.
    pub fn write(&self, write: &dyn ObjectWrite) -> Result<CommitId, CommitError> {
        self.check()?;
        let bytes = encode_versioned(VERSION, self)?;
        Ok(CommitId::from_digest(write.write(ObjectKind::Commit, &bytes)?))
    }

    /// The bytes a cryptographic signature signs: the encoded commit without one.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        codec::encode(&(VERSION, Self { signature: None, ..self.clone() }))
    }

    /// Whether there are extensions this version does not know, which may refer to other objects. It knows none.
    #[must_use]
    pub fn has_unknown_extensions(&self) -> bool {
        !self.extensions.is_empty()
    }
}

pub(crate) fn check_message(message: &str) -> Result<(), CommitError> {
    if message.len() > MAX_MESSAGE { Err(CommitError::Message(message.len())) } else { Ok(()) }
}

/// Checks what commits and tags end in.
pub(crate) fn check_end(signature: Option<&[u8]>, extensions: &[Extension]) -> Result<(), CommitError> {
    if let Some(signature) = signature.filter(|signature| signature.len() > MAX_SIGNATURE) {
        return Err(CommitError::Signature(signature.len()));
    }
    let fine = extensions.len() <= MAX_EXTENSIONS && extensions_in_order(extensions);
    if fine { Ok(()) } else { Err(CommitError::Extensions) }
}

/// Why bytes were not decoded.
pub(crate) enum Unread {
    TooNew(u8),
    Malformed(String),
}

impl Unread {
    pub(crate) fn named(self, kind: ObjectKind, digest: crate::object::Digest) -> StoreError {
        match self {
            Self::TooNew(version) => {
                StoreError::TooNew { kind, digest, what: format!("it is of format version {version}") }
            }
            Self::Malformed(what) => StoreError::Malformed { kind, digest, what },
        }
    }
}

pub(crate) fn encode_versioned<T: Encode>(version: u8, value: &T) -> Result<Vec<u8>, CommitError> {
    let bytes = codec::encode(&(version, value));
    if bytes.len() > MAX_METADATA { Err(CommitError::TooLong(bytes.len())) } else { Ok(bytes) }
}

pub(crate) fn decode_versioned<T: Encode + Decode<()>>(
    bytes: &[u8],
    version: u8,
    check: impl Fn(&T) -> Result<(), CommitError>,
) -> Result<T, Unread> {
    match bytes.first() {
        Some(found) if *found > version => return Err(Unread::TooNew(*found)),
        Some(found) if *found == version => {}
        _ => return Err(Unread::Malformed("it has no known format version".to_owned())),
    }
    let (_, value): (u8, T) = codec::decode::<_, MAX_METADATA>(bytes).map_err(|e| Unread::Malformed(e.to_string()))?;
    check(&value).map_err(|e| Unread::Malformed(e.to_string()))?;
    Ok(value)
}

#[cfg(test)]
mod tests;
