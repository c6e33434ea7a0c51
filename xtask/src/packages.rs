//! What the machine has to have, and why. Debian's package manager is used when we are root.

use std::process::Command;

use crate::Failure;

/// A Debian package, the program by which it is recognised, and what it is for.
pub struct Package {
    name: &'static str,
    program: &'static str,
    why: &'static str,
}

const FFMPEG: Package =
    Package { name: "ffmpeg", program: "ffmpeg", why: "makes the real video that tests and demo version" };

/// What the tests use.
pub const TESTS: &[Package] = &[
    FFMPEG,
    Package { name: "git", program: "git", why: "the reference for status, ignore rules and output" },
    Package { name: "strace", program: "strace", why: "kills and I/O errors at chosen system calls" },
    Package { name: "e2fsprogs", program: "mkfs.ext4", why: "file systems for power cuts and full disks" },
    Package { name: "xfsprogs", program: "xfs_io", why: "power cuts; a file system that shares extents" },
    Package { name: "ntfs-3g", program: "lowntfs-3g", why: "a file system that folds case" },
    Package { name: "fuse3", program: "fusermount3", why: "mounts repositories, for ordinary users too" },
    Package { name: "python3", program: "python3", why: "maps files of a mount into memory" },
    Package { name: "rsync", program: "rsync", why: "copies into a mount and out of it" },
    Package { name: "sqlite3", program: "sqlite3", why: "keeps a database in a mount" },
    Package { name: "vim", program: "vim", why: "edits files of a mount" },
    Package { name: "curl", program: "curl", why: "a client of drives that are served" },
    Package { name: "litmus", program: "litmus", why: "tries all of WebDAV on them" },
    Package { name: "redis-server", program: "redis-server", why: "keeps the locks of several servers" },
    Package { name: "mount", program: "losetup", why: "mounts those file systems" },
    Package { name: "iproute2", program: "ip", why: "slow, lossy and cut links" },
    Package { name: "util-linux", program: "nsenter", why: "runs programs at the ends of those links" },
];

/// What the demo uses when it makes its own media.
pub const DEMO: &[Package] = &[FFMPEG];

/// Installs what is missing when we are root on Debian; otherwise names the command to run.
pub fn ensure(packages: &[Package]) -> Result<(), Failure> {
    let missing: Vec<_> = packages.iter().filter(|package| !dits_testkit::installed(package.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for package in &missing {
        println!("missing: {} ({})", package.name, package.why);
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    let remedy = format!("apt-get install --no-install-recommends {}", names.join(" "));
    if !rustix::process::geteuid().is_root() || !dits_testkit::installed("apt-get") {
        return Err(Failure::Missing(format!("programs are missing; on Debian, as root, run: {remedy}")));
    }
    let install = || apt(&[&["install", "--yes", "--no-install-recommends"], names.as_slice()].concat());
    // Package lists may be absent or old: they are fetched only when the first attempt fails.
    if install() || (apt(&["update"]) && install()) {
        return Ok(());
    }
    Err(Failure::Missing(format!("the packages could not be installed; run: {remedy}")))
}

fn apt(args: &[&str]) -> bool {
    println!("$ apt-get {}", args.join(" "));
    let mut command = Command::new("apt-get");
    command.arg("-qq").args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command.status().is_ok_and(|status| status.success())
}
