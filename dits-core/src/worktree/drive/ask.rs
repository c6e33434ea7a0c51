//! Asking the daemon of a mount what its files hold, and telling it what the store has. All of this only saves reading
//! and writing bytes: where it cannot be had there is the ordinary way.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::XattrFlags;

use super::{CONTENT, DriveContent, MAX_VALUE, PLACE, Place, SETTLED, Settled, Stored};
use crate::path::RepoPath;
use crate::tree::Content;
use crate::worktree::WorkDirs;

/// What the daemon of the mount that `dirs` is says an open file holds, with all that was written to it; `None` if nobody
/// says it in a way that this version understands.
///
/// # Errors
/// When what was written to the file cannot be given to the daemon: then nobody knows what it holds.
pub(crate) fn ask(dirs: &WorkDirs, file: &File) -> std::io::Result<Option<DriveContent>> {
    // Elsewhere anybody could have written such an attribute.
    if !dirs.is_mount() {
        return Ok(None);
    }
    // The kernel keeps for itself what was written just now; the daemon must have it to say so.
    rustix::fs::fdatasync(file)?;
    Ok(content(file))
}

/// [`ask`] again, about a file that was asked for: whether it has changed since.
pub(crate) fn has_changed(file: &File, before: &DriveContent) -> std::io::Result<bool> {
    rustix::fs::fdatasync(file)?;
    Ok(content(file).is_none_or(|now| now.generation() != before.generation()))
}

fn content(file: &File) -> Option<DriveContent> {
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
    /// Notes what a file held when it was of a generation.
    pub(crate) fn note(&self, path: &RepoPath, generation: u64, content: &Content, size: u64) {
        if let Some(stored) = Stored::new(content.clone(), size) {
            let settled = Settled { generation, stored };
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((path.clone(), settled));
        }
    }

    /// Tells the daemon of all files. One that has changed since, or is gone, stays as it is.
    pub(crate) fn run(self, dirs: &WorkDirs) {
        for (path, settled) in self.0.into_inner().unwrap_or_else(PoisonError::into_inner) {
            if let Ok((file, _)) = dirs.open_file(&path) {
                tell(&file, &settled);
            }
        }
    }
}

/// Tells the daemon that the store has what a file held when it was of a generation.
pub(super) fn settle(file: &File, generation: u64, content: &Content, size: u64) {
    if let Some(stored) = Stored::new(content.clone(), size) {
        tell(file, &Settled { generation, stored });
    }
}

fn tell(file: &File, settled: &Settled) {
    // It only saves work later. `EBUSY`, when the file has changed since, is as good as any other outcome.
    let _ = rustix::fs::fsetxattr(file, SETTLED, &settled.encode(), XattrFlags::empty());
}
