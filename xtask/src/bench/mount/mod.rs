//! A drive beside the files themselves, and beside what `rclone mount` makes of them.

mod cold;
mod drive;
mod many;
mod reads;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dits_testkit::random;

use super::measure::{self, Cost};
use super::report::{self, Measured};
use super::{Args, Samples, forecast, promise};
use crate::{Failure, interrupt, place};
use drive::{Drive, dits, program};

/// What is measured: a large file that is here and one that is far away, many small files, random writes, many handles.
pub const WORKLOADS: [&str; 5] = ["read", "cold", "list", "write", "handles"];
/// The large file.
const FILE: &str = "large.bin";
const ROUNDS: usize = 3;

/// A repository with files of one kind.
struct Studio {
    /// The files, and the repository.
    folder: PathBuf,
    /// All else.
    place: PathBuf,
    bytes: u64,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let chosen: Vec<_> = WORKLOADS.into_iter().filter(|name| args.takes(name)).collect();
    if chosen.is_empty() {
        return Ok(());
    }
    if !Path::new("/dev/fuse").exists() || !rustix::process::geteuid().is_root() {
        println!("skipped: mount: it needs /dev/fuse and root");
        return Ok(());
    }
    let place = place::target().join("bench/mount");
    let (rounds, scale) = (args.rounds.unwrap_or(if args.quick { 1 } else { ROUNDS }), args.scale());
    forecast::announce("mount", &forecast::mount(&chosen, scale, rounds), &place)?;
    interrupt::watch()?;
    let rclone = args.wants("rclone") && dits_testkit::installed("rclone");
    if !rclone {
        println!("skipped: rclone: it is not installed, or not asked for");
    }
    let mut measured = Measured { samples: Samples::new(), sizes: BTreeMap::new(), versions: BTreeMap::new() };
    for name in chosen {
        println!("== {name}: making the files");
        let studio = Studio::make(name, &place, scale)?;
        measured.sizes.insert(name.to_owned(), studio.bytes);
        for number in 1..=rounds {
            println!("== {name}: round {number} of {rounds}");
            measure::settle()?;
            match name {
                "read" => reads::round(&studio, rclone, &mut measured.samples),
                "cold" => cold::round(&studio, rclone, &mut measured.samples)?,
                _ => many::round(name, &studio, &mut measured.samples),
            }
        }
        fs::remove_dir_all(&place)?;
    }
    let promises = table::promises(&measured);
    let mut numbers = report::numbers(&measured);
    numbers["promises"] = promise::numbers(&promises);
    let tables = promise::table(&promises) + &table::of(&measured);
    let head = format!("{}\n{}", table::HEAD, report::about(&measured));
    report::write(&args.out(&place::target().join("bench")), ["mount.md", "mount.json"], &head, &tables, &numbers)
}

impl Studio {
    /// Makes the files of a workload, and commits them.
    fn make(name: &str, place: &Path, scale: f64) -> Result<Self, Failure> {
        if place.exists() {
            fs::remove_dir_all(place)?;
        }
        let folder = place.join("film");
        fs::create_dir_all(&folder)?;
        fs::create_dir_all(place.join("home"))?;
        let scaled = |full: u64| ((full as f64 * scale) as u64).max(1);
        let mut bytes = 0;
        let mut file = |name: &str, seed, len| {
            bytes += len;
            random::file(&folder.join(name), seed, len)
        };
        match name {
            "read" => file(FILE, 1, scaled(1024) << 20)?,
            "cold" => {
                file("clip.bin", 1, scaled(1000) * 1_000_000)?;
                file(FILE, 2, scaled(10_000) * 1_000_000)?;
            }
            "list" => (0..scaled(100_000)).try_for_each(|n| file(&format!("{n:06}"), n, 100))?,
            "write" => file(FILE, 1, scaled(256) << 20)?,
            _ => (0..many::HANDLES).try_for_each(|n| file(&format!("{n:03}"), n, 3 << 20))?,
        }
        let studio = Self { folder, place: place.to_owned(), bytes };
        for args in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", "All"]] {
            let mut command = program();
            command.current_dir(&studio.folder);
            dits(&studio.place, command, args).map_err(Failure::Failed)?;
        }
        Ok(studio)
    }
}

/// How long something takes, and what the drive's program, if there is one, takes for it.
fn timed(drive: Option<&Drive>, act: impl FnOnce() -> std::io::Result<()>) -> Result<Cost, String> {
    let cpu = |drive: &Drive| drive.cpu();
    let before = drive.map(cpu).transpose()?.unwrap_or(0.0);
    let begin = Instant::now();
    act().map_err(|e| e.to_string())?;
    let wall = begin.elapsed().as_secs_f64();
    let cpu = drive.map(cpu).transpose()?.unwrap_or(0.0) - before;
    Ok(Cost { wall, cpu, rss: drive.map_or(0, Drive::memory), ..Cost::default() })
}
