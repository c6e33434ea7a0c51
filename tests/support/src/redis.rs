//! Redis servers of a test: on free ports of this machine, with their data in a folder of their own. None outlives its test.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::Background;
use crate::bounded::Finished;

/// How long a server may take to begin or to answer.
const SOON: Duration = Duration::from_secs(30);
/// Ports that the system gives to nobody who does not ask for them: one of a killed server stays free.
const PORTS: std::ops::Range<u32> = 12_000..32_000;

/// A server, or one that was killed.
#[derive(Debug)]
pub struct Redis {
    dir: TempDir,
    port: u16,
    arguments: Vec<String>,
    ready: &'static str,
    program: Option<Background>,
}

impl Redis {
    /// Starts a server with these further arguments, in which `DIR` stands for its folder and `PORT` for its port.
    ///
    /// # Panics
    /// When it does not begin to serve.
    #[must_use]
    #[track_caller]
    pub fn start(more: &str) -> Self {
        let given = "--port PORT --bind 127.0.0.1 --dir DIR --save '' --repl-diskless-sync-delay 0";
        Self::start_with(
            tempfile::tempdir().expect("a folder"),
            format!("{given} {more}"),
            "eady to accept connections",
        )
    }

    /// The same in a folder that has files which it needs.
    ///
    /// # Panics
    /// When it does not begin to serve.
    #[must_use]
    #[track_caller]
    pub fn start_in(dir: TempDir, more: &str) -> Self {
        Self::start_with(dir, format!("--bind 127.0.0.1 --dir DIR --save '' {more}"), "eady to accept connections")
    }

    /// Starts a sentinel that looks after a master by the name of `film`, and thinks it gone after half a second.
    ///
    /// # Panics
    /// When it does not begin to serve.
    #[must_use]
    #[track_caller]
    pub fn sentinel(master: &Self, quorum: usize) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = format!(
            "sentinel monitor film 127.0.0.1 {} {quorum}\nsentinel down-after-milliseconds film 500\n\
             sentinel failover-timeout film 3000\n",
            master.port()
        );
        std::fs::write(dir.path().join("sentinel.conf"), settings).expect("its settings");
        let arguments = "DIR/sentinel.conf --sentinel --port PORT --bind 127.0.0.1 --dir DIR";
        Self::start_with(dir, arguments.to_owned(), "+monitor master")
    }

    #[track_caller]
    fn start_with(dir: TempDir, arguments: String, ready: &'static str) -> Self {
        let port = free_port();
        let folder = dir.path().to_str().expect("a folder's name is text");
        let word = |word: &str| match word {
            "''" => String::new(),
            word => word.replace("DIR", folder).replace("PORT", &port.to_string()),
        };
        let arguments = arguments.split_whitespace().map(word).collect();
        let mut redis = Self { dir, port, arguments, ready, program: None };
        redis.begin();
        redis
    }

    /// Starts it again, on the same port and with what it had kept.
    ///
    /// # Panics
    /// When it runs, or does not begin to serve.
    #[track_caller]
    pub fn begin(&mut self) {
        assert!(self.program.is_none(), "it runs");
        let mut command = Command::new("redis-server");
        command.args(&self.arguments).current_dir(self.dir.path()).env_clear();
        command.env("PATH", crate::administrators_path());
        let mut program = Background::start(&mut command).expect("redis-server can be started");
        program.wait_for(self.ready, SOON);
        self.program = Some(program);
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        if let Some(program) = self.program.take() {
            program.kill();
        }
    }

    /// Makes it hang.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(program) = &self.program {
            program.signal(signal);
        }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Gives it a command, and waits for the answer.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn command(&self, words: &str) -> String {
        self.ask(words).ok().out().trim().to_owned()
    }

    fn ask(&self, words: &str) -> Finished {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]).args(words.split_whitespace());
        crate::bounded::run(&mut command, b"", SOON).expect("redis-cli can be started")
    }

    /// The answer to a command; `None` when the connection breaks, as sentinels let all break of a server whose role they change.
    ///
    /// # Panics
    /// When `redis-cli` cannot be started.
    #[must_use]
    pub fn try_command(&self, words: &str) -> Option<String> {
        let done = self.ask(words);
        (done.code == Some(0)).then(|| done.out())
    }

    /// Waits until the answer to a command has a text.
    ///
    /// # Panics
    /// When it does not come to that.
    #[track_caller]
    pub fn wait_for(&self, words: &str, text: &str) {
        let begin = Instant::now();
        loop {
            let answer = self.try_command(words).unwrap_or_default();
            if answer.contains(text) {
                return;
            }
            assert!(begin.elapsed() < SOON, "`{words}` says {answer}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A port that nobody uses now.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that test at the same time begin at different ports.
    let begin = std::process::id().wrapping_mul(97);
    loop {
        let number = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(PORTS.start + number % (PORTS.end - PORTS.start)).expect("a port");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_was_told_to_keep_and_ends_with_its_test() {
        let mut redis = Redis::start("--appendonly yes --appendfsync always");
        assert_eq!(redis.command("SET a 1"), "OK");
        redis.kill();
        redis.begin();
        assert_eq!(redis.command("GET a"), "1");
        let port = redis.port();
        drop(redis);
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
