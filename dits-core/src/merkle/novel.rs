//! The nodes of one tree that others do not have, reading only what they do not share.
//!
//! Like [`super::diff()`], level by level from the roots down; what occurs on both sides is dropped wherever it stands.

use std::collections::HashSet;

use super::node::{Node, decode_node, malformed};
use super::{Entry, Link, Shape};
use crate::object::{Digest, ObjectRead};
use crate::store::StoreError;

/// What a search for new nodes meets.
pub(crate) trait Visitor<E> {
    /// Whether a node was met before, with everything below it.
    fn seen(&self, node: &Digest) -> bool;
    /// A new node and its bytes.
    fn node(&mut self, node: Digest, bytes: Vec<u8>) -> Result<(), E>;
    /// A new node that is not there.
    fn missing(&mut self, node: Digest) -> Result<(), E>;
}

/// The items of one level of one tree.
struct Frontier<S: Shape> {
    level: u8,
    entries: Vec<Entry<S>>,
}

impl<S: Shape> Frontier<S> {
    fn links(self) -> impl Iterator<Item = Link<S>> {
        let mut opened = HashSet::new();
        self.entries.into_iter().filter_map(move |entry| match entry {
            Entry::Link(link) => opened.insert(link.clone()).then_some(link),
            Entry::Item(_) => None,
        })
    }

    fn items(self) -> Vec<S::Item> {
        let item = |entry| match entry {
            Entry::Item(item) => Some(item),
            Entry::Link(_) => None,
        };
        self.entries.into_iter().filter_map(item).collect()
    }
}

/// The items that only the new tree has, and those that only the old ones have.
pub(crate) struct Difference<S: Shape> {
    pub new: Vec<S::Item>,
    pub old: Vec<S::Item>,
}

/// Visits every node of `new` that no tree of `old` has and that was not met before, from the root down; each holds what the
/// link to it says. Items are given back if `items` says so. A node of `old` that is not there is taken to have nothing in common.
pub(crate) fn novel<S: Shape, E: From<StoreError>>(
    read: &dyn ObjectRead,
    new: Digest,
    old: &[Digest],
    items: bool,
    visitor: &mut dyn Visitor<E>,
) -> Result<Difference<S>, E> {
    if old.contains(&new) {
        return Ok(Difference { new: Vec::new(), old: Vec::new() });
    }
    let mut new = open_new(read, [(new, None)].into_iter(), None, items, visitor)?;
    let mut olds = Vec::new();
    for root in old {
        olds.extend(open_old(read, [*root].into_iter(), None)?);
    }
    loop {
        let level = olds.iter().map(|old: &Frontier<S>| old.level).fold(new.level, u8::max);
        if new.level == level {
            let equal = olds.iter_mut().filter(|old| old.level == level);
            drop_shared(&mut new, equal.collect());
        }
        if level == 0 || new.entries.is_empty() {
            let old = olds.into_iter().filter(|old| old.level == 0).flat_map(Frontier::items).collect();
            let new = if new.level == 0 { new.items() } else { Vec::new() };
            return Ok(Difference { new, old });
        }
        let mut below = Vec::new();
        for old in olds {
            if old.level == level {
                below.extend(open_old(read, old.links().map(|link| link.child), Some(level))?);
            } else {
                below.push(old);
            }
        }
        olds = below;
        if new.level == level {
            let links = new.links().map(|link| (link.child, Some(link.sum)));
            new = open_new(read, links, Some(level), items, visitor)?;
        }
    }
}

fn drop_shared<S: Shape>(new: &mut Frontier<S>, mut olds: Vec<&mut Frontier<S>>) {
    let shared: HashSet<Entry<S>> = {
        let in_new: HashSet<&Entry<S>> = new.entries.iter().collect();
        let old = olds.iter().flat_map(|old| &old.entries);
        old.filter(|entry| in_new.contains(entry)).cloned().collect()
    };
    new.entries.retain(|entry| !shared.contains(entry));
    olds.iter_mut().for_each(|old| old.entries.retain(|entry| !shared.contains(entry)));
}

fn open_new<S: Shape, E: From<StoreError>>(
    read: &dyn ObjectRead,
    nodes: impl Iterator<Item = (Digest, Option<S::Sum>)>,
    above: Option<u8>,
    items: bool,
    visitor: &mut dyn Visitor<E>,
) -> Result<Frontier<S>, E> {
    let mut below = Frontier { level: above.map_or(0, |above| above - 1), entries: Vec::new() };
    for (digest, said) in nodes {
        let seen = visitor.seen(&digest);
        if seen && said.is_none() {
            continue;
        }
        let bytes = match read.read(S::KIND, &digest) {
            Err(StoreError::Missing { .. }) => {
                visitor.missing(digest)?;
                continue;
            }
            read => read?,
        };
        let node = child::<S>(&digest, &bytes, above)?;
        if said.is_some_and(|said| node.sum() != Ok(Some(said))) {
            return Err(malformed::<S>(&digest, "it does not hold what the node above says").into());
        }
        if seen {
            continue;
        }
        visitor.node(digest, bytes)?;
        below.level = node.level;
        if items || node.level > 0 {
            below.entries.extend(node.entries);
        }
    }
    Ok(below)
}

fn open_old<S: Shape>(
    read: &dyn ObjectRead,
    nodes: impl Iterator<Item = Digest>,
    above: Option<u8>,
) -> Result<Option<Frontier<S>>, StoreError> {
    let mut below = None;
    for digest in nodes {
        let bytes = match read.read(S::KIND, &digest) {
            Err(StoreError::Missing { .. }) => continue,
            read => read?,
        };
        let node = child::<S>(&digest, &bytes, above)?;
        let below = below.get_or_insert(Frontier { level: node.level, entries: Vec::new() });
        below.entries.extend(node.entries);
    }
    Ok(below)
}

fn child<S: Shape>(digest: &Digest, bytes: &[u8], above: Option<u8>) -> Result<Node<S>, StoreError> {
    let node = decode_node::<S>(digest, bytes)?;
    if above.is_some_and(|above| node.level + 1 != above) {
        return Err(malformed::<S>(digest, "its level does not fit the node above"));
    }
    Ok(node)
}
