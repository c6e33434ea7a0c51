//! The adapter to the kernel: requests in, replies out. Nothing is decided here.

mod reply;
mod session;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use dits_core::tree::Content;
use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, KernelConfig, LockOwner, OpenFlags, ReplyAttr,
    ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};

pub use session::{MountOptions, Mounted, mount};

use crate::drive::Drive;
use crate::read::OpenFile;
use crate::view::OpenFolder;
use reply::{FOR_EVER, Owner, errno, kind};

/// The most that one request carries.
const REQUEST: u32 = 1 << 20;
/// Requests for what the kernel reads ahead that may be under way at once.
const BACKGROUND: u16 = 64;
/// The unit in which `statfs` counts.
const BLOCK: u32 = 4096;

/// A drive as fuser wants it.
struct Adapter {
    drive: Arc<Drive>,
    owner: Owner,
    files: Handles<OpenFile>,
    folders: Handles<OpenFolder>,
}

/// What the kernel holds by a number.
struct Handles<T> {
    next: AtomicU64,
    open: RwLock<HashMap<u64, Arc<T>>>,
}

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self { next: AtomicU64::new(1), open: RwLock::default() }
    }
}

impl<T> Handles<T> {
    fn add(&self, value: T) -> FileHandle {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::new(value));
        FileHandle(number)
    }

    fn get(&self, handle: FileHandle) -> Option<Arc<T>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(&handle.0).cloned()
    }

    fn remove(&self, handle: FileHandle) -> Option<Arc<T>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&handle.0)
    }
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
            move |drive, reach| drive.view.lookup(parent.0, &name, reach),
            move |found| match found {
                Ok(found) => reply.entry(&FOR_EVER, &shared.owner.file_attr(found), fuser::Generation(0)),
                Err(error) => reply.error(errno(&error)),
            },
        );
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let shared = self.clone();
        self.drive.ask(
            move |drive, reach| drive.view.attr(ino.0, reach),
            move |found| match found {
                Ok(found) => reply.attr(&FOR_EVER, &shared.owner.file_attr(Some(found))),
                Err(error) => reply.error(errno(&error)),
            },
        );
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        self.drive.ask(
            move |drive, reach| drive.view.entry(ino.0, reach),
            move |found| match found.map(|entry| entry.content) {
                Ok(Content::Symlink(target)) => reply.data(&target),
                Ok(_) => reply.error(Errno::EINVAL),
                Err(error) => reply.error(errno(&error)),
            },
        );
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let shared = self.clone();
        self.drive.ask(
            move |drive, reach| drive.open(ino.0, reach),
            move |opened| match opened {
                // Content never changes, so what the kernel has of it stays good; and there is nothing to flush.
                Ok(file) => {
                    let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
                    reply.opened(shared.files.add(file), flags);
                }
                Err(error) => reply.error(errno(&error)),
            },
        );
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
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        if let Some(file) = self.files.remove(handle) {
            self.drive.close(&file);
        }
        reply.ok();
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let shared = self.clone();
        self.drive.ask(
            move |drive, reach| drive.view.list(ino.0, reach),
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
        for (next, name, attr) in reply::entries(&folder, offset) {
            if reply.add(INodeNo(attr.ino), next, kind(attr.mode), OsStr::from_bytes(name)) {
                break;
            }
        }
        reply.ok();
    }

    fn readdirplus(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectoryPlus) {
        let Some(folder) = self.folders.get(handle) else { return reply.error(Errno::EBADF) };
        for (next, name, attr) in reply::entries(&folder, offset) {
            let (ino, name) = (INodeNo(attr.ino), OsStr::from_bytes(name));
            let attr = self.owner.file_attr(Some(attr));
            if reply.add(ino, next, name, &FOR_EVER, &attr, fuser::Generation(0)) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.folders.remove(handle);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.drive.ask(
            |drive, reach| drive.view.size(reach),
            move |size| match size {
                Ok(size) => reply.statfs(size.div_ceil(BLOCK.into()), 0, 0, 0, 0, BLOCK, 255, BLOCK),
                Err(error) => reply.error(errno(&error)),
            },
        );
    }

    // A kernel that is told so asks no more: `ls -l` would ask for two attributes of each file.
    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }
}
