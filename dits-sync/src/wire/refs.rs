//! The listing of branches and tags.

use bincode::{Decode, Encode};
use dits_core::codec;
use dits_core::object::Digest;
use dits_core::refs::RefName;

/// How many refs one message of a listing holds.
const PER_MESSAGE: usize = 512;

/// The most refs that a client takes.
pub const MAX_REFS: usize = 1 << 20;

/// A part of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Refs {
    /// The client's listing is up to date.
    Unchanged,
    /// Refs in order.
    Some {
        /// The branch that HEAD stands for.
        head: Option<RefName>,
        /// What refs name.
        refs: Vec<(RefName, Digest)>,
        /// Whether another message follows.
        more: bool,
    },
}

/// Branches and tags of a repository, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Listing {
    /// The branch that HEAD stands for.
    pub head: Option<RefName>,
    /// What refs name.
    pub refs: Vec<(RefName, Digest)>,
}

impl Listing {
    /// What tells two listings apart.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        blake3::derive_key("dits 2026 ref listing v1", &codec::encode(self))
    }

    /// What a ref names.
    #[must_use]
    pub fn get(&self, name: &RefName) -> Option<Digest> {
        let at = self.refs.binary_search_by(|(other, _)| other.cmp(name)).ok()?;
        self.refs.get(at).map(|(_, digest)| *digest)
    }

    /// The messages that say it.
    #[must_use]
    pub fn messages(&self) -> Vec<Refs> {
        let mut parts: Vec<&[_]> = self.refs.chunks(PER_MESSAGE).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let last = parts.len() - 1;
        let part =
            |(i, refs): (usize, &[_])| Refs::Some { head: self.head.clone(), refs: refs.to_vec(), more: i < last };
        parts.into_iter().enumerate().map(part).collect()
    }

    /// Takes in one more message's refs; `more` says that another follows. Fails when they are out of
    /// order or too many.
    ///
    /// # Errors
    /// What is wrong.
    pub fn extend(
        &mut self,
        head: Option<RefName>,
        refs: Vec<(RefName, Digest)>,
        more: bool,
    ) -> Result<(), &'static str> {
        if more && refs.is_empty() {
            return Err("a listing that goes on without end");
        }
        let last = self.refs.last().map(|(name, _)| name.clone());
        let names: Vec<&RefName> = last.iter().chain(refs.iter().map(|(name, _)| name)).collect();
        if names.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err("a listing of refs that is not sorted");
        }
        if self.refs.len() + refs.len() > MAX_REFS {
            return Err("a listing of more than a million refs");
        }
        self.head = head;
        self.refs.extend(refs);
        Ok(())
    }
}
