//! Whole copies of files that the kernel reads by itself: with real mounts, as root and as somebody who may not.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use dits_testkit::random::bytes;
use rustix::fs::Advice;
use serde_json::Value;

use crate::inspect::json;
use crate::mounting::{Drive, partial, possible};
use crate::sharing::Studio;

const LEN: usize = 12_000_000;
/// What a daemon writes that has only questions to answer, none for content.
const LITTLE: u64 = 100_000;
/// The type of a file system that lies on others.
const OVERLAY: i64 = 0x794c_7630;

/// Whether the kernel can read files by itself here; says for `test` why not.
fn passes(test: &str) -> bool {
    if !possible(test) {
        return false;
    }
    let system = rustix::system::uname();
    let mut numbers = system.release().to_str().unwrap().split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let kernel = (numbers.next(), numbers.next());
    let stacked = rustix::fs::statfs(std::env::temp_dir()).unwrap().f_type as i64 == OVERLAY;
    if kernel < (Some(6), Some(9)) || stacked {
        dits_testkit::skip(test, "it needs Linux 6.9, and temporary files on a file system that is not stacked");
        return false;
    }
    true
}

/// A complete repository `ada` with a file that is large enough.
fn studio(seed: u64) -> (Studio, Vec<u8>) {
    let (s, large) = (Studio::with_a_project(), bytes(seed, LEN));
    s.write("ada/large.mov", &large);
    s.commit("ada", "large");
    (s, large)
}

/// Reads a whole file by a handle, past what the kernel has of it, and gives what the daemon wrote for that.
fn read(drive: &Drive<'_>, file: &File, expected: &[u8]) -> u64 {
    rustix::fs::fadvise(file, 0, None, Advice::DontNeed).unwrap();
    let written = || -> u64 {
        let told = fs::read_to_string(format!("/proc/{}/io", drive.pid().as_raw_pid())).unwrap();
        told.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap().parse().unwrap()
    };
    let (before, mut bytes) = (written(), vec![0; expected.len()]);
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes == expected);
    written() - before
}

fn stats(s: &Studio) -> Value {
    json(s.dits("ada", "cache stats --json").ok())
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Waits until it is so.
#[track_caller]
fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Opens a file that the kernel is to read by itself. A handle that was let go is let go a little later.
#[track_caller]
fn backed(drive: &Drive<'_>, path: &Path, expected: &[u8]) -> File {
    let mut found = None;
    soon("the kernel reads it", || {
        let file = File::open(path).unwrap();
        found = Some(file).filter(|file| read(drive, file, expected) < LITTLE);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_file_that_was_read_is_read_by_the_kernel_when_nobody_has_it_open_otherwise() {
    if !passes("a_file_that_was_read_is_read_by_the_kernel_when_nobody_has_it_open_otherwise") {
        return;
    }
    let (s, large) = studio(90);
    let drive = Drive::mount(&s, "ada", "");
    let path = drive.path("large.mov");
    let first = File::open(&path).unwrap();
    first.read_exact_at(&mut vec![0; 1_000_000], 0).unwrap();
    assert!(read(&drive, &first, &large) >= LEN as u64);
    soon("a copy is made", || number(&stats(&s)["copies"]) == 1);
    assert_eq!((number(&stats(&s)["copied"]), number(&stats(&s)["used"])), (LEN as u64, LEN as u64));
    s.dits("ada", "cache stats").ok().says("whole copy of a file, which the system reads by itself");
    let second = File::open(&path).unwrap();
    assert!(read(&drive, &second, &large) >= LEN as u64, "somebody has it open in the other way");
    drop((first, second));
    let held = backed(&drive, &path, &large);
    let again = File::open(&path).unwrap();
    assert!(read(&drive, &again, &large) < LITTLE);
    drop(held);
    assert!(read(&drive, &again, &large) < LITTLE);
    let other = fs::read(drive.path("film.mov")).unwrap();
    assert!(other == bytes(1, 3_000_000), "other files are read as ever");
    mapped_and_by_many(&s, &path, &large);
    drop(again);
    drive.unmount();
    let drive = Drive::mount(&s, "ada", "");
    assert!(read(&drive, &File::open(&path).unwrap(), &large) < LITTLE, "it survives an unmount");
    drive.unmount();
    let drive = Drive::writable(&s, "ada", "--ref HEAD ");
    let file = File::open(&path).unwrap();
    assert!(read(&drive, &file, &large) >= LEN as u64, "not where it may be changed");
    drop(file);
    drive.unmount();
}

/// Many processes open it again and again, and read it in one piece, in pieces and through a mapping.
fn mapped_and_by_many(s: &Studio, path: &Path, large: &[u8]) {
    let copy = s.path("copy");
    fs::write(&copy, large).unwrap();
    let map = "import mmap,sys;f=open(sys.argv[1],'rb');m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ);\
               sys.exit(m[:]!=open(sys.argv[2],'rb').read())";
    let python =
        s.sandbox.command("python3").args(["-c", "import mmap"]).output().is_ok_and(|done| done.status.success());
    if !python {
        dits_testkit::skip("mappings of files that the kernel reads", "python3 is not installed");
    }
    std::thread::scope(|scope| {
        for turn in 0..4 {
            let copy = &copy;
            scope.spawn(move || {
                for _ in 0..5 {
                    let mut command = s.sandbox.command(if turn == 0 && python { "python3" } else { "cmp" });
                    command.args((turn == 0 && python).then_some(["-c", map]).iter().flatten());
                    command.args([path, copy]);
                    s.sandbox.run(command).ok();
                }
            });
        }
    });
}

#[test]
fn a_copy_that_is_read_stays_and_counts_until_it_is_closed() {
    if !passes("a_copy_that_is_read_stays_and_counts_until_it_is_closed") {
        return;
    }
    let (s, large) = studio(91);
    s.dits("ada", "config set mount.cacheSize 40M").ok();
    let drive = Drive::mount(&s, "ada", "");
    let path = drive.path("large.mov");
    assert!(fs::read(&path).unwrap() == large);
    soon("a copy is made", || number(&stats(&s)["copies"]) == 1);
    let file = backed(&drive, &path, &large);
    let kept = json(s.dits("ada", "evict --json --cache-only large.mov").ok());
    assert_eq!((number(&kept["cache"]["bytes"]), &kept["kept"][0]["why"]), (0, &Value::from("in_use")));
    let cleared = json(s.dits("ada", "cache clear --json").ok());
    assert_eq!((number(&cleared["copies"]), number(&cleared["held"])), (0, LEN as u64));
    s.dits("ada", "config set mount.cacheSize 10M").ok();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(number(&stats(&s)["used"]), LEN as u64, "what is taken is counted");
    assert!(read(&drive, &file, &large) < LITTLE);
    drop(file);
    soon("it goes when it is closed", || number(&stats(&s)["used"]) == 0);
    assert!(fs::read(&path).unwrap() == large);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(number(&stats(&s)["used"]), 0, "there is no room for it");
    s.dits("ada", "config set mount.cacheSize 40M").ok();
    soon("it is read often enough", || fs::read(&path).unwrap() == large && afresh_is_copied(&s, &drive, &large));
    soon("it is closed", || {
        let would = json(s.dits("ada", "evict --json --dry-run --cache-only large.mov").ok());
        number(&would["cache"]["bytes"]) == LEN as u64
    });
    let gone = json(s.dits("ada", "evict --json --cache-only large.mov").ok());
    assert_eq!((number(&gone["cache"]["bytes"]), number(&stats(&s)["used"])), (LEN as u64, 0));
    drive.unmount();
}

fn afresh_is_copied(s: &Studio, drive: &Drive<'_>, large: &[u8]) -> bool {
    read(drive, &File::open(drive.path("large.mov")).unwrap(), large);
    number(&stats(s)["copies"]) == 1
}

#[test]
fn a_copy_is_made_only_of_what_is_here_and_within_the_quota() {
    if !passes("a_copy_is_made_only_of_what_is_here_and_within_the_quota") {
        return;
    }
    let large = bytes(92, LEN);
    let (s, _server) = partial(&large);
    let drive = Drive::mount(&s, "bob", "");
    let (path, used) = (drive.path("large.mov"), || json(s.dits("bob", "cache stats --json").ok()));
    let file = File::open(&path).unwrap();
    file.read_exact_at(&mut vec![0; 7_000_000], 0).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(number(&used()["copies"]), 0, "some of it is not here");
    assert!(read(&drive, &file, &large) > 0);
    drop(file);
    soon("a copy is made", || number(&used()["copies"]) == 1);
    let received = drive.received();
    drop(backed(&drive, &path, &large));
    assert_eq!(drive.received(), received, "nothing came for it");
    let on_disk = |folder: &str| -> u64 {
        let files = fs::read_dir(s.path("bob/.dits/cache").join(folder)).unwrap();
        files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    };
    assert_eq!(number(&used()["used"]), on_disk("pack") + on_disk("whole"));
    drive.unmount();
}

#[test]
fn where_the_kernel_does_not_let_it_files_are_read_as_ever_and_no_copy_is_made() {
    let test = "where_the_kernel_does_not_let_it_files_are_read_as_ever_and_no_copy_is_made";
    if !possible(test) {
        return;
    }
    let (s, _) = studio(93);
    // Who is root in a user namespace only may mount, and not pass files.
    let apart = |script: &str| {
        let mut command = s.sandbox.command("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]);
        command.env(
            "PATH",
            format!("{}:{}", Path::new(env!("CARGO_BIN_EXE_dits")).parent().unwrap().display(), env!("PATH")),
        );
        s.sandbox.run(command)
    };
    if apart("true").code != Some(0) {
        return dits_testkit::skip(test, "user namespaces cannot be made here");
    }
    let read = "cmp m/large.mov ada/large.mov; ";
    let script = format!(
        "dits mount --read-only ada m; {read}{read}{read} sleep 0.5; cd ada; dits cache stats --json; cd ..; dits unmount m"
    );
    let told = json(apart(&script).ok());
    assert_eq!((number(&told["copies"]), number(&told["used"])), (0, 0));
    assert_eq!(told["mounts"].as_array().unwrap().len(), 1);
}
