//! What a daemon says of its mount: a file in the mount's private folder, which `.dits` in the mount's root leads to.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dits_core::repo::{DITS, Layout};
use serde::{Deserialize, Serialize};

/// The file in the private folder.
const FILE: &str = "mount.json";
/// The file in the private folder in which somebody says what the daemon should do.
const WISH: &str = "wish";
/// A longer `.dits` is nobody's.
const LONGEST: u64 = 8192;

/// What is mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// The commit.
    pub commit: String,
    /// How it was named.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Whether every change is refused.
    pub read_only: bool,
    /// The daemon's process.
    pub pid: u32,
    /// Bytes that came from remotes by the time that `.dits` was last opened.
    pub received: u64,
    /// The repository's folder: the one that the private folder is in.
    #[serde(skip)]
    pub repository: PathBuf,
    /// The private folder.
    #[serde(skip)]
    pub private: PathBuf,
}

impl Details {
    /// Says this of the mount that the private folder is of.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, private: &Path) -> io::Result<()> {
        let (temp, file) = (private.join(format!("{FILE}.new")), private.join(FILE));
        fs::write(&temp, serde_json::to_vec(self)?)?;
        // After a crash it means nothing, so it need not be on the disk.
        fs::rename(temp, file)
    }

    /// Asks the mount on a folder. Its daemon brings it up to date when `.dits` is opened.
    ///
    /// # Errors
    /// When it does not answer, or nothing that is understood.
    pub fn ask(point: &Path) -> io::Result<Self> {
        let mut link = Vec::new();
        File::open(point.join(DITS))?.take(LONGEST).read_to_end(&mut link)?;
        let private = Layout::link_target(&link).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} leads nowhere", point.join(DITS).display()))
        })?;
        let details: Self = serde_json::from_slice(&fs::read(private.join(FILE))?)?;
        let repository = private.parent().and_then(Path::parent).unwrap_or(&private).to_owned();
        Ok(Self { repository, private, ..details })
    }
}

/// What a daemon should do with its disk cache before it answers: left in its private folder, then `.dits` is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Put what it has not finished where others see it, and look again what is there.
    Settle,
    /// Empty it.
    Clear,
}

impl Wish {
    /// Leaves it for a mount's daemon.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn leave(self, private: &Path) -> io::Result<()> {
        fs::write(private.join(WISH), if self == Self::Clear { "clear" } else { "settle" })
    }

    /// Takes what was left.
    #[must_use]
    pub fn take(private: &Path) -> Option<Self> {
        let file = private.join(WISH);
        let text = fs::read(&file).ok()?;
        fs::remove_file(&file).ok()?;
        Some(if text == b"clear" { Self::Clear } else { Self::Settle })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_written_to_whoever_follows_the_link() {
        let dir = tempfile::tempdir().unwrap();
        let (private, point) = (dir.path().join("repo/worktrees/m"), dir.path().join("m"));
        fs::create_dir_all(&private).unwrap();
        fs::create_dir(&point).unwrap();
        assert_eq!(Details::ask(&point).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(point.join(DITS), "no link").unwrap();
        assert_eq!(Details::ask(&point).unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs::write(point.join(DITS), Layout::link_text(&private)).unwrap();
        let repository = dir.path().join("repo");
        let said = Details { commit: "c".into(), reference: "main".into(), pid: 7, ..Details::default() };
        said.write(&private).unwrap();
        assert_eq!(Details::ask(&point).unwrap(), Details { repository, private: private.clone(), ..said });
        assert_eq!(Wish::take(&private), None);
        Wish::Clear.leave(&private).unwrap();
        assert_eq!((Wish::take(&private), Wish::take(&private)), (Some(Wish::Clear), None));
    }
}
