//! The adapter to the kernel: requests in, replies out. Nothing is decided here.

mod change;
mod handles;
mod pass;
mod reply;
mod session;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, KernelConfig, LockOwner, OpenAccMode,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

pub use session::{MountOptions, Mounted, Reminder, mount};

use crate::drive::Drive;
use crate::folder::OpenFolder;
use crate::locks::Target;
use crate::overlay::{Changes, can_be_kept};
use crate::read::OpenFile;
use handles::Handles;
use pass::Passing;
use reply::{FOR_EVER, errno, file_attr, kind};

/// The most that one request carries.
const REQUEST: u32 = 1 << 20;
/// Requests for what the kernel reads ahead that may be under way at once.
const BACKGROUND: u16 = 64;
/// The unit in which `statfs` counts.
const BLOCK: u32 = 4096;

/// A drive as fuser wants it.
struct Adapter {
    drive: Arc<Drive>,
    files: Handles<OpenFile>,
    folders: Handles<OpenFolder>,
    passing: Passing,
}

/// Shared with the workers that reply.
#[derive(Clone)]
struct Shared(Arc<Adapter>);

impl std::ops::Deref for Shared {
    type Target = Adapter;

    fn deref(&self) -> &Adapter {
        &self.0
    }
}

impl Filesystem for Shared {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // What a kernel does not have it does without.
        for wanted in [
            InitFlags::FUSE_ASYNC_READ,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_CACHE_SYMLINKS,
        ] {
            let _ = config.add_capabilities(wanted);
        }
        if self.drive.overlay().is_some() {
            // Without the second the kernel asks for an attribute before each write.
            let _ = config.add_capabilities(InitFlags::FUSE_WRITEBACK_CACHE);
            let _ = config.add_capabilities(InitFlags::FUSE_HANDLE_KILLPRIV_V2);
        } else {
            // Not together with the writeback cache: the kernel has one or the other.
            self.drive.want_copies(self.passing.prepare(config));
        }
        let _ = config.set_max_write(REQUEST);
        if let Err(most) = config.set_max_readahead(REQUEST) {
            let _ = config.set_max_readahead(most);
        }
        let _ = config.set_max_background(BACKGROUND);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let (shared, name) = (self.clone(), name.as_bytes().to_vec());
        self.drive.ask(
            move |drive, reach| drive.lookup(parent.0, &name, reach),
            move |found| match found {
                Ok(Some(found)) => reply.entry(&FOR_EVER, &file_attr(&found), fuser::Generation(0)),
                // What may be made later is asked for again.
                Ok(None) if shared.drive.overlay().is_some() => reply.error(Errno::ENOENT),
                Ok(None) => reply.entry(&FOR_EVER, &reply::nothing(), fuser::Generation(0)),
                Err(error) => reply.error(errno(&error)),
            },
        );
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.drive.ask(
            move |drive, reach| drive.stat_afresh(ino.0, reach),
            move |found| match found {
                Ok(found) => reply.attr(&FOR_EVER, &file_attr(&found)),
                Err(error) => reply.error(errno(&error)),
            },
        );
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        self.drive.ask(
            move |drive, reach| drive.target(ino.0, reach),
            move |found| match found {
                Ok(target) => reply.data(&target),
                Err(error) => reply.error(errno(&error)),
            },
        );
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let opener = match self.drive.admit(request.pid()) {
            Ok(opener) => opener,
            Err(error) => return reply.error(errno(&error)),
        };
        let targets = if is_for_writing(flags) { vec![Target::Inode(ino.0)] } else { Vec::new() };
        let shared = self.clone();
        self.drive.claim(targets, request.pid(), move |granted| {
            if let Err(error) = granted {
                return reply.error(errno(&error));
            }
            let drive = Arc::clone(&shared.drive);
            drive.ask(
                move |drive, reach| {
                    let file = drive.open(ino.0, reach)?;
                    let whole = drive.copy_of(&file, reach)?;
                    Ok((file, whole))
                },
                move |opened| match opened {
                    Ok((file, whole)) => shared.opened(file.opened_by(opener), whole, reply),
                    Err(error) => reply.error(errno(&error)),
                },
            );
        });
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(file) = self.files.get(handle) else { return reply.error(Errno::EBADF) };
        self.drive.read(&file, offset, size, move |gathered| match gathered {
            Ok(gathered) => reply::data(&gathered, reply),
            Err(error) => reply.error(errno(&error)),
        });
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        flags: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        if let Some(file) = self.files.remove(handle) {
            if is_for_writing(flags) {
                self.drive.written(file.ino);
            }
            self.closed(&file);
        }
        reply.ok();
    }

    fn opendir(&self, request: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        if let Err(error) = self.drive.admit(request.pid()) {
            return reply.error(errno(&error));
        }
        let shared = self.clone();
        self.drive.ask(
            move |drive, reach| drive.open_folder(ino.0, reach),
            move |opened| match opened {
                Ok(folder) => {
                    let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR;
                    reply.opened(shared.folders.add(folder), flags);
                }
                Err(error) => reply.error(errno(&error)),
            },
        );
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let Some(folder) = self.folders.get(handle) else { return reply.error(Errno::EBADF) };
        let listed = self.drive.visit(&folder, offset, &mut |next, name, stat| {
            !reply.add(INodeNo(stat.ino), next, kind(stat), OsStr::from_bytes(name))
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn readdirplus(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectoryPlus) {
        let Some(folder) = self.folders.get(handle) else { return reply.error(Errno::EBADF) };
        let listed = self.drive.visit(&folder, offset, &mut |next, name, stat| {
            let (ino, name) = (INodeNo(stat.ino), OsStr::from_bytes(name));
            !reply.add(ino, next, name, &FOR_EVER, &file_attr(stat), fuser::Generation(0))
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.folders.remove(handle);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        if self.drive.overlay().is_some() {
            return self.room(reply);
        }
        self.drive.ask(
            |drive, reach| drive.view.size(reach),
            move |size| match size {
                Ok(size) => reply.statfs(size.div_ceil(BLOCK.into()), 0, 0, 0, 0, BLOCK, 255, BLOCK),
                Err(error) => reply.error(errno(&error)),
            },
        );
    }

    // A kernel that is told that there are none asks no more. Of access control lists it then says itself that a file has
    // none: `ls -l`, which does not ask of a second file where there can be none, would ask of each.
    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        match self.drive.overlay() {
            _ if !can_be_kept(name.as_bytes()) => reply.error(Errno::EOPNOTSUPP),
            Some(_) => self.attribute(ino.0, name, size, reply),
            None => reply.error(Errno::ENOSYS),
        }
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        match self.drive.overlay() {
            Some(overlay) => reply::attribute(&overlay.attribute_names(ino.0), size, reply),
            None => reply.error(Errno::ENOSYS),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        ctime: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let [atime, mtime] = [atime, mtime].map(|time| time.map(change::time_or_now));
        let ctime = ctime.map(change::time);
        let kill = size.is_some() || uid.is_some() || gid.is_some();
        self.set(request, ino.0, Changes { mode, uid, gid, size, atime, mtime, ctime, kill }, reply);
    }

    fn mknod(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, _: u32, reply: ReplyEntry) {
        match mode & 0o170_000 {
            // Devices are neither versioned nor anybody's business in a project.
            0o020_000 | 0o060_000 => reply.error(Errno::EPERM),
            0 => self.make(request, parent.0, name, mode | 0o100_000, reply),
            _ => self.make(request, parent.0, name, mode, reply),
        }
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        self.make(request, parent.0, name, mode & 0o7777 | 0o040_000, reply);
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        self.make_link(request, parent.0, name, target, reply);
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.as_bytes().to_vec();
        self.change_of(
            request,
            vec![Target::Name(parent.0, name.clone())],
            move |drive, reach| drive.writable()?.unlink(&drive.view, parent.0, &name, reach),
            reply,
        );
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.as_bytes().to_vec();
        self.change(move |drive, reach| drive.writable()?.rmdir(&drive.view, parent.0, &name, reach), reply);
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        self.move_name(request, (parent.0, name.as_bytes().to_vec()), (to.0, new.as_bytes().to_vec()), flags, reply);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        // A version has no two names for one file.
        reply.error(Errno::EPERM);
    }

    fn create(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, _: i32, reply: ReplyCreate) {
        self.create_file(request, parent.0, name, mode & 0o7777 | 0o100_000, reply);
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let kill = flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        self.write_bytes(ino.0, offset, data, kill, reply);
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.drive.work(move |drive| reply::done(drive.writable().and_then(|overlay| overlay.sync(ino.0)), reply));
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.drive.work(move |drive| reply::done(drive.writable().and_then(|overlay| overlay.sync_names()), reply));
    }

    fn fallocate(
        &self,
        request: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.allocate(request, ino.0, (offset, len), mode, reply);
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        self.set_attribute(request, ino.0, name, value, flags, reply);
    }

    fn removexattr(&self, _: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.as_bytes().to_vec();
        self.change(
            move |drive, reach| drive.writable()?.set_attribute(&drive.view, ino.0, (&name, None), Some(true), reach),
            reply,
        );
    }
}

/// Whether a file is opened to be changed.
fn is_for_writing(flags: OpenFlags) -> bool {
    const TRUNCATE: i32 = 0o1000;
    flags.acc_mode() != OpenAccMode::O_RDONLY || flags.0 & TRUNCATE != 0
}
