//! Listing a folder as a whole where git does: when nothing in it is tracked.

use std::collections::HashSet;

use crate::path::RepoPath;

/// What is known of folders without tracked files, while a scan goes on.
#[derive(Debug, Default)]
pub(super) struct Collapse {
    /// Outermost folders in which nothing is tracked and something is not ignored.
    listed: HashSet<RepoPath>,
    /// All folders around such files, when ignored files are listed too.
    with_untracked: HashSet<RepoPath>,
    /// Outermost ignored folders, entered in search of a file.
    ignored: HashSet<RepoPath>,
    /// Those in which one was found.
    ignored_full: HashSet<RepoPath>,
}

impl Collapse {
    /// Notes an untracked file, by the outermost folder around it without tracked files; `path` is given when ignored
    /// files are to be told from it.
    pub(super) fn saw_untracked(&mut self, outermost: RepoPath, path: Option<&RepoPath>) {
        let mut folder = path.and_then(RepoPath::parent);
        while let Some(around) = folder {
            folder = around.parent();
            if !self.with_untracked.insert(around) {
                break;
            }
        }
        self.listed.insert(outermost);
    }

    /// Notes an ignored file.
    pub(super) fn saw_ignored(&mut self, path: &RepoPath) {
        if let Some(root) = self.ignored_root(path) {
            self.ignored_full.insert(root);
        }
    }

    /// Whether a folder is to be listed as untracked already.
    pub(super) fn is_listed(&self, folder: &RepoPath) -> bool {
        self.listed.contains(folder)
    }

    /// Whether to look into an ignored folder: only until a file has been found in it or the ignored one around it.
    pub(super) fn enters_ignored(&mut self, folder: &RepoPath) -> bool {
        let root = self.ignored_root(folder).unwrap_or_else(|| folder.clone());
        let enter = !self.ignored_full.contains(&root);
        self.ignored.insert(root);
        enter
    }

    fn ignored_root(&self, path: &RepoPath) -> Option<RepoPath> {
        let mut at = Some(path.clone());
        while let Some(here) = at {
            if self.ignored.contains(&here) {
                return Some(here);
            }
            at = here.parent();
        }
        None
    }

    pub(super) fn into_folders(self) -> Vec<RepoPath> {
        self.listed.into_iter().collect()
    }
}

/// Splits ignored files into those to be listed one by one and the outermost folders that hold, besides ignored files,
/// neither tracked nor untracked ones.
pub(super) fn collapse_ignored(
    files: Vec<RepoPath>,
    tracked: &HashSet<&[u8]>,
    collapse: &Collapse,
) -> (Vec<RepoPath>, Vec<RepoPath>) {
    let (mut single, mut folders) = (Vec::new(), HashSet::new());
    for path in files {
        let mut outermost = None;
        let mut folder = path.parent();
        while let Some(around) =
            folder.filter(|folder| !tracked.contains(folder.as_bytes()) && !collapse.with_untracked.contains(folder))
        {
            folder = around.parent();
            outermost = Some(around);
        }
        match outermost {
            Some(folder) => _ = folders.insert(folder),
            None => single.push(path),
        }
    }
    (single, folders.into_iter().collect())
}
