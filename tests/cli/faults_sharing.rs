//! Sudden death of `fetch`, `pull` and `push`: both repositories are whole, and the same command leads where it should.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dits_core::refs::RefStore;
use dits_core::repo::{Environment, Repository};
use dits_testkit::random::bytes;
use dits_testkit::strace::{self, Fault};

use crate::sharing::Studio;

const LIMIT: Duration = Duration::from_secs(60);

/// A server, and two clones of which each has what the other one lacks; every try works on copies.
struct Rig {
    s: Studio,
    command: &'static str,
}

impl Rig {
    fn new(command: &'static str) -> Self {
        let s = Studio::with_a_project();
        s.dits(".", "clone -q server bob").ok();
        for i in 0..12 {
            s.write(&format!("ada/new/{i:02}"), &bytes(100 + i, 3_000));
        }
        s.write("ada/film.mov", &[&bytes(1, 3_000_000)[..], b"and more"].concat());
        s.commit("ada", "ours");
        s.dits("ada", "tag -a v1 -m one").ok();
        s.dits("ada", "push -q origin main v1").ok();
        if command.starts_with("push") {
            s.dits("bob", "pull -q").ok();
            s.write("bob/theirs.mov", &bytes(50, 500_000));
            s.commit("bob", "theirs");
            s.dits("bob", "tag v2").ok();
        }
        Self { s, command }
    }

    /// Fresh copies of both.
    fn copy(&self) -> PathBuf {
        let at = self.s.sandbox.beside("copy");
        let _ = fs::remove_dir_all(&at);
        fs::create_dir(&at).unwrap();
        for name in ["server", "bob"] {
            let done = Command::new("cp").arg("-a").arg(self.s.path(name)).arg(at.join(name)).status().unwrap();
            assert!(done.success());
        }
        let url = at.join("server");
        self.in_copy(&at.join("bob"), &format!("remote set-url origin {}", url.display()));
        at
    }

    fn in_copy(&self, at: &Path, line: &str) -> String {
        self.s.sandbox.dits_in(at, line.split(' ')).ok().out()
    }

    fn command(&self, at: &Path) -> Command {
        let words = format!("-c core.threads=1 {}", self.command);
        let mut command = self.s.sandbox.dits_command(words.split(' '));
        command.current_dir(at.join("bob"));
        command
    }

    /// What both hold: their refs, and bob's files.
    fn outcome(&self, at: &Path) -> String {
        let bob = at.join("bob");
        let refs = |at: &Path| {
            let repo = Repository::discover(at, &Environment::default()).unwrap();
            format!("{:?}\n", repo.refs().list("refs/").unwrap())
        };
        let files = self.in_copy(&bob, "ls-files -s") + &self.in_copy(&bob, "status --porcelain -b");
        format!("{}{}{files}", refs(&at.join("server")), refs(&bob))
    }

    /// Kills the command at a sample of the calls it makes (at all of them in the long suite).
    fn killed_at_calls(&self, sample: usize) {
        let at = self.copy();
        self.s.sandbox.run(self.command(&at)).ok();
        let expected = self.outcome(&at);
        let points = strace::points(&self.command(&self.copy()), strace::MUTATING, LIMIT).unwrap();
        let all = std::env::var_os(dits_testkit::LONG).is_some();
        let wanted = if all { points.len() } else { sample.min(points.len()) };
        let mut kills = 0;
        for number in 0..wanted {
            // From the first to the last.
            let (call, when) = &points[number * (points.len() - 1) / (wanted - 1).max(1)];
            let at = self.copy();
            let done = self.s.sandbox.run(strace::inject(&self.command(&at), call, Fault::Kill, *when));
            // Another thread may have done the work this time.
            kills += usize::from(done.code != Some(0));
            for name in ["server", "bob"] {
                self.in_copy(&at.join(name), "fsck --full");
            }
            self.in_copy(&at.join("bob"), "status");
            let again = self.s.sandbox.run(self.command(&at)).ok();
            let what = format!("killed at {call} {when}: {done}; {again}");
            assert_eq!(self.outcome(&at), expected, "{what}");
            for name in ["server", "bob"] {
                self.in_copy(&at.join(name), "fsck --full");
            }
        }
        assert!(kills > 0, "{} was never killed", self.command);
    }
}

fn killed(command: &'static str) {
    if strace::available(command) {
        Rig::new(command).killed_at_calls(8);
    }
}

#[test]
fn a_fetch_that_dies() {
    killed("fetch");
}

#[test]
fn a_pull_that_dies() {
    killed("pull");
}

#[test]
fn a_push_that_dies() {
    killed("push origin main v2");
}
