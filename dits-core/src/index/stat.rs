//! How a file is recognised as unchanged without reading it.
//!
//! A file whose size, inode, and modification and change times are those it had when it was read is unchanged, with one
//! exception: a change in the same tick of the file system's clock leaves no trace. So whoever reads files asks the file
//! system for its clock first ([`fs_clock`]), and what bears that time or a later one is kept as *racy*: its stat never
//! proves it unmodified. A change after the stat was taken gets a change time at or past the clock, hence another one
//! than any that is not racy. The change time cannot be set by programs; a modification time put back does not help.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use crate::durable::{IoContext, IoError};
use crate::worktree::Meta;

/// No file system's clock has longer ticks, but for those that count whole seconds, which nobody wants to wait for.
const TICK: Duration = Duration::from_millis(50);

/// A time on the file system's clock: seconds since 1970, nanoseconds.
pub type FsTime = (i64, u32);

/// What the file system says of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileStat {
    /// When the content was modified last, or what a program claims.
    pub mtime: FsTime,
    /// When anything about the file changed last.
    pub ctime: FsTime,
    /// The device. Not compared: that of a network file system may change with every mount.
    pub dev: u64,
    /// The inode; 0 where it says nothing, as in a mount.
    pub ino: u64,
    /// The size, in bytes.
    pub size: u64,
}

impl From<&Meta> for FileStat {
    fn from(meta: &Meta) -> Self {
        let Meta { mtime, ctime, dev, ino, size, .. } = *meta;
        Self { mtime, ctime, dev, ino, size }
    }
}

impl FileStat {
    /// The part of a `stat` that is kept.
    #[must_use]
    #[allow(clippy::unnecessary_cast, clippy::cast_possible_truncation, reason = "the types differ among systems")]
    pub fn of(stat: &Stat) -> Self {
        Self {
            mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            ctime: (stat.st_ctime as i64, stat.st_ctime_nsec as u32),
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
        }
    }

    /// Whether a file with one stat may be taken for the unchanged file with the other. An inode of 0 is one that is not
    /// known.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        let key = |stat: &Self| (stat.mtime, stat.ctime, stat.size);
        key(self) == key(other) && (self.ino == other.ino || self.ino == 0 || other.ino == 0)
    }

    /// The same without what is another number each time that a file system is mounted.
    #[must_use]
    pub fn without_inode(self) -> Self {
        Self { dev: 0, ino: 0, ..self }
    }

    /// Whether the file may change without its stat showing it, for a stat taken after the clock was `clock`.
    #[must_use]
    pub fn is_racy(&self, clock: FsTime) -> bool {
        self.mtime >= clock || self.ctime >= clock
    }
}

/// The clock of the file system that holds `dir`, by touching the file `clock` in it. Call it before a batch of files
/// is looked at; the files must be on the same file system.
///
/// # Errors
/// When the file cannot be created or touched.
pub fn fs_clock(dir: &Path) -> Result<FsTime, IoError> {
    let path = dir.join("clock");
    let file = File::options().write(true).create(true).truncate(false).open(&path).at("open", &path)?;
    let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let times = Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
    rustix::fs::futimens(&file, &times).at("touch", &path)?;
    Ok(FileStat::of(&rustix::fs::fstat(&file).at("look at", &path)?).ctime)
}

/// Waits until [`fs_clock`] has gone past `first`, for one tick at most, and says what it is then: what was written up to
/// `first` and looked at since is then not racy, and need not be read the next time somebody asks.
///
/// # Errors
/// As [`fs_clock`].
pub fn fs_clock_past(dir: &Path, first: FsTime) -> Result<FsTime, IoError> {
    let begin = Instant::now();
    let mut clock = first;
    while clock <= first && begin.elapsed() < TICK {
        std::thread::sleep(Duration::from_millis(1));
        clock = fs_clock(dir)?;
    }
    Ok(clock)
}
