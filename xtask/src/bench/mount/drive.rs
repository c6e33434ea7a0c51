//! A drive that something is measured on; it is gone with this.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::mount::UnmountFlags;
use rustix::process::{Pid, test_kill_process};
use serde_json::Value;

use crate::bench::{measure, tools};
use crate::place;

/// How long a drive may take to be there, or to be gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mounted drive.
pub struct Drive {
    pub point: PathBuf,
    pid: u32,
    /// Of a program that stays in the foreground.
    child: Option<Child>,
}

/// Runs dits, and gives what it says.
pub fn dits(place: &Path, mut command: Command, args: &[&str]) -> Result<String, String> {
    tools::environment(&mut command, place);
    command.args(args);
    measure::run_heard(&mut command).map(|(_, said)| said)
}

/// The program.
pub fn program() -> Command {
    Command::new(place::target().join("release/dits"))
}

impl Drive {
    /// Mounts with dits.
    pub fn dits(place: &Path, command: Command, args: &[&str], source: &str) -> Result<Self, String> {
        let point = empty(place)?;
        let shown = point.display().to_string();
        let said = dits(place, command, &[&["mount", "--json"], args, &[source, &shown]].concat())?;
        let said: Value = serde_json::from_str(&said).map_err(|e| format!("{said}: {e}"))?;
        let pid = said["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).ok_or("it has no process")?;
        Ok(Self { point, pid, child: None })
    }

    /// Mounts with rclone, which keeps what it has read in files of its own.
    pub fn rclone(place: &Path, mut command: Command, source: &str) -> Result<Self, String> {
        let point = empty(place)?;
        let cache = place.join("rclone-cache");
        let _ = fs::remove_dir_all(&cache);
        tools::environment(&mut command, place);
        command.args(["mount", source]).arg(&point).args(["--read-only", "--vfs-cache-mode", "full", "--cache-dir"]);
        command.arg(&cache).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|e| e.to_string())?;
        let drive = Self { pid: child.id(), child: Some(child), point };
        let begin = Instant::now();
        while !is_mounted(&drive.point) {
            if begin.elapsed() > PATIENCE {
                return Err("rclone does not mount".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(drive)
    }

    /// Processor seconds that its program has taken.
    pub fn cpu(&self) -> Result<f64, String> {
        measure::cpu_of(self.pid)
    }

    /// Bytes of memory that its program holds, mapped files not counted.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.point, UnmountFlags::DETACH);
        if let Some(mut child) = self.child.take() {
            let _ = (child.kill(), child.wait());
            return;
        }
        let (begin, pid) = (Instant::now(), i32::try_from(self.pid).ok().and_then(Pid::from_raw));
        while pid.is_some_and(|pid| test_kill_process(pid).is_ok()) && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn empty(place: &Path) -> Result<PathBuf, String> {
    let point = place.join("drive");
    fs::create_dir_all(&point).map_err(|e| e.to_string())?;
    Ok(point)
}

fn is_mounted(point: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().any(|line| line.split(' ').nth(4) == point.to_str())
}
