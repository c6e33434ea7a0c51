//! What differs between two versions of a project.

mod content;
mod lines;
mod origin;
mod rename;
mod selected;

pub use content::{ContentDiff, Extent, Region, contents, extent, spans};
pub use lines::{Hunk, LineChange, LineDiff, lines_of};
pub use origin::origin_of;
pub use rename::{Rename, RenameOptions, find_renames};
pub use selected::{differ_in, trees_in};

use crate::index::EntryView;
use crate::object::{ObjectRead, TreeId};
use crate::path::RepoPath;
use crate::store::StoreError;
use crate::tree::{self, Content, Mode, TreeEntry};

/// What a version of the project keeps of a file: everything but its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileVersion {
    /// File, executable or symlink; never a directory.
    pub mode: Mode,
    /// The length of the content, in bytes.
    pub size: u64,
    /// The content.
    pub content: Content,
}

impl From<TreeEntry> for FileVersion {
    fn from(entry: TreeEntry) -> Self {
        Self { mode: entry.mode, size: entry.size, content: entry.content }
    }
}

impl From<&EntryView<'_>> for FileVersion {
    fn from(entry: &EntryView<'_>) -> Self {
        Self { mode: entry.mode, size: entry.size, content: entry.content.clone() }
    }
}

/// A path whose file is not the same on both sides. At least one side is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path.
    pub path: RepoPath,
    /// The file before; `None` if there was none.
    pub old: Option<FileVersion>,
    /// The file after; `None` if there is none.
    pub new: Option<FileVersion>,
}

/// How a change is named in `--name-status` and `status -s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// There was no file before.
    Added,
    /// There is no file any more.
    Deleted,
    /// Content or executable bit differ.
    Modified,
    /// A file became a symlink, or the other way round.
    TypeChanged,
}

impl Change {
    /// The kind of change.
    #[must_use]
    pub fn kind(&self) -> ChangeKind {
        match (&self.old, &self.new) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Deleted,
            (Some(old), Some(new)) if (old.mode == Mode::Symlink) != (new.mode == Mode::Symlink) => {
                ChangeKind::TypeChanged
            }
            _ => ChangeKind::Modified,
        }
    }
}

/// The files that differ between two trees, sorted by path; `None` is the empty tree. Reads only what differs.
///
/// # Errors
/// When a node that differs cannot be read.
pub fn trees(read: &dyn ObjectRead, old: Option<TreeId>, new: Option<TreeId>) -> Result<Vec<Change>, StoreError> {
    let versions = |change: tree::Change| Change {
        path: change.path,
        old: change.old.map(FileVersion::from),
        new: change.new.map(FileVersion::from),
    };
    tree::diff_recursive(read, old, new).map(|change| change.map(versions)).collect()
}
