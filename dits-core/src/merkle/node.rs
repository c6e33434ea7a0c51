//! One node and its bytes: `docs/format/merkle.md`.

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::{CAP, Entry, Link, MAX_LEVEL, Shape, extensions_in_order};
use crate::codec;
use crate::object::{Digest, Extension, ObjectWrite};
use crate::store::StoreError;

/// The version of the format; the first byte of every node.
const VERSION: u8 = 1;

/// A node that obeys all rules that can be checked without reading another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node<S: Shape> {
    pub level: u8,
    pub entries: Vec<Entry<S>>,
    pub extensions: Vec<Extension>,
}

impl<S: Shape> Node<S> {
    /// The sum of all entries; `None` for an empty leaf.
    pub fn sum(&self) -> Result<Option<S::Sum>, &'static str> {
        let mut entries = self.entries.iter();
        let Some(first) = entries.next() else { return Ok(None) };
        let mut sum = first.sum();
        entries.try_for_each(|entry| S::absorb(&mut sum, &entry.sum()))?;
        Ok(Some(sum))
    }

    /// Stores the node and gives the link to it.
    pub fn write(&self, write: &dyn ObjectWrite) -> Result<Option<Link<S>>, StoreError> {
        let child = self.write_root(write)?;
        let sum = self.sum().map_err(|what| malformed::<S>(&child, what))?;
        Ok(sum.map(|sum| Link { child, sum }))
    }

    /// Stores the node and gives its name.
    pub fn write_root(&self, write: &dyn ObjectWrite) -> Result<Digest, StoreError> {
        write.write(S::KIND, &codec::encode(self))
    }

    /// The extension with this tag.
    pub fn extension(&self, tag: u32) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.tag == tag)
    }

    /// Whether there is an extension this version does not know.
    pub fn has_unknown_extensions(&self) -> bool {
        self.extensions.iter().any(|extension| !S::ROOT_TAGS.contains(&extension.tag))
    }

    fn check(&self) -> Result<(), String> {
        if !extensions_in_order(&self.extensions) {
            return Err("its extensions are not in order".to_owned());
        }
        if self.level > 0 && self.entries.is_empty() {
            return Err("it is an inner node without links".to_owned());
        }
        for entry in &self.entries {
            match entry {
                Entry::Item(item) => S::check_item(item)?,
                Entry::Link(link) => S::check_sum(&link.sum)?,
            }
        }
        self.sum().map(drop).map_err(str::to_owned)
    }
}

/// The error for a node that breaks a rule.
pub(crate) fn malformed<S: Shape>(digest: &Digest, what: impl Into<String>) -> StoreError {
    StoreError::Malformed { kind: S::KIND, digest: *digest, what: what.into() }
}

/// Decodes and checks the bytes of the node named `digest`.
pub(crate) fn decode_node<S: Shape>(digest: &Digest, bytes: &[u8]) -> Result<Node<S>, StoreError> {
    if let Some(version) = bytes.first().filter(|version| **version > VERSION) {
        let what = format!("it is of format version {version}");
        return Err(StoreError::TooNew { kind: S::KIND, digest: *digest, what });
    }
    let node: Node<S> = codec::decode::<_, CAP>(bytes).map_err(|e| malformed::<S>(digest, e.to_string()))?;
    node.check().map_err(|what| malformed::<S>(digest, what))?;
    Ok(node)
}

impl<S: Shape> Encode for Node<S> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        VERSION.encode(encoder)?;
        self.level.encode(encoder)?;
        (self.entries.len() as u64).encode(encoder)?;
        for entry in &self.entries {
            match entry {
                Entry::Item(item) => item.encode(encoder)?,
                Entry::Link(link) => {
                    link.child.encode(encoder)?;
                    link.sum.encode(encoder)?;
                }
            }
        }
        self.extensions.encode(encoder)
    }
}

impl<S: Shape> Decode<()> for Node<S> {
    fn decode<D: Decoder<Context = ()>>(decoder: &mut D) -> Result<Self, DecodeError> {
        if u8::decode(decoder)? != VERSION {
            return Err(DecodeError::Other("it has no known format version"));
        }
        let level = u8::decode(decoder)?;
        if level > MAX_LEVEL {
            return Err(DecodeError::Other("its level is too high"));
        }
        // The count is not trusted: nothing is reserved, and every entry takes bytes that must be there.
        let mut entries = Vec::new();
        for _ in 0..u64::decode(decoder)? {
            entries.push(match level {
                0 => Entry::Item(S::Item::decode(decoder)?),
                _ => Entry::Link(Link { child: Digest::decode(decoder)?, sum: S::Sum::decode(decoder)? }),
            });
        }
        Ok(Self { level, entries, extensions: Vec::decode(decoder)? })
    }
}
