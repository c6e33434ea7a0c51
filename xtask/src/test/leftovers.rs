//! Tests clean up after themselves: at the end no process, mount, loop device, network device or temporary
//! file of theirs is left.
//!
//! Every process a test starts inherits `DITS_TEST_RUN=<number of this run>`, daemons included, so that ours are found
//! by that mark and never by name. All temporary files are in one folder, which has to be empty at the end.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dits_testkit::processes;

use crate::place;

/// One run, watched.
pub struct Watch {
    folder: PathBuf,
    mark: String,
}

impl Watch {
    /// Makes the run's folder for temporary files.
    pub fn begin() -> io::Result<Self> {
        let mark = std::process::id().to_string();
        let folder = place::target().join("test-tmp").join(&mark);
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, mark })
    }

    /// What every command of the run gets.
    pub fn environment(&self) -> [(&'static str, OsString); 2] {
        [("TMPDIR", self.folder.clone().into()), (dits_testkit::RUN, self.mark.clone().into())]
    }

    /// Says what was left behind, one line each, and takes the folder away when nothing was.
    pub fn end(self) -> Vec<String> {
        let mut left = self.processes();
        if !left.is_empty() {
            std::thread::sleep(Duration::from_secs(2)); // killed ones may still be going away
            left = self.processes();
        }
        kill(&self.mark);
        // Nobody answers in the mounts of killed daemons: as long as they are there, the folder cannot even be listed.
        left.extend(self.mounts().into_iter().map(|point| {
            let _ = rustix::mount::unmount(&point, rustix::mount::UnmountFlags::DETACH);
            format!("mount {}", point.display())
        }));
        left.extend(self.loop_devices());
        left.extend(network(Path::new("/sys/class/net"), Path::new("/run/netns")));
        left.extend(self.files());
        let _ = fs::remove_dir(&self.folder);
        let _ = fs::remove_dir(place::target().join("test-tmp"));
        left.into_iter().map(|what| format!("left behind: {what}")).collect()
    }

    fn processes(&self) -> Vec<String> {
        let found = processes::marked(dits_testkit::RUN, &self.mark).into_iter();
        found.map(|(pid, line)| format!("process {} ({line})", pid.as_raw_nonzero())).collect()
    }

    fn mounts(&self) -> Vec<PathBuf> {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
        points.filter(|point| point.starts_with(&self.folder)).collect()
    }

    fn loop_devices(&self) -> Vec<String> {
        let mut found = Vec::new();
        for device in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
            let backing = fs::read_to_string(device.path().join("loop/backing_file")).unwrap_or_default();
            if Path::new(backing.trim()).starts_with(&self.folder) {
                found.push(format!("loop device {} on {}", device.file_name().display(), backing.trim()));
            }
        }
        found
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.map(|entry| format!("file {}", entry.path().display())).collect()
    }
}

/// Ends every process that carries the mark.
pub fn kill(mark: &str) {
    processes::kill_marked(dits_testkit::RUN, mark);
}

/// What bears the name of our network devices. The rigs make their devices in namespaces that have no name and end with
/// their last process; one that is found here came from a test that did without them.
fn network(devices: &Path, namespaces: &Path) -> Vec<String> {
    let ours = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().display().to_string()).filter(|name| name.starts_with("dits"))
    };
    let devices = ours(devices).map(|name| format!("network device {name}"));
    devices.chain(ours(namespaces).map(|name| format!("network namespace {name}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_files_and_processes_and_only_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch { folder: dir.path().join("run"), mark: format!("unit-{}", std::process::id()) };
        fs::create_dir(&watch.folder).unwrap();
        assert!(watch.processes().is_empty() && watch.files().is_empty() && watch.mounts().is_empty());
        fs::write(watch.folder.join("stray"), b"").unwrap();
        let mut child = std::process::Command::new("sleep").arg("30").envs(watch.environment()).spawn().unwrap();
        let seen = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(20)); // until the child has become sleep
            watch.processes().iter().any(|line| line.contains("sleep 30"))
        });
        kill(&watch.mark);
        child.wait().unwrap();
        assert!(seen && watch.files().len() == 1);
        assert!(watch.processes().is_empty());
    }

    #[test]
    fn sees_network_devices_and_namespaces_by_their_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["devices/lo", "devices/dits0", "namespaces/other", "namespaces/dits-x"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let found = network(&dir.path().join("devices"), &dir.path().join("namespaces"));
        assert_eq!(found, ["network device dits0", "network namespace dits-x"]);
        assert!(network(&dir.path().join("none"), &dir.path().join("none")).is_empty());
    }
}
