//! Commands that cannot hang a test: each runs in a process group of its own, which is killed at the time limit.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// How long a command's pipes may stay open after it has ended (by a child it left behind).
const PIPE_GRACE: Duration = Duration::from_secs(2);

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub shown: String,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Everything it wrote to standard output.
    pub stdout: Vec<u8>,
    /// Everything it wrote to standard error.
    pub stderr: Vec<u8>,
    /// Whether it was killed at its time limit.
    pub timed_out: bool,
    /// Wall-clock time it took.
    pub took: Duration,
}

impl Finished {
    /// Standard output as text; bytes that are not UTF-8 become replacement characters.
    #[must_use]
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Asserts exit code 0.
    ///
    /// # Panics
    /// With the command and all it said, otherwise.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Asserts this exit code.
    ///
    /// # Panics
    /// With the command and all it said, otherwise.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(!self.timed_out && self.code == Some(code), "expected exit code {code} of {self}");
        self
    }

    /// Asserts that standard output contains `text`.
    ///
    /// # Panics
    /// With the command and all it said, otherwise.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.out().contains(text), "expected {text:?} on the standard output of {self}");
        self
    }

    /// Asserts that standard error contains `text`.
    ///
    /// # Panics
    /// With the command and all it said, otherwise.
    #[track_caller]
    pub fn warns(self, text: &str) -> Self {
        assert!(self.err().contains(text), "expected {text:?} on the standard error of {self}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = match (self.timed_out, self.code, self.signal) {
            (true, ..) => format!("killed at its time limit after {:?}", self.took),
            (_, Some(code), _) => format!("exit code {code}"),
            (_, _, signal) => format!("signal {}", signal.unwrap_or_default()),
        };
        write!(f, "`{}`: {end}\n--- stdout\n{}\n--- stderr\n{}", self.shown, self.out(), self.err())
    }
}

/// Runs a command to its end, or to `limit`, when its whole process group is killed.
///
/// # Errors
/// When it cannot be started or waited for.
pub fn run(command: &mut Command, stdin: &[u8], limit: Duration) -> io::Result<Finished> {
    let shown = shown(command);
    let begin = Instant::now();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|e| io::Error::new(e.kind(), format!("`{shown}`: {e}")))?;
    let input = child.stdin.take().map(|pipe| feed(pipe, stdin.to_vec()));
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let (status, timed_out) = wait(&mut child, limit)?;
    drop(input);
    let took = begin.elapsed();
    let (stdout, stderr) = (drain(&out, &child), drain(&err, &child));
    Ok(Finished { shown, code: status.code(), signal: status.signal(), stdout, stderr, timed_out, took })
}

/// Waits for a child that leads its own process group; at `limit` the group is killed. Returns whether it was.
///
/// # Errors
/// When the child cannot be waited for.
pub fn wait(child: &mut Child, limit: Duration) -> io::Result<(ExitStatus, bool)> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, false));
        }
        if Instant::now() >= deadline {
            kill_group(child);
            return Ok((child.wait()?, true));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Kills the process group a child leads. A group that is gone already is no error.
pub fn kill_group(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// A command line as a person would type it.
#[must_use]
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

/// Lets a program that runs another, which `outer` has as its last argument, do that as `command` would: with its
/// arguments, in its folder, and with the variables that were set for it and no others.
pub(crate) fn continue_with(outer: &mut Command, command: &Command) {
    outer.args(command.get_args());
    // A cleared environment cannot be asked for: everything set is set again, and nothing else.
    outer.env_clear();
    for (key, value) in command.get_envs().filter_map(|(key, value)| Some((key, value?))) {
        outer.env(key, value);
    }
    if let Some(folder) = command.get_current_dir() {
        outer.current_dir(folder);
    }
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%~^".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into_owned() } else { format!("'{word}'") }
}

fn feed(mut pipe: impl Write + Send + 'static, bytes: Vec<u8>) -> std::thread::JoinHandle<()> {
    // A command that does not read its input closes the pipe: not the feeder's error.
    std::thread::spawn(move || drop(pipe.write_all(&bytes)))
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = send.send(bytes);
    });
    receive
}

fn drain(pipe: &Receiver<Vec<u8>>, child: &Child) -> Vec<u8> {
    if let Ok(bytes) = pipe.recv_timeout(PIPE_GRACE) {
        return bytes;
    }
    kill_group(child); // something the command left behind still holds the pipe
    pipe.recv_timeout(PIPE_GRACE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn collects_output_code_and_input() {
        let done = run(&mut shell("cat; echo err >&2; exit 3"), b"fed", Duration::from_secs(10)).unwrap();
        assert_eq!((done.out().as_str(), done.err().as_str(), done.code), ("fed", "err\n", Some(3)));
        done.exits(3).says("fed").warns("err");
    }

    #[test]
    fn kills_the_whole_group_at_the_limit() {
        let done = run(&mut shell("sleep 54.321 & echo $!; sleep 54.321"), b"", Duration::from_millis(300)).unwrap();
        assert!(done.timed_out && done.took < Duration::from_secs(20), "{done}");
        let grandchild = done.out().trim().to_owned();
        let state = || std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
        let gone = || state().is_empty() || state().contains(") Z ");
        // A kill is delivered, not done: a busy machine takes a moment.
        let gone_soon = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(25));
            gone()
        });
        assert!(gone_soon, "grandchild still runs: {}", state());
    }

    #[test]
    fn a_background_child_that_holds_the_pipe_does_not_hang_the_run() {
        let done = run(&mut shell("echo out; sleep 43.21 &"), b"", Duration::from_secs(10)).unwrap();
        assert!(!done.timed_out && done.took < Duration::from_secs(5));
        assert_eq!(done.out(), "out\n");
    }

    #[test]
    #[should_panic(expected = "expected exit code 0")]
    fn ok_refuses_another_code() {
        run(&mut shell("exit 1"), b"", Duration::from_secs(10)).unwrap().ok();
    }
}
