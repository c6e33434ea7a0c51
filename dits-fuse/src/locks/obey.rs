//! What is shown of a file that somebody has locked, and what happens when it is closed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use dits_core::overlay::{Attributes, MADE_HERE, kind};
use dits_core::path::RepoPath;
use dits_core::tree::Content;

use super::{Hold, Locker};
use crate::drive::Drive;
use crate::error::{Reach, ReadError};
use crate::overlay::Changes;
use crate::stat::Stat;
use crate::view::{LINK, ROOT};

/// The bits that allow writing.
const WRITE: u32 = 0o222;

/// What a drive knows of locks.
pub(crate) struct Keeper {
    pub(super) locker: Arc<dyn Locker>,
    /// Files that were written to and closed while others still had them open.
    written: Mutex<HashSet<u64>>,
}

impl Keeper {
    pub(crate) fn new(locker: Arc<dyn Locker>) -> Self {
        Self { locker, written: Mutex::default() }
    }
}

impl Drive {
    /// Whom to ask about locks; `None` where there are none.
    pub(crate) fn keeper(&self) -> Option<&Keeper> {
        self.keeper.as_ref().filter(|keeper| !keeper.locker.is_idle())
    }

    /// Whom to ask about locks, whether or not there are any now.
    pub(crate) fn locker(&self) -> Option<&Arc<dyn Locker>> {
        self.keeper.as_ref().map(|keeper| &keeper.locker)
    }

    /// What is told of an inode, with the bits that its lock allows.
    pub(crate) fn with_lock(&self, stat: Stat, reach: Reach) -> Result<Stat, ReadError> {
        if stat.attributes.mode & WRITE == 0 || !self.hold_of(&stat, reach)?.is_read_only() {
            return Ok(stat);
        }
        let attributes = Attributes { mode: stat.attributes.mode & !WRITE, ..stat.attributes };
        Ok(Stat { attributes, ..stat })
    }

    /// What is told of an inode, where somebody is about to be kept from writing: after another look at what is known.
    pub(crate) fn stat_afresh(&self, ino: u64, reach: Reach) -> Result<Stat, ReadError> {
        let stat = self.stat(ino, reach)?;
        match self.keeper() {
            Some(keeper) if stat.attributes.mode & (kind::MASK | WRITE) == kind::FILE => {
                keeper.locker.look_again();
                self.stat(ino, reach)
            }
            _ => Ok(stat),
        }
    }

    /// Changes what is told of an inode. The bits that a lock hides stay as they were.
    ///
    /// # Errors
    /// When there is none, or it cannot be logged.
    pub(crate) fn set(&self, ino: u64, changes: &Changes, reach: Reach) -> Result<Stat, ReadError> {
        let (overlay, mut changes) = (self.writable()?, *changes);
        if let Some(mode) = changes.mode.filter(|_| self.keeper().is_some()) {
            let stat = overlay.stat(&self.view, ino, reach)?;
            if self.hold_of(&stat, reach)?.is_read_only() {
                changes.mode = Some(mode & !WRITE | stat.attributes.mode & WRITE);
            }
        }
        self.with_lock(overlay.set(&self.view, ino, &changes, reach)?, reach)
    }

    /// Who has what an inode is.
    pub(crate) fn hold_of(&self, stat: &Stat, reach: Reach) -> Result<Hold, ReadError> {
        let Some(keeper) = self.keeper() else { return Ok(Hold::Free) };
        let found = self.lockable_path(stat, reach)?;
        Ok(found.map_or(Hold::Free, |(path, is_new)| keeper.locker.hold(&path, is_new)))
    }

    /// The path of a file, and whether it is new; `None` for what cannot be locked.
    pub(crate) fn lockable_path(&self, stat: &Stat, reach: Reach) -> Result<Option<(RepoPath, bool)>, ReadError> {
        let Some(overlay) = self.overlay() else { return Ok(None) };
        if stat.attributes.mode & kind::MASK != kind::FILE || stat.ino == LINK {
            return Ok(None);
        }
        let Some((folder, name)) = overlay.place_of(&self.view, stat.ino, reach)? else { return Ok(None) };
        let Some(path) = overlay.path_of(&self.view, (folder, &name), reach)? else { return Ok(None) };
        Ok(Some((path, self.is_new(folder, &name, stat.ino, reach)?)))
    }

    /// What a file holds, if that is content of the store.
    pub(crate) fn stored_content(&self, ino: u64) -> Option<Content> {
        let content = self.overlay()?.content(&self.view, ino, Reach::Disk).ok()?;
        content.is_base().then(|| content.base().content().clone())
    }

    /// Whether the commit below has nothing where this is.
    pub(super) fn is_new(&self, folder: u64, name: &[u8], ino: u64, reach: Reach) -> Result<bool, ReadError> {
        if ino & MADE_HERE == 0 {
            return Ok(false);
        }
        Ok(folder & MADE_HERE != 0 || self.view.lookup(folder, name, reach)?.is_none())
    }

    /// The inode of a path, if there is one.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn at_path(&self, path: &RepoPath, reach: Reach) -> Result<Option<u64>, ReadError> {
        let mut at = ROOT;
        for name in path.as_bytes().split(|byte| *byte == b'/') {
            match self.lookup(at, name, reach) {
                Ok(Some(stat)) => at = stat.ino,
                Ok(None) | Err(ReadError::NotAFolder) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(at))
    }

    /// Somebody who may have written to a file has closed it.
    pub(crate) fn written(&self, ino: u64) {
        if let Some(keeper) = self.keeper() {
            keeper.written.lock().unwrap_or_else(PoisonError::into_inner).insert(ino);
        }
    }

    /// A file is closed. If it was written to and nobody has it open any more, its lock may be given back.
    pub(crate) fn let_lock_go(self: &Arc<Self>, ino: u64) {
        let (Some(keeper), Some(overlay)) = (self.keeper(), self.overlay()) else { return };
        if overlay.is_in_use(ino) || !keeper.written.lock().unwrap_or_else(PoisonError::into_inner).remove(&ino) {
            return;
        }
        self.wait(move |drive| {
            let (Some(keeper), Some(overlay)) = (drive.keeper(), drive.overlay()) else { return };
            let Ok(Some((folder, name))) = overlay.place_of(&drive.view, ino, Reach::Disk) else { return };
            let Ok(Some(path)) = overlay.path_of(&drive.view, (folder, &name), Reach::Disk) else { return };
            if keeper.locker.hold(&path, false) != Hold::Ours {
                return;
            }
            if let Some(content) = drive.stored_content(ino) {
                keeper.locker.closed(&path, &content);
            }
        });
    }

    /// Visits the files that lie in folders which are in memory: the others the kernel does not know either.
    pub fn each_in_memory(&self, visit: &mut dyn FnMut(u64)) {
        let Some(overlay) = self.overlay() else { return };
        let mut folders = vec![ROOT];
        while let Some(folder) = folders.pop() {
            for (ino, is_folder) in overlay.inodes_in(&self.view, folder) {
                if is_folder { folders.push(ino) } else { visit(ino) }
            }
        }
    }
}
