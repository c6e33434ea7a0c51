//! Working in a mount: what is written there, and the commands that commit, switch, merge and share it.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::Duration;

use dits_testkit::random::bytes;
use rustix::io::Errno;

use crate::mounting::{Drive, partial, possible};
use crate::served;
use crate::sharing::Studio;

/// A project whose branch `main` nobody is on.
fn project() -> Studio {
    let s = Studio::with_a_project();
    s.write("ada/large.mov", &bytes(7, 6_000_000));
    (0..300).for_each(|i| s.write(&format!("ada/many/{i:03}"), format!("{i}").as_bytes()));
    s.commit("ada", "more");
    s.dits("ada", "switch -q --detach").ok();
    s
}

/// The tree of a version.
fn tree(s: &Studio, at: &str, version: &str) -> String {
    s.dits(at, &format!("rev-parse {version}^{{tree}}")).ok().out().trim().to_owned()
}

#[test]
fn what_is_committed_in_a_mount_is_what_a_full_add_of_the_same_files_gives() {
    if !possible("what_is_committed_in_a_mount_is_what_a_full_add_of_the_same_files_gives") {
        return;
    }
    let s = project();
    let drive = Drive::writable(&s, "ada", "--ref main ");
    assert_eq!(s.dits("m", "status --porcelain").ok().out(), "");
    let large = File::options().read(true).write(true).open(drive.path("large.mov")).unwrap();
    for (seed, at, len) in [(1, 0, 10), (2, 1_000_001, 70_000), (3, 2_500_000, 1), (4, 5_999_990, 50_000)] {
        large.write_all_at(&bytes(seed, len), at).unwrap();
    }
    drop(large);
    File::options().write(true).open(drive.path("film.mov")).unwrap().set_len(1_234_567).unwrap();
    fs::write(drive.path("new.bin"), bytes(9, 900_000)).unwrap();
    // As many programs save: another file, renamed over the old one.
    fs::write(drive.path("notes.tmp"), b"as they are now").unwrap();
    fs::rename(drive.path("notes.tmp"), drive.path("notes.txt")).unwrap();
    fs::rename(drive.path("many"), drive.path("few")).unwrap();
    fs::remove_file(drive.path("few/007")).unwrap();
    fs::set_permissions(drive.path("few/008"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("few", drive.path("link")).unwrap();
    fs::create_dir(drive.path("empty")).unwrap();
    s.dits("m", "add -A").ok();
    s.dits("m", "status --porcelain").ok().says("M  large.mov").says("A  new.bin").says("D  many/007");
    s.dits("m", "commit -q -m changed").ok();
    assert_eq!(s.dits("m", "status --porcelain").ok().out(), "");
    s.dits(".", "init -q plain").ok();
    let mut copy = s.sandbox.command("cp");
    copy.args(["-r", "--preserve=mode,links"]);
    copy.args(fs::read_dir(&drive.point).unwrap().map(|e| e.unwrap().path()).filter(|p| !p.ends_with(".dits")));
    copy.arg("plain");
    s.sandbox.run(copy).ok();
    s.dits("plain", "add -A").ok();
    s.dits("plain", "commit -q -m same").ok();
    assert_eq!(tree(&s, "m", "main"), tree(&s, "plain", "HEAD"));
    drive.unmount();
    s.dits("ada", "switch -q main").exits(2).warns("m");
    s.dits("ada", "fsck --full").ok();
    s.dits("ada", "worktree list").ok().says("waiting");
    // What was all committed starts afresh.
    let drive = Drive::writable(&s, "ada", "");
    assert_eq!(fs::read(drive.path("notes.txt")).unwrap(), b"as they are now");
    assert_eq!(s.dits("m", "status --porcelain").ok().out(), "");
    drive.unmount();
}

#[test]
fn what_was_written_survives_the_daemon_and_the_mount() {
    if !possible("what_was_written_survives_the_daemon_and_the_mount") {
        return;
    }
    let s = project();
    let drive = Drive::writable(&s, "ada", "--ref main ");
    let large = File::options().write(true).open(drive.path("large.mov")).unwrap();
    large.write_all_at(b"here", 3_000_000).unwrap();
    large.sync_all().unwrap();
    fs::create_dir(drive.path("d")).unwrap();
    fs::write(drive.path("d/new"), b"new").unwrap();
    File::open(drive.path("d/new")).unwrap().sync_all().unwrap();
    fs::rename(drive.path("many"), drive.path("d/many")).unwrap();
    drive.crash();
    s.dits("ada", "worktree prune").ok();
    s.dits("ada", "gc --prune=now").ok();
    let drive = Drive::writable(&s, "ada", "");
    let mut expected = bytes(7, 6_000_000);
    expected[3_000_000..3_000_004].copy_from_slice(b"here");
    assert!(fs::read(drive.path("large.mov")).unwrap() == expected);
    assert_eq!(fs::read(drive.path("d/new")).unwrap(), b"new");
    assert_eq!(fs::read(drive.path("d/many/299")).unwrap(), b"299");
    s.dits("m", "status --porcelain").ok().says(" M large.mov").says(" D many/000").says("?? d/");
    drive.unmount();
    s.dits(".", "mount --ref main ada m").exits(2).warns("waits");
    let listed = s.dits("ada", "worktree list").ok().out();
    assert!(listed.contains("waiting"), "{listed}");
    s.dits("ada", "worktree remove ../m").exits(3);
    s.dits("ada", "worktree remove --force ../m").ok();
    s.dits("ada", "switch -q main").ok();
}

#[test]
fn commands_of_a_worktree_work_in_a_mount() {
    if !possible("commands_of_a_worktree_work_in_a_mount") {
        return;
    }
    let s = project();
    let drive = Drive::writable(&s, "ada", "--ref main ");
    let read = |name: &str| fs::read_to_string(drive.path(name)).unwrap();
    fs::write(drive.path("notes.txt"), "one").unwrap();
    s.dits("m", "stash -q").ok();
    assert_ne!(read("notes.txt"), "one");
    s.dits("m", "stash pop -q").ok();
    assert_eq!(read("notes.txt"), "one");
    s.dits("m", "commit -q -a -m one").ok();
    s.dits("m", "switch -q -c side HEAD~1").ok();
    assert_ne!(read("notes.txt"), "one");
    fs::write(drive.path("aside"), "side").unwrap();
    s.dits("m", "add aside").ok();
    s.dits("m", "commit -q -m side").ok();
    s.dits("m", "merge -q main").ok();
    assert_eq!((read("notes.txt"), read("aside")), ("one".to_owned(), "side".to_owned()));
    assert_eq!(s.dits("m", "status --porcelain").ok().out(), "");
    fs::remove_file(drive.path("large.mov")).unwrap();
    s.dits("m", "restore large.mov").ok();
    assert!(fs::read(drive.path("large.mov")).unwrap() == bytes(7, 6_000_000));
    s.dits("m", "reset -q --hard HEAD~1").ok();
    assert_eq!(read("notes.txt"), "one\ntwo\n");
    s.dits("m", "mv notes.txt renamed.txt").ok();
    s.dits("m", "rm -q film.mov").ok();
    s.dits("m", "status --porcelain").ok().says("R  notes.txt -> renamed.txt").says("D  film.mov");
    s.dits("m", "switch main").exits(3);
    s.dits("m", "reset -q --hard").ok();
    s.dits("m", "switch -q main").ok();
    assert_eq!(s.dits("m", "status --porcelain").ok().out(), "");
    s.dits("m", "fsck --full").ok();
    drive.unmount();
}

#[test]
fn a_project_that_is_not_here_is_edited_and_shared_by_its_changes_alone() {
    if !possible("a_project_that_is_not_here_is_edited_and_shared_by_its_changes_alone") {
        return;
    }
    let large = bytes(7, 12_000_000);
    let (s, server) = partial(&large);
    let drive = Drive::writable(&s, ".", &format!("{} ", server.url));
    let file = File::options().write(true).open(drive.path("large.mov")).unwrap();
    file.write_all_at(&bytes(8, 50_000), 6_000_000).unwrap();
    drop(file);
    served::dits(&s, "m", "commit -q -a -m edit").ok();
    assert!(drive.received() < 2_000_000, "{} bytes came for an edit of 50 kB", drive.received());
    served::dits(&s, "m", "push -q").ok();
    // The clone that stands behind it has no files, and lacks nothing.
    assert!(!served::dits(&s, "m", "fsck").ok().err().contains("error:"));
    drive.unmount();
    served::dits(&s, "ada", "pull -q").ok();
    let mut expected = large;
    expected[6_000_000..6_050_000].copy_from_slice(&bytes(8, 50_000));
    assert!(fs::read(s.path("ada/large.mov")).unwrap() == expected);
}

#[test]
fn the_same_bytes_written_again_are_no_change_and_take_no_room() {
    if !possible("the_same_bytes_written_again_are_no_change_and_take_no_room") {
        return;
    }
    let s = project();
    let drive = Drive::writable(&s, "ada", "--ref main ");
    let held = || {
        let mut value = vec![0; 64 << 10];
        let len = rustix::fs::getxattr(drive.path("large.mov"), "user.dits.content", &mut value[..]).unwrap();
        String::from_utf8_lossy(&value[..len]).lines().count()
    };
    assert_eq!(held(), 2, "what it is, and the content below");
    fs::write(drive.path("large.mov"), bytes(7, 6_000_000)).unwrap();
    File::open(drive.path("large.mov")).unwrap().sync_all().unwrap();
    assert_eq!(held(), 3, "and a range");
    assert_eq!(s.dits("m", "status --porcelain").ok().out(), "");
    assert_eq!(held(), 2);
    assert!(fs::read(drive.path("large.mov")).unwrap() == bytes(7, 6_000_000));
    drive.unmount();
}

#[test]
fn what_ls_asks_of_each_file_cannot_be_and_what_programs_add_is_kept() {
    if !possible("what_ls_asks_of_each_file_cannot_be_and_what_programs_add_is_kept") {
        return;
    }
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    let s = project();
    let drive = Drive::writable(&s, "ada", "--ref main ");
    let file = drive.path("large.mov");
    let ask = |name: &str| {
        let mut value = [0_u8; 10];
        getxattr(&file, name, &mut value[..]).map(|len| value[..len].to_vec())
    };
    // Told so, it asks of no other file.
    assert_eq!(ask("system.posix_acl_access"), Err(Errno::NOTSUP));
    assert_eq!(ask("security.selinux"), Err(Errno::NOTSUP));
    assert_eq!(ask("user.colour"), Err(Errno::NODATA));
    setxattr(&file, "user.colour", b"red", XattrFlags::empty()).unwrap();
    assert_eq!(ask("user.colour").unwrap(), b"red");
    drive.unmount();
}

#[test]
fn a_branch_is_written_to_in_one_place() {
    if !possible("a_branch_is_written_to_in_one_place") {
        return;
    }
    let s = project();
    s.dits("ada", "switch -q main").ok();
    let drive = Drive::writable(&s, "ada", "");
    s.dits("m", "status").ok().says("HEAD detached");
    s.dits("m", "switch main").exits(2).warns("ada");
    s.dits("m", "switch -q -c mine").ok();
    s.dits("ada", "switch mine").exits(2);
    fs::write(drive.path("x"), "x").unwrap();
    std::thread::sleep(Duration::from_millis(5));
    s.dits("m", "add x").ok();
    s.dits("m", "commit -q -m x").ok();
    drive.unmount();
    s.dits("ada", "switch mine").exits(2);
    let drive = Drive::writable(&s, "ada", "");
    s.dits("m", "status").ok().says("On branch mine");
    drive.unmount();
}

#[test]
fn a_daemon_that_is_asked_to_end_keeps_what_programs_have_not_closed() {
    if !possible("a_daemon_that_is_asked_to_end_keeps_what_programs_have_not_closed") {
        return;
    }
    let s = project();
    let drive = Drive::writable(&s, "ada", "--ref main ");
    let take = File::create(drive.path("take.wav")).unwrap();
    take.write_all_at(&bytes(5, 3_000_000), 0).unwrap();
    drive.terminate();
    drop(take);
    let drive = Drive::writable(&s, "ada", "");
    assert!(fs::read(drive.path("take.wav")).unwrap() == bytes(5, 3_000_000));
    drive.unmount();
}

#[test]
fn what_no_commit_keeps_is_not_taken_for_committed() {
    if !possible("what_no_commit_keeps_is_not_taken_for_committed") {
        return;
    }
    let s = project();
    let drive = Drive::writable(&s, "ada", "--ref main ");
    fs::write(drive.path("key"), b"secret").unwrap();
    fs::set_permissions(drive.path("key"), fs::Permissions::from_mode(0o600)).unwrap();
    s.dits("m", "add key").ok();
    s.dits("m", "commit -q -m key").ok();
    drive.unmount();
    let drive = Drive::writable(&s, "ada", "");
    assert_eq!(fs::metadata(drive.path("key")).unwrap().permissions().mode() & 0o7777, 0o600);
    // Without a commit to compare with, what was written is there all the same.
    s.dits("m", "switch -q --orphan new").ok();
    fs::write(drive.path("first"), b"1").unwrap();
    drive.unmount();
    let drive = Drive::writable(&s, "ada", "");
    assert_eq!(fs::read(drive.path("first")).unwrap(), b"1");
    drive.unmount();
}
