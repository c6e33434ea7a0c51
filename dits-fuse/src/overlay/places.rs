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

#[cfg(test)]
mod tests {
    use super::super::tests::rig::Rig;
    use super::*;
    use crate::overlay::{Maker, Rename};

    #[test]
    fn the_way_back_follows_names_as_they_move() {
        let (mut rig, _) = Rig::new();
        let find = |rig: &Rig, path: &str| {
            let step =
                |at, name: &str| Some(rig.overlay.lookup(&rig.view, at, name.as_bytes(), Reach::Disk).unwrap()?.ino);
            path.split('/').try_fold(ROOT, step)
        };
        let back = |rig: &Rig, ino| {
            let place = rig.overlay.place_of(&rig.view, ino, Reach::Disk).unwrap()?;
            let path = rig.overlay.path_of(&rig.view, (place.0, &place.1), Reach::Disk).unwrap()?;
            Some(String::from_utf8_lossy(path.as_bytes()).into_owned())
        };
        let (deep, folder) = (find(&rig, "a/b/deep").unwrap(), find(&rig, "a").unwrap());
        assert_eq!(back(&rig, deep).as_deref(), Some("a/b/deep"));
        let rename = Rename { from: (ROOT, b"a"), to: (ROOT, b"moved"), keep: false, exchange: false };
        rig.overlay.rename(&rig.view, &rename, Reach::Disk).unwrap();
        let maker = Maker { uid: 1, gid: 1 };
        let made = rig.overlay.make(&rig.view, (folder, b"new"), 0o100_644, maker, Reach::Disk).unwrap().ino;
        rig.overlay.unlink(&rig.view, ROOT, b"note", Reach::Disk).unwrap();
        for again in [false, true] {
            if again {
                rig.again(false);
            }
            assert_eq!(back(&rig, find(&rig, "moved/b/deep").unwrap()).as_deref(), Some("moved/b/deep"), "{again}");
            assert_eq!(back(&rig, made).as_deref(), Some("moved/new"), "{again}");
            assert_eq!(find(&rig, "a"), None);
        }
        assert_eq!(back(&rig, ROOT), None);
    }
}
