//! Which files have to go before others can be written.
//!
//! A checkout removes files last, so that one that fails (damaged content, a full disk) has taken nothing away. Only
//! what stands where something new comes goes first.

use std::collections::HashSet;

use crate::diff::Change;
use crate::path::{RepoPath, portable};

/// The names that are about to be taken, as a file system sees them that folds case and composition.
pub(super) struct Obstacles {
    files: HashSet<Vec<u8>>,
    folders: HashSet<Vec<u8>>,
}

impl Obstacles {
    /// What stands in the way of writing these.
    pub fn of(write: &[&Change]) -> Self {
        let mut obstacles = Self { files: HashSet::new(), folders: HashSet::new() };
        for change in write {
            obstacles.files.insert(portable::fold_path(&change.path));
            let mut folder = change.path.parent();
            while let Some(around) = folder {
                folder = obstacles.folders.insert(portable::fold_path(&around)).then(|| around.parent()).flatten();
            }
        }
        obstacles
    }

    /// Whether this file's name is taken by something new, is needed for a folder, or lies below a new file.
    pub fn include(&self, path: &RepoPath) -> bool {
        if self.folders.contains(&portable::fold_path(path)) {
            return true;
        }
        let mut at = Some(path.clone());
        while let Some(part) = at {
            if self.files.contains(&portable::fold_path(&part)) {
                return true;
            }
            at = part.parent();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::FileVersion;
    use crate::tree::{Content, Mode};

    #[test]
    fn only_what_is_in_the_way_goes_first() {
        let new = FileVersion { mode: Mode::File, size: 0, content: Content::Empty };
        let path = |text: &str| RepoPath::parse(text.as_bytes()).unwrap();
        let change = |text: &str| Change { path: path(text), old: None, new: Some(new.clone()) };
        let changes = [change("a/b/c"), change("File"), change("was/folder")];
        let obstacles = Obstacles::of(&changes.iter().collect::<Vec<_>>());
        for (old, expected) in [
            ("a/b", true),
            ("A", true),
            ("file", true),
            ("was/folder/x/y", true),
            ("a/b/d", false),
            ("other", false),
            ("was/x", false),
        ] {
            assert_eq!(obstacles.include(&path(old)), expected, "{old}");
        }
    }
}
