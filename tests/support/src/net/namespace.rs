//! A network namespace of a test's own.
//!
//! It has no name: what keeps it is a descriptor of this process, and the programs in it. So nothing can be left behind
//! when the test is killed, and no two tests can meet.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::kernel;
use crate::bounded;

const LIMIT: Duration = Duration::from_secs(20);

/// The namespace. Programs still in it when it is dropped are killed.
#[derive(Debug)]
pub(super) struct Namespace {
    handle: File,
}

impl Namespace {
    /// Makes one, in which nothing is up.
    pub(super) fn new() -> io::Result<Self> {
        let handle = on_a_thread(|| {
            kernel::leave_network()?;
            File::open("/proc/thread-self/ns/net")
        })?;
        Ok(Self { handle })
    }

    /// Runs `act` on a thread inside. A socket made there stays there, wherever it is used.
    pub(super) fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            move_into_link_name_space(self.handle.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("the thread enters the namespace");
            act()
        })
    }

    /// `program`, to be run inside. Unlike `ip netns exec`, which parts the program from our mounts, this changes
    /// nothing but the network.
    pub(super) fn command(&self, program: &std::ffi::OsStr) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/fd/{}", std::process::id(), self.handle.as_raw_fd()));
        command.arg("--").arg(program);
        command
    }

    /// Runs lines of `ip` inside.
    pub(super) fn ip(&self, lines: &str) -> io::Result<()> {
        let mut command = Command::new("ip");
        command.args(["-batch", "-"]).env("PATH", crate::administrators_path());
        let done = self.inside(|| bounded::run(&mut command, lines.as_bytes(), LIMIT))?;
        if done.code == Some(0) { Ok(()) } else { Err(io::Error::other(format!("{lines}{done}"))) }
    }

    /// The number by which the kernel tells namespaces apart.
    pub(super) fn number(&self) -> io::Result<u64> {
        Ok(self.handle.metadata()?.ino())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let Ok(number) = self.number() else { return };
        for pid in inhabitants(number) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The processes in the namespace with this number.
pub(super) fn inhabitants(number: u64) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let inside = processes
        .filter(|entry| fs::metadata(entry.path().join("ns/net")).is_ok_and(|namespace| namespace.ino() == number));
    inside.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn on_a_thread<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(act).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}
