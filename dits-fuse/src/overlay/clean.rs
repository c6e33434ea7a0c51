//! Whether everything that was made or changed is in a commit.

use std::collections::HashSet;

use dits_core::object::TreeId;
use dits_core::overlay::{Attributes, Kind, MADE_HERE, kind};
use dits_core::tree::{Content, Mode, Tree, TreeEntry};

use super::{Inner, Overlay};
use crate::error::{Reach, ReadError};
use crate::view::{LINK, ROOT, View};

const EXECUTABLE: u32 = 0o100;
const GROUP_WRITES: u32 = 0o020;

impl Overlay {
    /// Whether the files are exactly those of this tree, with nothing about them that a commit does not keep. Looks at
    /// folders with changes only.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn shows(&self, view: &View, tree: TreeId) -> Result<bool, ReadError> {
        let inner = self.read();
        if inner.state.nodes.values().any(|node| !node.extended.is_empty()) {
            return Ok(false);
        }
        // Who may do what is not in a commit, except for whether the owner may run a file. A group that may write is common.
        let same = |attributes: &Attributes| {
            let usual = match attributes.mode & kind::MASK {
                kind::FOLDER => 0o755,
                kind::LINK => 0o777,
                _ if attributes.mode & EXECUTABLE != 0 => 0o755,
                _ => 0o644,
            };
            let owner = (attributes.uid, attributes.gid) == (self.defaults.uid, self.defaults.gid);
            owner && attributes.mode & 0o7777 & !GROUP_WRITES == usual
        };
        if inner.state.nodes.values().any(|node| !same(&node.attributes)) {
            return Ok(false);
        }
        let touched = inner.touched(view);
        inner.same_folder(view, &touched, ROOT, tree)
    }
}

impl Inner {
    /// Folders of the base below which something was changed in its old place.
    fn touched(&self, view: &View) -> HashSet<u64> {
        let mut touched = HashSet::new();
        for ino in self.state.nodes.keys().chain(self.state.folders.keys()) {
            let mut at = *ino;
            while at & MADE_HERE == 0 && touched.insert(at) && at != ROOT {
                at = view.folder_of(at);
            }
        }
        touched
    }

    fn same_folder(&self, view: &View, touched: &HashSet<u64>, folder: u64, tree: TreeId) -> Result<bool, ReadError> {
        if !touched.contains(&folder) && folder & MADE_HERE == 0 {
            return Ok(view.tree(folder, Reach::Disk)? == tree);
        }
        let (mut here, there) = (self.list(view, folder, Reach::Disk)?, Tree::open(view.store(), tree)?.entries()?);
        here.retain(|entry| entry.ino != LINK);
        if here.len() != there.len() {
            return Ok(false);
        }
        for (here, there) in here.iter().zip(&there) {
            if here.name != there.name || !self.same_entry(view, touched, here.ino, there)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn same_entry(&self, view: &View, touched: &HashSet<u64>, ino: u64, there: &TreeEntry) -> Result<bool, ReadError> {
        let Some(node) = self.state.nodes.get(&ino) else {
            let entry = view.entry(ino, Reach::Disk)?;
            return match there.content {
                Content::Tree(tree) if entry.mode == Mode::Directory => self.same_folder(view, touched, ino, tree),
                _ => Ok((entry.mode, entry.size, &entry.content) == (there.mode, there.size, &there.content)),
            };
        };
        let runs = node.attributes.mode & EXECUTABLE != 0;
        match (&node.kind, &there.content) {
            (Kind::Folder, Content::Tree(tree)) => self.same_folder(view, touched, ino, *tree),
            (Kind::Link(target), Content::Symlink(to)) => Ok(target == to),
            (Kind::File(file), content) => {
                let mode = if runs { Mode::Executable } else { Mode::File };
                Ok(file.is_base() && (mode, &file.base, file.size) == (there.mode, content, there.size))
            }
            _ => Ok(false),
        }
    }
}
