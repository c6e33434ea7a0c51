//! Requests that change something, as a worker does them.

use std::sync::Arc;

use dav_server::fs::OpenOptions;
use rustix::io::Errno;

use super::file::Writing;
use super::place::{Place, find, is_file, is_folder, is_link};
use crate::drive::Drive;
use crate::error::{Reach, ReadError};
use crate::locks::Target;
use crate::overlay::{Maker, Rename, read_data};

const NEW_FILE: u32 = 0o100_644;
const NEW_FOLDER: u32 = 0o040_755;

pub(super) fn maker() -> Maker {
    Maker { uid: rustix::process::getuid().as_raw(), gid: rustix::process::getgid().as_raw() }
}

/// Gets the locks that a change of these places needs.
fn claim(drive: &Drive, places: &[&Place]) -> Result<(), ReadError> {
    let target = |place: &&Place| place.slot().map(|(folder, name)| Target::Name(folder, name.to_vec()));
    let targets = places.iter().map(target).collect::<Result<Vec<_>, _>>()?;
    drive.claim_waiting(&targets, None)
}

/// Opens a file to be written. What is to replace the whole file goes to a new one without a name; a range, and what is
/// only made, goes to where it is.
pub(super) fn open(drive: &Arc<Drive>, path: &[u8], options: &OpenOptions) -> Result<Writing, ReadError> {
    let (overlay, view) = (drive.writable()?, &drive.view);
    let place = find(drive, path, true, Reach::Disk)?;
    let slot = place.slot()?;
    match place.stat {
        Some(_) if options.create_new => return Err(Errno::EXIST.into()),
        Some(stat) if is_folder(&stat) => return Err(ReadError::IsAFolder),
        Some(stat) if !is_file(&stat) => return Err(Errno::PERM.into()),
        None if !options.create => return Err(Errno::NOENT.into()),
        _ => {}
    }
    claim(drive, &[&place])?;
    if let Some(size) = options.size {
        let room = overlay.room()?;
        if size > room.f_bavail.saturating_mul(room.f_frsize) {
            return Err(Errno::NOSPC.into());
        }
    }
    let (ino, at, name) = match place.stat {
        _ if options.truncate => (overlay.nameless(view, maker())?, 0, Some((slot.0, slot.1.to_vec()))),
        Some(stat) => {
            overlay.opened(view, stat.ino, Reach::Disk)?;
            (stat.ino, if options.append { stat.size } else { 0 }, None)
        }
        None => {
            let made = overlay.make(view, slot, NEW_FILE, maker(), Reach::Disk)?;
            overlay.opened(view, made.ino, Reach::Disk)?;
            (made.ino, 0, None)
        }
    };
    // Only of what gets a name does the length decide.
    let expected = options.size.filter(|_| name.is_some());
    Ok(Writing { drive: Arc::clone(drive), ino, at, pending: Vec::new(), name, expected })
}

/// Makes a folder; `replace` says that a file may make room.
pub(super) fn make_folder(drive: &Drive, path: &[u8], replace: bool) -> Result<(), ReadError> {
    let (overlay, view) = (drive.writable()?, &drive.view);
    let place = find(drive, path, false, Reach::Disk)?;
    match place.stat {
        // Also the root is there.
        Some(stat) if is_folder(&stat) || !replace => return Err(Errno::EXIST.into()),
        Some(_) => {
            claim(drive, &[&place])?;
            overlay.unlink(view, place.slot()?.0, &place.name, Reach::Disk)?;
        }
        None => {}
    }
    overlay.make(view, place.slot()?, NEW_FOLDER, maker(), Reach::Disk).map(|_| ())
}

/// Removes a folder or what is none.
pub(super) fn remove(drive: &Drive, path: &[u8], folder: bool) -> Result<(), ReadError> {
    let (overlay, view) = (drive.writable()?, &drive.view);
    let place = find(drive, path, false, Reach::Disk)?;
    place.existing()?;
    claim(drive, &[&place])?;
    let (above, name) = place.slot()?;
    match folder {
        true => overlay.rmdir(view, above, name, Reach::Disk),
        false => overlay.unlink(view, above, name, Reach::Disk),
    }
}

/// Moves a name, over what has the new one.
pub(super) fn rename(drive: &Drive, from: &[u8], to: &[u8]) -> Result<(), ReadError> {
    let (overlay, view) = (drive.writable()?, &drive.view);
    let [from, to] = [from, to].map(|path| find(drive, path, false, Reach::Disk));
    let (from, to) = (from?, to?);
    let moved = from.existing()?;
    // A folder cannot move into itself. The kernel sees to that for mounts; here nobody else does.
    if to.above.contains(&moved.ino) {
        return Err(Errno::PERM.into());
    }
    claim(drive, &[&from, &to])?;
    match to.stat {
        Some(there) if is_folder(&moved) && !is_folder(&there) => {
            overlay.unlink(view, to.slot()?.0, &to.name, Reach::Disk)?;
        }
        _ => {}
    }
    let rename = Rename { from: from.slot()?, to: to.slot()?, keep: false, exchange: false };
    overlay.rename(view, &rename, Reach::Disk)
}

/// Copies a file, over what has the new name. No byte is copied that the store has.
pub(super) fn copy(drive: &Drive, from: &[u8], to: &[u8]) -> Result<(), ReadError> {
    let (overlay, view) = (drive.writable()?, &drive.view);
    let from = find(drive, from, true, Reach::Disk)?.existing()?;
    let to = find(drive, to, false, Reach::Disk)?;
    if to.stat.is_some_and(|there| there.ino == from.ino) || is_link(&from) {
        return Err(Errno::PERM.into());
    }
    claim(drive, &[&to])?;
    let slot = to.slot()?;
    let ino = overlay.nameless_copy(view, from.ino, maker(), Reach::Disk)?;
    let copied =
        differences(drive, from.ino, ino).and_then(|()| overlay.name(view, ino, (slot.0, slot.1), false, Reach::Disk));
    overlay.closed(ino);
    copied
}

/// Brings what a file has that its base content has not into a copy that has that base content.
fn differences(drive: &Drive, from: u64, to: u64) -> Result<(), ReadError> {
    const PIECE: u64 = 1 << 20;
    let (overlay, view) = (drive.writable()?, &drive.view);
    // As it was at one moment.
    let Some(snapshot) = overlay.snapshot(from, 0, u64::MAX)? else { return Ok(()) };
    for (range, fill) in &snapshot.pieces {
        match (fill, &snapshot.data) {
            (None, _) => {}
            (Some(dits_core::overlay::Fill::Data), Some(data)) => {
                let mut at = range.start;
                while at < range.end {
                    let len = (range.end - at).min(PIECE);
                    let bytes = read_data(data, at, len as usize);
                    let bytes = bytes.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
                    overlay.write_bytes(view, to, at, &bytes, false, Reach::Disk)?;
                    at += len;
                }
            }
            (Some(_), _) => overlay.zero(view, to, range.clone(), true, Reach::Disk)?,
        }
    }
    match overlay.size(to) == Some(snapshot.size) {
        true => Ok(()),
        false => overlay.resize(view, to, snapshot.size, Reach::Disk),
    }
}
