//! What differs between two folders, and between all below them.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::shape::Names;
use super::{Content, Tree, TreeEntry};
use crate::merkle::{self, Placed};
use crate::object::{ObjectKind, ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::store::StoreError;

/// The entry of a name before and after.
pub type EntryPair = (Option<TreeEntry>, Option<TreeEntry>);

/// The names whose entries differ between two folders, in the order of the names; `None` is a folder that does not
/// exist. Reads only nodes the two do not share.
///
/// # Errors
/// When a node cannot be read or breaks a rule.
pub fn diff(read: &dyn ObjectRead, old: Option<TreeId>, new: Option<TreeId>) -> Result<Vec<EntryPair>, StoreError> {
    let entries = |id: TreeId| Tree::open(read, id)?.entries();
    match (old, new) {
        (old, new) if old == new => Ok(Vec::new()),
        (None, None) => Ok(Vec::new()),
        (Some(old), None) => Ok(entries(old)?.into_iter().map(|entry| (Some(entry), None)).collect()),
        (None, Some(new)) => Ok(entries(new)?.into_iter().map(|entry| (None, Some(entry))).collect()),
        (Some(old), Some(new)) => {
            let [old, new] = merkle::diff(read, Tree::open(read, old)?.root, Tree::open(read, new)?.root)?;
            Ok(merge(old, new))
        }
    }
}

/// Joins two lists sorted by name.
fn merge(old: Vec<Placed<Names>>, new: Vec<Placed<Names>>) -> Vec<EntryPair> {
    let entries = |side: Vec<Placed<Names>>| side.into_iter().map(|placed| placed.item).peekable();
    let (mut old, mut new) = (entries(old), entries(new));
    let mut pairs = Vec::new();
    loop {
        let (from_old, from_new) = match (old.peek(), new.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => (true, false),
            (None, Some(_)) => (false, true),
            (Some(a), Some(b)) => (a.name <= b.name, b.name <= a.name),
        };
        let take = |wanted: bool, side: &mut Peekable<_>| if wanted { side.next() } else { None };
        pairs.push((take(from_old, &mut old), take(from_new, &mut new)));
    }
}

/// Something that is no folder and differs. A folder in the place of a file, or the other way round, shows as the
/// file's change and the changes of all that was or is below the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it is.
    pub path: RepoPath,
    /// What was there.
    pub old: Option<TreeEntry>,
    /// What is there now.
    pub new: Option<TreeEntry>,
}

/// Compares two folders and all below them; `None` is a folder that does not exist. The changes come sorted by the
/// bytes of their whole paths, as the index is. Nodes are read as the iterator gets to them, and only those the two do
/// not share.
pub fn diff_recursive(read: &dyn ObjectRead, old: Option<TreeId>, new: Option<TreeId>) -> DiffWalk<'_> {
    let top = Step::Folder(None, old, new);
    DiffWalk { read, path: vec![vec![top].into_iter()] }
}

/// What is next in a folder.
enum Step {
    Change(Change),
    /// A path, `None` for the top folder, and the folders to compare there.
    Folder(Option<RepoPath>, Option<TreeId>, Option<TreeId>),
}

impl Step {
    /// The order of whole paths: what is below a folder sorts as if the folder's name ended in a slash.
    fn sort_key(&self) -> (&[u8], Option<u8>) {
        match self {
            Self::Change(change) => (change.path.as_bytes(), None),
            Self::Folder(path, ..) => (path.as_ref().map_or(&[][..], RepoPath::as_bytes), Some(b'/')),
        }
    }
}

/// The changes between two folders.
pub struct DiffWalk<'a> {
    read: &'a dyn ObjectRead,
    /// What is left in the folders that are open, outermost first.
    path: Vec<IntoIter<Step>>,
}

impl DiffWalk<'_> {
    fn open(
        &self,
        folder: Option<&RepoPath>,
        old: Option<TreeId>,
        new: Option<TreeId>,
    ) -> Result<Vec<Step>, StoreError> {
        let mut steps = Vec::new();
        for (old_entry, new_entry) in diff(self.read, old, new)? {
            let name = old_entry.as_ref().or(new_entry.as_ref()).map_or(&[][..], |entry| &entry.name);
            let path = RepoPath::join_to(folder, name).map_err(|e| too_deep(old.or(new), &e.to_string()))?;
            let (old_file, old_folder) = split(old_entry);
            let (new_file, new_folder) = split(new_entry);
            // Of two folders that differ only in the recorded size there is nothing to say.
            if old_folder != new_folder {
                steps.push(Step::Folder(Some(path.clone()), old_folder, new_folder));
            }
            if old_file.is_some() || new_file.is_some() {
                steps.push(Step::Change(Change { path, old: old_file, new: new_file }));
            }
        }
        steps.sort_by(|a, b| {
            let ((a, a_end), (b, b_end)) = (a.sort_key(), b.sort_key());
            a.iter().chain(&a_end).cmp(b.iter().chain(&b_end))
        });
        Ok(steps)
    }

    fn step(&mut self) -> Result<Option<Change>, StoreError> {
        while let Some(folder) = self.path.last_mut() {
            match folder.next() {
                Some(Step::Change(change)) => return Ok(Some(change)),
                Some(Step::Folder(path, old, new)) => {
                    let steps = self.open(path.as_ref(), old, new)?;
                    self.path.push(steps.into_iter());
                }
                None => {
                    self.path.pop();
                }
            }
        }
        Ok(None)
    }
}

impl Iterator for DiffWalk<'_> {
    type Item = Result<Change, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.path.clear();
        }
        step.transpose()
    }
}

/// An entry as file or link, or as folder.
fn split(entry: Option<TreeEntry>) -> (Option<TreeEntry>, Option<TreeId>) {
    match entry {
        Some(TreeEntry { content: Content::Tree(id), .. }) => (None, Some(id)),
        other => (other, None),
    }
}

fn too_deep(tree: Option<TreeId>, what: &str) -> StoreError {
    let digest = tree.map_or_else(|| *TreeId::of(&[]).digest(), |id| *id.digest());
    StoreError::Malformed { kind: ObjectKind::Tree, digest, what: what.to_owned() }
}
