//! What folders say of the sizes of what is in them, against what that really holds.

use std::collections::HashMap;

use crate::maintain::References;
use crate::object::Digest;

/// What one node of a file's or folder's tree adds to its size, and the nodes below it.
#[derive(Debug)]
struct Node {
    bytes: u64,
    nodes: Vec<Digest>,
}

/// Collects sizes while references are followed.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    nodes: HashMap<Digest, Node>,
    /// What was said first, and by which node.
    said: HashMap<Digest, (u64, Digest)>,
    /// Where two nodes say different things.
    disputed: Vec<(Digest, u64, Digest)>,
}

impl Sizes {
    /// Takes in one node; each comes once.
    pub(super) fn take(&mut self, digest: Digest, found: &References) {
        self.nodes.insert(digest, Node { bytes: found.bytes, nodes: found.nodes.clone() });
        for (item, size) in &found.sizes {
            match self.said.get(item) {
                None => _ = self.said.insert(*item, (*size, digest)),
                Some((known, _)) if known == size => {}
                Some(_) => self.disputed.push((*item, *size, digest)),
            }
        }
    }

    /// What is wrong, one sentence each. Things of which a node could not be read are left out: that is reported.
    pub(super) fn wrong(&self) -> Vec<String> {
        let said = self.said.iter().map(|(item, (size, by))| (*item, *size, *by));
        let mut wrong: Vec<String> = said
            .chain(self.disputed.iter().copied())
            .filter_map(|(item, size, by)| {
                let real = self.total(&item).filter(|real| *real != size)?;
                Some(format!("folder {by} says that {item} has {size} bytes, but it has {real}"))
            })
            .collect();
        wrong.sort_unstable();
        wrong
    }

    fn total(&self, root: &Digest) -> Option<u64> {
        let (mut total, mut stack) = (0_u64, vec![root]);
        while let Some(digest) = stack.pop() {
            let node = self.nodes.get(digest)?;
            total = total.checked_add(node.bytes)?;
            stack.extend(&node.nodes);
        }
        Some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_nodes_are_compared_with_what_is_said() {
        let id = |n: u8| Digest([n; 32]);
        let leaf = |bytes| References { bytes, ..References::default() };
        let mut sizes = Sizes::default();
        sizes.take(id(1), &leaf(5));
        sizes.take(id(2), &leaf(7));
        sizes.take(id(3), &References { nodes: vec![id(1), id(2)], ..References::default() });
        sizes.take(id(4), &References { sizes: vec![(id(3), 12), (id(9), 1)], ..References::default() });
        assert!(sizes.wrong().is_empty(), "what was not read is not judged");
        sizes.take(id(5), &References { sizes: vec![(id(3), 13), (id(1), 4)], ..References::default() });
        assert_eq!(sizes.wrong().len(), 2, "{:?}", sizes.wrong());
    }
}
