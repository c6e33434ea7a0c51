//! Locks in a mount that is written to: who has which file, asked of the remote and followed as long as the mount lives.
//!
//! - [`known`]: what rules and locks mean for a file, in memory.
//! - [`ask`]: locking and unlocking, with the code of `dits lock` and `dits unlock`.
//! - [`follow`]: what changes, here and at the server.

mod ask;
mod follow;
mod known;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use dits_core::path::RepoPath;
use dits_core::repo::{Layout, Repository};
use dits_core::tree::Content;
use dits_fuse::drive::Drive;
use dits_fuse::fuse::Reminder;
use dits_fuse::locks::{Denied, Hold, Locker};

use crate::app::Globals;
use crate::context::Context;
use crate::env::Env;
use crate::error::CliError;
use crate::locking::desk;
use crate::repository::Opened;
use known::{Known, Print};

/// How long a program that saves waits for a lock at most.
const LONGEST: Duration = Duration::from_secs(10);

/// The locks of a mount.
#[derive(Clone)]
pub struct MountLocks(Arc<Inner>);

struct Inner {
    globals: Globals,
    env: Env,
    cwd: PathBuf,
    layout: Layout,
    repo: Repository,
    /// How long is waited for the server.
    patience: Duration,
    /// Whether no remote may be asked.
    offline: bool,
    known: RwLock<Known>,
    print: Mutex<Print>,
    idle: AtomicBool,
    drive: OnceLock<Weak<Drive>>,
    reminder: OnceLock<Reminder>,
    changed: (Mutex<bool>, Condvar),
}

impl MountLocks {
    /// For the mount of this layout; `None` where no remote holds locks.
    ///
    /// # Errors
    /// When what is known here cannot be read.
    pub fn of(layout: Layout, cx: &Context, offline: bool) -> Result<Option<Self>, CliError> {
        let repo = Repository::open(layout.clone(), &cx.environment()?)?;
        if desk::remote(&repo).is_err() {
            return Ok(None);
        }
        let patience = repo.config().get_duration("mount.timeout")?.unwrap_or(LONGEST).min(LONGEST);
        let print = Print::of(&repo);
        let known = Known::load(&repo, Default::default())?;
        Ok(Some(Self(Arc::new(Inner {
            globals: cx.globals.clone(),
            env: cx.env.clone(),
            cwd: cx.cwd.clone(),
            layout,
            patience,
            offline,
            idle: AtomicBool::new(known.is_idle()),
            known: RwLock::new(known),
            print: Mutex::new(print),
            drive: OnceLock::new(),
            reminder: OnceLock::new(),
            changed: (Mutex::new(false), Condvar::new()),
            repo,
        }))))
    }

    /// Learns the rules that are in the drive. Before programs may look into it.
    pub fn learn(&self, drive: &Arc<Drive>) {
        let _ = self.0.drive.set(Arc::downgrade(drive));
        self.0.learn_rules(drive, &mut follow::Rules::default());
    }

    /// Follows what changes until the process ends. `reminder` is what the kernel is told by.
    pub fn follow(&self, reminder: Option<Reminder>) {
        if let Some(reminder) = reminder {
            let _ = self.0.reminder.set(reminder);
        }
        follow::begin(&self.0);
    }
}

impl Inner {
    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_known(&self, known: Known) {
        self.idle.store(known.is_idle(), Ordering::Relaxed);
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        self.wake();
    }

    /// Has the thread that tells the kernel look at once.
    fn wake(&self) {
        *self.changed.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.1.notify_all();
    }

    /// What a command in the mount would work with.
    fn open(&self) -> Result<(Context, Opened), CliError> {
        let cx = Context::new(self.globals.clone(), self.env.clone(), self.cwd.clone(), false)?;
        let repo = Repository::open(self.layout.clone(), &cx.environment()?)?;
        Ok((cx, Opened::whole(repo)))
    }

    /// Takes in what other commands of the clone have written down.
    fn look_again(&self) {
        let mut last = self.print.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Print::of(&self.repo);
        if *last == now {
            return;
        }
        let rules = self.known().rules_files();
        match Known::load(&self.repo, rules) {
            Ok(known) => {
                *last = now;
                self.set_known(known);
            }
            // What was known stays; it is tried again.
            Err(error) => crate::error::print_warning(&format!("locks: {}", error.message), false),
        }
    }
}

impl Locker for MountLocks {
    fn is_idle(&self) -> bool {
        self.0.idle.load(Ordering::Relaxed)
    }

    fn hold(&self, path: &RepoPath, is_new: bool) -> Hold {
        self.0.known().hold(path, is_new)
    }

    fn theirs_below(&self, folder: &RepoPath) -> bool {
        self.0.known().theirs_below(folder)
    }

    fn look_again(&self) {
        self.0.look_again();
    }

    fn acquire(&self, path: &RepoPath, lease: Option<u32>) -> Result<(), Denied> {
        self.0.acquire(path, lease)
    }

    fn release(&self, path: &RepoPath, content: Option<&Content>) {
        self.0.release(path, content);
    }

    fn closed(&self, path: &RepoPath, content: &Content) {
        self.0.closed(path, content);
    }
}
