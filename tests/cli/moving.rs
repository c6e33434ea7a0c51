//! rm and mv.

use std::time::{Duration, SystemTime};

use dits_testkit::{Sandbox, random};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
    for name in ["a.mov", "b.mov", "shots/c.exr", "shots/deep/d.exr"] {
        sandbox.write(name, name);
    }
    sandbox.dits(["add", "-A"]).ok();
    sandbox.dits(["commit", "-m", "Base"]).ok();
    sandbox
}

fn status(sandbox: &Sandbox) -> String {
    sandbox.dits(["status", "-s"]).ok().out()
}

#[test]
fn rm_removes_what_is_safe() {
    let sandbox = sandbox();
    assert_eq!(sandbox.dits(["rm", "-n", "*.mov"]).ok().out(), "rm 'a.mov'\nrm 'b.mov'\n");
    assert!(sandbox.path("a.mov").exists());
    sandbox.dits(["rm", "shots"]).exits(2).warns("`dits rm -r` removes folders");
    sandbox.dits(["rm", "."]).exits(2);
    sandbox.dits(["rm", "nothing"]).exits(1).warns("`nothing` matches no file");
    sandbox.dits(["rm", "--ignore-unmatch", "nothing"]).ok();
    sandbox.write("a.mov", "edited");
    let done = sandbox.dits(["rm", "a.mov", "b.mov"]).exits(3).warns("changed since the last commit:\n  a.mov");
    assert!(done.err().contains("--cached"), "{done}");
    assert!(sandbox.path("b.mov").exists());
    sandbox.dits(["add", "a.mov"]).ok();
    sandbox.dits(["rm", "a.mov"]).exits(3).warns("not committed yet");
    sandbox.write("a.mov", "edited again");
    sandbox.dits(["rm", "--cached", "a.mov"]).exits(3).warns("neither in the file nor in the last commit");
    sandbox.dits(["rm", "-f", "a.mov"]).ok();
    sandbox.dits(["rm", "--cached", "b.mov"]).ok();
    sandbox.write("shots/deep/loose", "x");
    sandbox.dits(["rm", "-r", "-q", "shots"]).ok();
    assert!(!sandbox.path("a.mov").exists() && sandbox.path("b.mov").exists());
    assert!(sandbox.path("shots/deep/loose").exists() && !sandbox.path("shots/c.exr").exists());
    assert_eq!(status(&sandbox), "D  a.mov\nD  b.mov\nD  shots/c.exr\nD  shots/deep/d.exr\n?? b.mov\n?? shots/\n");
}

#[test]
fn rm_json_names_what_it_removed() {
    let sandbox = sandbox();
    let done = sandbox.dits(["--json", "rm", "a.mov"]).ok();
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&answer["command"], &answer["removed"][0]), (&"rm".into(), &"a.mov".into()));
}

#[test]
fn mv_moves_files_and_folders_in_both_places() {
    let sandbox = sandbox();
    sandbox.write("shots/loose", "not tracked");
    sandbox.dits(["mv", "shots", "footage"]).ok().says("Moved 2 files; 0 B new");
    assert_eq!(sandbox.read("footage/loose"), b"not tracked");
    sandbox.dits(["mv", "a.mov", "b.mov", "footage"]).ok();
    let expected = "R  a.mov -> footage/a.mov\nR  b.mov -> footage/b.mov\nR  shots/c.exr -> footage/c.exr\n\
                    R  shots/deep/d.exr -> footage/deep/d.exr\n?? footage/loose\n";
    assert_eq!(status(&sandbox), expected);
    sandbox.dits(["mv", "footage/a.mov", "footage/A.mov"]).ok();
    assert!(sandbox.path("footage/A.mov").exists());
    let done = sandbox.dits_in(&sandbox.path("footage"), ["mv", "-v", "A.mov", ".."]).ok();
    assert_eq!(done.out(), "Renaming A.mov to ../A.mov\nMoved 1 file; 0 B new\n");
}

#[test]
fn mv_refuses_and_leaves_everything() {
    let sandbox = sandbox();
    sandbox.write("loose", "x");
    for (args, why) in [
        (&["nope", "x"][..], "there is no such file"),
        (&["loose", "x"], "it is not tracked"),
        (&["a.mov", "b.mov"], "the destination exists"),
        (&["shots", "shots/deep"], "into itself"),
        (&["a.mov", "no/folder"], "does not exist"),
        (&["a.mov", "b.mov", "x"], "`x` is not a folder"),
        (&["a.mov", "con.mov"], "Windows"),
        (&["a.mov", "../x"], "outside"),
    ] {
        let code = if why == "there is no such file" { 1 } else { 2 };
        sandbox.dits([&["mv"], args].concat()).exits(code).warns(why);
        assert_eq!(status(&sandbox), "?? loose\n", "{args:?}");
    }
    let done = sandbox.dits(["--json", "mv", "-k", "a.mov", "loose", "shots"]).ok();
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&answer["files"], &answer["skipped"][0]["from"]), (&1.into(), &"loose".into()));
    sandbox.dits(["mv", "-f", "b.mov", "shots/a.mov"]).ok();
    assert_eq!(sandbox.read("shots/a.mov"), b"b.mov");
    sandbox.dits(["mv", "-n", "shots", "x"]).ok().says("Renaming shots to x");
    assert!(sandbox.path("shots").exists());
}

/// A moved file is neither read nor stored, not even by the next look at it.
#[test]
fn mv_reads_no_content() {
    let sandbox = sandbox();
    let path = sandbox.path("big.mov");
    random::file(&path, 1, 1 << 20).unwrap();
    let old = SystemTime::now() - Duration::from_secs(100);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    sandbox.dits(["add", "big.mov"]).ok();
    sandbox.dits(["commit", "-m", "Big"]).ok();
    sandbox.dits(["status"]).ok();
    let stored = || walk(&sandbox.path(".dits/objects"));
    let before = stored();
    sandbox.dits(["mv", "big.mov", "bigger.mov"]).ok();
    assert_eq!(stored(), before);
    if !dits_testkit::installed("strace") {
        return dits_testkit::skip("mv_reads_no_content", "no strace");
    }
    let mut command = sandbox.command("strace");
    command.args(["-f", "-e", "trace=openat,open", env!("CARGO_BIN_EXE_dits"), "status", "-s"]);
    let done = sandbox.run(command);
    if done.code == Some(0) {
        assert_eq!(done.out(), "R  big.mov -> bigger.mov\n");
        assert!(!done.err().contains("\"bigger.mov\""), "it was opened: {done}");
    }
}

fn walk(folder: &std::path::Path) -> u64 {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        bytes += if path.is_dir() { walk(&path) } else { path.metadata().unwrap().len() };
    }
    bytes
}
