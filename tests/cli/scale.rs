//! Many files, large files, odd files: what they cost in memory and metadata, and that they come back.

#![allow(clippy::print_stderr, reason = "the numbers are worth seeing: cargo test -- --nocapture")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dits_testkit::snapshot::assert_same;
use dits_testkit::{Sandbox, edit, random};

const DITS: &str = env!("CARGO_BIN_EXE_dits");
const LIMIT: Duration = Duration::from_secs(900);
const MIB: u64 = 1 << 20;

fn repository() -> Sandbox {
    Sandbox::with_repository(DITS).limit(LIMIT)
}

/// Runs a command that must succeed, and gives the most memory it had, in bytes.
#[track_caller]
fn peak(sandbox: &Sandbox, args: &[&str]) -> Option<u64> {
    if !dits_testkit::installed("time") {
        dits_testkit::skip("memory", "the program `time` is not installed (apt-get install time)");
        return None;
    }
    let log = sandbox.beside("peak");
    let mut command = sandbox.command("time");
    command.args(["-f", "%M", "-o"]).arg(&log).arg(DITS).args(args);
    sandbox.run(command).ok();
    let kib: u64 = fs::read_to_string(log).unwrap().trim().parse().unwrap();
    eprintln!("{:>6} MiB at most: dits {}", kib >> 10, args.join(" "));
    Some(kib << 10)
}

/// A new worktree of the same repository holds the same.
#[track_caller]
fn comes_back(sandbox: &Sandbox) -> PathBuf {
    let other = sandbox.beside("other");
    sandbox.dits([OsStr::new("worktree"), OsStr::new("add"), OsStr::new("--detach"), other.as_os_str()]).ok();
    assert_same(&sandbox.path(""), &other);
    other
}

fn metadata(sandbox: &Sandbox) -> u64 {
    edit::folder_size(&sandbox.path(".dits/manifests")).unwrap()
}

/// A folder of `count` files can be added, and one changed file costs little.
fn many_files(count: u32) {
    let sandbox = repository();
    let folder = sandbox.path("frames");
    fs::create_dir(&folder).unwrap();
    let name = |i: u32| format!("shot_{i:08}.exr");
    for i in 0..count {
        fs::write(folder.join(name(i)), i.to_le_bytes()).unwrap();
    }
    if let Some(peak) = peak(&sandbox, &["add", "."]) {
        assert!(peak < 200 * MIB || count > 20_000, "{peak} bytes");
    }
    sandbox.dits(["commit", "-m", "all"]).ok();
    let before = metadata(&sandbox);
    fs::write(folder.join(name(count / 2)), b"changed").unwrap();
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "one"]).ok();
    let grown = metadata(&sandbox) - before;
    eprintln!("{grown:>6} bytes of metadata for one changed file of {count}; {before} for all");
    assert!(grown <= 64 << 10, "{grown} bytes of metadata for one changed file");
    let listed = sandbox.dits(["ls-files"]).ok().out();
    assert_eq!(listed.lines().count(), count as usize);
    assert_eq!(sandbox.dits(["status", "--porcelain"]).ok().out(), "");
    if count <= 20_000 {
        comes_back(&sandbox);
    }
}

#[test]
fn a_folder_of_twenty_thousand() {
    many_files(20_000);
}

#[test]
fn a_folder_of_two_hundred_thousand() {
    if dits_testkit::long("a_folder_of_two_hundred_thousand") {
        many_files(200_000);
    }
}

/// Adding a file many times as large takes about as much memory.
fn memory(small: u64, large: u64) {
    let mut peaks = Vec::new();
    for len in [small, large] {
        let sandbox = repository();
        random::file(&sandbox.path("take"), len, len).unwrap();
        let Some(peak) = peak(&sandbox, &["add", "."]) else { return };
        assert!(peak < 256 * MIB, "{peak} bytes");
        peaks.push(peak);
    }
    let (small, large) = (peaks[0], peaks[1]);
    assert!(large * 10 <= small * 12, "{large} bytes are more than 1.2 times {small}");
}

#[test]
fn memory_does_not_grow_with_the_file() {
    memory(48 * MIB, 512 * MIB);
}

#[test]
fn memory_of_one_and_of_sixteen_gibibytes() {
    if dits_testkit::long("memory_of_one_and_of_sixteen_gibibytes") {
        // Takes 32 GiB of disk: holes would be known chunks, and fill no pack.
        memory(1 << 30, 16 << 30);
    }
}

#[test]
fn files_over_four_gibibytes() {
    if !dits_testkit::long("files_over_four_gibibytes") {
        return;
    }
    let sandbox = repository();
    let (a, b) = (random::bytes(1, 300_000), random::bytes(2, 300_000));
    let pieces = [(0, &a[..]), ((4 << 30) - 100_000, &b[..]), ((5 << 30) - 300_000, &a[..])];
    edit::sparse(&sandbox.path("sparse"), 5 << 30, &pieces).unwrap();
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "sparse"]).ok();
    let other = comes_back(&sandbox);
    assert!(edit::allocated(&other.join("sparse")).unwrap() < 16 * MIB, "the hole was filled");
}

#[test]
fn holes_come_back_as_holes() {
    let sandbox = repository();
    let data = random::bytes(1, 200_000);
    edit::sparse(&sandbox.path("middle"), 64 * MIB, &[(0, &data), (40 * MIB + 5, &data)]).unwrap();
    edit::sparse(&sandbox.path("end"), 64 * MIB, &[(0, &data)]).unwrap();
    edit::sparse(&sandbox.path("nothing but a hole"), 64 * MIB, &[]).unwrap();
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "sparse"]).ok();
    assert!(edit::folder_size(&sandbox.path(".dits/objects")).unwrap() < 2 * MIB, "holes take room in the store");
    let other = comes_back(&sandbox);
    for name in ["middle", "end", "nothing but a hole"] {
        let allocated = edit::allocated(&other.join(name)).unwrap();
        assert!(allocated < 2 * MIB, "{name} takes {allocated} bytes");
    }
}

#[test]
fn odd_files_come_back() {
    let sandbox = repository();
    let raw = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    sandbox.write("empty", b"");
    sandbox.write("one", b"1");
    sandbox.write(raw(b"not utf-8 \xff\xfe"), b"raw");
    sandbox.write(raw(b"folder \xc3\x28/inside"), b"raw");
    sandbox.write("n".repeat(255), b"long name");
    sandbox.write(raw("日本語のフォルダ/ファイル.mov".as_bytes()), b"utf-8");
    sandbox.write("line\tbreak", b"tab");
    let script = sandbox.write("run.sh", b"#!/bin/sh\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    symlink("one", sandbox.path("link")).unwrap();
    symlink("/nonexistent/outside", sandbox.path("dangling")).unwrap();
    symlink(OsStr::from_bytes(b"raw \xff"), sandbox.path("raw link")).unwrap();
    // As deep as a path can be: 4095 bytes below the worktree.
    let mut deep = Vec::new();
    for _ in 0..40 {
        deep.extend([b"d".repeat(100), b"/".to_vec()].concat());
    }
    deep.extend_from_slice(b"file");
    make_deep(&sandbox.path(""), &deep);
    sandbox.dits(["-c", "core.portable=false", "add", "."]).ok();
    sandbox.dits(["commit", "-m", "odd"]).ok();
    assert_eq!(sandbox.dits(["status", "--porcelain"]).ok().out(), "");
    let other = sandbox.beside("other");
    sandbox.dits([OsStr::new("worktree"), OsStr::new("add"), OsStr::new("--detach"), other.as_os_str()]).ok();
    let diff = sandbox.run({
        let mut diff = sandbox.command("diff");
        diff.args(["-r", "--no-dereference", "-x", ".dits", ".", "../other"]);
        diff
    });
    diff.ok();
    assert_eq!(sandbox.dits_in(&other, ["status", "--porcelain"]).ok().out(), "");
    assert!(fs::metadata(other.join("run.sh")).unwrap().permissions().mode() & 0o111 != 0);
    assert_eq!(fs::metadata(other.join("one")).unwrap().permissions().mode() & 0o111, 0);
    // `rm -r` goes where paths are too long for one call.
    for folder in [sandbox.path("d".repeat(100)), other.join("d".repeat(100))] {
        let done = sandbox.command("rm").arg("-rf").arg(folder).status().unwrap();
        assert!(done.success());
    }
}

/// Makes a file whose path is too long for one call.
fn make_deep(top: &Path, path: &[u8]) {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let mut at = openat(CWD, top, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let mut names: Vec<_> = path.split(|byte| *byte == b'/').collect();
    let last = names.pop().unwrap();
    for name in names {
        mkdirat(&at, name, Mode::RWXU).unwrap();
        at = openat(&at, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    }
    let file = openat(&at, last, OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR).unwrap();
    File::from(file).write_all_at(b"deep", 0).unwrap();
}

#[test]
fn a_repository_inside_is_skipped_with_a_warning() {
    let sandbox = repository();
    sandbox.write("mine", b"x");
    fs::create_dir_all(sandbox.path("vendor/inner")).unwrap();
    sandbox.dits_in(&sandbox.path("vendor/inner"), ["init"]).ok();
    sandbox.write("vendor/inner/theirs", b"y");
    sandbox.write("vendor/git/.git/HEAD", b"ref: refs/heads/main\n");
    sandbox.write("vendor/git/theirs", b"y");
    let done = sandbox.dits(["add", "."]).ok();
    done.warns("vendor/inner");
    sandbox.dits(["commit", "-m", "mine"]).ok();
    let listed = sandbox.dits(["ls-files"]).ok().out();
    assert!(listed.lines().any(|line| line == "mine"), "{listed}");
    assert!(!listed.contains("vendor/inner"), "{listed}");
    assert!(!listed.contains(".git"), "{listed}");
}

#[test]
fn a_file_that_keeps_changing_is_an_error() {
    let sandbox = repository();
    sandbox.write("calm", b"x");
    let path = sandbox.path("film");
    random::file(&path, 1, 64 * MIB).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(&path).unwrap();
            for i in 0u64.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                file.write_all_at(&i.to_le_bytes(), (i * 7919) % (64 * MIB)).unwrap();
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        let done = sandbox.dits(["add", "."]);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        done.exits(2).warns("film");
    });
    assert_eq!(sandbox.dits(["ls-files"]).ok().out(), "", "nothing is half-recorded");
    sandbox.dits(["add", "."]).ok();
}
