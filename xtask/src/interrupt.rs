//! Ctrl-C: what we started runs in process groups of its own, which the terminal's interrupt does not reach. It is
//! passed on here, so that nothing keeps running behind an interrupted run.

use std::io;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The leader of the group that runs now; 0 for none.
static RUNNING: AtomicU32 = AtomicU32::new(0);

/// Waits for interrupts from now on: the running group is killed, and we end with 130.
pub fn watch() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            let leader = i32::try_from(RUNNING.load(Ordering::SeqCst)).ok().and_then(Pid::from_raw);
            if let Some(leader) = leader {
                let _ = kill_process_group(leader, Signal::KILL);
            }
            // Commands of a test lead groups of their own; they carry this run's mark.
            crate::test::kill_marked();
            std::process::exit(130);
        }
    });
    Ok(())
}

/// Marks a child's group as the one that runs, until dropped.
pub struct Running(());

impl Running {
    pub fn new(child: &Child) -> Self {
        RUNNING.store(child.id(), Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.store(0, Ordering::SeqCst);
    }
}
