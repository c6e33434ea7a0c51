//! `restore`, `reset` and what every checkout has to get right with files.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use dits_testkit::{Finished, Sandbox};

fn repository() -> Sandbox {
    let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
    sandbox.write("a", "one");
    sandbox.write("d/f", "deep");
    commit(&sandbox, "first");
    sandbox
}

fn commit(sandbox: &Sandbox, message: &str) {
    sandbox.dits(["add", "-A"]).ok();
    sandbox.dits(["commit", "-m", message]).ok();
}

fn run(sandbox: &Sandbox, line: &str) -> Finished {
    sandbox.dits(line.split(' '))
}

#[track_caller]
fn clean(sandbox: &Sandbox) {
    assert_eq!(run(sandbox, "status --porcelain").ok().out(), "");
}

#[test]
fn restore_brings_back_what_was_named() {
    let s = repository();
    s.write("a", "two");
    fs::remove_dir_all(s.path("d")).unwrap();
    run(&s, "restore a").ok().warns("1 file written (3 B)");
    assert_eq!(s.read("a"), b"one");
    assert!(!s.path("d").exists());
    run(&s, "restore .").ok();
    assert_eq!(s.read("d/f"), b"deep");
    clean(&s);
    s.write("a", "two");
    run(&s, "add a").ok();
    run(&s, "restore --staged a").ok().warns("1 path updated in the staging area");
    assert_eq!(run(&s, "status --porcelain").ok().out(), " M a\n");
    commit(&s, "second");
    run(&s, "restore -s HEAD~1 a").ok();
    assert_eq!((s.read("a"), run(&s, "status --porcelain").ok().out()), (b"one".to_vec(), " M a\n".to_owned()));
    run(&s, "restore nothing").exits(1).warns("`nothing` matches no file");
    let answer: serde_json::Value = serde_json::from_str(&run(&s, "restore a --json").ok().out()).unwrap();
    assert_eq!((&answer["command"], &answer["files"]["written"]), (&"restore".into(), &1.into()));
}

#[test]
fn restore_from_a_version_removes_what_it_does_not_have_and_checkout_does_not() {
    let s = repository();
    s.write("d/g", "later");
    commit(&s, "second");
    run(&s, "checkout HEAD~1 -- d").ok();
    assert_eq!(s.read("d/g"), b"later");
    run(&s, "restore -s HEAD~1 -S -W d").ok().warns("1 file removed");
    assert!(!s.path("d/g").exists());
    assert_eq!(run(&s, "status --porcelain").ok().out(), "D  d/g\n");
}

#[test]
fn reset_moves_the_branch_and_as_much_as_asked() {
    let s = repository();
    s.write("a", "two");
    commit(&s, "second");
    run(&s, "reset --soft HEAD~1").ok().warns("ORIG_HEAD");
    assert_eq!(run(&s, "status --porcelain").ok().out(), "M  a\n");
    run(&s, "reset").ok().says("Unstaged changes after reset:\nM\ta\n");
    assert_eq!(run(&s, "status --porcelain").ok().out(), " M a\n");
    run(&s, "reset --hard").ok().says("HEAD is now at ").says(" first\n1 file written (3 B)");
    clean(&s);
    s.write("a", "three");
    s.write("new", "");
    run(&s, "add -A").ok();
    run(&s, "reset -- new").ok();
    assert_eq!(run(&s, "status --porcelain").ok().out(), "M  a\n?? new\n");
    s.write("a", "four");
    run(&s, "reset --merge").exits(3).warns("changes that are not committed would be lost:\n  a\n");
    assert_eq!(s.read("a"), b"four");
    run(&s, "reset --hard nowhere").exits(1).warns("`nowhere` is not");
    run(&s, "reset --hard -- a").exits(2).warns("with paths");
    let answer: serde_json::Value = serde_json::from_str(&run(&s, "reset --hard --json").ok().out()).unwrap();
    assert_eq!(answer["files"]["written"], 1);
}

#[test]
fn everything_a_version_keeps_comes_back() {
    let s = repository();
    // Names that are not UTF-8, and two that differ in case only.
    fs::write(s.path(".dits/config"), "[core]\nportable = false\n").unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff/name\xe4");
    s.write(odd, "bytes");
    s.write("empty", "");
    s.write("tool", "#!/bin/sh\n");
    fs::set_permissions(s.path("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../elsewhere", s.path("link")).unwrap();
    s.write("x/y/z/deep", "deep");
    s.write("swap/file", "in a folder");
    s.write("flip", "a file");
    s.write("Case", "upper");
    commit(&s, "all");
    run(&s, "switch -c other").ok();
    fs::remove_dir_all(s.path("x")).unwrap();
    fs::remove_dir_all(s.path("swap")).unwrap();
    fs::remove_dir_all(s.path(odd).parent().unwrap()).unwrap();
    for name in ["flip", "link", "Case", "empty"] {
        fs::remove_file(s.path(name)).unwrap();
    }
    s.write("swap", "now a file");
    s.write("flip/inside", "now a folder");
    s.write("link", "now a file");
    symlink("a", s.path("empty")).unwrap();
    s.write("case", "lower");
    fs::set_permissions(s.path("tool"), fs::Permissions::from_mode(0o644)).unwrap();
    commit(&s, "changed");
    let mode = |name: &str| fs::metadata(s.path(name)).unwrap().permissions().mode() & 0o111;
    for _ in 0..2 {
        run(&s, "switch main").ok();
        clean(&s);
        assert_eq!(s.read(odd), b"bytes");
        assert_eq!((s.read("empty").len(), mode("tool") & 0o100, mode("a")), (0, 0o100, 0));
        assert_eq!(fs::read_link(s.path("link")).unwrap().to_str(), Some("../elsewhere"));
        assert_eq!((s.read("swap/file"), s.read("flip")), (b"in a folder".to_vec(), b"a file".to_vec()));
        assert_eq!((s.read("Case"), s.path("case").exists()), (b"upper".to_vec(), false));
        run(&s, "switch other").ok();
        clean(&s);
        assert!(!s.path("x").exists() && !s.path(odd).exists(), "folders that are empty go too");
        assert_eq!((s.read("flip/inside"), mode("tool")), (b"now a folder".to_vec(), 0));
        assert_eq!(fs::read_link(s.path("empty")).unwrap().to_str(), Some("a"));
    }
}

#[test]
fn holes_come_back_as_holes() {
    let s = repository();
    let file = fs::File::create(s.path("sparse")).unwrap();
    file.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"in the middle", 32 << 20).unwrap();
    drop(file);
    commit(&s, "sparse");
    fs::remove_file(s.path("sparse")).unwrap();
    run(&s, "restore sparse").ok();
    let meta = fs::metadata(s.path("sparse")).unwrap();
    assert_eq!(meta.len(), 64 << 20);
    assert!(meta.blocks() * 512 < 1 << 20, "{} blocks are in use", meta.blocks());
    let mut found = [0; 13];
    let file = fs::File::open(s.path("sparse")).unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut found, 32 << 20).unwrap();
    assert_eq!(&found, b"in the middle");
    clean(&s);
}

#[test]
fn a_link_in_place_of_a_folder_leads_nowhere() {
    let s = repository();
    run(&s, "switch -c other").ok();
    s.write("d/f", "changed");
    s.write("d/new", "new");
    commit(&s, "changed");
    let outside = s.beside("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), "precious").unwrap();
    fs::remove_dir_all(s.path("d")).unwrap();
    symlink(&outside, s.path("d")).unwrap();
    run(&s, "switch main").exits(3).warns("  d\n");
    for line in ["switch -f main", "switch -f other", "reset --hard main"] {
        if !s.path("d").is_symlink() {
            fs::remove_dir_all(s.path("d")).unwrap();
            symlink(&outside, s.path("d")).unwrap();
        }
        run(&s, line).ok();
        assert_eq!(fs::read(outside.join("f")).unwrap(), b"precious");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        clean(&s);
    }
}

#[test]
fn an_interrupted_switch_is_finished_by_running_it_again() {
    let s = repository();
    run(&s, "switch -c other").ok();
    s.write("a", "changed");
    s.write("new", "new");
    fs::remove_dir_all(s.path("d")).unwrap();
    commit(&s, "changed");
    run(&s, "switch main").ok();
    // What a switch does before it writes the staging area.
    s.write("a", "changed");
    s.write("new", "new");
    fs::remove_dir_all(s.path("d")).unwrap();
    run(&s, "switch other").ok();
    clean(&s);
}

#[test]
fn a_repository_inside_is_never_removed() {
    let s = repository();
    run(&s, "switch -c other").ok();
    s.write("inner", "a file");
    commit(&s, "a file where a repository will be");
    run(&s, "switch main").ok();
    s.write("inner/.git/HEAD", "ref: x");
    for line in ["switch other", "switch -f other", "reset --hard other"] {
        run(&s, line).exits(3).warns("  inner\n");
    }
    assert_eq!(s.read("inner/.git/HEAD"), b"ref: x");
}
