//! Folders that somebody lists.

use std::sync::{Arc, PoisonError, RwLock};

use dits_core::overlay::MADE_HERE;
use dits_core::repo::DITS;

use crate::drive::Drive;
use crate::error::{Reach, ReadError};
use crate::overlay::{Entry, Overlay};
use crate::stat::Stat;
use crate::view::{self, ROOT};

/// A folder that somebody lists: its names as they were when they began. Before that it has none here, and never if the
/// kernel knows them.
pub struct OpenFolder {
    ino: u64,
    names: RwLock<Option<(u64, Names)>>,
}

#[derive(Clone)]
enum Names {
    /// Those of the base.
    Base(Arc<view::OpenFolder>),
    /// Others.
    Here(Arc<[Entry]>),
}

impl Drive {
    /// Opens a folder.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn open_folder(&self, ino: u64, reach: Reach) -> Result<OpenFolder, ReadError> {
        match ino & MADE_HERE {
            // From the disk, it may take its time now.
            0 => _ = self.view.list(ino, reach)?,
            _ => _ = self.stat(ino, reach)?,
        }
        Ok(OpenFolder { ino, names: RwLock::new(None) })
    }

    /// How often names have changed.
    fn moves(&self) -> u64 {
        self.overlay().map_or(0, Overlay::moves)
    }

    /// Where a file is, for people: in the commit, if it is of that.
    pub(crate) fn path_of(&self, ino: u64) -> String {
        let (mut names, mut at) = (Vec::new(), ino);
        while at != ROOT {
            let Ok(entry) = self.view.entry(at, Reach::Disk) else { return format!("(inode {ino})") };
            names.push(String::from_utf8_lossy(&entry.name).into_owned());
            at = self.view.folder_of(at);
        }
        names.reverse();
        names.join("/")
    }

    fn names(&self, ino: u64, reach: Reach) -> Result<Names, ReadError> {
        let changed = self.overlay().map(|overlay| overlay.list(&self.view, ino, reach)).transpose()?.flatten();
        match changed {
            Some(entries) => Ok(Names::Here(entries)),
            None => Ok(Names::Base(Arc::new(self.view.list(ino, reach)?))),
        }
    }

    /// Visits the entries of a folder from an offset that was given before: `.`, `..`, then what is in it. Each with the
    /// offset of the next, until `visit` returns false. From the beginning they are those that the folder has now.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn visit(
        &self,
        folder: &OpenFolder,
        offset: u64,
        visit: &mut dyn FnMut(u64, &[u8], &Stat) -> bool,
    ) -> Result<(), ReadError> {
        let begun = folder.names.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (moves, names) = match begun.filter(|_| offset > 0) {
            Some(begun) => begun,
            None => {
                let names = (self.moves(), self.names(folder.ino, Reach::Disk)?);
                folder.names.write().unwrap_or_else(PoisonError::into_inner).insert(names).clone()
            }
        };
        // What has lost its name since is passed over: the kernel would think that it has it still.
        let since = self.overlay().filter(|overlay| overlay.moves() != moves);
        let leads =
            |name: &[u8], ino| since.map_or(Ok(true), |overlay| overlay.leads(&self.view, folder.ino, name, ino));
        // The kernel knows the folder above by itself; this number is only looked at by programs that list it.
        for (next, name, ino) in [(1, &b"."[..], folder.ino), (2, b"..", ROOT)] {
            if offset < next && !visit(next, name, &self.stat(ino, Reach::Disk)?) {
                return Ok(());
            }
        }
        let from = usize::try_from(offset.saturating_sub(2)).unwrap_or(usize::MAX);
        match names {
            Names::Base(base) => {
                let link = usize::from(base.link.is_some());
                if let Some(attr) = base.link.filter(|_| from == 0)
                    && !visit(3, DITS.as_bytes(), &self.stat_of(&attr))
                {
                    return Ok(());
                }
                for (place, entry, attr) in base.starting_at(from.saturating_sub(link)) {
                    if !leads(&entry.name, attr.ino)? {
                        continue;
                    }
                    let stat = self.stat_of(&attr);
                    if !visit((place + link) as u64 + 3, &entry.name, &stat) {
                        break;
                    }
                }
            }
            Names::Here(entries) => {
                for (place, entry) in entries.iter().enumerate().skip(from) {
                    if !leads(&entry.name, entry.ino)? {
                        continue;
                    }
                    let stat = self.stat(entry.ino, Reach::Disk)?;
                    if !visit(place as u64 + 3, &entry.name, &stat) {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}
