//! Small file systems of a test's own: full disks, other kinds, power cuts. Root and loop devices are needed; where
//! there are none the constructors say so and give `None`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::bounded;

const LIMIT: Duration = Duration::from_secs(60);

/// A kind of file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In memory; `mib` is a hard limit.
    Tmpfs,
    /// On a loop device.
    Ext4,
    /// On a loop device, at least 300 MiB; can share extents (reflink).
    Xfs,
    /// On a loop device; takes `A` and `a` for the same name and refuses what Windows cannot hold.
    CaseFolding,
}

/// File systems to cut the power of: their sizes in MiB, and options that say how strictly they order what they write.
pub const CUT: [(Kind, u64, &str); 3] =
    [(Kind::Ext4, 160, ""), (Kind::Ext4, 160, "data=writeback,noauto_da_alloc"), (Kind::Xfs, 300, "")];

/// A mounted file system, unmounted and removed at the end, also after a panic.
#[derive(Debug)]
pub struct Mounted {
    place: TempDir,
    kind: Kind,
    options: String,
    up: bool,
}

impl Mounted {
    /// Makes and mounts one of `mib` MiB, or says for `test` why that cannot be done here.
    #[must_use]
    pub fn new(test: &str, kind: Kind, mib: u64) -> Option<Self> {
        Self::with_options(test, kind, mib, &[], "")
    }

    /// As [`Mounted::new`], with arguments for mkfs (such as `-N 32` inodes) and mount options (such as
    /// `data=writeback,noauto_da_alloc`, or for tmpfs `nr_inodes=20`).
    #[must_use]
    pub fn with_options(test: &str, kind: Kind, mib: u64, mkfs: &[&str], options: &str) -> Option<Self> {
        match Self::make(kind, mib, mkfs, options) {
            Ok(mounted) => Some(mounted),
            Err(e) => {
                crate::skip(test, &format!("no {kind:?} file system can be mounted here: {e}"));
                None
            }
        }
    }

    fn make(kind: Kind, mib: u64, mkfs: &[&str], options: &str) -> io::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(io::Error::other("not root"));
        }
        let place = tempfile::Builder::new().prefix("dits-mount-").tempdir()?;
        fs::create_dir(place.path().join("at"))?;
        let image = place.path().join("image");
        let options = match kind {
            Kind::Tmpfs => format!("size={mib}m"),
            _ => "loop".to_owned(),
        } + if options.is_empty() { "" } else { "," }
            + options;
        if kind != Kind::Tmpfs {
            fs::File::create(&image)?.set_len(mib << 20)?;
            let program = match kind {
                Kind::Ext4 => ["mkfs.ext4", "-qF"].as_slice(),
                Kind::Xfs => &["mkfs.xfs", "-qf"],
                _ => &["mkfs.ntfs", "-qFQ"],
            };
            system(Command::new(program[0]).args(&program[1..]).args(mkfs).arg(&image))?;
        }
        let mut mounted = Self { place, kind, options, up: false };
        mounted.mount()?;
        Ok(mounted)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.place.path().join("at")
    }

    /// The file behind the loop device: truncate it and reads fail.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.place.path().join("image")
    }

    fn mount(&mut self) -> io::Result<()> {
        let (at, image) = (self.path(), self.image());
        let mut command = match self.kind {
            Kind::Tmpfs => Command::new("mount"),
            Kind::CaseFolding => Command::new("lowntfs-3g"),
            Kind::Ext4 | Kind::Xfs => Command::new("mount"),
        };
        match self.kind {
            Kind::Tmpfs => command.args(["-t", "tmpfs", "-o", &self.options, "tmpfs"]).arg(&at),
            Kind::CaseFolding => command.arg(&image).arg(&at).args(["-o", "ignore_case,windows_names"]),
            Kind::Ext4 | Kind::Xfs => command.args(["-o", &self.options]).arg(&image).arg(&at),
        };
        system(&mut command)?;
        self.up = true;
        Ok(())
    }

    /// Unmounts and mounts again: what was only in the page cache has been written.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remount(&mut self) -> io::Result<()> {
        self.unmount()?;
        self.mount()
    }

    /// Cuts the power: the page cache and the open journal are thrown away, then the file system is mounted again as
    /// after a reboot. ext4 and XFS only; a tmpfs has nothing that could survive.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn power_cut(&mut self) -> io::Result<()> {
        self.cut_power()?;
        self.remount()
    }

    /// The first half of [`Mounted::power_cut`], where programs that run on the file system have to be killed before the
    /// second, [`Mounted::remount`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn cut_power(&self) -> io::Result<()> {
        // Without -f the log is not flushed either.
        system(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(self.path()))
    }

    fn unmount(&mut self) -> io::Result<()> {
        let mut tries = 0;
        loop {
            match system(Command::new("umount").arg(self.path())) {
                Ok(()) => break,
                Err(e) if tries == 20 => return Err(e),
                Err(_) => std::thread::sleep(Duration::from_millis(100)), // a killed process is still going away
            }
            tries += 1;
        }
        self.up = false;
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.up && self.unmount().is_err() {
            let _ = system(Command::new("umount").arg("-l").arg(self.path()));
        }
    }
}

/// Runs an administrator's command.
fn system(command: &mut Command) -> io::Result<()> {
    command.env("PATH", crate::administrators_path());
    let done = bounded::run(command, b"", LIMIT)?;
    if done.code == Some(0) {
        Ok(())
    } else {
        Err(io::Error::other(format!("`{}`: {}", done.shown, done.err().trim())))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn is_mounted(path: &Path) -> bool {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        table.contains(path.to_str().unwrap())
    }

    #[test]
    fn a_full_tmpfs_refuses_and_goes_away() {
        let Some(small) = Mounted::new("a_full_tmpfs_refuses_and_goes_away", Kind::Tmpfs, 1) else { return };
        let path = small.path();
        let error = fs::write(path.join("big"), vec![1; 2 << 20]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::NOSPC.raw_os_error()));
        assert!(is_mounted(&path));
        drop(small);
        assert!(!is_mounted(&path) && !path.exists());
    }

    #[test]
    fn a_power_cut_loses_what_was_not_synced() {
        let name = "a_power_cut_loses_what_was_not_synced";
        let Some(mut disk) = Mounted::new(name, Kind::Ext4, 32) else { return };
        let folder = fs::File::open(disk.path()).unwrap();
        let kept = fs::File::create(disk.path().join("kept")).unwrap();
        io::Write::write_all(&mut &kept, b"synced").unwrap();
        kept.sync_all().unwrap();
        folder.sync_all().unwrap();
        fs::write(disk.path().join("lost"), b"not synced").unwrap();
        drop((kept, folder));
        disk.power_cut().unwrap();
        assert_eq!(fs::read(disk.path().join("kept")).unwrap(), b"synced");
        assert_ne!(fs::read(disk.path().join("lost")).unwrap_or_default(), b"not synced");
    }

    #[test]
    fn case_folding_takes_two_names_for_one() {
        let name = "case_folding_takes_two_names_for_one";
        let Some(disk) = Mounted::new(name, Kind::CaseFolding, 16) else { return };
        fs::write(disk.path().join("Name"), b"x").unwrap();
        assert_eq!(fs::read(disk.path().join("nAME")).unwrap(), b"x");
        assert!(fs::write(disk.path().join("con:"), b"x").is_err());
    }
}
