//! Where an inode is: the way back from its number to a path.

use std::collections::HashMap;

use dits_core::overlay::{MADE_HERE, State, kind};
use dits_core::path::RepoPath;

use super::Overlay;
use crate::error::{Reach, ReadError};
use crate::view::{ROOT, View};

/// More folders in each other than a path has room for.
const DEEPEST: usize = 4096;

/// The folder and the name of each inode that a state gives one.
pub(super) fn of(state: &State) -> HashMap<u64, (u64, Vec<u8>)> {
    let names =
        state.folders.iter().flat_map(|(folder, names)| names.iter().map(move |(name, ino)| (folder, name, ino)));
    names.filter_map(|(folder, name, ino)| Some(((*ino)?, (*folder, name.clone())))).collect()
}

impl Overlay {
    /// The folder and the name that lead to an inode; `None` for one that has none, and for the root.
    ///
    /// # Errors
    /// When its folder cannot be read.
    pub(crate) fn place_of(&self, view: &View, ino: u64, reach: Reach) -> Result<Option<(u64, Vec<u8>)>, ReadError> {
        let inner = self.read();
        if let Some(place) = inner.places.get(&ino) {
            return Ok(Some(place.clone()));
        }
        if ino == ROOT || ino & MADE_HERE != 0 || inner.gone.contains(&ino) {
            return Ok(None);
        }
        let (folder, name) = (view.folder_of(ino), view.entry(ino, reach)?.name);
        // The base's name may lead elsewhere by now.
        let leads = inner.lookup(view, folder, &name, reach)? == Some(ino);
        Ok(leads.then_some((folder, name)))
    }

    /// The path of a name in a folder; `None` where no path of a repository leads.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub(crate) fn path_of(
        &self,
        view: &View,
        (folder, name): (u64, &[u8]),
        reach: Reach,
    ) -> Result<Option<RepoPath>, ReadError> {
        let (mut names, mut at) = (vec![name.to_vec()], folder);
        while at != ROOT {
            let Some((above, name)) = self.place_of(view, at, reach)? else { return Ok(None) };
            names.push(name);
            at = above;
            if names.len() > DEEPEST {
                return Ok(None);
            }
        }
        names.reverse();
        Ok(RepoPath::parse(&names.join(&b'/')).ok())
    }

    /// The folders in which a file of this name was made or renamed.
    pub(crate) fn folders_with(&self, name: &[u8]) -> Vec<u64> {
        let inner = self.read();
        let with = |names: &std::collections::BTreeMap<Vec<u8>, Option<u64>>| matches!(names.get(name), Some(Some(_)));
        inner.state.folders.iter().filter(|(_, names)| with(names)).map(|(folder, _)| *folder).collect()
    }

    /// Whether somebody has a file open.
    pub(crate) fn is_in_use(&self, ino: u64) -> bool {
        self.read().is_open(ino)
    }

    /// What is in a folder, and whether it is a folder, as far as that is in memory.
    pub(crate) fn inodes_in(&self, view: &View, folder: u64) -> Vec<(u64, bool)> {
        let inner = self.read();
        let entries = inner.list(view, folder, Reach::Memory).unwrap_or_default();
        let known = |ino| inner.stat(view, &self.defaults, ino, Reach::Memory).ok();
        let is_folder = |ino| Some(known(ino)?.attributes.mode & kind::MASK == kind::FOLDER);
        entries.into_iter().filter_map(|entry| Some((entry.ino, is_folder(entry.ino)?))).collect()
    }
}
