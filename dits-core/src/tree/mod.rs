//! Folders: entries sorted by name, as a Merkle tree (`docs/format/tree.md`).

use crate::merkle::{self, Entry, Node, Walk};
use crate::object::{Digest, ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::store::StoreError;

mod build;
mod diff;
mod entry;
mod shape;

pub use build::{TreeBuilder, TreeError, edit, from_paths, write_sorted};
pub use diff::{Change, DiffWalk, EntryPair, diff, diff_recursive};
pub use entry::{Content, EntryError, MAX_SYMLINK, Mode, TreeEntry};

pub(crate) use shape::Names;

/// A folder opened for reading: its root node, and where to read the rest when it is asked for.
pub struct Tree<'a> {
    read: &'a dyn ObjectRead,
    root: Node<Names>,
}

impl<'a> Tree<'a> {
    /// Reads the root node.
    ///
    /// # Errors
    /// When the store fails or the node breaks a rule of the format.
    pub fn open(read: &'a dyn ObjectRead, id: TreeId) -> Result<Self, StoreError> {
        Ok(Self { read, root: merkle::read_root(read, id.digest())? })
    }

    /// How many entries the folder has. The links say so: that the leaves agree shows only when they are read.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.root.sum().ok().flatten().map_or(0, |sum| sum.count)
    }

    /// Whether the folder is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.entries.is_empty()
    }

    /// The entry with this name, found by reading one node per level.
    ///
    /// # Errors
    /// When a node on the way cannot be read or breaks a rule.
    pub fn lookup(&self, name: &[u8]) -> Result<Option<TreeEntry>, StoreError> {
        let found = self.walk_from(name)?.next().transpose()?;
        Ok(found.filter(|entry| entry.name == name))
    }

    /// A walk from the first entry whose name is not below this one.
    fn walk_from(&self, name: &[u8]) -> Result<Walk<'a, Names>, StoreError> {
        Walk::seek(self.read, self.root.clone(), |entries| {
            let at = entries.partition_point(|entry| last_name(entry) < name);
            (at < entries.len()).then_some(at)
        })
    }

    /// How many names are below this one, and whether this one is there.
    fn position(&self, name: &[u8]) -> Result<(u64, bool), StoreError> {
        let mut before = 0;
        let mut walk = Walk::seek(self.read, self.root.clone(), |entries| {
            let at = entries.partition_point(|entry| last_name(entry) < name);
            before += entries[..at].iter().map(Entry::extent).sum::<u64>();
            (at < entries.len()).then_some(at)
        })?;
        let found = walk.next().transpose()?.is_some_and(|entry| entry.name == name);
        Ok((before, found))
    }

    /// The entries in the order of their names. Nodes are read as the iterator gets to them.
    ///
    /// # Errors
    /// When the first node cannot be read or breaks a rule.
    pub fn iter(&self) -> Result<TreeIter<'a>, StoreError> {
        Ok(TreeIter(Walk::start(self.read, self.root.clone())?))
    }

    /// The entries from `name` on, in the order of their names.
    ///
    /// # Errors
    /// As [`Tree::iter`].
    pub fn iter_from(&self, name: &[u8]) -> Result<TreeIter<'a>, StoreError> {
        Ok(TreeIter(self.walk_from(name)?))
    }

    /// All entries at once.
    ///
    /// # Errors
    /// When a node cannot be read or breaks a rule.
    pub fn entries(&self) -> Result<Vec<TreeEntry>, StoreError> {
        self.iter()?.collect()
    }

    /// Whether the root node holds something this version does not know, which may refer to other objects.
    #[must_use]
    pub fn has_unknown_extensions(&self) -> bool {
        self.root.has_unknown_extensions()
    }

    /// The entry at a path below the folder `root`; `None` when there is none, or something on the way is no folder.
    ///
    /// # Errors
    /// When a node on the way cannot be read or breaks a rule.
    pub fn at_path(read: &dyn ObjectRead, root: TreeId, path: &RepoPath) -> Result<Option<TreeEntry>, StoreError> {
        let mut folder = root;
        let mut components = path.components().peekable();
        while let Some(name) = components.next() {
            let found = Tree::open(read, folder)?.lookup(name)?;
            match found {
                Some(entry) if components.peek().is_none() => return Ok(Some(entry)),
                Some(TreeEntry { content: Content::Tree(id), .. }) => folder = id,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

fn last_name(entry: &Entry<Names>) -> &[u8] {
    match entry {
        Entry::Item(item) => &item.name,
        Entry::Link(link) => &link.sum.last,
    }
}

/// The entries of a folder.
pub struct TreeIter<'a>(Walk<'a, Names>);

impl Iterator for TreeIter<'_> {
    type Item = Result<TreeEntry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// What one node of a folder refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct References {
    /// Child nodes of the same folder, in order.
    pub nodes: Vec<Digest>,
    /// Entries, in order: a node has either these or child nodes.
    pub entries: Vec<TreeEntry>,
    /// Whether it holds an extension of a later version, which may refer to more.
    pub unknown_extensions: bool,
}

/// What the node named `digest` with these bytes refers to: for gc, fsck and transfer, which visit each node once.
///
/// # Errors
/// When the bytes break a rule of the format.
pub fn references(digest: &Digest, bytes: &[u8]) -> Result<References, StoreError> {
    let node: Node<Names> = merkle::decode_node(digest, bytes)?;
    let unknown_extensions = node.has_unknown_extensions();
    let mut references = References { nodes: Vec::new(), entries: Vec::new(), unknown_extensions };
    for entry in node.entries {
        match entry {
            Entry::Item(entry) => references.entries.push(entry),
            Entry::Link(link) => references.nodes.push(link.child),
        }
    }
    Ok(references)
}

#[cfg(test)]
mod tests;
