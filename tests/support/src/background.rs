//! Programs that run beside a test: servers, mounts, watchers. Nothing of them outlives the test.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::bounded::{self, Finished};
use crate::processes;

/// The variable by which the processes of one background program are found.
const TREE: &str = "DITS_TEST_TREE";
/// How long what a program has started may take to end after it, and its pipes to close.
const GRACE: Duration = Duration::from_secs(2);

/// How many lines of what a program said are shown when its test fails.
const TAIL: usize = 60;

/// A running program and all it has started. Dropping it kills them; when the test fails, the end of what it said is shown.
#[derive(Debug)]
pub struct Background {
    shown: String,
    child: Child,
    mark: String,
    begin: Instant,
    said: Arc<Said>,
}

/// What the program has written so far.
#[derive(Debug, Default)]
struct Said {
    streams: Mutex<Streams>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Streams {
    out: Vec<u8>,
    err: Vec<u8>,
    closed: u8,
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Out,
    Err,
}

impl Background {
    /// Starts a program, in a process group of its own and with nothing to read.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let shown = bounded::shown(command);
        let mark = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        command.env(TREE, &mark).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|e| io::Error::new(e.kind(), format!("`{shown}`: {e}")))?;
        let said = Arc::new(Said::default());
        collect(child.stdout.take(), &said, Stream::Out);
        collect(child.stderr.take(), &said, Stream::Err);
        Ok(Self { shown, child, mark, begin: Instant::now(), said })
    }

    /// Its process number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has written a line with `text` to standard output or standard error, and gives that line.
    ///
    /// # Panics
    /// With all it said, when it ends or `limit` passes before.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        let said = Arc::clone(&self.said);
        let mut streams = said.lock();
        loop {
            if let Some(line) = streams.line(text) {
                return line;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            // Also a program that has ended is heard out.
            if left.is_zero() || streams.closed == 2 {
                drop(streams);
                panic!("waited {limit:?} for {text:?}: {}", self.so_far());
            }
            streams = said.changed.wait_timeout(streams, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether it has not ended yet.
    ///
    /// # Panics
    /// When the system cannot tell.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child can be asked").is_none()
    }

    /// What it has said until now; with its exit code when it has ended.
    #[must_use]
    pub fn so_far(&mut self) -> Finished {
        let status = self.child.try_wait().ok().flatten();
        let streams = self.said.lock();
        Finished {
            shown: self.shown.clone(),
            code: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()),
            stdout: streams.out.clone(),
            stderr: streams.err.clone(),
            timed_out: false,
            took: self.begin.elapsed(),
        }
    }

    /// Sends a signal to the program, not to what it has started.
    pub fn signal(&self, signal: Signal) {
        // It is our child and not waited for before it has ended, so the number is its own.
        if let Some(pid) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it and all it has started, at once and without a word.
    pub fn kill(mut self) -> Finished {
        self.kill_all();
        self.heard_out(false)
    }

    /// Asks it to end (`SIGTERM`) and waits.
    ///
    /// # Panics
    /// As [`Background::wait`].
    #[track_caller]
    pub fn terminate(self, limit: Duration) -> Finished {
        self.signal(Signal::TERM);
        self.wait(limit)
    }

    /// Waits until it ends by itself; at `limit` it is killed, and the result says so.
    ///
    /// # Panics
    /// When it ends and leaves something running.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Finished {
        let (_, timed_out) = bounded::wait(&mut self.child, limit).expect("the child can be waited for");
        let left = if timed_out { Vec::new() } else { self.left() };
        self.kill_all();
        let done = self.heard_out(timed_out);
        assert!(left.is_empty(), "left behind {left:?}: {done}");
        done
    }

    /// What it has started and still runs, after the grace.
    fn left(&self) -> Vec<String> {
        let deadline = Instant::now() + GRACE;
        loop {
            let left = processes::marked(TREE, &self.mark);
            if left.is_empty() || Instant::now() >= deadline {
                return left.into_iter().map(|(_, line)| line).collect();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn kill_all(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            bounded::kill_group(&self.child);
        }
        let _ = self.child.wait();
        // One that was just being forked shows up at the next look.
        for _ in 0..100 {
            if processes::marked(TREE, &self.mark).is_empty() {
                return;
            }
            processes::kill_marked(TREE, &self.mark);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All it said, to the end of its pipes.
    fn heard_out(&mut self, timed_out: bool) -> Finished {
        let streams = self.said.lock();
        let open = |streams: &mut Streams| streams.closed < 2;
        drop(self.said.changed.wait_timeout_while(streams, GRACE, open));
        Finished { timed_out, ..self.so_far() }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let streams = self.said.lock();
            let [out, err] = [tail(&streams.out), tail(&streams.err)];
            eprintln!("`{}` said last\n{out}{err}", self.shown);
        }
        self.kill_all();
    }
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut Streams)) {
        act(&mut self.lock());
        self.changed.notify_all();
    }
}

impl Streams {
    /// The first whole line that contains `text`.
    fn line(&self, text: &str) -> Option<String> {
        let whole = |bytes: &[u8]| {
            let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        };
        let texts = [whole(&self.out), whole(&self.err)];
        texts.iter().flat_map(|text| text.lines()).find(|line| line.contains(text)).map(ToOwned::to_owned)
    }
}

/// The last lines of a text.
fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].iter().map(|line| format!("  {line}\n")).collect()
}

fn collect(pipe: Option<impl Read + Send + 'static>, said: &Arc<Said>, stream: Stream) {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        if let Some(mut pipe) = pipe {
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                said.change(|streams| match stream {
                    Stream::Out => streams.out.extend_from_slice(&buffer[..length]),
                    Stream::Err => streams.err.extend_from_slice(&buffer[..length]),
                });
            }
        }
        said.change(|streams| streams.closed += 1);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Background {
        Background::start(Command::new("sh").args(["-c", script])).unwrap()
    }

    /// Whether the process runs; a killed one may take a moment.
    fn runs(pid: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn waits_for_a_line_and_ends_on_request() {
        let mut server =
            shell("trap 'echo bye; exit 7' TERM; echo up >&2; echo at 127.0.0.1:1; while :; do sleep 0.05; done");
        assert_eq!(server.wait_for("at ", SOON), "at 127.0.0.1:1");
        assert_eq!(server.wait_for("up", SOON), "up");
        assert!(server.is_running());
        server.terminate(SOON).exits(7).says("bye");
    }

    #[test]
    fn kills_daemons_too() {
        let mut server = shell("setsid sh -c 'echo daemon $$; exec sleep 61.7' & echo up; exec sleep 61.8");
        server.wait_for("up", SOON);
        let daemon = server.wait_for("daemon ", SOON)["daemon ".len()..].to_owned();
        assert!(runs(&daemon));
        let done = server.kill();
        assert_eq!(done.signal, Some(9));
        assert!(!runs(&daemon));
    }

    #[test]
    fn is_not_left_behind_by_a_panic() {
        let mut pid = String::new();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let server = shell("exec sleep 62.3");
            pid = server.id().to_string();
            panic!("as a failing test does");
        }));
        assert!(panicked.is_err() && !runs(&pid));
    }

    #[test]
    #[should_panic(expected = "broken, sorry")]
    fn an_early_end_is_told_at_once() {
        let begin = Instant::now();
        let mut server = shell("echo broken, sorry >&2; exit 1");
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| server.wait_for("up", SOON)));
        assert!(begin.elapsed() < SOON / 2);
        std::panic::resume_unwind(ended.unwrap_err());
    }

    #[test]
    #[should_panic(expected = "left behind [\"sleep 63.4\"]")]
    fn a_server_that_leaves_something_is_a_failure() {
        shell("setsid sleep 63.4 >/dev/null 2>&1 &").wait(SOON);
    }

    #[test]
    fn a_hang_ends_at_the_limit() {
        let mut server = shell("trap '' TERM; echo deaf; while :; do sleep 0.05; done");
        server.wait_for("deaf", SOON);
        let done = server.terminate(Duration::from_millis(300));
        assert!(done.timed_out && done.out() == "deaf\n", "{done}");
    }
}
