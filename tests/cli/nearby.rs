//! Content that the store has lost, or gave away, and that a file near by still has.

use std::fs;
use std::path::{Path, PathBuf};

use dits_testkit::random::bytes;
use dits_testkit::strace;

use crate::inspect::json;
use crate::sharing::Studio;

/// The files that hold content.
fn stored(s: &Studio, at: &str) -> Vec<PathBuf> {
    let objects = s.path(at).join(".dits/objects");
    let folders = fs::read_dir(&objects).unwrap().flatten().filter(|entry| entry.path().is_dir());
    let files = folders.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten());
    files.map(|file| file.path()).collect()
}

fn lose(s: &Studio, at: &str) {
    stored(s, at).iter().for_each(|file| fs::remove_file(file).unwrap());
    s.dits(at, "fsck").exits(6).says("`dits fetch FILE`");
}

fn content(answer: &serde_json::Value, what: &str) -> u64 {
    answer["content"][what].as_u64().unwrap()
}

#[test]
fn lost_content_comes_back_from_unchanged_files() {
    let s = Studio::with_a_project();
    lose(&s, "ada");
    let would = json(s.dits("ada", "fetch --dry-run --json film.mov shots").ok());
    assert_eq!(content(&would, "new"), 0, "{would}");
    s.dits("ada", "fsck").exits(6);
    // Nobody has to be asked.
    fs::rename(s.path("server"), s.path("away")).unwrap();
    let did = json(s.dits("ada", "fetch --json film.mov shots").ok());
    assert_eq!((content(&did, "new"), content(&did, "received")), (0, 0), "{did}");
    assert_eq!(content(&did, "deduplicated"), 3_500_000, "{did}");
    s.dits("ada", "fetch .").ok();
    s.dits("ada", "fsck --full").ok();
    assert_eq!(s.dits("ada", "status -s").ok().out(), "");
}

#[test]
fn what_was_changed_comes_from_the_remote_and_damage_is_repaired_too() {
    let s = Studio::with_a_project();
    s.dits("ada", "gc -q").ok();
    let pack = stored(&s, "ada").into_iter().find(|path| path.extension().is_some_and(|end| end == "pack")).unwrap();
    let mut damaged = fs::read(&pack).unwrap();
    damaged[1_000_000] ^= 1;
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, damaged).unwrap();
    s.dits("ada", "fsck --full --repair").exits(6);
    // Edited in the middle: where the damage is, or not.
    let mut film = bytes(1, 3_000_000);
    film[1_000_000] ^= 1;
    s.write("ada/film.mov", &film);
    let did = json(s.dits("ada", "fetch --json .").ok());
    assert!(content(&did, "new") <= 600_000, "{did}");
    assert_eq!(fs::read(s.path("ada/film.mov")).unwrap(), film);
    s.dits("ada", "fsck --full").ok();
    lose(&s, "ada");
    fs::write(s.path("ada/film.mov"), b"all gone").unwrap();
    let did = json(s.dits("ada", "fetch --json .").ok());
    assert_eq!(content(&did, "new"), 3_000_000, "{did}");
    s.dits("ada", "fsck --full").ok();
}

#[test]
fn what_nobody_has_is_lost() {
    let s = Studio::with_a_project();
    s.dits("ada", "remote remove origin").ok();
    lose(&s, "ada");
    fs::write(s.path("ada/film.mov"), b"all gone").unwrap();
    s.dits("ada", "fetch .").exits(6).warns("content is lost here that no worktree has");
    // What a file had is back all the same.
    let lost = s.dits("ada", "fsck").exits(6);
    assert!(!lost.out().contains("exr"), "{lost}");
    s.dits("ada", "cat-file -p HEAD:shots/010/a.exr").ok();
}

#[test]
fn another_worktree_has_what_a_partial_clone_lacks() {
    let s = Studio::with_a_project();
    s.dits(".", "clone -q --filter=none server part").ok();
    s.dits("part", "fetch -q film.mov").ok();
    s.dits("part", "worktree add -q ../side -b side").ok();
    assert_eq!(fs::read(s.path("side/film.mov")).unwrap(), bytes(1, 3_000_000));
    // Its content goes, as when a drop was cut short; the file in the other worktree stays.
    stored(&s, "part").iter().for_each(|file| fs::remove_file(file).unwrap());
    s.dits("part", "mv film.mov moved.mov").ok();
    fs::remove_file(s.path("part/moved.mov")).unwrap();
    s.dits("part", "restore moved.mov").ok();
    assert!(fs::symlink_metadata(s.path("part/moved.mov")).unwrap().is_symlink(), "a ghost, for want of content");
    let did = json(s.dits("part", "fetch --json moved.mov").ok());
    assert_eq!((content(&did, "new"), content(&did, "received"), content(&did, "files")), (0, 0, 1), "{did}");
    assert_eq!(fs::read(s.path("part/moved.mov")).unwrap(), bytes(1, 3_000_000));
    // The older version of a file has most of the newer one.
    let longer = [&bytes(1, 3_000_000)[..], &bytes(50, 100_000)].concat();
    s.write("ada/film.mov", &longer);
    s.commit("ada", "longer");
    s.dits("ada", "push -q").ok();
    stored(&s, "part").iter().for_each(|file| fs::remove_file(file).unwrap());
    s.dits("part", "reset -q --hard").ok();
    s.dits("part", "pull -q").ok();
    let did = json(s.dits("part", "fetch --json film.mov").ok());
    assert!(content(&did, "new") < 600_000, "{did}");
    assert_eq!(fs::read(s.path("part/film.mov")).unwrap(), longer);
}

/// Files are opened only where content is lacking.
#[test]
fn an_ordinary_pull_opens_no_file_of_the_worktree() {
    if !strace::available("an_ordinary_pull_opens_no_file_of_the_worktree") {
        return;
    }
    let s = Studio::with_a_project();
    s.dits(".", "clone -q server bob").ok();
    s.write("bob/new.mov", &bytes(60, 100_000));
    s.commit("bob", "new");
    s.dits("bob", "push -q").ok();
    let pull = opened(&s, "ada", "pull -q");
    assert!(pull.contains("checkout-"), "what is new is written: {pull}");
    assert!(!pull.contains("film.mov") && !pull.contains("a.exr"), "{pull}");
    let fetch = opened(&s, "ada", "fetch -q film.mov");
    assert!(!fetch.contains("film.mov"), "{fetch}");
    lose(&s, "ada");
    let fetch = opened(&s, "ada", "fetch -q film.mov");
    assert!(fetch.contains("film.mov") && !fetch.contains("a.exr"), "{fetch}");
}

/// What a command opens, as strace tells it.
fn opened(s: &Studio, at: &str, line: &str) -> String {
    let log = s.sandbox.beside("opened");
    let mut command = s.sandbox.command("strace");
    command.args(["-f", "-qq", "-e", "trace=open,openat,openat2", "-o"]).arg(&log).arg("--");
    command.arg(env!("CARGO_BIN_EXE_dits")).args(line.split(' ')).current_dir(s.path(at));
    s.sandbox.run(command).ok();
    fs::read_to_string(Path::new(&log)).unwrap()
}
