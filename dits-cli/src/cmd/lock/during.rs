//! `dits lock --exec`: leases that are renewed as long as a command runs.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use dits_core::durable::IoContext;
use dits_core::lock::Standing;
use dits_core::path::RepoPath;
use dits_core::progress::Silent;
use dits_sync::client::UnlockOutcome;
use rustix::process::{Pid, Signal, kill_process};

use crate::cmd::unlock::give_back;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locking::changes;
use crate::locking::desk::Desk;
use crate::locking::refusal::Teller;
use crate::locking::take::{self, Wish};
use crate::output::size::plural;
use crate::progress::signal;

/// How long a lease is that has no `--ttl`, in seconds: a machine that dies holds up the others no longer.
pub const LEASE: u32 = 300;
/// How often a lease is renewed in its time: two times may fail.
const BEATS: u32 = 3;
/// How often it is looked whether this process is to end.
const LOOK_UP: Duration = Duration::from_millis(200);

/// Runs a command while the locks of `wish` are held, and gives those back that were not needed.
///
/// # Errors
/// When the command cannot be started, or what is locked here cannot be read.
pub fn run(mut desk: Desk<'_>, mut wish: Wish, command: &str) -> Result<Exit, CliError> {
    let lease = wish.lease.unwrap_or(LEASE);
    (wish.wait, wish.partial) = (false, true);
    // What it prints comes after what was said of the locks.
    desk.cx.out().flush()?;
    signal::leave_terminal();
    let every = Duration::from_secs(lease.into()) / BEATS;
    let child = Command::new("sh").arg("-c").arg(command).spawn();
    let status = child.and_then(|child| wait(child, every, &mut || renew(&mut desk, &mut wish, every)));
    if let Err(error) = release(&mut desk, &wish) {
        desk.cx.warn(format!("the leases end by themselves: {}", error.message));
    }
    Ok(Exit::Command(code(status.at("run", command.as_ref())?)))
}

/// What a shell would say of it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Waits for the command, and calls `beat` each so often.
fn wait(mut child: Child, every: Duration, beat: &mut dyn FnMut()) -> std::io::Result<ExitStatus> {
    let id = Pid::from_child(&child);
    let (tell, ended) = channel();
    let waiter = std::thread::spawn(move || {
        let status = child.wait();
        // Nobody listens any more only if this process ends.
        let _ = tell.send(status);
    });
    let status = attend(&ended, id, every, beat);
    let _ = waiter.join();
    status
}

fn attend(
    ended: &Receiver<std::io::Result<ExitStatus>>,
    child: Pid,
    every: Duration,
    beat: &mut dyn FnMut(),
) -> std::io::Result<ExitStatus> {
    let (mut last, mut passed_on) = (Instant::now(), false);
    loop {
        match ended.recv_timeout(LOOK_UP.min(every)) {
            Ok(status) => return status,
            Err(RecvTimeoutError::Disconnected) => return Err(std::io::Error::other("nobody waits for it")),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if signal::interrupted() && !std::mem::replace(&mut passed_on, true) {
            // If it has just ended, it needs no telling.
            let _ = kill_process(child, Signal::TERM);
        }
        if last.elapsed() >= every {
            beat();
            last = Instant::now();
        }
    }
}

/// The files that are still locked here: what the command pushed may be free already.
fn held(desk: &Desk<'_>, wish: &Wish) -> Result<Vec<RepoPath>, CliError> {
    let (state, us) = (desk.state()?, Some(desk.place.clone));
    let ours = |path: &&RepoPath| matches!(state.standing(path, us, None, None), Standing::Ours(_));
    Ok(wish.paths.iter().filter(ours).cloned().collect())
}

/// Makes the leases as long again as they were. A lock that is lost is told, and asked for no more.
fn renew(desk: &mut Desk<'_>, wish: &mut Wish, again: Duration) {
    let mut once = || -> Result<(), CliError> {
        desk.now = desk.cx.now()?.seconds;
        wish.paths = held(desk, wish)?;
        if wish.paths.is_empty() {
            return Ok(());
        }
        let taken = take::lock(desk, wish, &Silent)?;
        let state = desk.state()?;
        let you = state.seen.as_ref().map_or("", |seen| &seen.you);
        let (opened, remote, us) = (desk.opened, &desk.remote.name, Some(desk.place.clone));
        let teller = Teller { opened, remote, us, you, now: desk.cx.now()?, push: false };
        for (path, why) in &taken.refused {
            desk.cx.warn(format!(
                "{}; the lease is lost, the command goes on, and what it changes in this file cannot be pushed",
                teller.message(path, why)
            ));
            wish.paths.retain(|other| other != path);
        }
        Ok(())
    };
    if let Err(error) = once() {
        let again = again.as_secs().max(1);
        desk.cx.warn(format!("the leases are not renewed: {}; tried again in {again} s", error.message));
    }
}

/// Gives back what is as it was. A file that has changed stays locked until its lease ends: time to push it.
fn release(desk: &mut Desk<'_>, wish: &Wish) -> Result<(), CliError> {
    desk.now = desk.cx.now()?.seconds;
    let mut paths = held(desk, wish)?;
    let changed = changes::of(&desk.opened.repo, &desk.remote, &paths, desk.cx)?;
    paths.retain(|path| !changed.contains_key(path));
    for (path, change) in &changed {
        let (path, lease) = (desk.opened.show(path), plural(wish.lease.unwrap_or(LEASE).into(), "second", "seconds"));
        desk.cx.note(format!("{path} {}: it stays locked for at most {lease}", change.words()));
    }
    if paths.is_empty() {
        return Ok(());
    }
    let done = give_back(desk, &paths, false, &Silent)?;
    let count = done.iter().filter(|(_, outcome)| matches!(outcome, UnlockOutcome::Unlocked(_))).count();
    desk.cx.note(format!("Released {}", plural(count as u64, "file", "files")));
    Ok(())
}
