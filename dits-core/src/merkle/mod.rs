//! The Merkle B-tree behind manifests and folders.
//!
//! A sequence of items is cut into leaf nodes, the sequence of links to those into nodes of level 1, and so on until a
//! level has one node: the root. Where a node ends is decided by what it holds (a "prolly tree", as in Noms and Dolt),
//! so the nodes are a function of the sequence alone, whatever edits led to it, and an edit leaves all but a few nodes
//! as they are. Unlike in those, the decision never looks ahead and weighs entries by their bytes:
//! `docs/format/merkle.md` has the rule.

use std::fmt::Debug;
use std::hash::Hash;

use bincode::{Decode, Encode};

use crate::object::{Digest, Extension, ObjectKind};

mod build;
mod diff;
mod node;
mod novel;
mod read;
mod splice;

pub(crate) use build::Builder;
pub(crate) use diff::{Placed, diff};
pub(crate) use node::{Node, decode_node};
pub(crate) use novel::{Visitor, novel};
pub(crate) use read::{Walk, read_root};
pub(crate) use splice::{Edit, SpliceError, splice};

/// Below this weight in bytes a node is not closed.
pub(crate) const MIN: usize = 1024;
/// The weight nodes have on average.
pub(crate) const AVG: usize = 4096;
/// A node of this weight or more is closed.
pub(crate) const FULL: usize = 7680;
/// The longest encoded node. [`FULL`] plus the longest entry stays below it.
pub(crate) const CAP: usize = 12 << 10;
/// The deepest tree. Every node but the last of a level has two entries or more, so 2^32 leaves fit.
pub(crate) const MAX_LEVEL: u8 = 32;

/// What decides whether a node ends after an entry.
pub(crate) struct Cut {
    /// The bytes the entry counts for: at least its encoded length.
    pub weight: usize,
    /// Uniformly distributed bits made from the entry's key.
    pub hash: u64,
}

/// What a Merkle tree holds.
pub(crate) trait Shape: Clone + Debug + Eq + Hash {
    /// The kind its nodes are stored as.
    const KIND: ObjectKind;
    /// The tags of the extensions that are known, all of which belong in the root only.
    const ROOT_TAGS: &[u32];
    /// What the leaves list.
    type Item: Clone + Debug + Eq + Hash + Encode + Decode<()>;
    /// What a link says of the items below it.
    type Sum: Clone + Debug + Eq + Hash + Encode + Decode<()>;

    /// The sum of one item.
    fn sum(item: &Self::Item) -> Self::Sum;
    /// Makes `sum` cover `next` as well, which follows it; fails when it cannot follow.
    fn absorb(sum: &mut Self::Sum, next: &Self::Sum) -> Result<(), &'static str>;
    /// How far the items reach in the unit that positions are counted in; never 0 for a valid item.
    fn extent(sum: &Self::Sum) -> u64;
    /// Whether an item obeys the rules that hold for it alone.
    fn check_item(item: &Self::Item) -> Result<(), String>;
    /// Whether a link's sum can be right.
    fn check_sum(sum: &Self::Sum) -> Result<(), String>;
    /// The cut after an item.
    fn item_cut(item: &Self::Item) -> Cut;
    /// The cut after a link, in a node of `level`.
    fn link_cut(level: u8, link: &Link<Self>) -> Cut;
}

/// How an inner node names a child.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link<S: Shape> {
    /// The child node.
    pub child: Digest,
    /// What lies below it.
    pub sum: S::Sum,
}

/// What a node lists: items in a leaf, links in all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Entry<S: Shape> {
    /// Of a leaf.
    Item(S::Item),
    /// Of a node above.
    Link(Link<S>),
}

impl<S: Shape> Entry<S> {
    fn sum(&self) -> S::Sum {
        match self {
            Self::Item(item) => S::sum(item),
            Self::Link(link) => link.sum.clone(),
        }
    }

    /// How far what the entry stands for reaches.
    pub fn extent(&self) -> u64 {
        match self {
            Self::Item(item) => S::extent(&S::sum(item)),
            Self::Link(link) => S::extent(&link.sum),
        }
    }

    fn cut(&self, level: u8) -> Cut {
        match self {
            Self::Item(item) => S::item_cut(item),
            Self::Link(link) => S::link_cut(level, link),
        }
    }
}

/// The entries of the node being filled.
struct Pending<S: Shape> {
    level: u8,
    entries: Vec<Entry<S>>,
    weight: usize,
}

impl<S: Shape> Pending<S> {
    fn new(level: u8) -> Self {
        Self { level, entries: Vec::new(), weight: 0 }
    }

    /// Adds an entry; gives the node's entries if it ends there.
    fn push(&mut self, entry: Entry<S>) -> Option<Vec<Entry<S>>> {
        let cut = entry.cut(self.level);
        self.entries.push(entry);
        self.weight += cut.weight;
        self.closes(&cut).then(|| self.take())
    }

    fn closes(&self, cut: &Cut) -> bool {
        if self.weight < MIN || self.entries.len() < 2 {
            return false;
        }
        let threshold = (u64::MAX / (AVG - MIN) as u64).saturating_mul(cut.weight as u64);
        self.weight >= FULL || cut.hash < threshold
    }

    fn take(&mut self) -> Vec<Entry<S>> {
        self.weight = 0;
        std::mem::take(&mut self.entries)
    }
}

/// Whether extensions are sorted by tag, each tag once.
pub(crate) fn extensions_in_order(extensions: &[Extension]) -> bool {
    extensions.windows(2).all(|pair| pair[0].tag < pair[1].tag)
}
