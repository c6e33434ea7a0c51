//! From a path to where it leads.

use std::collections::VecDeque;

use dits_core::overlay::kind;
use dits_core::repo::DITS;
use rustix::io::Errno;

use crate::drive::Drive;
use crate::error::{Reach, ReadError};
use crate::stat::Stat;
use crate::view::ROOT;

/// So many symbolic links may lead from one to the next, as in Linux.
const HOPS: usize = 40;

/// Where a path leads.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The folders above, from the root on.
    pub(super) above: Vec<u64>,
    /// The name in the last of them; empty for one of those folders themselves.
    pub(super) name: Vec<u8>,
    /// What is there.
    pub(super) stat: Option<Stat>,
}

impl Place {
    /// What is there.
    ///
    /// # Errors
    /// `ENOENT` when nothing is.
    pub(super) fn existing(&self) -> Result<Stat, ReadError> {
        self.stat.ok_or_else(|| Errno::NOENT.into())
    }

    /// The folder and the name, to be changed.
    ///
    /// # Errors
    /// `EPERM` for the root.
    pub(super) fn slot(&self) -> Result<(u64, &[u8]), ReadError> {
        match self.above.last() {
            Some(folder) if !self.name.is_empty() => Ok((*folder, &self.name)),
            _ => Err(Errno::PERM.into()),
        }
    }
}

/// Whether that is a folder.
pub(super) fn is_folder(stat: &Stat) -> bool {
    stat.attributes.mode & kind::MASK == kind::FOLDER
}

/// Whether that is a file.
pub(super) fn is_file(stat: &Stat) -> bool {
    stat.attributes.mode & kind::MASK == kind::FILE
}

/// Whether that is a symbolic link.
pub(super) fn is_link(stat: &Stat) -> bool {
    stat.attributes.mode & kind::MASK == kind::LINK
}

/// Whether clients must not know of a name: the one that leads to the repository, which they cannot take either.
pub(super) fn is_hidden(folder: u64, name: &[u8]) -> bool {
    folder == ROOT && name == DITS.as_bytes()
}

/// Follows a path. Symbolic links above its last name are followed, the last one only if `follow` says so; those that lead
/// out of the drive lead nowhere.
///
/// # Errors
/// When a folder on the way is not there or cannot be read.
pub(super) fn find(drive: &Drive, path: &[u8], follow: bool, reach: Reach) -> Result<Place, ReadError> {
    find_from(drive, vec![ROOT], path, follow, reach)
}

/// Follows a relative path from a folder, which is the last of these.
pub(super) fn find_from(
    drive: &Drive,
    mut above: Vec<u64>,
    path: &[u8],
    follow: bool,
    reach: Reach,
) -> Result<Place, ReadError> {
    let mut names: VecDeque<Vec<u8>> = split(path).collect();
    let mut hops = 0;
    while let Some(name) = names.pop_front() {
        if name == b".." {
            above.pop();
        }
        let folder = *above.last().ok_or(Errno::NOENT)?;
        if matches!(&name[..], b"." | b"..") {
            continue;
        }
        let last = names.is_empty();
        if is_hidden(folder, &name) {
            // To make it is forbidden; to look for it finds nothing.
            return Err(Errno::PERM.into());
        }
        let stat = match drive.lookup(folder, &name, reach)? {
            Some(stat) => stat,
            None if last => return Ok(Place { above, name, stat: None }),
            None => return Err(Errno::NOENT.into()),
        };
        if is_link(&stat) && (follow || !last) {
            hops += 1;
            let target = drive.target(stat.ino, reach)?;
            if hops > HOPS {
                return Err(Errno::LOOP.into());
            }
            if target.starts_with(b"/") {
                return Err(Errno::NOENT.into());
            }
            split(&target).collect::<Vec<_>>().into_iter().rev().for_each(|name| names.push_front(name));
        } else if last {
            return Ok(Place { above, name, stat: Some(stat) });
        } else if is_folder(&stat) {
            above.push(stat.ino);
        } else {
            return Err(Errno::NOTDIR.into());
        }
    }
    let folder = *above.last().ok_or(Errno::NOENT)?;
    Ok(Place { above, name: Vec::new(), stat: Some(drive.stat(folder, reach)?) })
}

fn split(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).map(<[u8]>::to_vec)
}
