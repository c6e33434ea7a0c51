//! `mount`, `unmount`, `mounts`: real mounts, of what is here and of what is somewhere else.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dits_core::object::ObjectKind;
use dits_testkit::random::bytes;
use dits_testkit::{Finished, Sandbox};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::inspect::json;
use crate::served::{self, Server};
use crate::sharing::Studio;

/// A mount that is gone at the end, whatever happens.
pub struct Drive<'a> {
    s: &'a Studio,
    pub point: PathBuf,
    told: Value,
    over: bool,
}

impl<'a> Drive<'a> {
    #[track_caller]
    pub fn mount(s: &'a Studio, at: &str, line: &str) -> Self {
        Self::writable(s, at, &format!("--read-only {line}"))
    }

    #[track_caller]
    pub fn writable(s: &'a Studio, at: &str, line: &str) -> Self {
        let point = s.path("m");
        let line = format!("mount --json {line}{}", point.display());
        let told = json(served::dits(s, at, &line).ok());
        Self { s, point, told, over: false }
    }

    /// One that was mounted on `m`, as its daemon told of it.
    pub fn told(s: &'a Studio, told: Value) -> Self {
        Self { s, point: s.path("m"), told, over: false }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.point.join(name)
    }

    /// Kills the daemon, as a crash would; the mount is cleared away.
    pub fn crash(mut self) {
        self.kill(Signal::KILL);
        rustix::mount::unmount(&self.point, UnmountFlags::DETACH).unwrap();
    }

    /// Asks the daemon to end, which unmounts.
    pub fn terminate(mut self) {
        self.kill(Signal::TERM);
    }

    fn kill(&mut self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while rustix::process::test_kill_process(self.pid()).is_ok() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.over = true;
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.told["pid"].as_i64().unwrap() as i32).unwrap()
    }

    /// Bytes that came from remotes.
    pub fn received(&self) -> u64 {
        let listed = json(self.s.dits(".", "mounts --json").ok());
        let point = self.point.to_str().unwrap();
        let mount = listed["mounts"].as_array().unwrap().iter().find(|mount| mount["path"] == point).unwrap();
        mount["received"].as_u64().unwrap()
    }

    #[track_caller]
    pub fn unmount(mut self) -> Finished {
        let done = self.s.dits(".", "unmount m").ok();
        self.over = true;
        done
    }
}

impl Drop for Drive<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let _ = rustix::mount::unmount(&self.point, UnmountFlags::DETACH);
        let _ = kill_process(self.pid(), Signal::KILL);
    }
}

pub fn range(path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; len];
    File::open(path)?.read_exact_at(&mut buffer, offset)?;
    Ok(buffer)
}

/// Whether mounts can be made here; says for `test` why not.
pub fn possible(test: &str) -> bool {
    let possible = Path::new("/dev/fuse").exists() && rustix::process::geteuid().is_root();
    if !possible {
        dits_testkit::skip(test, "it needs /dev/fuse and root");
    }
    possible
}

/// A project with a large file on a server, and `bob`, who has its history only.
pub fn partial(large: &[u8]) -> (Studio, Server) {
    let s = Studio::with_a_project();
    s.write("ada/large.mov", large);
    s.commit("ada", "large");
    s.dits("ada", "push -q").ok();
    let server = Server::start(&s, 0, "identity");
    served::dits(&s, ".", &format!("clone -q --filter=none --no-checkout {} bob", server.url)).ok();
    (s, server)
}

#[test]
fn a_mount_shows_what_a_checkout_has() {
    if !possible("a_mount_shows_what_a_checkout_has") {
        return;
    }
    let s = Studio::with_a_project();
    s.write("ada/empty", b"");
    s.write("ada/run.sh", b"#!/bin/sh\n");
    fs::set_permissions(s.path("ada/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("shots/010", s.path("ada/link")).unwrap();
    (0..700).for_each(|i| s.write(&format!("ada/many/{i:04}"), format!("{i}").as_bytes()));
    s.commit("ada", "kinds");
    let drive = Drive::mount(&s, "ada", "");
    let mut diff = s.sandbox.command("diff");
    diff.args(["-r", "--no-dereference", "--exclude=.dits", "ada", "m"]);
    s.sandbox.run(diff).ok();
    let listed = |at: &str| -> Vec<_> { fs::read_dir(s.path(at)).unwrap().map(|e| e.unwrap().file_name()).collect() };
    assert_eq!(listed("m/many").len(), 700);
    let film = fs::read(s.path("ada/film.mov")).unwrap();
    let mut seed = 1_u64;
    for _ in 0..200 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (from, len) = ((seed >> 33) as usize % film.len(), (seed >> 20) as usize % 400_000);
        let len = len.min(film.len() - from);
        assert!(range(&drive.path("film.mov"), from as u64, len).unwrap() == film[from..from + len], "{from}+{len}");
    }
    let mode = |name: &str| fs::symlink_metadata(drive.path(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("notes.txt"), mode("run.sh"), mode("many")), (0o444, 0o555, 0o555));
    let same =
        |a: &str, b: &str| fs::metadata(drive.path(a)).unwrap().ino() == fs::metadata(drive.path(b)).unwrap().ino();
    assert!(same("shots/010/a.exr", "link/a.exr") && !same("shots/010/a.exr", "shots/020/a.exr"));
    let refused = fs::write(drive.path("new"), b"x").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(Errno::ROFS.raw_os_error()));
    for name in ["system.posix_acl_access", "user.any"] {
        let attribute = rustix::fs::getxattr(drive.path("film.mov"), name, &mut [0_u8; 10][..]);
        assert_eq!(attribute, Err(Errno::NOTSUP), "{name}");
    }
    assert!(listed("m").contains(&".dits".into()));
    assert_eq!(s.id("m/shots", "HEAD"), s.id("ada", "HEAD"), "commands know where they are");
    s.dits(".", "mounts").ok().says(&format!("{} ", drive.point.display())).says("[HEAD]");
    s.dits("ada", "worktree list").ok().says("(mount)");
    s.dits(".", "mount --read-only ada m").exits(3).warns("mounted already");
    drive.unmount().warns("Unmounted");
    assert!(!s.dits(".", "mounts").ok().out().contains(s.path("m").to_str().unwrap()));
    assert_eq!(fs::read_dir(s.path("ada/.dits/worktrees")).unwrap().count(), 0, "nothing stays in the repository");
    s.dits(".", "unmount m").exits(1).warns("is not a mount of dits");
}

#[test]
fn what_is_in_use_is_not_unmounted_unless_forced() {
    if !possible("what_is_in_use_is_not_unmounted_unless_forced") {
        return;
    }
    let s = Studio::with_a_project();
    let drive = Drive::mount(&s, "ada", "");
    let open = File::open(drive.path("film.mov")).unwrap();
    s.dits(".", "unmount m").exits(3).warns("is in use").warns("--force");
    assert!(drive.path("film.mov").exists());
    drop(open);
    drive.unmount();
}

#[test]
fn a_mount_shows_the_version_that_was_named_and_keeps_it_from_gc() {
    if !possible("a_mount_shows_the_version_that_was_named_and_keeps_it_from_gc") {
        return;
    }
    let s = Studio::with_a_project();
    let gone = bytes(50, 3000);
    s.write("ada/notes.txt", &gone);
    s.commit("ada", "later");
    s.write("ada/notes.txt", b"latest\n");
    s.commit("ada", "latest");
    let drive = Drive::mount(&s, ".", "--ref HEAD~1 ada ");
    // Now nothing but the mount refers to that version.
    s.dits("ada", "reset -q --hard HEAD~2").ok();
    s.dits("ada", "reflog expire --expire now --all").ok();
    std::fs::remove_file(s.path("ada/.dits/refs/ORIG_HEAD")).unwrap();
    s.dits("ada", "gc --prune=now").ok();
    assert_eq!(fs::read(s.path("ada/notes.txt")).unwrap(), b"one\ntwo\n");
    assert!(fs::read(drive.path("notes.txt")).unwrap() == gone);
    let id = ObjectKind::Chunk.digest(&gone);
    s.dits("ada", &format!("cat-file -e {id}")).ok();
    drive.unmount();
    s.dits("ada", "gc --prune=now").ok();
    assert_ne!(s.dits("ada", &format!("cat-file -e {id}")).code, Some(0), "it was the mount that kept it");
    s.dits(".", "mount --read-only --ref nothing ada m").exits(1).warns("is not a branch");
}

#[test]
fn only_what_is_read_travels_and_it_stays() {
    if !possible("only_what_is_read_travels_and_it_stays") {
        return;
    }
    let large = bytes(40, 40_000_000);
    let (s, server) = partial(&large);
    let drive = Drive::mount(&s, "bob", "");
    assert!(drive.received() < 100_000, "nothing was read yet");
    let begin = Instant::now();
    let (from, len) = (15_000_000, 10_000_000);
    assert!(range(&drive.path("large.mov"), from as u64, len).unwrap() == large[from..from + len]);
    let travelled = drive.received();
    assert!(travelled >= len as u64 && travelled <= 2 * len as u64, "{travelled} bytes in {:?}", begin.elapsed());
    drive.unmount();
    drop(server);
    let drive = Drive::mount(&s, "bob", "--offline ");
    assert!(range(&drive.path("large.mov"), from as u64, len).unwrap() == large[from..from + len], "it was kept");
    let absent = range(&drive.path("film.mov"), 0, 1000).unwrap_err();
    assert_eq!(absent.raw_os_error(), Some(Errno::IO.raw_os_error()));
    drive.unmount();
}

#[test]
fn a_server_that_goes_away_is_an_error_and_comes_back_by_itself() {
    if !possible("a_server_that_goes_away_is_an_error_and_comes_back_by_itself") {
        return;
    }
    let large = bytes(41, 20_000_000);
    let (s, server) = partial(&large);
    let port = server.port();
    s.dits("bob", "config set mount.timeout 3s").ok();
    let drive = Drive::mount(&s, "bob", "");
    assert!(range(&drive.path("large.mov"), 0, 100_000).unwrap() == large[..100_000]);
    drop(server);
    let begin = Instant::now();
    let gone = range(&drive.path("large.mov"), 12_000_000, 100_000).unwrap_err();
    assert_eq!(gone.raw_os_error(), Some(Errno::IO.raw_os_error()));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert!(range(&drive.path("large.mov"), 0, 100_000).unwrap() == large[..100_000], "what is here stays readable");
    assert_eq!(fs::read_dir(&drive.point).unwrap().count(), 5, "and so do folders");
    let begin = Instant::now();
    let _server = restart(&s, port);
    let again = loop {
        match range(&drive.path("large.mov"), 12_000_000, 100_000) {
            Ok(read) => break read,
            Err(_) if begin.elapsed() < Duration::from_secs(60) => std::thread::sleep(Duration::from_millis(200)),
            Err(error) => panic!("{error} after {:?}", begin.elapsed()),
        }
    };
    assert!(again == large[12_000_000..12_100_000]);
    drive.unmount();
}

/// The port may take a moment to be free.
fn restart(s: &Studio, port: u16) -> Server {
    let begin = Instant::now();
    loop {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Server::start(s, port, "identity"))) {
            Ok(server) => return server,
            Err(_) if begin.elapsed() < Duration::from_secs(10) => std::thread::sleep(Duration::from_millis(200)),
            Err(error) => std::panic::resume_unwind(error),
        }
    }
}

#[test]
fn a_dead_mount_is_shown_and_cleared_away() {
    if !possible("a_dead_mount_is_shown_and_cleared_away") {
        return;
    }
    let s = Studio::with_a_project();
    for again in [false, true] {
        let drive = Drive::mount(&s, "ada", "");
        kill_process(drive.pid(), Signal::KILL).unwrap();
        let begin = Instant::now();
        let dead = loop {
            match fs::metadata(drive.path("notes.txt")) {
                Err(error) if error.raw_os_error() == Some(Errno::NOTCONN.raw_os_error()) => break error,
                _ => assert!(begin.elapsed() < Duration::from_secs(30)),
            }
        };
        s.dits(".", "mounts").ok().says("(dead: `dits unmount` clears it away)");
        s.dits("ada", "worktree list").ok().says("(dead mount)");
        if again {
            let anew = Drive::mount(&s, "ada", "");
            assert_eq!(fs::read(anew.path("notes.txt")).unwrap(), b"one\ntwo\n", "after {dead}");
            anew.unmount();
        } else {
            drive.unmount();
        }
        assert_eq!(fs::read_dir(s.path("ada/.dits/worktrees")).unwrap().count(), 0);
    }
}

#[test]
fn an_address_is_mounted_without_a_clone_of_ones_own() {
    if !possible("an_address_is_mounted_without_a_clone_of_ones_own") {
        return;
    }
    let s = Studio::with_a_project();
    let server = Server::start(&s, 0, "identity");
    let drive = Drive::mount(&s, ".", &format!("{} ", server.url));
    assert!(fs::read(drive.path("film.mov")).unwrap() == bytes(1, 3_000_000));
    drive.unmount();
    s.write("ada/notes.txt", b"newer\n");
    s.commit("ada", "newer");
    s.dits("ada", "push -q").ok();
    let drive = Drive::mount(&s, ".", &format!("{} ", server.url));
    assert_eq!(fs::read(drive.path("notes.txt")).unwrap(), b"newer\n", "mounted anew it is up to date");
    drive.unmount();
}

#[test]
fn what_cannot_be_mounted_says_why() {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_dits"));
    sandbox.dits(["mount", "--read-only", "m"]).exits(2).warns("not inside a dits repository");
    sandbox.dits(["init", "-q"]).ok();
    sandbox.write("full/file", b"x");
    sandbox.dits(["add", "-A", "-q"]).ok();
    sandbox.dits(["commit", "-q", "-m", "one"]).ok();
    sandbox.dits(["mount", "--read-only", "full"]).exits(2).warns("not empty");
    sandbox.dits(["mount", "--read-only", "--ram", "much", "m"]).exits(2).warns("use a size");
}
