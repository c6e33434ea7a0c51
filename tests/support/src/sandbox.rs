//! A hermetic place to run `dits` in: its own folder, its own home, a clean environment, fixed names and times.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::background::Background;
use crate::bounded::{self, Finished};

/// How long one command may take unless [`Sandbox::limit`] says otherwise.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The time every commit of a test is made at: 2026-01-02 03:04:05 UTC.
pub const DATE: &str = "2026-01-02T03:04:05+00:00";

/// A temporary folder with `work/` (where commands run) and `home/`. It is removed at the end, also after a panic, and
/// whatever modes the test has set in it.
#[derive(Debug)]
pub struct Sandbox {
    root: TempDir,
    dits: PathBuf,
    limit: Duration,
}

impl Sandbox {
    /// Makes one. `dits` is the binary: `env!("CARGO_BIN_EXE_dits")` in the tests of `dits-cli`.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    #[must_use]
    pub fn new(dits: impl Into<PathBuf>) -> Self {
        let root = tempfile::Builder::new().prefix("dits-").tempdir().expect("a temporary folder");
        for name in ["work", "home"] {
            fs::create_dir(root.path().join(name)).expect("a folder in the temporary folder");
        }
        Self { root, dits: dits.into(), limit: LIMIT }
    }

    /// A sandbox whose `work/` is an initialised repository.
    ///
    /// # Panics
    /// When `dits init` fails.
    #[must_use]
    #[track_caller]
    pub fn with_repository(dits: impl Into<PathBuf>) -> Self {
        let sandbox = Self::new(dits);
        sandbox.dits(["init"]).ok();
        sandbox
    }

    /// Changes the time limit of every command that follows.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The folder commands run in, or something in it.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    /// The sandbox' own folder, for things beside `work/`.
    #[must_use]
    pub fn beside(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(name)
    }

    /// The home folder of the commands.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.beside("home")
    }

    /// Runs dits in `work/`.
    ///
    /// # Panics
    /// When it cannot be started, or hangs: a hang is always a failure.
    #[track_caller]
    pub fn dits<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Finished {
        self.run(self.dits_command(args))
    }

    /// Runs dits in another folder.
    ///
    /// # Panics
    /// As [`Sandbox::dits`].
    #[track_caller]
    pub fn dits_in<S: AsRef<OsStr>>(&self, folder: &Path, args: impl IntoIterator<Item = S>) -> Finished {
        let mut command = self.dits_command(args);
        command.current_dir(folder);
        self.run(command)
    }

    /// The command [`Sandbox::dits`] would run, to be changed or wrapped.
    #[must_use]
    pub fn dits_command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(&self.dits);
        command.args(args);
        command
    }

    /// Any other program, in `work/` and with the same clean environment.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path("")).env_clear();
        for kept in ["PATH", "TMPDIR", crate::RUN, crate::LONG] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.env("HOME", self.home()).envs(fixed());
        command.env("GIT_CEILING_DIRECTORIES", self.root.path());
        command
    }

    /// Runs a command within the time limit.
    ///
    /// # Panics
    /// When it cannot be started, or hangs.
    #[track_caller]
    pub fn run(&self, mut command: Command) -> Finished {
        let done = bounded::run(&mut command, b"", self.limit).expect("the command starts");
        assert!(!done.timed_out, "hangs: {done}");
        done
    }

    /// Starts a program that runs beside the test, such as a server, and is gone when the result is dropped.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn spawn(&self, mut command: Command) -> Background {
        Background::start(&mut command).expect("the program starts")
    }

    /// Writes a file below `work/`, and the folders it needs.
    ///
    /// # Panics
    /// When the file system refuses.
    #[track_caller]
    pub fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below work/")).expect("makes the folders");
        fs::write(&path, bytes).expect("writes the file");
        path
    }

    /// Reads a file below `work/`.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    #[track_caller]
    pub fn read(&self, name: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if fs::remove_dir_all(self.root.path()).is_err() {
            open_up(self.root.path()); // the test took rights away
        }
    }
}

/// The environment every command of a test gets.
fn fixed() -> impl IntoIterator<Item = (&'static str, &'static str)> {
    [
        ("DITS_AUTHOR_NAME", "Ada Author"),
        ("DITS_AUTHOR_EMAIL", "ada@example.org"),
        ("DITS_AUTHOR_DATE", DATE),
        ("DITS_COMMITTER_NAME", "Carl Committer"),
        ("DITS_COMMITTER_EMAIL", "carl@example.org"),
        ("DITS_COMMITTER_DATE", DATE),
        ("GIT_AUTHOR_NAME", "Ada Author"),
        ("GIT_AUTHOR_EMAIL", "ada@example.org"),
        ("GIT_AUTHOR_DATE", DATE),
        ("GIT_COMMITTER_NAME", "Carl Committer"),
        ("GIT_COMMITTER_EMAIL", "carl@example.org"),
        ("GIT_COMMITTER_DATE", DATE),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("NO_COLOR", "1"),
        ("TERM", "dumb"),
        ("COLUMNS", "100"),
        ("TZ", "UTC"),
        ("LC_ALL", "C"),
    ]
}

fn open_up(folder: &Path) {
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_clean() {
        let sandbox = Sandbox::new("/nonexistent");
        let done = sandbox.run(sandbox.command("env")).ok();
        let names: Vec<_> =
            done.out().lines().filter_map(|line| line.split_once('=').map(|p| p.0.to_owned())).collect();
        let allowed =
            ["PATH", "HOME", "TMPDIR", "NO_COLOR", "TERM", "COLUMNS", "TZ", "LC_ALL", crate::RUN, crate::LONG];
        let stray =
            names.iter().find(|n| !n.starts_with("DITS_") && !n.starts_with("GIT_") && !allowed.contains(&&***n));
        assert_eq!(stray, None);
        done.says("DITS_AUTHOR_NAME=Ada Author").says("TZ=UTC");
    }

    #[test]
    fn is_removed_after_a_panic_too() {
        let mut seen = PathBuf::new();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let sandbox = Sandbox::new("/nonexistent");
            sandbox.write("a/b", b"x");
            fs::set_permissions(sandbox.path("a"), fs::Permissions::from_mode(0o000)).unwrap();
            seen = sandbox.beside("");
            panic!("as a failing test does");
        }));
        assert!(result.is_err() && !seen.exists());
    }

    #[test]
    #[should_panic(expected = "hangs")]
    fn a_hang_is_a_failure() {
        let sandbox = Sandbox::new("sleep").limit(Duration::from_millis(100));
        sandbox.dits(["32.1"]);
    }
}
