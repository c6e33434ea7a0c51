//! Reading: one node after the other, each checked against the link that led to it.

use super::node::{Node, decode_node, malformed};
use super::{Entry, Link, Shape};
use crate::object::{Digest, ObjectRead};
use crate::store::StoreError;

/// Reads a root.
pub(crate) fn read_root<S: Shape>(read: &dyn ObjectRead, digest: &Digest) -> Result<Node<S>, StoreError> {
    let node: Node<S> = decode_node(digest, &read.read(S::KIND, digest)?)?;
    if node.level > 0 && node.entries.len() < 2 {
        return Err(malformed::<S>(digest, "its root has one link only"));
    }
    Ok(node)
}

/// Reads the child that `link` in a node of level `above` names. `bound` is the sum of the entry before the child's
/// first, where that is known.
pub(crate) fn read_child<S: Shape>(
    read: &dyn ObjectRead,
    above: u8,
    link: &Link<S>,
    bound: Option<S::Sum>,
) -> Result<Node<S>, StoreError> {
    let node: Node<S> = decode_node(&link.child, &read.read(S::KIND, &link.child)?)?;
    let bad = |what: &str| Err(malformed::<S>(&link.child, what));
    if node.level + 1 != above {
        return bad("its level does not fit the node above");
    }
    if node.sum() != Ok(Some(link.sum.clone())) {
        return bad("it does not hold what the node above says");
    }
    if node.extensions.iter().any(|extension| S::ROOT_TAGS.contains(&extension.tag)) {
        return bad("it has an extension that only a root may have");
    }
    if let (Some(mut bound), Some(first)) = (bound, node.entries.first()) {
        // The sum is thrown away: only the order matters here.
        if S::absorb(&mut bound, &first.sum()).is_err() {
            return bad("it does not follow the node before it");
        }
    }
    Ok(node)
}

/// The items from some place on, in order, read as they are asked for. Holds one node per level.
pub(crate) struct Walk<'a, S: Shape> {
    read: &'a dyn ObjectRead,
    /// From the root down; the number is that of the entry the next level is below, in a leaf of the next item.
    path: Vec<(Node<S>, usize)>,
}

impl<'a, S: Shape> Walk<'a, S> {
    /// Starts where `pick` leads: it is given the entries of the root, then of the child it picked, down to a leaf. When
    /// it picks nothing the walk is at its end.
    pub fn seek(
        read: &'a dyn ObjectRead,
        root: Node<S>,
        mut pick: impl FnMut(&[Entry<S>]) -> Option<usize>,
    ) -> Result<Self, StoreError> {
        let mut walk = Self { read, path: Vec::new() };
        let mut node = root;
        loop {
            let Some(at) = pick(&node.entries) else {
                walk.path.clear();
                return Ok(walk);
            };
            walk.path.push((node, at));
            match walk.child()? {
                Some(child) => node = child,
                None => return Ok(walk),
            }
        }
    }

    /// Starts at the first item.
    pub fn start(read: &'a dyn ObjectRead, root: Node<S>) -> Result<Self, StoreError> {
        Self::seek(read, root, |entries| (!entries.is_empty()).then_some(0))
    }

    /// The node below the lowest of the path, if that is no leaf.
    fn child(&self) -> Result<Option<Node<S>>, StoreError> {
        let Some((node, at)) = self.path.last() else { return Ok(None) };
        let Some(Entry::Link(link)) = node.entries.get(*at) else { return Ok(None) };
        let before = self.path.iter().rev().find(|(_, at)| *at > 0).map(|(node, at)| node.entries[at - 1].sum());
        read_child(self.read, node.level, link, before).map(Some)
    }

    fn step(&mut self) -> Result<Option<S::Item>, StoreError> {
        loop {
            let Some((node, at)) = self.path.last_mut() else { return Ok(None) };
            match node.entries.get(*at) {
                Some(Entry::Item(item)) => {
                    *at += 1;
                    return Ok(Some(item.clone()));
                }
                Some(Entry::Link(_)) => {
                    if let Some(child) = self.child()? {
                        self.path.push((child, 0));
                    }
                }
                None => {
                    self.path.pop();
                    if let Some((_, at)) = self.path.last_mut() {
                        *at += 1;
                    }
                }
            }
        }
    }
}

impl<S: Shape> Iterator for Walk<'_, S> {
    type Item = Result<S::Item, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.path.clear();
        }
        step.transpose()
    }
}
