//! Partial clones: history without content, folders that are brought and dropped again.

use std::fs;

use dits_testkit::random::bytes;

use crate::inspect::json;
use crate::sharing::Studio;

fn is_ghost(s: &Studio, name: &str) -> bool {
    let path = s.path(name);
    fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) && !path.exists()
}

fn partial() -> Studio {
    let s = Studio::with_a_project();
    s.write("ada/film.mov", &[&bytes(1, 3_000_000)[..], b"more"].concat());
    s.write("ada/notes.txt", b"one\ntwo\nthree\n");
    s.commit("ada", "two");
    s.dits("ada", "push -q").ok();
    s.dits(".", "clone -q --filter=none server part").ok();
    s
}

#[test]
fn history_works_without_content() {
    let s = partial();
    for name in ["film.mov", "shots/010/a.exr", "notes.txt"] {
        assert!(is_ghost(&s, &format!("part/{name}")), "{name}");
        assert!(fs::read(s.path(&format!("part/{name}"))).is_err());
    }
    assert_eq!(s.dits("part", "status -sb").ok().out(), "## main...origin/main\n");
    assert_eq!(s.dits("part", "ls-files").ok().out(), s.dits("ada", "ls-files").ok().out());
    assert_eq!(s.dits("part", "log --format=%s").ok().out(), "two\none\n");
    s.dits("part", "log --stat").ok().says("film.mov  | Bin ").says(" notes.txt | Bin 8 B -> 14 B");
    s.dits("part", "diff --stat HEAD~1").ok().says("2 files changed");
    s.dits("part", "diff HEAD~1 -- notes.txt").ok().says("the content is not here; `dits fetch notes.txt` brings it");
    s.dits("part", "du").ok().says("film.mov");
    s.dits("part", "fsck").ok();
    s.dits("part", "add -A").ok();
    s.dits("part", "commit -m nothing").exits(1);
    s.dits("part", "cat-file -p HEAD:notes.txt").exits(2).warns("is not here").warns("dits fetch notes.txt");
    s.dits("part", "gc --prune=now").ok();
    s.dits("part", "switch -q --detach HEAD~1").ok();
    s.dits("part", "switch -q main").ok();
    assert_eq!(s.dits("part", "status -s").ok().out(), "");
}

#[test]
fn a_folder_is_brought_and_dropped() {
    let s = partial();
    let would = json(s.dits("part", "fetch --dry-run --json shots/010").ok());
    assert_eq!((&would["content"]["new"], &would["content"]["files"]), (&300_000.into(), &1.into()));
    let did = json(s.dits("part", "fetch --json shots/010/").ok());
    assert_eq!(did["content"]["new"], 300_000);
    assert_eq!(did["content"]["chunks"], would["content"]["chunks"]);
    assert_eq!(fs::read(s.path("part/shots/010/a.exr")).unwrap(), bytes(2, 300_000));
    assert!(is_ghost(&s, "part/shots/020/a.exr"));
    s.dits("part", "fetch shots/010").ok().warns("Everything is here already");
    s.dits("part", "fetch").ok();
    s.dits("part", "fetch nowhere/").exits(1).warns("neither a remote nor a file known here");
    let would = json(s.dits("part", "drop --dry-run --json shots").ok());
    assert!(!is_ghost(&s, "part/shots/010/a.exr"));
    let did = json(s.dits("part", "drop --json shots").ok());
    assert_eq!((&did["files"], &did["worktree_bytes"]), (&serde_json::json!(["shots/010/a.exr"]), &300_000.into()));
    assert_eq!(did["chunks"], would["chunks"]);
    assert!(is_ghost(&s, "part/shots/010/a.exr"));
    s.dits("part", "fetch .").ok();
    s.same_files("ada", "part");
    s.dits("part", "fsck --full").ok();
}

#[test]
fn what_only_this_repository_has_is_not_dropped() {
    let s = partial();
    s.write("part/mine.mov", &bytes(8, 100_000));
    s.commit("part", "mine");
    s.dits("part", "drop mine.mov").exits(3).warns("mine.mov").warns("push first: `dits push`");
    assert_eq!(fs::read(s.path("part/mine.mov")).unwrap(), bytes(8, 100_000));
    s.dits("part", "push -q").ok();
    s.dits("part", "drop mine.mov").ok().warns("Ghosts now: 1 file; given back: 97.7 KiB in the worktree");
    assert!(is_ghost(&s, "part/mine.mov"));
    s.dits("ada", "pull -q").ok();
    assert_eq!(fs::read(s.path("ada/mine.mov")).unwrap(), bytes(8, 100_000));
    s.dits("ada", "config drop.keep film.mov").ok();
    s.dits("ada", "drop .").ok().warns("1 file stays, because of drop.keep");
    assert!(!is_ghost(&s, "ada/film.mov") && is_ghost(&s, "ada/mine.mov"));
    s.write("ada/film.mov", b"changed");
    s.dits("ada", "-c drop.keep=none drop film.mov").exits(3).warns("film.mov");
}

#[test]
fn settings_say_what_comes_by_itself() {
    let s = partial();
    s.dits("part", "config fetch.include shots/").ok();
    s.dits("part", "config fetch.exclude 020").ok();
    s.dits("part", "fetch").ok().warns("Here now: 1 file (293 KiB)");
    assert!(!is_ghost(&s, "part/shots/010/a.exr") && is_ghost(&s, "part/shots/020/a.exr"));
    s.write("ada/shots/010/b.exr", &bytes(11, 50_000));
    s.commit("ada", "b");
    s.dits("ada", "push -q").ok();
    s.dits("part", "pull -q").ok();
    assert_eq!(fs::read(s.path("part/shots/010/b.exr")).unwrap(), bytes(11, 50_000));
    assert!(is_ghost(&s, "part/film.mov"));
    s.dits("ada", "switch -q -c grading").ok();
    s.write("ada/shots/010/c.exr", &bytes(13, 40_000));
    s.commit("ada", "c");
    s.dits("ada", "push -q -u origin grading").ok();
    // All commits of the tests are of one day.
    let now = s.sandbox.dits_command(["-C", "part", "fetch", "--recent"]);
    let mut now = now;
    now.env("DITS_NOW", "2026-01-03T00:00:00Z").current_dir(s.path(""));
    s.sandbox.run(now).ok().warns("recent branches: 39.1 KiB: 39.1 KiB transferred");
    s.dits("part", "cat-file -p origin/grading:shots/010/c.exr").ok();
    s.dits(".", "clone -q --filter=blob:limit=250K server small").ok();
    assert!(is_ghost(&s, "small/film.mov") && is_ghost(&s, "small/shots/010/a.exr"));
    assert!(!is_ghost(&s, "small/shots/020/a.exr") && !is_ghost(&s, "small/notes.txt"));
}

#[test]
fn work_goes_on_in_a_partial_clone() {
    let s = partial();
    s.write("part/new.mov", &bytes(12, 200_000));
    fs::remove_file(s.path("part/notes.txt")).unwrap();
    s.write("part/notes.txt", b"mine\n");
    fs::rename(s.path("part/film.mov"), s.path("part/renamed.mov")).unwrap();
    s.commit("part", "work");
    s.dits("part", "push").ok().warns("main -> main");
    s.dits("ada", "pull -q").ok();
    assert_eq!(fs::read(s.path("ada/renamed.mov")).unwrap(), [&bytes(1, 3_000_000)[..], b"more"].concat());
    assert_eq!(fs::read(s.path("ada/notes.txt")).unwrap(), b"mine\n");
    s.dits("server", "fsck --full").ok();
    s.dits("part", "fsck").ok();
}

#[test]
fn a_remote_that_holds_content_is_not_forgotten_by_accident() {
    let s = partial();
    s.dits("part", "remote remove origin").exits(3).warns("may hold content that is not here").warns("--force");
    s.dits("part", "remote rename origin studio").ok();
    s.dits("part", "fetch shots").ok();
    assert!(!is_ghost(&s, "part/shots/010/a.exr"));
    s.dits("part", "fetch .").ok();
    s.dits("part", "remote remove --force studio").ok();
    s.dits("part", "fsck").exits(6);
}

#[test]
fn absent_content_is_named_with_what_brings_it() {
    let s = partial();
    s.dits("part", "cat-file -p HEAD:film.mov")
        .exits(2)
        .warns("the content of `film.mov` is not here")
        .warns("`dits fetch film.mov` brings it");
    let first = s.id("part", "HEAD~1");
    let older = s.dits("part", "cat-file -p HEAD~1:notes.txt").exits(2);
    older.warns(&format!("the content of `notes.txt` in {} is not here", &first[..12])).warns("dits switch --detach");
    // Who has the content needs nothing but the name.
    s.dits("part", "push -q origin main:refs/branches/copy").ok();
    s.dits(".", "init -q --bare other").ok();
    for _ in 0..20 {
        let pushed = s.dits("part", "push ../other main");
        if pushed.code == Some(0) {
            break;
        }
        // What is told to do helps.
        let refused = pushed.exits(2).warns("is not here").warns("then push again").err();
        let hint = refused.lines().find(|line| line.contains("dits fetch")).unwrap();
        for command in hint.split('`').skip(1).step_by(2) {
            s.dits("part", command.strip_prefix("dits ").unwrap()).ok();
        }
        s.dits("part", "switch -q main").ok();
    }
    s.dits("other", "fsck --full").ok();
    assert_eq!(s.id("other", "main"), s.id("part", "main"));
    s.dits(".", "clone -q --filter=none server another").ok();
    s.dits(".", "clone another third").exits(5).warns("partial clone");
}

/// A recipe's node comes once, however many files it is of.
#[test]
fn a_small_file_that_begins_as_a_large_one_does_is_whole() {
    let s = Studio::new();
    s.dits(".", "clone -q server ada").ok();
    s.dits("ada", "config core.chunking small").ok();
    let small = bytes(70, 1_500_000);
    let large = |seed| [&small[..], &bytes(seed, 3_000_000)].concat();
    s.write("ada/folder/a.bin", &large(71));
    s.write("ada/folder/m.bin", &small);
    s.write("ada/folder/z.bin", &large(72));
    s.write("ada/early.bin", &large(73));
    s.commit("ada", "one");
    s.dits("ada", "push -q").ok();
    s.dits(".", "clone -q --filter=blob:limit=2M server part").ok();
    assert_eq!(fs::read(s.path("part/folder/m.bin")).unwrap(), small);
    assert!(is_ghost(&s, "part/folder/a.bin") && is_ghost(&s, "part/early.bin"));
    // What they share may also have come with an earlier version.
    let end = &bytes(73, 3_000_000)[1_000_000..2_500_000];
    s.write("ada/late.bin", end);
    s.commit("ada", "two");
    s.dits("ada", "push -q").ok();
    s.dits("part", "pull -q").ok();
    assert_eq!(fs::read(s.path("part/late.bin")).unwrap(), end);
    s.dits("part", "fsck --full").ok();
}
