//! What the machine can do at all: the marks the tools are held against, measured in the same rounds.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use dits_testkit::random;
use fastcdc::v2020::FastCDC;

use super::measure::{self, Cost};
use super::{Failure, Samples, note};
use crate::place;

/// How much is chunked and hashed in memory; the time is scaled to the workload.
const SAMPLE: usize = 256 << 20;

/// Measures every limit once for a workload of `bytes` bytes.
pub fn round(workload: &str, folder: &Path, place: &Path, bytes: u64, samples: &mut Samples) -> Result<(), Failure> {
    let scratch = place.join("limit");
    for (name, operation) in [("pipeline", "add"), ("pipeline-1", "add"), ("write+fsync", "add"), ("cp", "checkout")] {
        measure::settle()?;
        let cost = if name == "cp" {
            let cost = measure::run(Command::new("cp").args(["-r", "--reflink=never"]).args([folder, &scratch]));
            if scratch.exists() {
                fs::remove_dir_all(&scratch)?;
            }
            cost
        } else {
            self::measure(name, bytes, &scratch)
        };
        note(samples, [workload, &format!("limit: {name}"), operation], cost);
    }
    Ok(())
}

/// Measures one of those that run in a process of their own; what it leaves at `scratch` is taken away.
pub fn measure(name: &str, bytes: u64, scratch: &Path) -> Result<Cost, String> {
    let mut command = Command::new(place::target().join("release/xtask"));
    command.args(["bench", "--limit", name, &bytes.to_string()]).arg(scratch);
    let cost = limited(&mut command);
    if scratch.exists() {
        fs::remove_file(scratch).map_err(|e| e.to_string())?;
    }
    cost
}

/// A limit says its own seconds: its preparations do not count.
fn limited(command: &mut Command) -> Result<Cost, String> {
    let said = command.output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&said.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [wall, cpu] => Ok(Cost { wall: *wall, cpu: *cpu, ..Cost::default() }),
        _ => Err(format!("{text}{}", String::from_utf8_lossy(&said.stderr))),
    }
}

/// The other side of [`limited`]: prints wall-clock and processor seconds (0 where they say nothing).
pub fn child(name: &str, bytes: &str, scratch: &Path) -> Result<(), Failure> {
    let bytes: u64 = bytes.parse().map_err(|e| Failure::Failed(format!("{bytes}: {e}")))?;
    let (wall, cpu) = match name {
        "write+fsync" => (write(scratch, bytes)?, 0.0),
        "pipeline-1" => pipeline(bytes, 1),
        _ => pipeline(bytes, std::thread::available_parallelism().map_or(1, usize::from)),
    };
    println!("{wall} {cpu}");
    Ok(())
}

/// Seconds to chunk (16/64/256 KiB) and hash that many bytes in memory, over `threads` independent parts.
fn pipeline(bytes: u64, threads: usize) -> (f64, f64) {
    let data = random::bytes(1, SAMPLE);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for part in data.chunks(SAMPLE / threads) {
            scope.spawn(move || {
                for chunk in FastCDC::new(part, 16 << 10, 64 << 10, 256 << 10) {
                    std::hint::black_box(blake3::hash(&part[chunk.offset..chunk.offset + chunk.length]));
                }
            });
        }
    });
    let wall = begin.elapsed().as_secs_f64() * bytes as f64 / SAMPLE as f64;
    (wall, wall * threads as f64)
}

fn write(path: &Path, bytes: u64) -> std::io::Result<f64> {
    let buffer = random::bytes(2, 4 << 20);
    let begin = Instant::now();
    let mut file = File::create(path)?;
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        file.write_all(&buffer[..part])?;
        left -= part as u64;
    }
    file.sync_all()?;
    Ok(begin.elapsed().as_secs_f64())
}
