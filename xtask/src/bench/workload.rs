//! The files that are versioned and shared: seeded, made once, kept in the target folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dits_testkit::media::{self, Scale};
use dits_testkit::{SplitMix64, random};

/// A set of files.
pub struct Workload {
    pub name: &'static str,
    kind: Kind,
    /// The share of the full size.
    scale: f64,
}

#[derive(Clone, Copy)]
enum Kind {
    /// One incompressible file.
    Random { mib: u64 },
    /// Many files of all sizes, in folders of 200.
    Mixed { files: u64 },
    /// Very many small text files, in folders of 200: what looking at files costs, not what reading them does.
    Small { files: u64 },
    /// h264 footage and versions of it.
    Video,
    /// One large incompressible file, and one that is cut into small chunks.
    Large { mib: u64, library_mib: u64 },
    /// As `Random`, shared over a long, lossy link: by dits alone, or by all, of whom most are slow there.
    Far { mib: u64 },
}

/// How the library is cut: about a thousand chunks for each MiB, so that a server has 10⁶ of them.
const LIBRARY: &str = "library.bin preset=256/1K/4K\n";

/// Video is made at one of two sizes.
const VIDEO_BYTES: [u64; 2] = [98_000_000, 730_000_000];

/// What is versioned here.
pub fn local(scale: f64) -> [Workload; 4] {
    [
        ("random", Kind::Random { mib: 2048 }),
        ("mixed", Kind::Mixed { files: 20_000 }),
        ("small", Kind::Small { files: 100_000 }),
        ("video", Kind::Video),
    ]
    .map(|(name, kind)| Workload { name, kind, scale })
}

/// What is shared.
pub fn sharing(scale: f64) -> [Workload; 5] {
    [
        ("random", Kind::Random { mib: 2048 }),
        ("mixed", Kind::Mixed { files: 20_000 }),
        ("large", Kind::Large { mib: 9540, library_mib: 1100 }),
        ("link", Kind::Far { mib: 400 }),
        ("link-all", Kind::Far { mib: 16 }),
    ]
    .map(|(name, kind)| Workload { name, kind, scale })
}

impl Workload {
    /// Makes the files below `place` unless a whole set is there.
    pub fn make(&self, place: &Path) -> io::Result<PathBuf> {
        let folder = self.folder(place);
        let whole = folder.with_extension("whole");
        if whole.exists() {
            return Ok(folder);
        }
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let file = |name: &str, seed, mib: u64| random::file(&folder.join(name), seed, self.scaled(mib) << 20);
        match self.kind {
            Kind::Random { mib } | Kind::Far { mib } => file("random.bin", 1, mib)?,
            Kind::Mixed { files } => mixed(&folder, self.scaled(files))?,
            Kind::Small { files } => small(&folder, self.scaled(files))?,
            Kind::Video => drop(media::make(&folder, if self.is_small() { Scale::Small } else { Scale::Normal })?),
            Kind::Large { mib, library_mib } => {
                file("large.bin", 1, mib)?;
                file("library.bin", 2, library_mib)?;
                fs::write(folder.join(".ditsattributes"), LIBRARY)?;
            }
        }
        fs::write(whole, b"")?;
        Ok(folder)
    }

    /// Takes away what is too large to be kept for the next run.
    pub fn put_away(&self, place: &Path) -> io::Result<()> {
        if matches!(self.kind, Kind::Large { .. }) {
            let folder = self.folder(place);
            fs::remove_file(folder.with_extension("whole"))?;
            fs::remove_dir_all(folder)?;
        }
        Ok(())
    }

    fn folder(&self, place: &Path) -> PathBuf {
        // Per mille: with_extension takes a point for the beginning of one.
        let share = if self.scale < 1.0 { format!("-{:.0}", self.scale * 1000.0) } else { String::new() };
        place.join(format!("{}{share}", self.name))
    }

    fn scaled(&self, full: u64) -> u64 {
        ((full as f64 * self.scale) as u64).max(1)
    }

    fn is_small(&self) -> bool {
        self.scale < 0.5
    }

    /// About how large it is.
    pub fn bytes(&self) -> u64 {
        match self.kind {
            Kind::Random { mib } | Kind::Far { mib } => self.scaled(mib) << 20,
            Kind::Mixed { files } => self.scaled(files) * 85_000,
            Kind::Small { files } => self.scaled(files) * 1_100,
            Kind::Video => VIDEO_BYTES[usize::from(!self.is_small())],
            Kind::Large { mib, library_mib } => self.scaled(mib + library_mib) << 20,
        }
    }

    /// About how many files it has.
    pub fn files(&self) -> u64 {
        match self.kind {
            Kind::Mixed { files } | Kind::Small { files } => self.scaled(files),
            _ => 1,
        }
    }

    /// How often it is measured.
    pub fn rounds(&self) -> usize {
        if matches!(self.kind, Kind::Large { .. }) { 1 } else { 3 }
    }

    /// Whether there is room for a copy of it.
    pub fn is_cloned(&self) -> bool {
        !matches!(self.kind, Kind::Large { .. })
    }

    /// Whether client and server are far from each other.
    pub fn is_far(&self) -> bool {
        matches!(self.kind, Kind::Far { .. })
    }
}

/// Where a file goes, by its number: 200 in each folder, which is made with its first.
fn folder_of(folder: &Path, name: &str, number: u64) -> io::Result<PathBuf> {
    let sub = folder.join(format!("{name}-{:03}", number / 200));
    if number.is_multiple_of(200) {
        fs::create_dir(&sub)?;
    }
    Ok(sub)
}

fn small(folder: &Path, files: u64) -> io::Result<()> {
    let mut sizes = SplitMix64::new(43);
    for number in 0..files {
        let sub = folder_of(folder, "part", number)?;
        let len = usize::try_from(sizes.between(100, 2000)).unwrap_or(0);
        fs::write(sub.join(format!("item-{number:06}.json")), random::text(number, len))?;
    }
    Ok(())
}

/// Half small text, a third of middling binaries, few large ones: about 80 KB on average.
fn mixed(folder: &Path, files: u64) -> io::Result<()> {
    let mut sizes = SplitMix64::new(42);
    for number in 0..files {
        let sub = folder_of(folder, "reel", number)?;
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
