//! Processes found by a mark in their environment, which their children inherit: daemons too, whatever their parent,
//! their group and their name.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Every process whose environment has `variable=mark`, with its command line.
#[must_use]
pub fn marked(variable: &str, mark: &str) -> Vec<(Pid, String)> {
    let wanted = format!("{variable}={mark}").into_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else { continue };
        let environment = environment(&entry.path());
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((pid, String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned()));
        }
    }
    found
}

/// Ends every process that carries the mark, by its number.
pub fn kill_marked(variable: &str, mark: &str) {
    for (pid, _) in marked(variable, mark) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// The environment a process was started with; none for the kernel's own processes and those that have ended.
///
/// A process that is just becoming another program shows an empty one for a moment: one without environment has to show
/// that repeatedly.
fn environment(process: &Path) -> Vec<u8> {
    for _ in 0..30 {
        let environment = at_once(&process.join("environ")).unwrap_or_default();
        if !environment.is_empty() || fs::read_link(process.join("exe")).is_err() {
            return environment;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Vec::new()
}

/// Reads by a single call: between two of them the process may become another program, and the rest be gone.
fn at_once(path: &Path) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 256 << 10];
    let length = File::open(path)?.read(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_never_overlooked_while_it_changes_program() {
        let mark = format!("{}-changing", std::process::id());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        fs::write(&path, "[ $1 -lt 300 ] && exec sh \"$0\" $(($1 + 1)); exec sleep 66.6").unwrap();
        let mut child = Command::new("sh").arg(&path).arg("0").env("DITS_TEST_CHANGING", &mark).spawn().unwrap();
        let mut looks = 0;
        let overlooked = loop {
            match marked("DITS_TEST_CHANGING", &mark).as_slice() {
                [(_, line)] if line == "sleep 66.6" => break false,
                [_] => looks += 1,
                _ => break true,
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!overlooked && looks > 0, "after {looks} looks");
    }
}
