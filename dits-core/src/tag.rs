//! Annotated tags (`docs/format/commit.md`).

use bincode::{Decode, Encode};

use crate::codec;
use crate::commit::{CommitError, check_end, check_message, decode_versioned, encode_versioned};
use crate::object::{Digest, Extension, ObjectKind, ObjectRead, ObjectWrite, TagId};
use crate::signature::Signature;
use crate::store::StoreError;

/// The version of the format; the first byte of every tag.
const VERSION: u8 = 1;

/// The longest name, in bytes.
const MAX_TAG_NAME: usize = 255;

/// A name given to an object, by whom, when and why. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What is named.
    pub target: Digest,
    /// The kind of what is named: anything but a tombstone.
    pub target_kind: ObjectKind,
    /// The name, 1 to 255 bytes without control characters; that it can be a ref is for the ref to check.
    pub name: String,
    /// Who named it.
    pub tagger: Signature,
    /// What they said, at most [`crate::commit::MAX_MESSAGE`] bytes.
    pub message: String,
    /// A cryptographic signature of [`Tag::signed_bytes`], in a format of the signer's choice.
    pub signature: Option<Vec<u8>>,
    /// What later versions add, sorted by tag.
    pub extensions: Vec<Extension>,
}

/// A tag as it is encoded.
#[derive(Encode, Decode)]
struct Wire {
    target: Digest,
    target_kind: u8,
    name: String,
    tagger: Signature,
    message: String,
    signature: Option<Vec<u8>>,
    extensions: Vec<Extension>,
}

impl Wire {
    fn kind(&self) -> Result<ObjectKind, CommitError> {
        ObjectKind::from_code(self.target_kind)
            .filter(|kind| *kind != ObjectKind::Tombstone)
            .ok_or(CommitError::TagTarget(self.target_kind))
    }

    fn check(&self) -> Result<(), CommitError> {
        self.kind()?;
        if self.name.is_empty() || self.name.len() > MAX_TAG_NAME || self.name.contains(char::is_control) {
            return Err(CommitError::TagName(self.name.chars().take(100).collect()));
        }
        self.tagger.validate()?;
        check_message(&self.message)?;
        check_end(self.signature.as_deref(), &self.extensions)
    }
}

impl Tag {
    fn to_wire(&self) -> Wire {
        Wire {
            target: self.target,
            target_kind: self.target_kind as u8,
            name: self.name.clone(),
            tagger: self.tagger.clone(),
            message: self.message.clone(),
            signature: self.signature.clone(),
            extensions: self.extensions.clone(),
        }
    }

    /// Checks the rules for all fields.
    ///
    /// # Errors
    /// When one is broken.
    pub fn check(&self) -> Result<(), CommitError> {
        self.to_wire().check()
    }

    /// Reads a tag.
    ///
    /// # Errors
    /// When it cannot be read or breaks a rule of the format.
    pub fn read(read: &dyn ObjectRead, id: TagId) -> Result<Self, StoreError> {
        Self::from_bytes(id, &read.read(ObjectKind::Tag, id.digest())?)
    }

    /// Decodes the bytes of the tag named `id`.
    ///
    /// # Errors
    /// When they break a rule of the format.
    pub fn from_bytes(id: TagId, bytes: &[u8]) -> Result<Self, StoreError> {
        let wire = decode_versioned(bytes, VERSION, Wire::check);
        let wire: Wire = wire.map_err(|unread| unread.named(ObjectKind::Tag, *id.digest()))?;
        let target_kind = wire.kind().map_err(|e| StoreError::Malformed {
            kind: ObjectKind::Tag,
            digest: *id.digest(),
            what: e.to_string(),
        })?;
        let Wire { target, name, tagger, message, signature, extensions, .. } = wire;
        Ok(Self { target, target_kind, name, tagger, message, signature, extensions })
    }

    /// Stores the tag.
    ///
    /// # Errors
    /// When it breaks a rule, or the store fails.
    pub fn write(&self, write: &dyn ObjectWrite) -> Result<TagId, CommitError> {
        let wire = self.to_wire();
        wire.check()?;
        let bytes = encode_versioned(VERSION, &wire)?;
        Ok(TagId::from_digest(write.write(ObjectKind::Tag, &bytes)?))
    }

    /// The bytes a cryptographic signature signs: the encoded tag without one.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        codec::encode(&(VERSION, Wire { signature: None, ..self.to_wire() }))
    }

    /// Whether there are extensions this version does not know, which may refer to other objects. It knows none.
    #[must_use]
    pub fn has_unknown_extensions(&self) -> bool {
        !self.extensions.is_empty()
    }
}

#[cfg(test)]
mod tests;
