//! Files that the kernel reads by itself, from whole copies ("FUSE passthrough"). It lets only privileged daemons do that, and
//! only in mounts that are not written to; where it does not, it asks for content as ever.

use std::fs::File;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use dits_core::store::Whole;
use fuser::{BackingId, FopenFlags, InitFlags, KernelConfig, ReplyOpen};

use super::Shared;
use crate::read::OpenFile;
use crate::whole::Modes;

/// A file that the kernel reads, which is not removed as long as it does.
struct Backing {
    id: BackingId,
    _whole: Whole,
}

/// What is passed to the kernel.
#[derive(Default)]
pub(super) struct Passing {
    /// The kernel can, and as far as is known it lets this process.
    possible: AtomicBool,
    tried: OnceLock<()>,
    modes: Modes<Backing>,
}

impl Passing {
    /// Asks the kernel whether it can, and says so.
    pub(super) fn prepare(&self, config: &mut KernelConfig) -> bool {
        // Files on a file system that is stacked itself cannot be passed: then this one can be stacked.
        let can = config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok() && config.set_max_stack_depth(1).is_ok();
        self.possible.store(can, Ordering::Relaxed);
        can
    }

    fn is_possible(&self) -> bool {
        self.possible.load(Ordering::Relaxed)
    }
}

impl Shared {
    /// Replies that a file is open.
    pub(super) fn opened(&self, file: OpenFile, whole: Option<Whole>, reply: ReplyOpen) {
        let passing = &self.passing;
        if passing.is_possible() {
            passing.tried.get_or_init(|| self.try_passing(&reply));
        }
        let backing = passing.modes.open(file.ino, || {
            let whole = whole.filter(|_| passing.is_possible())?;
            match reply.open_backing(&whole) {
                Ok(id) => Some(Backing { id, _whole: whole }),
                Err(_) => {
                    self.give_up();
                    None
                }
            }
        });
        let handle = self.files.add(file);
        match backing {
            // The kernel takes no other flag beside.
            Some(backing) => reply.opened_passthrough(handle, FopenFlags::FOPEN_NOFLUSH, &backing.id),
            // Content changes through the kernel alone, so what it has stays good; there is nothing to flush in a mount that
            // is only read, and in others the kernel flushes all the same.
            None => reply.opened(handle, FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH),
        }
    }

    /// Finds out with a file that is there, before any copy is made for nothing.
    fn try_passing(&self, reply: &ReplyOpen) {
        let file = File::open(self.drive.view.store().dits_dir().join("config"));
        if file.and_then(|file| reply.open_backing(file)).is_err() {
            self.give_up();
        }
    }

    fn give_up(&self) {
        self.passing.possible.store(false, Ordering::Relaxed);
        self.drive.want_copies(false);
    }

    /// Nobody reads a file by this handle any more.
    pub(super) fn closed(&self, file: &std::sync::Arc<OpenFile>) {
        let backing = self.passing.modes.close(file.ino);
        self.drive.close(file);
        if backing.is_some() {
            drop(backing);
            self.drive.let_go();
        }
    }
}
