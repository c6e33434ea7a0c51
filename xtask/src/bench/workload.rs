//! The files that are versioned: seeded, made once, kept in the target folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dits_testkit::media::{self, Scale};
use dits_testkit::{SplitMix64, random};

/// A set of files.
pub struct Workload {
    pub name: &'static str,
    kind: Kind,
    quick: bool,
}

enum Kind {
    /// One incompressible file.
    Random { mib: u64 },
    /// Many files of all sizes, in folders of 200.
    Mixed { files: u64 },
    /// h264 footage and versions of it.
    Video(Scale),
}

pub fn all(quick: bool) -> [Workload; 3] {
    let kinds = if quick {
        [Kind::Random { mib: 128 }, Kind::Mixed { files: 1000 }, Kind::Video(Scale::Small)]
    } else {
        [Kind::Random { mib: 2048 }, Kind::Mixed { files: 20_000 }, Kind::Video(Scale::Normal)]
    };
    let [random, mixed, video] = kinds.map(|kind| Workload { name: "", kind, quick });
    [Workload { name: "random", ..random }, Workload { name: "mixed", ..mixed }, Workload { name: "video", ..video }]
}

impl Workload {
    /// Makes the files below `place` unless a whole set is there.
    pub fn make(&self, place: &Path) -> io::Result<PathBuf> {
        let folder = place.join(format!("{}{}", self.name, if self.quick { "-quick" } else { "" }));
        let whole = place.join(format!("{}.whole", folder.file_name().unwrap_or_default().display()));
        if whole.exists() {
            return Ok(folder);
        }
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        match self.kind {
            Kind::Random { mib } => random::file(&folder.join("random.bin"), 1, mib << 20)?,
            Kind::Mixed { files } => mixed(&folder, files)?,
            Kind::Video(scale) => drop(media::make(&folder, scale)?),
        }
        fs::write(whole, b"")?;
        Ok(folder)
    }
}

/// Half small text, a third of middling binaries, few large ones: about 80 KB on average.
fn mixed(folder: &Path, files: u64) -> io::Result<()> {
    let mut sizes = SplitMix64::new(42);
    for number in 0..files {
        let sub = folder.join(format!("reel-{:03}", number / 200));
        if number % 200 == 0 {
            fs::create_dir(&sub)?;
        }
        let (low, high, compressible) = match sizes.below(100) {
            0..50 => (100, 16 << 10, true),
            50..80 => (16 << 10, 128 << 10, false),
            80..98 => (64 << 10, 256 << 10, number % 2 == 0),
            _ => (512 << 10, 2 << 20, false),
        };
        let len = usize::try_from(sizes.between(low, high)).unwrap_or(0);
        let bytes = if compressible { random::text(number, len) } else { random::bytes(number, len) };
        fs::write(sub.join(format!("asset-{number:05}.{}", if compressible { "xml" } else { "bin" })), bytes)?;
    }
    Ok(())
}
