//! What two trees do not share, reading only the nodes they do not share.
//!
//! Both trees are opened from the root down, one level at a time. On each level, whatever occurs on both sides is
//! dropped wherever it stands, so an insertion at the front costs no more than one in the middle.

use std::collections::HashSet;

use super::node::Node;
use super::read::read_child;
use super::{Entry, Shape};
use crate::object::ObjectRead;
use crate::store::StoreError;

/// An item and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed<S: Shape> {
    pub at: u64,
    pub item: S::Item,
}

/// The entries of one level of one side that may not be on the other.
struct Frontier<S: Shape> {
    level: u8,
    entries: Vec<(u64, Entry<S>)>,
}

impl<S: Shape> Frontier<S> {
    fn of(root: Node<S>) -> Self {
        let mut frontier = Self { level: root.level, entries: Vec::new() };
        frontier.add(0, root);
        frontier
    }

    fn add(&mut self, mut at: u64, node: Node<S>) {
        for entry in node.entries {
            let extent = entry.extent();
            self.entries.push((at, entry));
            at += extent;
        }
    }

    /// Goes down a level. A child that is named more than once is opened once: a file with holes of terabytes, or a
    /// hostile tree that names one child over and over, takes no more than its distinct nodes.
    fn descend(&mut self, read: &dyn ObjectRead) -> Result<(), StoreError> {
        let above = std::mem::take(&mut self.entries);
        let mut opened = HashSet::new();
        for (at, entry) in above {
            if let Entry::Link(link) = entry
                && opened.insert(link.child)
            {
                let child = read_child(read, self.level, &link, None)?;
                self.add(at, child);
            }
        }
        self.level = self.level.saturating_sub(1);
        Ok(())
    }

    fn items(self) -> Vec<Placed<S>> {
        let item = |(at, entry)| match entry {
            Entry::Item(item) => Some(Placed { at, item }),
            Entry::Link(_) => None,
        };
        self.entries.into_iter().filter_map(item).collect()
    }
}

fn drop_shared<S: Shape>(a: &mut Frontier<S>, b: &mut Frontier<S>) {
    let in_a: HashSet<&Entry<S>> = a.entries.iter().map(|(_, entry)| entry).collect();
    let shared: HashSet<Entry<S>> =
        b.entries.iter().map(|(_, entry)| entry).filter(|entry| in_a.contains(*entry)).cloned().collect();
    for side in [a, b] {
        side.entries.retain(|(_, entry)| !shared.contains(entry));
    }
}

/// The items of each tree that the other does not have, in order. An item that stands in a node both share counts as
/// had, and may be given all the same if it stands in another node too. How often each occurs is not compared, and of a
/// node that occurs more than once only the first is given.
pub(crate) fn diff<S: Shape>(read: &dyn ObjectRead, a: Node<S>, b: Node<S>) -> Result<[Vec<Placed<S>>; 2], StoreError> {
    let (mut a, mut b) = (Frontier::of(a), Frontier::of(b));
    while a.level != b.level {
        if a.level > b.level { a.descend(read)? } else { b.descend(read)? }
    }
    loop {
        drop_shared(&mut a, &mut b);
        if a.level == 0 {
            return Ok([a.items(), b.items()]);
        }
        a.descend(read)?;
        b.descend(read)?;
    }
}
