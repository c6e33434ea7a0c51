//! Asking the daemon of a mount what its files hold, and telling it what the store has. All of this only saves reading
//! and writing bytes: where it cannot be had there is the ordinary way.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::XattrFlags;

use super::{CONTENT, DriveContent, MAX_VALUE, PLACE, Place, SETTLED, Settled};
use crate::path::RepoPath;
use crate::worktree::WorkDirs;

/// What the daemon says a file holds; `None` if nobody says it in a way that this version understands. Only to be asked
/// in a mount: elsewhere anybody can write such an attribute.
pub(crate) fn ask(file: impl AsFd) -> Option<DriveContent> {
    let mut value = vec![0; MAX_VALUE];
    let len = rustix::fs::fgetxattr(file, CONTENT, &mut value[..]).ok()?;
    DriveContent::decode(value.get(..len)?).ok()
}

/// Has a file made in a folder.
///
/// # Errors
/// As the daemon says: `EEXIST` when the name is taken.
pub(crate) fn place(folder: impl AsFd, place: &Place) -> rustix::io::Result<()> {
    rustix::fs::fsetxattr(folder, PLACE, &place.encode(), XattrFlags::empty())
}

/// Files whose new content the store has been given, to be told to the daemon once that is durable and referred to.
#[derive(Debug, Default)]
pub(crate) struct Settling(Mutex<Vec<(RepoPath, Settled)>>);

impl Settling {
    /// Notes a file.
    pub(crate) fn note(&self, path: RepoPath, settled: Settled) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((path, settled));
    }

    /// Tells the daemon of all files. One that has changed since, or is gone, stays as it is.
    pub(crate) fn run(self, dirs: &WorkDirs) {
        for (path, settled) in self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            if let Ok((file, _)) = dirs.open_file(&path) {
                settle(&file, &settled);
            }
        }
    }
}

fn settle(file: &File, settled: &Settled) {
    // It only saves work later. `EBUSY`, when the file has changed since, is as good as any other outcome.
    let _ = rustix::fs::fsetxattr(file, SETTLED, &settled.encode(), XattrFlags::empty());
}
