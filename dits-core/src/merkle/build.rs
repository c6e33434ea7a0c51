//! Building a tree from a sequence of items, in memory of a few nodes per level.

use super::node::Node;
use super::{Entry, Pending, Shape};
use crate::object::{Digest, Extension, ObjectWrite};
use crate::store::StoreError;

struct Level<S: Shape> {
    pending: Pending<S>,
    /// The first node, kept until there is a second: if there is none, it is the root and gets the extensions.
    first: Option<Vec<Entry<S>>>,
    /// Whether the first node was written, because there are others.
    several: bool,
}

/// Takes entries in order and writes nodes as they fill.
pub(crate) struct Builder<S: Shape> {
    base: u8,
    levels: Vec<Level<S>>,
    extensions: Vec<Extension>,
}

impl<S: Shape> Builder<S> {
    /// A builder whose root will carry `extensions`.
    pub fn new(extensions: Vec<Extension>) -> Self {
        Self::above(0, extensions)
    }

    /// A builder that is fed the entries of nodes of level `base`, two or more of them unless `base` is 0.
    pub fn above(base: u8, extensions: Vec<Extension>) -> Self {
        Self { base, levels: Vec::new(), extensions }
    }

    /// Adds the next entry of the lowest level.
    pub fn push(&mut self, entry: Entry<S>, write: &dyn ObjectWrite) -> Result<(), StoreError> {
        self.push_at(0, entry, write)
    }

    fn push_at(&mut self, at: usize, entry: Entry<S>, write: &dyn ObjectWrite) -> Result<(), StoreError> {
        if at == self.levels.len() {
            // At most 32 levels for any number of items that fits in a u64 count in practice; decoding checks it.
            let pending = Pending::new(self.base + at as u8);
            self.levels.push(Level { pending, first: None, several: false });
        }
        match self.levels[at].pending.push(entry) {
            Some(node) => self.close(at, node, write),
            None => Ok(()),
        }
    }

    fn close(&mut self, at: usize, node: Vec<Entry<S>>, write: &dyn ObjectWrite) -> Result<(), StoreError> {
        let level = &mut self.levels[at];
        if !level.several && level.first.is_none() {
            level.first = Some(node);
            return Ok(());
        }
        level.several = true;
        let number = level.pending.level;
        let first = level.first.take();
        for entries in first.into_iter().chain([node]) {
            let node = Node { level: number, entries, extensions: Vec::new() };
            if let Some(link) = node.write(write)? {
                self.push_at(at + 1, Entry::Link(link), write)?;
            }
        }
        Ok(())
    }

    /// Writes what is left and gives the root.
    pub fn finish(mut self, write: &dyn ObjectWrite) -> Result<Digest, StoreError> {
        let mut at = 0;
        while at < self.levels.len() {
            let rest = self.levels[at].pending.take();
            if !rest.is_empty() {
                self.close(at, rest, write)?;
            }
            let level = &mut self.levels[at];
            if let Some(entries) = level.first.take() {
                return Node { level: level.pending.level, entries, extensions: self.extensions }.write_root(write);
            }
            at += 1;
        }
        Node::<S> { level: self.base, entries: Vec::new(), extensions: self.extensions }.write_root(write)
    }
}
