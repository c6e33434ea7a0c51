//! Mounting, and ending that.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{BackgroundSession, Config, INodeNo, MountOption, Notifier, Session, SessionACL};

use super::{Adapter, Handles, Passing, REQUEST, Shared};
use crate::drive::Drive;
use crate::table;

/// Threads that take requests from the kernel, each from its own clone of the device.
const SESSIONS: usize = 2;

/// The percentage of the kernel's room for changed pages that a mount may take.
const DIRTY: u32 = 20;

/// How a drive is mounted.
pub struct MountOptions {
    /// The repository's folder, for the kernel's table.
    pub source: String,
    /// Whether other users may look into it.
    pub others: bool,
}

/// A mounted drive. Dropping it unmounts.
pub struct Mounted {
    session: BackgroundSession,
    point: PathBuf,
}

/// Mounts a drive on a folder.
///
/// # Errors
/// When the system refuses.
pub fn mount(drive: Arc<Drive>, point: &Path, options: MountOptions) -> io::Result<Mounted> {
    let MountOptions { source, others } = options;
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(table::source(&source)),
        MountOption::Subtype("dits".to_owned()),
        MountOption::DefaultPermissions,
    ];
    let (writable, far) = (drive.overlay().is_some(), drive.chunks().has_remote());
    if !writable {
        config.mount_options.push(MountOption::RO);
    }
    config.acl = if others { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(SESSIONS);
    config.clone_fd = true;
    let (files, folders) = (Handles::default(), Handles::default());
    let adapter = Shared(Arc::new(Adapter { drive, files, folders, passing: Passing::default() }));
    let session = Session::new(adapter, point, &config)?.spawn()?;
    tune(point, writable, far);
    Ok(Mounted { session, point: point.to_owned() })
}

/// How many requests the kernel has under way when it reads ahead, where nothing is far away. What comes from a remote is not
/// guessed at by so much.
const AHEAD: u32 = 4;

/// Lets the kernel read ahead in whole requests; by itself it stops at 128 KiB. And lets it hold more than one percent of
/// its room for what is written and not yet handed over: with that little, programs wait for the daemon. Only root may say so.
fn tune(point: &Path, writable: bool, far: bool) {
    let Ok(device) = fs::metadata(point).map(|meta| meta.dev()) else { return };
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let set =
        |name: &str, value: u32| _ = fs::write(format!("/sys/class/bdi/{major}:{minor}/{name}"), value.to_string());
    set("read_ahead_kb", (REQUEST >> 10) * if far { 1 } else { AHEAD });
    if writable {
        set("max_ratio", DIRTY);
        // Kernels before 6.2 have none, and keep to the limit.
        set("strict_limit", 0);
    }
}

/// Tells the kernel that what it knows of files is out of date.
#[derive(Clone)]
pub struct Reminder(Notifier);

impl Reminder {
    /// The attributes of a file have changed; its content has not.
    pub fn attributes_changed(&self, ino: u64) {
        // One that the kernel does not know it has nothing wrong about.
        let _ = self.0.inval_inode(INodeNo(ino), -1, 0);
    }
}

impl Mounted {
    /// What the kernel is reminded by.
    #[must_use]
    pub fn reminder(&self) -> Reminder {
        Reminder(self.session.notifier())
    }

    /// Whether it has been unmounted, by whomever.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.session.guard.is_finished()
    }

    /// Unmounts, also if somebody still uses it. Who still has a file open gets errors once the process has ended.
    ///
    /// # Errors
    /// When the system refuses, or the session failed.
    pub fn end(self) -> io::Result<()> {
        if self.is_over() || table::unmount(&self.point, false).is_ok() {
            return self.session.join();
        }
        table::unmount(&self.point, true)?;
        // The session ends when nobody uses it any more; the process does not wait for that. Dropping it would unmount
        // whatever is on the folder by then.
        std::mem::forget(self.session);
        Ok(())
    }
}
