//! Builds the test binaries with plain cargo and runs each within a time limit, in a process group of its own, showing
//! libtest's own output.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use dits_testkit::bounded;
use serde_json::Value;

use crate::interrupt::Running;
use crate::place;

/// Variables every test gets.
pub type Environment<'a> = &'a [(&'static str, OsString)];

/// A built test binary.
pub struct Binary {
    /// Package and target, as `dits-core lib`.
    name: String,
    /// The package's folder, which its tests run in.
    package: PathBuf,
    program: PathBuf,
}

/// What the tests of one or more binaries came to.
#[derive(Default)]
pub struct Tally {
    pub passed: u64,
    pub failures: u64,
    pub ignored: u64,
    /// Binaries that failed, and how.
    pub failed: Vec<String>,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failures += other.failures;
        self.ignored += other.ignored;
        self.failed.extend(other.failed.iter().cloned());
    }
}

/// Builds all test binaries of the workspace.
pub fn build() -> Result<Vec<Binary>, String> {
    println!("== building the tests");
    let args = ["test", "--workspace", "--no-run", "--quiet", "--message-format=json-render-diagnostics"];
    let mut child = place::cargo(&args).stdout(Stdio::piped()).spawn().map_err(|e| e.to_string())?;
    let mut text = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut text).map_err(|e| e.to_string())?;
    }
    if !child.wait().map_err(|e| e.to_string())?.success() {
        return Err("the tests do not build".to_owned());
    }
    let mut built: Vec<_> = text.lines().filter_map(|line| binary(&serde_json::from_str(line).ok()?)).collect();
    built.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(built)
}

/// A binary from cargo's message about it, if it is a test's.
fn binary(message: &Value) -> Option<Binary> {
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let package = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    let target = &message["target"];
    let folder = package.file_name()?.to_string_lossy();
    let name = format!("{folder}: {} {}", target["kind"][0].as_str()?, target["name"].as_str()?);
    Some(Binary { name, package, program: PathBuf::from(message["executable"].as_str()?) })
}

/// Runs one binary; on a hang its group is killed and the tests that had not ended are named.
pub fn run(binary: &Binary, filter: Option<&str>, limit: Duration, environment: Environment<'_>) -> Tally {
    println!("\n== {}", binary.name);
    let mut command = command(binary, filter, environment);
    command.stdout(Stdio::piped()).process_group(0);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => return broken(format!("{}: {e}", binary.name)),
    };
    let _running = Running::new(&child);
    let lines = show(child.stdout.take());
    let ended = bounded::wait(&mut child, limit);
    let seen = lines.recv_timeout(Duration::from_secs(5)).unwrap_or_else(|_| {
        bounded::kill_group(&child); // something a test left behind holds the pipe
        lines.recv_timeout(Duration::from_secs(5)).unwrap_or_default()
    });
    let mut tally = tally(&seen);
    match ended {
        Err(e) => tally.failed.push(format!("{}: {e}", binary.name)),
        Ok((_, true)) => {
            tally.failures += 1;
            let hung = unfinished(binary, filter, environment, &seen).join(", ");
            tally.failed.push(format!("{}: hung, killed after {limit:?}; not ended: {hung}", binary.name));
        }
        Ok((status, _)) if !status.success() => {
            tally.failures = tally.failures.max(1);
            tally.failed.push(format!("{}: {status}; {}", binary.name, failures(&seen).join(", ")));
        }
        Ok(_) => {}
    }
    tally
}

fn broken(why: String) -> Tally {
    Tally { failures: 1, failed: vec![why], ..Tally::default() }
}

fn command(binary: &Binary, filter: Option<&str>, environment: Environment<'_>) -> Command {
    let mut command = Command::new(&binary.program);
    command.current_dir(&binary.package).args(filter);
    command.env("CARGO_MANIFEST_DIR", &binary.package);
    command.envs(environment.iter().cloned());
    // A snapshot that differs is a failure, not a file to review later.
    command.env("INSTA_UPDATE", "no").env("INSTA_WORKSPACE_ROOT", place::workspace());
    command
}

/// Prints lines as they come, and hands them over at the end.
fn show(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<String>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut seen = Vec::new();
        if let Some(pipe) = pipe {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                println!("{line}");
                seen.push(line);
            }
        }
        let _ = send.send(seen);
    });
    receive
}

/// Reads libtest's last line: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn tally(seen: &[String]) -> Tally {
    let mut tally = Tally::default();
    for line in seen.iter().filter(|line| line.starts_with("test result: ")) {
        let counts = line.split_once(". ").map_or("", |(_, counts)| counts);
        for (number, what) in counts.split("; ").filter_map(|part| part.split_once(' ')) {
            let number = number.parse::<u64>().unwrap_or(0);
            match what {
                "passed" => tally.passed += number,
                "failed" => tally.failures += number,
                "ignored" => tally.ignored += number,
                _ => {}
            }
        }
    }
    tally
}

fn failures(seen: &[String]) -> Vec<String> {
    let names = seen.iter().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    names.map(ToOwned::to_owned).collect()
}

/// The listed tests that have no line of their own in what was seen.
fn unfinished(binary: &Binary, filter: Option<&str>, environment: Environment<'_>, seen: &[String]) -> Vec<String> {
    let mut list = command(binary, filter, environment);
    list.arg("--list");
    let listed = bounded::run(&mut list, b"", Duration::from_secs(20)).map(|done| done.out()).unwrap_or_default();
    let ended: BTreeSet<&str> =
        seen.iter().filter_map(|line| line.strip_prefix("test ")?.split(" ... ").next()).collect();
    let named = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    named.filter(|name| !ended.contains(name)).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(ToOwned::to_owned).collect()
    }

    #[test]
    fn reads_what_libtest_says() {
        let seen = lines(
            "test a::b ... ok\ntest c ... FAILED\n\
             test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 9 filtered out; finished in 0.1s",
        );
        let read = tally(&seen);
        assert_eq!((read.passed, read.failures, read.ignored), (3, 1, 2));
        assert_eq!(failures(&seen), ["c"]);
    }

    /// A stand-in for a test binary: a shell script.
    fn script(folder: &Path, body: &str) -> Binary {
        use std::os::unix::fs::PermissionsExt;
        let program = folder.join("binary");
        std::fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Binary { name: "stand-in".to_owned(), package: folder.to_owned(), program }
    }

    #[test]
    fn a_hang_is_a_failure_that_names_the_test() {
        let dir = tempfile::tempdir().unwrap();
        let body = "[ \"$1\" = --list ] && { echo 'swift: test'; echo 'stuck: test'; exit; }\n\
                    echo 'test swift ... ok'; sleep 77.7 & sleep 77.7";
        let tally = run(&script(dir.path(), body), None, Duration::from_millis(500), &[]);
        assert_eq!(tally.failures, 1);
        assert!(
            tally.failed[0].contains("hung") && tally.failed[0].ends_with("not ended: stuck"),
            "{:?}",
            tally.failed
        );
    }

    #[test]
    fn a_crash_without_a_result_is_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let tally = run(&script(dir.path(), "kill -9 $$"), None, Duration::from_secs(20), &[]);
        assert_eq!((tally.failures, tally.failed.len()), (1, 1));
    }

    #[test]
    fn takes_only_test_binaries() {
        let message = |test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": "/w/dits-cli/Cargo.toml", "profile": {"test": test},
                "target": {"kind": ["test"], "name": "cli"}, "executable": "/t/cli-1"
            })
        };
        assert_eq!(binary(&message(true)).unwrap().name, "dits-cli: test cli");
        assert!(binary(&message(false)).is_none());
    }
}
