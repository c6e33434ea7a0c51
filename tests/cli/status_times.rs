//! Files are recognised by their times, and no edit hides behind that.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use dits_core::repo::{Environment, Layout, Repository};
use dits_testkit::sandbox::Sandbox;

fn repository() -> Sandbox {
    Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"))
}

#[track_caller]
fn short(sandbox: &Sandbox) -> String {
    sandbox.dits(["status", "-s"]).ok().out()
}

/// A clean repository with one file whose stat is trusted.
fn settled() -> Sandbox {
    let sandbox = repository();
    sandbox.write("clip", "one");
    std::thread::sleep(Duration::from_millis(20)); // past the file system's tick
    sandbox.dits(["add", "-A"]).ok();
    sandbox.dits(["commit", "-qm", "x"]).ok();
    assert_eq!(short(&sandbox), "");
    sandbox
}

#[test]
fn an_edit_that_keeps_the_size_and_puts_the_time_back_is_found() {
    let sandbox = settled();
    let before = fs::metadata(sandbox.path("clip")).unwrap().modified().unwrap();
    sandbox.write("clip", "two");
    let file = File::options().write(true).open(sandbox.path("clip")).unwrap();
    file.set_times(FileTimes::new().set_modified(before)).unwrap();
    assert_eq!(fs::metadata(sandbox.path("clip")).unwrap().modified().unwrap(), before);
    assert_eq!(short(&sandbox), " M clip\n");
    sandbox.dits(["add", "-u"]).ok().says("Staged 1 file");
}

#[test]
fn a_difference_of_a_nanosecond_is_seen() {
    let sandbox = settled();
    let before = fs::metadata(sandbox.path("clip")).unwrap().modified().unwrap();
    sandbox.write("clip", "two");
    let file = File::options().write(true).open(sandbox.path("clip")).unwrap();
    file.set_times(FileTimes::new().set_modified(before + Duration::from_nanos(1))).unwrap();
    assert_eq!(short(&sandbox), " M clip\n");
}

#[test]
fn an_edit_right_after_add_is_found_every_time() {
    let sandbox = repository();
    for round in 0..100 {
        sandbox.write("clip", format!("{round:04}a"));
        sandbox.dits(["add", "clip"]).ok();
        sandbox.write("clip", format!("{round:04}b"));
        let status = short(&sandbox);
        assert!(status == "AM clip\n", "round {round}: {status:?}");
    }
}

#[test]
fn what_a_checkout_wrote_is_trusted_and_an_edit_right_after_found() {
    let sandbox = settled();
    for round in 0..20 {
        fs::remove_file(sandbox.path("clip")).unwrap();
        sandbox.dits(["restore", "clip"]).ok();
        let environment = Environment { threads: 1, ..Environment::default() };
        let repo = Repository::open(Layout::discover(&sandbox.path("")).unwrap(), &environment).unwrap();
        let racy = repo.index().unwrap().entries().filter(|entry| entry.flags.racy).count();
        assert_eq!(racy, 0, "round {round}: the next command would read the file");
        let before = fs::metadata(sandbox.path("clip")).unwrap().modified().unwrap();
        sandbox.write("clip", "two");
        let file = File::options().write(true).open(sandbox.path("clip")).unwrap();
        file.set_times(FileTimes::new().set_modified(before)).unwrap();
        assert_eq!(short(&sandbox), " M clip\n", "round {round}");
    }
}

#[test]
fn a_touched_file_is_read_once_and_then_trusted() {
    let sandbox = settled();
    let file = File::options().write(true).open(sandbox.path("clip")).unwrap();
    file.set_times(FileTimes::new().set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000))).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let index = |sandbox: &Sandbox| {
        let size = |name: &str| fs::metadata(sandbox.path(".dits").join(name)).map_or(0, |meta| meta.size());
        (size("index"), size("index.journal"))
    };
    let before = index(&sandbox);
    assert_eq!(short(&sandbox), "");
    let refreshed = index(&sandbox);
    assert_ne!(before, refreshed, "what the file looks like now is noted");
    assert_eq!(short(&sandbox), "");
    assert_eq!(index(&sandbox), refreshed, "and there is nothing left to note");
}

#[test]
fn status_does_not_wait_for_whoever_writes_the_index() {
    let sandbox = settled();
    let file = File::options().write(true).open(sandbox.path("clip")).unwrap();
    file.set_times(FileTimes::new().set_modified(std::time::UNIX_EPOCH)).unwrap();
    let lock = File::options().write(true).create(true).truncate(false).open(sandbox.path(".dits/index.lock")).unwrap();
    lock.lock().unwrap();
    let done = sandbox.dits(["status", "-s"]).ok();
    assert_eq!(done.out(), "");
    assert!(done.took < Duration::from_secs(5), "{done}");
}

#[test]
fn twenty_thousand_files() {
    let sandbox = repository();
    for folder in 0..20 {
        fs::create_dir(sandbox.path(format!("{folder:02}"))).unwrap();
        for file in 0..1000 {
            fs::write(sandbox.path(format!("{folder:02}/{file:04}")), format!("{folder} {file}")).unwrap();
        }
    }
    sandbox.dits(["add", "-A"]).ok().says("Staged 20,000 files");
    sandbox.dits(["commit", "-qm", "x"]).ok();
    assert_eq!(short(&sandbox), "");
    sandbox.write("07/0123", "changed");
    fs::remove_file(sandbox.path("11/0000")).unwrap();
    assert_eq!(short(&sandbox), " M 07/0123\n D 11/0000\n");
}
