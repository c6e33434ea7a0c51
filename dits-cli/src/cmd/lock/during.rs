//! `dits lock --exec`: leases that are renewed as long as a command runs.

use std::io::IsTerminal;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use dits_core::durable::IoContext;
use dits_core::lock::Standing;
use dits_core::path::RepoPath;
use dits_core::progress::Silent;
use dits_sync::client::UnlockOutcome;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::carry_out;
use crate::cmd::unlock::give_back;
use crate::error::CliError;
use crate::exit::Exit;
use crate::locking::desk::{Desk, refused};
use crate::locking::refusal::Teller;
use crate::locking::take::{self, Wish};
use crate::locking::{changes, show};
use crate::output::size::plural;
use crate::progress::signal;

/// How long a lease is that has no `--ttl`, in seconds: a machine that dies holds up the others no longer.
const LEASE: u32 = 300;
/// A lease is renewed after such a part of its time: two renewals may fail.
const BEATS: u32 = 4;
/// How often it is looked whether the command has ended.
const LOOK_UP: Duration = Duration::from_millis(50);

/// Locks what is wished for, runs a command as long as it is held, and gives back what was not needed.
///
/// # Errors
/// When something cannot be locked, or is locked by this clone already, and when the command cannot be started.
pub fn run(mut desk: Desk<'_>, mut wish: Wish, command: &str) -> Result<Exit, CliError> {
    let lease = *wish.lease.get_or_insert(LEASE);
    // At the end it would be given back, also if that is not meant.
    if let Some(path) = held(&desk, &wish)?.first() {
        let message = format!("`{}` is locked by this clone already", desk.opened.show(path));
        return Err(refused(message).hint("give it back first, or run the command without `dits lock --exec`"));
    }
    let status = carry_out(&desk, &wish, "lock").and_then(|_| {
        // What it prints comes after what was said of the locks.
        desk.cx.out().flush()?;
        if signal::interrupted() {
            return Err(CliError::new(Exit::Interrupted, "interrupted"));
        }
        signal::leave_terminal();
        (wish.wait, wish.partial) = (false, true);
        Ok(attend(&mut desk, &mut wish, lease, command).at("run", command.as_ref())?)
    });
    if let Err(error) = release(&mut desk, &wish, lease) {
        desk.cx.warn(format!("the leases end by themselves: {}", error.message));
    }
    status.map(|status| Exit::Command(code(status)))
}

/// What a shell would say of it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Runs the command, and renews the leases meanwhile.
fn attend(desk: &mut Desk<'_>, wish: &mut Wish, lease: u32, command: &str) -> std::io::Result<ExitStatus> {
    let every = Duration::from_secs(lease.into()) / BEATS;
    let mut shell = Command::new("sh");
    // At a terminal it must stay in our group to read from it, and Ctrl-C goes to all.
    let alone = !std::io::stdin().is_terminal();
    if alone {
        shell.process_group(0);
    }
    let mut child = shell.arg("-c").arg(command).spawn()?;
    let (mut last, mut passed_on) = (Instant::now(), false);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if signal::interrupted() && !std::mem::replace(&mut passed_on, true) {
            terminate(&child, alone);
        }
        if last.elapsed() >= every {
            last = Instant::now();
            renew(desk, wish, every);
        }
        thread::sleep(LOOK_UP.min(every));
    }
}

/// Hands `SIGTERM` on, to all that the command has started where it has a group of its own.
fn terminate(child: &Child, alone: bool) {
    let id = Pid::from_child(child);
    // It has not been waited for, so that the number is still its own.
    let _ = if alone { kill_process_group(id, Signal::TERM) } else { kill_process(id, Signal::TERM) };
}

/// The files that are locked here: what the command pushed may be free already.
fn held(desk: &Desk<'_>, wish: &Wish) -> Result<Vec<RepoPath>, CliError> {
    let (state, us) = (desk.state()?, Some(desk.place.clone));
    let ours = |path: &&RepoPath| matches!(state.standing(path, us, None, Some(desk.now)), Standing::Ours(_));
    Ok(wish.paths.iter().filter(ours).cloned().collect())
}

/// Makes the leases as long again as they were. A lock that is lost is told, and asked for no more.
fn renew(desk: &mut Desk<'_>, wish: &mut Wish, again: Duration) {
    if let Err(error) = try_renew(desk, wish) {
        let again = again.as_secs().max(1);
        desk.cx.warn(format!("the leases are not renewed: {}; tried again in {again} s", error.message));
    }
}

fn try_renew(desk: &mut Desk<'_>, wish: &mut Wish) -> Result<(), CliError> {
    let now = desk.cx.now()?;
    desk.now = now.seconds;
    let state = desk.state()?;
    let us = Some(desk.place.clone);
    let lost = |path: &RepoPath, why: String| {
        desk.cx.warn(format!(
            "`{}` {why}: the lease is lost, the command goes on, and what it changes in this file cannot be pushed",
            desk.opened.show(path)
        ));
    };
    // One that has ended here may stand on the server, or can be had again. One that is not there any more was pushed.
    wish.paths.retain(|path| match state.standing(path, us, None, None) {
        Standing::Ours(_) => true,
        Standing::Theirs(lock) => {
            lost(path, show::held(lock, now));
            false
        }
        _ => false,
    });
    if wish.paths.is_empty() {
        return Ok(());
    }
    let taken = take::lock(desk, wish, &Silent)?;
    let you = state.seen.as_ref().map_or("", |seen| &seen.you);
    let teller = Teller { opened: desk.opened, remote: &desk.remote.name, us, you, now, push: false };
    for (path, why) in &taken.refused {
        desk.cx.warn(format!("{}; the lease is lost, and the command goes on", teller.message(path, why)));
        wish.paths.retain(|other| other != path);
    }
    Ok(())
}

/// Gives back what is as it was. A file that has changed stays locked until its lease ends: time to push it.
fn release(desk: &mut Desk<'_>, wish: &Wish, lease: u32) -> Result<(), CliError> {
    desk.now = desk.cx.now()?.seconds;
    let mut paths = held(desk, wish)?;
    let changed = changes::of(&desk.opened.repo, &desk.remote, &paths, desk.cx, &Silent)?;
    paths.retain(|path| !changed.contains_key(path));
    for (path, change) in &changed {
        let (path, lease) = (desk.opened.show(path), plural(lease.into(), "second", "seconds"));
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
