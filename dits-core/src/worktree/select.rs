//! Which paths an operation is about.

use std::collections::HashSet;

use crate::path::RepoPath;

/// Chooses paths.
pub trait Selection: Sync {
    /// Whether a file belongs to it.
    fn includes(&self, path: &RepoPath) -> bool;

    /// Whether there may be such files below a folder.
    fn enters(&self, folder: &RepoPath) -> bool;
}

/// Every path.
#[derive(Clone, Copy, Debug)]
pub struct Everything;

impl Selection for Everything {
    fn includes(&self, _: &RepoPath) -> bool {
        true
    }

    fn enters(&self, _: &RepoPath) -> bool {
        true
    }
}

/// Certain files, by their whole paths.
#[derive(Clone, Debug)]
pub struct Exactly {
    files: HashSet<RepoPath>,
    folders: HashSet<RepoPath>,
}

impl Exactly {
    /// Chooses these files.
    #[must_use]
    pub fn new(files: &[RepoPath]) -> Self {
        let mut folders = HashSet::new();
        for file in files {
            let mut folder = file.parent();
            while let Some(around) = folder {
                folder = around.parent();
                folders.insert(around);
            }
        }
        Self { files: files.iter().cloned().collect(), folders }
    }
}

impl Selection for Exactly {
    fn includes(&self, path: &RepoPath) -> bool {
        self.files.contains(path)
    }

    fn enters(&self, folder: &RepoPath) -> bool {
        self.folders.contains(folder)
    }
}
