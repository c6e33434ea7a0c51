//! Making and changing folders.

use super::shape::Names;
use super::{Content, EntryError, Mode, Tree, TreeEntry};
use crate::merkle::{self, Builder, Edit, Entry, SpliceError};
use crate::object::{ObjectWrite, TreeId};
use crate::path::RepoPath;
use crate::store::StoreError;

/// Why a folder could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry breaks a rule.
    #[error("`{name}`: {error}")]
    Entry {
        /// The entry's name or path.
        name: String,
        /// What is wrong.
        error: EntryError,
    },
    /// Names or paths are not in ascending order.
    #[error("`{0}` does not come after the name before it")]
    Order(String),
    /// Something is to be both a file and a folder.
    #[error("`{0}` is both a file and a folder")]
    FileAndFolder(String),
    /// A folder that would hold more than 2^64 - 1 bytes.
    #[error("`{0}` gets larger than 2^64 - 1 bytes")]
    TooLarge(String),
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Makes a folder of entries in ascending order of their names. Holds a few nodes, however many entries there are.
pub struct TreeBuilder {
    nodes: Builder<Names>,
    last: Option<Vec<u8>>,
}

impl Default for TreeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl TreeBuilder {
    /// A builder for one folder.
    #[must_use]
    pub fn new() -> Self {
        Self { nodes: Builder::new(Vec::new()), last: None }
    }

    /// Adds the next entry.
    ///
    /// # Errors
    /// When it breaks a rule, its name does not come after the one before it, or the store fails.
    pub fn push(&mut self, entry: TreeEntry, write: &dyn ObjectWrite) -> Result<(), TreeError> {
        check(&entry)?;
        if self.last.as_ref().is_some_and(|last| *last >= entry.name) {
            return Err(TreeError::Order(shown(&entry.name)));
        }
        self.last.get_or_insert_default().clone_from(&entry.name);
        Ok(self.nodes.push(Entry::Item(entry), write)?)
    }

    /// Writes what is left and names the folder.
    ///
    /// # Errors
    /// When the store fails.
    pub fn finish(self, write: &dyn ObjectWrite) -> Result<TreeId, TreeError> {
        Ok(TreeId::from_digest(self.nodes.finish(write)?))
    }
}

fn check(entry: &TreeEntry) -> Result<(), TreeError> {
    entry.check().map_err(|error| TreeError::Entry { name: shown(&entry.name), error })
}

/// Makes a folder of entries sorted by name.
///
/// # Errors
/// As [`TreeBuilder::push`].
pub fn write_sorted(
    entries: impl IntoIterator<Item = TreeEntry>,
    write: &dyn ObjectWrite,
) -> Result<TreeId, TreeError> {
    let mut builder = TreeBuilder::new();
    entries.into_iter().try_for_each(|entry| builder.push(entry, write))?;
    builder.finish(write)
}

/// Changes some entries of a folder, given in ascending order of their names: `None` takes the entry away if there is
/// one. Gives what [`write_sorted`] would give for all entries, but reads and writes only nodes near the changes.
///
/// # Errors
/// When an entry breaks a rule or has another name than the one beside it, names are not in order, or the store fails.
pub fn edit(
    write: &dyn ObjectWrite,
    folder: TreeId,
    changes: Vec<(Vec<u8>, Option<TreeEntry>)>,
) -> Result<TreeId, TreeError> {
    let tree = Tree::open(write, folder)?;
    let mut edits = Vec::with_capacity(changes.len());
    let mut last: Option<Vec<u8>> = None;
    for (name, new) in changes {
        if last.as_ref().is_some_and(|last| *last >= name) || new.as_ref().is_some_and(|new| new.name != name) {
            return Err(TreeError::Order(shown(&name)));
        }
        new.as_ref().map_or(Ok(()), check)?;
        let (at, found) = tree.position(&name)?;
        edits.push(Edit { old: at..at + u64::from(found), new: new.into_iter().map(Entry::Item).collect() });
        last = Some(name);
    }
    match merkle::splice(write, tree.root, edits) {
        Ok(root) => Ok(TreeId::from_digest(root)),
        Err(SpliceError::Store(error)) => Err(error.into()),
        // Positions come from the tree itself, whose leaves contradict its links if they do not fit.
        Err(SpliceError::Position(_)) => Err(TreeError::Order(shown(&last.unwrap_or_default()))),
    }
}

/// A folder that is being filled.
#[derive(Default)]
struct Open {
    /// The length of its path, in bytes; 0 for the top folder.
    depth: usize,
    name: Vec<u8>,
    size: u64,
    entries: Vec<TreeEntry>,
}

impl Open {
    fn add(&mut self, entry: TreeEntry) -> Result<(), TreeError> {
        self.size = self.size.checked_add(entry.size).ok_or_else(|| TreeError::TooLarge(shown(&self.name)))?;
        self.entries.push(entry);
        Ok(())
    }

    /// Writes the folder. Paths come sorted as wholes: `a.b` before `a/b`, so `a.b` before `a`. Here they are sorted
    /// as names.
    fn write(mut self, write: &dyn ObjectWrite) -> Result<(TreeId, TreeEntry), TreeError> {
        self.entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some(twice) = self.entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(TreeError::FileAndFolder(shown(&twice[0].name)));
        }
        let id = write_sorted(self.entries, write)?;
        let content = Content::Tree(id);
        Ok((id, TreeEntry { name: self.name, mode: Mode::Directory, size: self.size, content }))
    }
}

/// Makes a folder and all below it from a flat list of everything that is no folder, sorted by path (raw bytes of the
/// whole path). Holds the entries of the folders that are open at a time.
///
/// # Errors
/// When paths are not in order, a path is both file and folder, an entry breaks a rule, or the store fails.
pub fn from_paths(
    paths: impl IntoIterator<Item = (RepoPath, Mode, u64, Content)>,
    write: &dyn ObjectWrite,
) -> Result<TreeId, TreeError> {
    let mut open = vec![Open::default()];
    let mut last: Option<RepoPath> = None;
    for (path, mode, size, content) in paths {
        if last.as_ref().is_some_and(|last| *last >= path) {
            return Err(TreeError::Order(path.to_string()));
        }
        let name = path.name().to_vec();
        enter(&mut open, last.as_ref(), &path, write)?;
        let entry = TreeEntry { name, mode, size, content };
        if let Some(folder) = open.last_mut() {
            check(&entry)?;
            folder.add(entry)?;
        }
        last = Some(path);
    }
    Ok(close_down_to(&mut open, 0, write)?.write(write)?.0)
}

/// Closes the folders that `path` is not in and opens those it is in.
fn enter(
    open: &mut Vec<Open>,
    last: Option<&RepoPath>,
    path: &RepoPath,
    write: &dyn ObjectWrite,
) -> Result<(), TreeError> {
    let bytes = path.as_bytes();
    let folder = bytes.len() - path.name().len();
    let is_in = |depth: usize| {
        depth == 0
            || last.is_some_and(|last| {
                depth < folder && bytes[..=depth] == *last.as_bytes().get(..=depth).unwrap_or_default()
            })
    };
    let shared = open.iter().map(|folder| folder.depth).filter(|depth| is_in(*depth)).max().unwrap_or(0);
    let kept = close_down_to(open, shared, write)?;
    open.push(kept);
    let mut from = if shared == 0 { 0 } else { shared + 1 };
    while from < folder {
        let len = bytes[from..folder].iter().position(|byte| *byte == b'/').unwrap_or(folder - from);
        open.push(Open { depth: from + len, name: bytes[from..from + len].to_vec(), ..Open::default() });
        from += len + 1;
    }
    Ok(())
}

/// Closes open folders, each into the one it is in, until the one of this depth is on top; takes it off and gives it.
fn close_down_to(open: &mut Vec<Open>, depth: usize, write: &dyn ObjectWrite) -> Result<Open, TreeError> {
    let mut top = open.pop().unwrap_or_default();
    while top.depth > depth {
        let mut parent = open.pop().unwrap_or_default();
        parent.add(top.write(write)?.1)?;
        top = parent;
    }
    Ok(top)
}
