//! Reading a large file from one end to the other, of which everything is on this machine.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::Advice;
use serde_json::Value;

use super::drive::{Drive, dits, program};
use super::{FILE, Studio, timed};
use crate::bench::measure::Cost;
use crate::bench::{Samples, note};

/// How long making a whole copy may take.
const COPYING: Duration = Duration::from_secs(120);

/// The file itself, then every way to read it in a drive, in one round.
pub fn round(studio: &Studio, rclone: bool, samples: &mut Samples) {
    let (ram, source) = ((studio.bytes * 2).to_string(), studio.folder.display().to_string());
    let native = || read(&studio.folder.join(FILE), None, false);
    let mut put = |subject: &str, cost| note(samples, ["read", subject, "sequential"], cost);
    // Once for the system's cache.
    let _ = native();
    put("native", native());
    put("dits, kernel", backed(studio, &source));
    for (subject, ram) in [("dits, RAM", ram.as_str()), ("dits, store", "32M")] {
        let args = ["--read-only", "--cache-size", "0", "--ram", ram];
        put(subject, Drive::dits(&studio.place, program(), &args, &source).and_then(|drive| again(&drive)));
    }
    if rclone {
        put("rclone", Drive::rclone(&studio.place, Command::new("rclone"), &source).and_then(|drive| again(&drive)));
    }
    put("native", native());
}

/// Reads it once, has the kernel forget it, and reads it again.
fn again(drive: &Drive) -> Result<Cost, String> {
    let path = drive.point.join(FILE);
    read(&path, Some(drive), true)?;
    read(&path, Some(drive), true)
}

/// As [`again`], once the kernel reads a whole copy.
fn backed(studio: &Studio, source: &str) -> Result<Cost, String> {
    let size = (studio.bytes * 4).to_string();
    let drive = Drive::dits(&studio.place, program(), &["--read-only", "--cache-size", &size], source)?;
    let path = drive.point.join(FILE);
    read(&path, Some(&drive), true)?;
    let begin = Instant::now();
    loop {
        let mut command = program();
        command.current_dir(&studio.folder);
        let said =
            dits(&studio.place, command, &["-c", &format!("mount.cacheSize={size}"), "cache", "stats", "--json"])?;
        let said: Value = serde_json::from_str(&said).map_err(|e| e.to_string())?;
        match said["copies"].as_u64() {
            Some(1) => break,
            _ if begin.elapsed() > COPYING => return Err("no whole copy is made: not privileged?".to_owned()),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    read(&path, Some(&drive), false)?;
    read(&path, Some(&drive), false)
}

/// Reads a file in pieces of 1 MiB; the processor's time is that of the drive's program.
fn read(path: &Path, drive: Option<&Drive>, forget: bool) -> Result<Cost, String> {
    let mut file = File::open(path).map_err(|e| e.to_string())?;
    if forget {
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).map_err(|e| e.to_string())?;
    }
    timed(drive, || {
        let mut buffer = vec![0; 1 << 20];
        while file.read(&mut buffer)? > 0 {}
        Ok(())
    })
}
