//! Faults at system calls, through `strace -e inject`: kills and errors at the n-th mutating call of a command.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::bounded::{self, Finished};

/// The calls by which a process can change the disk.
pub const MUTATING: &str = "write,pwrite64,writev,pwritev,openat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,\
                            symlink,symlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,ftruncate,fallocate,copy_file_range";

/// What happens at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed on entering the call: the call does not happen.
    Kill,
    /// The user presses Ctrl-C when the call is made.
    Interrupt,
    /// The call fails with this error's name, such as `EIO` or `ENOSPC`.
    Error(&'static str),
}

/// Whether strace is installed and may trace here; says so when not.
#[must_use]
pub fn available(test: &str) -> bool {
    let works = crate::installed("strace")
        && bounded::run(Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]), b"", Duration::from_secs(10))
            .is_ok_and(|done| done.code == Some(0));
    if !works {
        crate::skip(test, "strace is not installed or may not trace here");
    }
    works
}

/// `command` under strace, with the fault at the `when`-th call (from 1) named in `calls`; each name and each
/// thread is counted by itself, see [`points`].
#[must_use]
pub fn inject(command: &Command, calls: &str, fault: Fault, when: u32) -> Command {
    injected(command, calls, fault, &format!(":when={when}"), None)
}

/// `command` under strace, with the fault at every call named in `calls` that is about the file at `path`.
#[must_use]
pub fn inject_on(command: &Command, path: &Path, calls: &str, fault: Fault) -> Command {
    injected(command, calls, fault, "", Some(path))
}

fn injected(command: &Command, calls: &str, fault: Fault, when: &str, path: Option<&Path>) -> Command {
    let what = match fault {
        Fault::Kill => "signal=SIGKILL".to_owned(),
        Fault::Interrupt => "signal=SIGINT".to_owned(),
        Fault::Error(name) => format!("error={name}"),
    };
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")]);
    if let Some(path) = path {
        traced.arg("-P").arg(path);
    }
    traced.args(["-e", &format!("inject={calls}:{what}{when}"), "--"]);
    bounded::continue_with(traced.arg(command.get_program()), command);
    traced
}

/// Every call named in `calls` that an undisturbed run of `command` makes, in order, each with the number by which
/// [`inject`] counts it: the calls of one name are counted by themselves, and by thread.
///
/// # Errors
/// When strace cannot be run, or the command fails.
pub fn points(command: &Command, calls: &str, limit: Duration) -> io::Result<Vec<(String, u32)>> {
    let log = tempfile::NamedTempFile::new()?;
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-e", &format!("trace={calls}"), "-e", "signal=none", "-o"]).arg(log.path()).arg("--");
    bounded::continue_with(traced.arg(command.get_program()), command);
    let done = bounded::run(&mut traced, b"", limit)?;
    if done.code != Some(0) {
        return Err(io::Error::other(done.to_string()));
    }
    let text = std::fs::read_to_string(log.path())?;
    let mut counts = std::collections::HashMap::<(&str, &str), u32>::new();
    let mut points = Vec::new();
    for line in text.lines().filter(|line| !line.contains("resumed>")) {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        let count = counts.entry((thread, name)).or_default();
        *count += 1;
        points.push((name.to_owned(), *count));
    }
    points.dedup();
    Ok(points)
}

/// How many calls named in `calls` an undisturbed run of `command` makes.
///
/// # Errors
/// When strace cannot be run, or the command fails.
pub fn count(command: &Command, calls: &str, limit: Duration) -> io::Result<u32> {
    Ok(u32::try_from(points(command, calls, limit)?.len()).unwrap_or(u32::MAX))
}

/// Runs `make` anew with a kill at each of the mutating calls that an undisturbed run makes; after each death `check`
/// judges what is on disk. Returns how many kills there were. `make` gives a command in a fresh place.
///
/// # Errors
/// When strace cannot be run, or a run ends neither by the kill nor well.
pub fn kill_everywhere(
    mut make: impl FnMut(u32) -> Command,
    mut check: impl FnMut(u32, &Finished),
    limit: Duration,
) -> io::Result<u32> {
    let points = points(&make(0), MUTATING, limit)?;
    let mut kills = 0;
    for (number, (call, when)) in (1..).zip(&points) {
        let done = bounded::run(&mut inject(&make(number), call, Fault::Kill, *when), b"", limit)?;
        // Another thread may have done the work this time.
        if done.code == Some(0) {
            continue;
        }
        // strace ends by the signal that ended its tracee.
        if done.signal != Some(9) && done.code != Some(137) || done.timed_out {
            return Err(io::Error::other(done.to_string()));
        }
        kills += 1;
        check(number, &done);
    }
    // The last one was not disturbed, so that what is there now is whole.
    bounded::run(&mut make(0), b"", limit)?;
    Ok(kills)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sandbox;

    #[test]
    fn kills_at_every_call_until_none_is_left() {
        if !available("kills_at_every_call_until_none_is_left") {
            return;
        }
        let sandbox = Sandbox::new("/nonexistent");
        let make = |_| {
            let mut command = sandbox.command("mkdir");
            let _ = std::fs::remove_dir(sandbox.path("x"));
            command.arg("x");
            command
        };
        let mut states = Vec::new();
        let kills =
            kill_everywhere(make, |_, _| states.push(sandbox.path("x").exists()), Duration::from_secs(20)).unwrap();
        assert_eq!(states.len(), kills as usize);
        assert!(kills > 0 && sandbox.path("x").exists());
        assert!(states.contains(&false));
    }

    #[test]
    fn an_injected_error_reaches_the_command() {
        if !available("an_injected_error_reaches_the_command") {
            return;
        }
        let sandbox = Sandbox::new("/nonexistent");
        let mut command = sandbox.command("mkdir");
        command.arg("x");
        assert_eq!(count(&command, "mkdir,mkdirat", Duration::from_secs(20)).unwrap(), 1);
        command.arg("y");
        std::fs::remove_dir(sandbox.path("x")).unwrap();
        let mut failing = inject(&command, "mkdir,mkdirat", Fault::Error("ENOSPC"), 2);
        let done = bounded::run(&mut failing, b"", Duration::from_secs(20)).unwrap();
        done.exits(1).warns("No space left");
        assert!(sandbox.path("x").exists() && !sandbox.path("y").exists());
    }
}
