//! Replacing some items of a tree, with the result a build of the whole would give.
//!
//! Level by level: new nodes are begun at the old node that holds the first change, and filled until one ends where an
//! old node ends. From there on the old nodes are what a build would make, because a node depends on nothing before it.
//! What was replaced is an edit of the level above.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::build::Builder;
use super::node::Node;
use super::read::read_child;
use super::{Entry, Link, Pending, Shape};
use crate::object::{Digest, ObjectWrite};
use crate::store::StoreError;

/// Entries of a level that go, by the positions they have in the old tree, and those that come.
pub(crate) struct Edit<S: Shape> {
    pub old: Range<u64>,
    pub new: Vec<Entry<S>>,
}

/// Why a tree was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpliceError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("position {0} is inside an item, past the end or before the end of the edit before")]
    Position(u64),
}

/// Applies edits, sorted and disjoint, to the tree below `root`, and gives the new root. The root's extensions stay.
pub(crate) fn splice<S: Shape>(
    write: &dyn ObjectWrite,
    root: Node<S>,
    mut edits: Vec<Edit<S>>,
) -> Result<Digest, SpliceError> {
    let mut source = Source::new(write, root);
    check_order(&edits, source.total)?;
    for level in 0..source.root.level {
        edits = splice_level(&mut source, level, edits)?;
    }
    let mut entries = apply(&source.root, edits)?;
    let Node { level, extensions, .. } = Arc::unwrap_or_clone(source.root);
    if let ([Entry::Link(_)], Some(Entry::Link(only))) = (&entries[..], entries.last()) {
        let mut node = read_child(write, level, only, None)?;
        while let [Entry::Link(only)] = &node.entries[..] {
            node = read_child(write, node.level, only, None)?;
        }
        return Ok(Node { extensions, ..node }.write_root(write)?);
    }
    let base = if entries.is_empty() { 0 } else { level };
    let mut builder = Builder::above(base, extensions);
    entries.drain(..).try_for_each(|entry| builder.push(entry, write))?;
    Ok(builder.finish(write)?)
}

fn check_order<S: Shape>(edits: &[Edit<S>], total: u64) -> Result<(), SpliceError> {
    let mut done = 0;
    for Edit { old, .. } in edits {
        for position in [old.start, old.end] {
            if position < done || position > total {
                return Err(SpliceError::Position(position));
            }
            done = position;
        }
    }
    Ok(())
}

/// The old tree.
struct Source<'a, S: Shape> {
    write: &'a dyn ObjectWrite,
    root: Arc<Node<S>>,
    total: u64,
    /// Inner nodes, which every level has to pass again. Leaves are passed once.
    inner: HashMap<Digest, Arc<Node<S>>>,
    /// The last leaf: in a hole of a file the next ones are the same.
    leaf: Option<(Digest, Arc<Node<S>>)>,
}

impl<'a, S: Shape> Source<'a, S> {
    fn new(write: &'a dyn ObjectWrite, root: Node<S>) -> Self {
        let total = root.entries.iter().map(Entry::extent).sum();
        Self { write, root: Arc::new(root), total, inner: HashMap::new(), leaf: None }
    }

    /// The node of `level` that holds what is at `position`, or the last one, and where it starts.
    fn node_at(&mut self, level: u8, position: u64) -> Result<(Arc<Node<S>>, u64), StoreError> {
        let (mut node, mut start) = (self.root.clone(), 0);
        while node.level > level {
            let mut at = 0;
            while at + 1 < node.entries.len() && start + node.entries[at].extent() <= position {
                start += node.entries[at].extent();
                at += 1;
            }
            let before = at.checked_sub(1).map(|before| node.entries[before].sum());
            let Some(Entry::Link(link)) = node.entries.get(at) else { break };
            node = self.child(node.level, link, before)?;
        }
        Ok((node, start))
    }

    fn child(&mut self, above: u8, link: &Link<S>, before: Option<S::Sum>) -> Result<Arc<Node<S>>, StoreError> {
        if let Some(node) = self.inner.get(&link.child) {
            return Ok(node.clone());
        }
        if let Some((_, node)) = self.leaf.as_ref().filter(|(digest, _)| *digest == link.child) {
            return Ok(node.clone());
        }
        let node = Arc::new(read_child(self.write, above, link, before)?);
        if node.level > 0 {
            self.inner.insert(link.child, node.clone());
        } else {
            self.leaf = Some((link.child, node.clone()));
        }
        Ok(node)
    }
}

/// A place between two entries of one level of the old tree.
struct Cursor<S: Shape> {
    node: Arc<Node<S>>,
    at: usize,
    position: u64,
}

impl<S: Shape> Cursor<S> {
    /// The start of the node that holds `position`.
    fn open(source: &mut Source<'_, S>, level: u8, position: u64) -> Result<Self, StoreError> {
        let (node, start) = source.node_at(level, position)?;
        Ok(Self { node, at: 0, position: start })
    }

    fn is_between_nodes(&self) -> bool {
        self.at == 0 || self.at == self.node.entries.len()
    }

    fn next(&mut self, source: &mut Source<'_, S>) -> Result<Option<Entry<S>>, StoreError> {
        if self.at == self.node.entries.len() && self.position < source.total {
            *self = Self::open(source, self.node.level, self.position)?;
        }
        let Some(entry) = self.node.entries.get(self.at).cloned() else { return Ok(None) };
        self.at += 1;
        self.position += entry.extent();
        Ok(Some(entry))
    }

    /// Goes forward to `position`, past the nodes between without reading them.
    fn advance(&mut self, source: &mut Source<'_, S>, position: u64) -> Result<(), SpliceError> {
        loop {
            while let Some(entry) = self.node.entries.get(self.at).filter(|_| self.position < position) {
                self.position += entry.extent();
                self.at += 1;
            }
            if self.position >= position {
                break;
            }
            *self = Self::open(source, self.node.level, position)?;
        }
        if self.position > position { Err(SpliceError::Position(position)) } else { Ok(()) }
    }
}

/// New nodes of one level.
struct Run<'a, S: Shape> {
    write: &'a dyn ObjectWrite,
    pending: Pending<S>,
    links: Vec<Entry<S>>,
}

impl<S: Shape> Run<'_, S> {
    fn push(&mut self, entry: Entry<S>) -> Result<(), StoreError> {
        match self.pending.push(entry) {
            Some(entries) => self.close(entries),
            None => Ok(()),
        }
    }

    fn close(&mut self, entries: Vec<Entry<S>>) -> Result<(), StoreError> {
        let node = Node { level: self.pending.level, entries, extensions: Vec::new() };
        self.links.extend(node.write(self.write)?.map(Entry::Link));
        Ok(())
    }
}

/// Applies edits to the entries of one level below the root; gives the edits of the level above.
fn splice_level<S: Shape>(
    source: &mut Source<'_, S>,
    level: u8,
    edits: Vec<Edit<S>>,
) -> Result<Vec<Edit<S>>, SpliceError> {
    let mut edits = edits.into_iter().peekable();
    let mut above = Vec::new();
    while let Some(first) = edits.peek() {
        let mut cursor = Cursor::open(source, level, first.old.start)?;
        let begin = cursor.position;
        let mut run = Run { write: source.write, pending: Pending::new(level), links: Vec::new() };
        let mut changed = false;
        loop {
            if let Some(edit) = edits.next_if(|edit| edit.old.start <= cursor.position) {
                if edit.old.start < cursor.position {
                    return Err(SpliceError::Position(edit.old.start));
                }
                edit.new.into_iter().try_for_each(|entry| run.push(entry))?;
                cursor.advance(source, edit.old.end)?;
                changed = true;
            } else if changed && run.pending.entries.is_empty() && cursor.is_between_nodes() {
                break;
            } else if let Some(entry) = cursor.next(source)? {
                run.push(entry)?;
            } else {
                let rest = run.pending.take();
                run.close(rest)?;
                break;
            }
        }
        above.push(Edit { old: begin..cursor.position, new: run.links });
    }
    Ok(above)
}

/// The root's entries after the edits.
fn apply<S: Shape>(root: &Node<S>, edits: Vec<Edit<S>>) -> Result<Vec<Entry<S>>, SpliceError> {
    let mut old = root.entries.iter();
    let mut position = 0;
    let mut entries = Vec::new();
    for edit in edits {
        for (end, keep) in [(edit.old.start, true), (edit.old.end, false)] {
            while position < end {
                let Some(entry) = old.next() else { return Err(SpliceError::Position(end)) };
                position += entry.extent();
                entries.extend(keep.then(|| entry.clone()));
            }
            if position > end {
                return Err(SpliceError::Position(end));
            }
        }
        entries.extend(edit.new.iter().cloned());
    }
    entries.extend(old.cloned());
    Ok(entries)
}
