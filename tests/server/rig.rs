//! A sandbox with a server's folder.

use std::path::PathBuf;

use dits_testkit::{Finished, Sandbox};
use serde_json::Value;

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
