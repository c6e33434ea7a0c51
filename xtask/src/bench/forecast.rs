//! What a run will take, said before it begins.

use std::fs;
use std::path::Path;

use super::workload::Workload;
use crate::Failure;

/// What one workload takes.
pub struct Forecast {
    name: &'static str,
    /// The most bytes it has on the disk at once.
    space: u64,
    seconds: f64,
}

/// `turns`: tools times rounds. The speeds are those of a small machine: two cores, a disk of 300 MB/s.
pub fn local(workload: &Workload, turns: usize) -> Forecast {
    let bytes = workload.bytes();
    Forecast { name: workload.name, space: 5 * bytes, seconds: turns as f64 * seconds(workload, 45.0) }
}

/// As [`local`]: both ends, and what git-lfs keeps of two versions at each, are on this disk.
pub fn sharing(workload: &Workload, turns: usize) -> Forecast {
    let (bytes, copies) = (workload.bytes(), if workload.is_cloned() { 8.0 } else { 3.2 });
    let transfers = if workload.is_far() { bytes as f64 / 4e6 } else { 0.0 };
    Forecast {
        name: workload.name,
        space: (copies * bytes as f64) as u64,
        seconds: turns as f64 * (seconds(workload, 55.0) + transfers),
    }
}

/// As [`local`]; the files are made and committed once, and read in every round.
pub fn mount(workloads: &[&'static str], scale: f64, rounds: usize) -> Vec<Forecast> {
    let of = |name: &'static str| {
        let (gigabytes, once, each) = match name {
            "read" => (7.0, 15.0, 30.0),
            "cold" => (35.0, 150.0, 120.0),
            "list" => (1.0, 60.0, 15.0),
            _ => (4.0, 15.0, 10.0),
        };
        let rounds = rounds as f64;
        Forecast { name, space: (gigabytes * scale * 1e9) as u64, seconds: scale * (once + each * rounds) }
    };
    workloads.iter().map(|name| of(name)).collect()
}

fn seconds(workload: &Workload, each_gigabyte: f64) -> f64 {
    workload.bytes() as f64 / 1e9 * each_gigabyte + workload.files() as f64 * 2e-3
}

/// Says it, or what is missing for it.
pub fn announce(part: &str, plan: &[Forecast], place: &Path) -> Result<(), Failure> {
    fs::create_dir_all(place)?;
    let disk = rustix::fs::statvfs(place).map_err(std::io::Error::from)?;
    let free = disk.f_bavail * disk.f_frsize;
    let (most, seconds) = (plan.iter().map(|f| f.space).max().unwrap_or(0), plan.iter().map(|f| f.seconds).sum());
    println!("== {part}: about {}, and up to {} of disk in {}", time(seconds), size(most), place.display());
    for forecast in plan {
        println!("     {:<10} {:>8} {:>10}", forecast.name, time(forecast.seconds), size(forecast.space));
    }
    if free < most {
        let why = format!("{part} takes {} of disk and {} are free; --scale takes less", size(most), size(free));
        return Err(Failure::Missing(why));
    }
    Ok(())
}

fn time(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

fn size(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}
