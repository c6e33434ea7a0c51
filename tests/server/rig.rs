//! A sandbox with a server's folder.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dits_testkit::{Background, Finished, Sandbox};
use serde_json::Value;

/// How long a test waits for what should happen at once.
pub const SOON: Duration = Duration::from_secs(30);

/// A sandbox whose commands are `dits-server`, with a folder that need not exist yet.
pub struct Rig {
    /// The sandbox.
    pub sandbox: Sandbox,
}

impl Rig {
    /// Makes one, without a server's folder.
    pub fn new() -> Self {
        Self { sandbox: Sandbox::new(env!("CARGO_BIN_EXE_dits-server")) }
    }

    /// The server's folder, or something in it.
    pub fn root(&self, name: &str) -> PathBuf {
        self.sandbox.beside("root").join(name)
    }

    /// Runs a command on the server's folder.
    #[track_caller]
    pub fn run(&self, words: &str) -> Finished {
        let root = self.sandbox.beside("root");
        let words = words.split_whitespace().map(Into::into);
        self.sandbox.dits(words.chain(["--root".into(), root.into_os_string()]))
    }

    /// The same with `--json`: the answer.
    #[track_caller]
    pub fn json(&self, words: &str) -> Value {
        answer(&self.run(&format!("{words} --json")).ok())
    }

    /// Starts a server on a free port.
    #[track_caller]
    pub fn serve(&self, more: &str) -> Background {
        let mut command = self.sandbox.dits_command(["serve", "--listen", "127.0.0.1:0", "--root"]);
        command.arg(self.sandbox.beside("root")).args(more.split_whitespace());
        self.sandbox.spawn(command)
    }

    /// Gives a repository a hook.
    pub fn hook(&self, repository: &str, hook: &str, script: &str) {
        let file = self.root(&format!("repos/{repository}.dits/hooks/{hook}"));
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Waits until a file is there.
    #[track_caller]
    pub fn wait_for_file(&self, name: &str) {
        let begin = Instant::now();
        while !self.root(name).exists() {
            assert!(begin.elapsed() < SOON, "{name} does not come");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A token with the default rights in `repository`.
    #[track_caller]
    pub fn token(&self, name: &str, rest: &str) -> String {
        self.run(&format!("token create {name} {rest}")).ok().out().trim().to_owned()
    }
}

/// The JSON on standard output.
#[track_caller]
pub fn answer(done: &Finished) -> Value {
    serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {done}"))
}

/// The JSON on standard error.
#[track_caller]
pub fn complaint(done: &Finished) -> Value {
    serde_json::from_slice(&done.stderr).unwrap_or_else(|e| panic!("{e}: {done}"))
}
