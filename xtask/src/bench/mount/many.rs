//! Many files: their names, their handles; and many small writes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use dits_testkit::SplitMix64;

use super::drive::{Drive, program};
use super::{FILE, Studio, timed};
use crate::bench::measure::Cost;
use crate::bench::{Samples, note};

/// Handles that are open at once.
pub const HANDLES: u64 = 500;
/// Writes, and how long each is.
const WRITES: u64 = 20_000;
const BLOCK: u64 = 4096;

pub fn round(name: &str, studio: &Studio, samples: &mut Samples) {
    let mut put = |subject: &str, operation: &str, cost| note(samples, [name, subject, operation], cost);
    let source = studio.folder.display().to_string();
    let mount = |args: &[&str]| Drive::dits(&studio.place, program(), args, &source);
    match name {
        "list" => {
            // The kernel's knowledge of names is thrown away, of all file systems; content stays.
            let forget = || fs::write("/proc/sys/vm/drop_caches", "2").map_err(|e| e.to_string());
            for (subject, args) in
                [("dits, read-only", Some(&["--read-only"][..])), ("dits", Some(&[])), ("native", None)]
            {
                let drive = args.map(mount).transpose();
                let (cold, warm) = match &drive {
                    Ok(drive) => {
                        let folder = drive.as_ref().map_or(&*studio.folder, |drive| &*drive.point);
                        let cold = forget().and_then(|()| timed(drive.as_ref(), || list(folder)));
                        (cold, timed(drive.as_ref(), || list(folder)))
                    }
                    Err(error) => (Err(error.clone()), Err(error.clone())),
                };
                put(subject, "ls -l, cold", cold);
                put(subject, "ls -l, warm", warm);
            }
        }
        "write" => {
            put("dits", "4 KiB at random", mount(&[]).and_then(|drive| write(&drive.point.join(FILE), Some(&drive))));
            put("native", "4 KiB at random", write(&studio.folder.join(FILE), None));
        }
        _ => put("dits", "500 handles", mount(&["--read-only", "--cache-size", "0"]).and_then(|drive| handles(&drive))),
    }
}

/// What `ls -l` asks for.
fn list(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        entry?.metadata()?;
    }
    Ok(())
}

/// Writes into the system's cache, and then has it all written.
fn write(path: &Path, drive: Option<&Drive>) -> Result<Cost, String> {
    let file = File::options().write(true).open(path).map_err(|e| e.to_string())?;
    let blocks = file.metadata().map_err(|e| e.to_string())?.len() / BLOCK;
    let (block, mut random) = ([7; BLOCK as usize], SplitMix64::new(1));
    let cost = timed(drive, || (0..WRITES).try_for_each(|_| file.write_all_at(&block, random.below(blocks) * BLOCK)))?;
    file.sync_all().map_err(|e| e.to_string())?;
    Ok(cost)
}

/// Reads all files beside each other, in pieces; the cost's memory is the most that the daemon held.
fn handles(drive: &Drive) -> Result<Cost, String> {
    let open = |n| File::open(drive.point.join(format!("{n:03}")));
    let files: Vec<File> = (0..HANDLES).map(open).collect::<io::Result<_>>().map_err(|e| e.to_string())?;
    let mut most = 0;
    let cost = timed(Some(drive), || {
        let mut buffer = vec![0; 128 << 10];
        for at in (0..3 << 20).step_by(buffer.len()) {
            for file in &files {
                file.read_exact_at(&mut buffer, at)?;
            }
            most = most.max(drive.memory());
        }
        Ok(())
    })?;
    Ok(Cost { rss: most, ..cost })
}
