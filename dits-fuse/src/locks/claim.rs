//! Getting the right to change files before they are changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dits_core::overlay::{MADE_HERE, kind};
use dits_core::path::RepoPath;
use rustix::io::Errno;

use super::{Hold, Locker};
use crate::drive::Drive;
use crate::error::{Reach, ReadError};

/// What is to be changed.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A file.
    Inode(u64),
    /// What has a name, or is to get it.
    Name(u64, Vec<u8>),
}

/// A path that is to be changed.
struct Claimed {
    path: RepoPath,
    is_new: bool,
    is_folder: bool,
}

impl Claimed {
    fn hold(&self, locker: &dyn Locker) -> Hold {
        match self.is_folder {
            true if locker.theirs_below(&self.path) => Hold::Theirs,
            true => Hold::Free,
            false => locker.hold(&self.path, self.is_new),
        }
    }
}

impl Drive {
    /// Asks whether things may be changed. Where a lock is needed first, a thread that waits gets it, and answers.
    pub(crate) fn claim(
        self: &Arc<Self>,
        targets: Vec<Target>,
        pid: u32,
        answer: impl FnOnce(Result<(), ReadError>) + Send + 'static,
    ) {
        let Some(keeper) = self.keeper() else { return answer(Ok(())) };
        let at_once = self.claimed(&targets, Reach::Memory);
        match at_once {
            Ok(claimed) if claimed.iter().all(|one| one.hold(&*keeper.locker).is_open()) => answer(Ok(())),
            Ok(_) | Err(ReadError::OutOfReach) => {
                self.wait(move |drive| answer(drive.claim_waiting(&targets, Some(pid))))
            }
            Err(error) => answer(Err(error)),
        }
    }

    /// The same by a thread that may wait.
    pub(crate) fn claim_waiting(&self, targets: &[Target], pid: Option<u32>) -> Result<(), ReadError> {
        let Some(keeper) = self.keeper() else { return Ok(()) };
        let locker = &*keeper.locker;
        let claimed = self.claimed(targets, Reach::Disk)?;
        if claimed.iter().all(|one| one.hold(locker).is_open()) || pid.is_some_and(is_dits) {
            return Ok(());
        }
        locker.look_again();
        // Nothing is locked for a change that will be refused.
        if claimed.iter().any(|one| one.hold(locker).is_read_only()) {
            return Err(Errno::ACCESS.into());
        }
        for one in &claimed {
            if matches!(one.hold(locker), Hold::Needed { auto: true }) {
                locker.acquire(&one.path, None).map_err(|_| Errno::ACCESS)?;
            }
        }
        Ok(())
    }

    fn claimed(&self, targets: &[Target], reach: Reach) -> Result<Vec<Claimed>, ReadError> {
        let (overlay, view) = (self.writable()?, &self.view);
        let mut claimed = Vec::new();
        for target in targets {
            let (folder, name) = match target {
                Target::Name(folder, name) => (*folder, name.clone()),
                Target::Inode(ino) => match overlay.place_of(view, *ino, reach)? {
                    Some(place) => place,
                    None => continue,
                },
            };
            let Some(path) = overlay.path_of(view, (folder, &name), reach)? else { continue };
            let there = overlay.lookup(view, folder, &name, reach)?;
            let is_folder = there.is_some_and(|stat| stat.attributes.mode & kind::MASK == kind::FOLDER);
            let ino = there.map_or(MADE_HERE, |stat| stat.ino);
            claimed.push(Claimed { path, is_new: self.is_new(folder, &name, ino, reach)?, is_folder });
        }
        Ok(claimed)
    }
}

/// Whether a process is dits itself: its commands bring files up to date that others have locked, and know what they do.
fn is_dits(pid: u32) -> bool {
    let program = |pid: &str| std::fs::read_link(Path::new("/proc").join(pid).join("exe")).ok().map(without_mark);
    program(&pid.to_string()).is_some_and(|other| program("self") == Some(other))
}

/// The path of a program; the system marks one that was replaced since it was started.
fn without_mark(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(plain) => PathBuf::from(plain),
        None => path,
    }
}
