//! Requests that change something.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dits_core::overlay::Time;
use dits_core::worktree::drive::{CONTENT, PLACE, Place, SETTLED, Settled};
use fuser::{
    Errno, FopenFlags, Generation, RenameFlags, ReplyAttr, ReplyCreate, ReplyEmpty, ReplyEntry, ReplyStatfs,
    ReplyWrite, ReplyXattr, Request, TimeOrNow,
};

use super::reply::{self, FOR_EVER, errno, file_attr};
use super::{Adapter, Shared};
use crate::drive::Drive;
use crate::error::{Reach, ReadError};
use crate::locks::Target;
use crate::overlay::{Changes, Maker, Rename};
use crate::stat::Stat;

/// Keep the length, in `fallocate`.
const KEEP_SIZE: i32 = 1;
/// Make a hole.
const PUNCH_HOLE: i32 = 2;
/// Make zeros.
const ZERO_RANGE: i32 = 16;

impl Adapter {
    /// Does something whose answer is only that it was done.
    pub(super) fn change(
        &self,
        change: impl Fn(&Drive, Reach) -> Result<(), ReadError> + Send + 'static,
        reply: ReplyEmpty,
    ) {
        self.drive.ask(change, move |result| reply::done(result, reply));
    }

    /// The same where locks decide whether it may be done.
    pub(super) fn change_of(
        &self,
        request: &Request,
        targets: Vec<Target>,
        change: impl Fn(&Drive, Reach) -> Result<(), ReadError> + Send + 'static,
        reply: ReplyEmpty,
    ) {
        let drive = Arc::clone(&self.drive);
        self.drive.claim(targets, request.pid(), move |granted| match granted {
            Ok(()) => drive.ask(change, move |result| reply::done(result, reply)),
            Err(error) => reply.error(errno(&error)),
        });
    }

    /// Makes something whose answer is what it is.
    fn entry(&self, change: impl Fn(&Drive, Reach) -> Result<Stat, ReadError> + Send + 'static, reply: ReplyEntry) {
        self.drive.ask(change, move |made| match made {
            Ok(stat) => reply.entry(&FOR_EVER, &file_attr(&stat), Generation(0)),
            Err(error) => reply.error(errno(&error)),
        });
    }

    pub(super) fn make(&self, request: &Request, folder: u64, name: &OsStr, mode: u32, reply: ReplyEntry) {
        let (name, maker) = (name.as_bytes().to_vec(), maker(request));
        self.entry(move |drive, reach| drive.writable()?.make(&drive.view, (folder, &name), mode, maker, reach), reply);
    }

    pub(super) fn make_link(&self, request: &Request, folder: u64, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let (name, maker) = (name.as_bytes().to_vec(), maker(request));
        let target = target.as_os_str().as_bytes().to_vec();
        self.entry(
            move |drive, reach| drive.writable()?.symlink(&drive.view, (folder, &name), &target, maker, reach),
            reply,
        );
    }

    pub(super) fn move_name(
        &self,
        request: &Request,
        from: (u64, Vec<u8>),
        to: (u64, Vec<u8>),
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let known = RenameFlags::RENAME_NOREPLACE | RenameFlags::RENAME_EXCHANGE;
        if !known.contains(flags) {
            return reply.error(Errno::EINVAL);
        }
        let (keep, exchange) =
            (flags.contains(RenameFlags::RENAME_NOREPLACE), flags.contains(RenameFlags::RENAME_EXCHANGE));
        let targets = [&from, &to].map(|(folder, name)| Target::Name(*folder, name.clone())).into();
        self.change_of(
            request,
            targets,
            move |drive, reach| {
                let rename = Rename { from: (from.0, &from.1), to: (to.0, &to.1), keep, exchange };
                drive.writable()?.rename(&drive.view, &rename, reach)
            },
            reply,
        );
    }

    pub(super) fn set(&self, request: &Request, ino: u64, changes: Changes, reply: ReplyAttr) {
        let targets = changes.size.map(|_| Target::Inode(ino)).into_iter().collect();
        let drive = Arc::clone(&self.drive);
        self.drive.claim(targets, request.pid(), move |granted| {
            if let Err(error) = granted {
                return reply.error(errno(&error));
            }
            drive.ask(
                move |drive, reach| drive.set(ino, &changes, reach),
                move |set| match set {
                    Ok(stat) => reply.attr(&FOR_EVER, &file_attr(&stat)),
                    Err(error) => reply.error(errno(&error)),
                },
            );
        });
    }

    /// The bytes are the request's, so they are written here and now: into the system's cache, as for any local file.
    pub(super) fn write_bytes(&self, ino: u64, offset: u64, bytes: &[u8], kill: bool, reply: ReplyWrite) {
        let drive = &self.drive;
        let written = drive
            .writable()
            .and_then(|overlay| overlay.write_bytes(&drive.view, ino, offset, bytes, kill, Reach::Disk));
        match written {
            // No request has more than 4 GiB.
            Ok(()) => reply.written(bytes.len() as u32),
            Err(error) => reply.error(errno(&error)),
        }
    }

    pub(super) fn allocate(
        &self,
        request: &Request,
        ino: u64,
        (offset, len): (u64, u64),
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let Some(end) = offset.checked_add(len) else { return reply.error(Errno::EFBIG) };
        self.change_of(
            request,
            vec![Target::Inode(ino)],
            move |drive, reach| {
                let (overlay, view) = (drive.writable()?, &drive.view);
                match mode {
                    0 => overlay.grow(view, ino, end, reach),
                    // There is nothing to set aside: what is written goes to a file that has no blocks yet.
                    KEEP_SIZE => Ok(()),
                    ZERO_RANGE => overlay.zero(view, ino, offset..end, true, reach),
                    mode if mode == PUNCH_HOLE | KEEP_SIZE || mode == ZERO_RANGE | KEEP_SIZE => {
                        overlay.zero(view, ino, offset..end, false, reach)
                    }
                    _ => Err(rustix::io::Errno::OPNOTSUPP.into()),
                }
            },
            reply,
        );
    }

    pub(super) fn set_attribute(
        &self,
        request: &Request,
        ino: u64,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        reply: ReplyEmpty,
    ) {
        let (name, value, maker) = (name.as_bytes().to_vec(), value.to_vec(), maker(request));
        // What files are made of is between dits and those who mounted; others may have been let in.
        let trusted = [0, self.drive.defaults().uid].contains(&maker.uid);
        let exists = match flags {
            1 => Some(false),
            2 => Some(true),
            _ => None,
        };
        self.change(
            move |drive, reach| {
                let (overlay, view) = (drive.writable()?, &drive.view);
                let malformed = |_| ReadError::from(rustix::io::Errno::INVAL);
                match std::str::from_utf8(&name) {
                    Ok(SETTLED | PLACE) if !trusted => Err(rustix::io::Errno::PERM.into()),
                    Ok(SETTLED) => overlay.settle(view, ino, &Settled::decode(&value).map_err(malformed)?),
                    Ok(PLACE) => overlay.place(view, ino, &Place::decode(&value).map_err(malformed)?, maker, reach),
                    _ => overlay.set_attribute(view, ino, (&name, Some(&value)), exists, reach),
                }
            },
            reply,
        );
    }

    /// An extended attribute.
    pub(super) fn attribute(&self, ino: u64, name: &OsStr, size: u32, reply: ReplyXattr) {
        let name = name.as_bytes().to_vec();
        self.drive.ask(
            move |drive, reach| match (drive.writable()?, &name[..]) {
                (overlay, name) if name == CONTENT.as_bytes() => Ok(overlay.content(&drive.view, ino, reach)?.encode()),
                (overlay, name) => overlay.attribute(ino, name),
            },
            move |value| match value {
                Ok(value) => reply::attribute(&value, size, reply),
                Err(error) => reply.error(errno(&error)),
            },
        );
    }

    /// The room on the file system that takes what is written.
    pub(super) fn room(&self, reply: ReplyStatfs) {
        match self.drive.writable().and_then(|overlay| overlay.room()) {
            Ok(room) => {
                // In units of the file system's own.
                let unit = u32::try_from(room.f_frsize).unwrap_or(super::BLOCK);
                let size = u32::try_from(room.f_bsize).unwrap_or(super::BLOCK);
                reply.statfs(room.f_blocks, room.f_bfree, room.f_bavail, room.f_files, room.f_ffree, size, 255, unit);
            }
            Err(error) => reply.error(errno(&error)),
        }
    }
}

impl Shared {
    pub(super) fn create_file(&self, request: &Request, folder: u64, name: &OsStr, mode: u32, reply: ReplyCreate) {
        let opener = match self.drive.admit(request.pid()) {
            Ok(opener) => opener,
            Err(error) => return reply.error(errno(&error)),
        };
        let (name, maker, shared) = (name.as_bytes().to_vec(), maker(request), self.clone());
        let targets = vec![Target::Name(folder, name.clone())];
        self.drive.claim(targets, request.pid(), move |granted| {
            if let Err(error) = granted {
                return reply.error(errno(&error));
            }
            let drive = Arc::clone(&shared.drive);
            drive.ask(
                move |drive, reach| {
                    let stat = drive.writable()?.make(&drive.view, (folder, &name), mode, maker, reach)?;
                    Ok((stat, drive.open(stat.ino, Reach::Disk)?))
                },
                move |made| match made {
                    Ok((stat, file)) => {
                        let handle = shared.files.add(file.opened_by(opener));
                        let flags = FopenFlags::FOPEN_KEEP_CACHE;
                        reply.created(&FOR_EVER, &file_attr(&stat), Generation(0), handle, flags);
                    }
                    Err(error) => reply.error(errno(&error)),
                },
            );
        });
    }
}

fn maker(request: &Request) -> Maker {
    Maker { uid: request.uid(), gid: request.gid() }
}

pub(super) fn time(time: SystemTime) -> Time {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let (seconds, nanos) = (i64::try_from(before.as_secs()).unwrap_or(i64::MAX), before.subsec_nanos());
            if nanos == 0 { (-seconds, 0) } else { (-seconds - 1, 1_000_000_000 - nanos) }
        }
    }
}

pub(super) fn time_or_now(given: TimeOrNow) -> Time {
    match given {
        TimeOrNow::SpecificTime(at) => time(at),
        TimeOrNow::Now => crate::overlay::now(),
    }
}
