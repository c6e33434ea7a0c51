//! What somebody meets who is new here: half-made repositories, names that collide, slips of the keyboard.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use dits_testkit::random;
use dits_testkit::sandbox::Sandbox;
use serde_json::Value;

fn repository() -> Sandbox {
    Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"))
}

/// With `a`, `shots/b` and `shots/c` in a first commit.
fn with_files() -> Sandbox {
    let sandbox = repository();
    for name in ["a", "shots/b", "shots/c"] {
        sandbox.write(name, format!("{name}\n"));
    }
    commit(&sandbox, "First");
    sandbox
}

#[track_caller]
fn commit(sandbox: &Sandbox, message: &str) {
    sandbox.dits(["add", "-A"]).ok();
    sandbox.dits(["commit", "-qm", message]).ok();
}

#[track_caller]
fn short(sandbox: &Sandbox) -> String {
    sandbox.dits(["status", "-s"]).ok().out()
}

#[track_caller]
fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    serde_json::from_slice(&sandbox.dits(args).stdout).unwrap()
}

#[test]
fn without_an_index_switching_brings_all_files() {
    for go in [["switch", "main"], ["checkout", "main"], ["switch", "other"]] {
        let sandbox = with_files();
        sandbox.dits(["branch", "other"]).ok();
        let clone = sandbox.beside("clone");
        let (from, to) = (sandbox.path("").display().to_string(), clone.display().to_string());
        sandbox.dits(["clone", "-q", "--no-checkout", &from, &to]).ok();
        sandbox.dits_in(&clone, ["fsck"]).ok();
        sandbox.dits_in(&clone, ["restore", "."]).exits(1).warns("`.` matches no file");
        sandbox.dits_in(&clone, ["checkout", "."]).exits(1);
        sandbox.dits_in(&clone, go).ok();
        assert_eq!(fs::read(clone.join("shots/b")).unwrap(), b"shots/b\n");
        assert_eq!(sandbox.dits_in(&clone, ["status", "-s"]).ok().out(), "");
        // An index from which everything was removed is another thing: that is staged.
        sandbox.dits_in(&clone, ["rm", "-rq", "."]).ok();
        sandbox.dits_in(&clone, ["switch", "-c", "third"]).ok();
        assert!(!clone.join("a").exists());
    }
    repository().dits(["add", "."]).ok().says("Nothing has changed");
}

#[test]
fn an_index_that_was_lost_is_told_from_one_that_never_was() {
    let sandbox = with_files();
    for file in ["index", "index.journal"] {
        let _ = fs::remove_file(sandbox.path(".dits").join(file));
    }
    sandbox.dits(["fsck"]).exits(6).says("the index is missing");
    sandbox.dits(["add", "."]).exits(6).warns("`dits reset`");
    let bare = |args: &[&str]| sandbox.dits(args).ok();
    bare(&["reset", "-q"]);
    bare(&["clone", "-q", ".", "../whole"]);
    bare(&["clone", "-qn", ".", "../empty"]);
    for file in ["index", "index.journal"] {
        let _ = fs::remove_file(sandbox.beside("whole/.dits").join(file));
    }
    // A clone that never committed has lost it all the same.
    sandbox.dits(["-C", "../whole", "add", "."]).exits(6).warns("`dits reset`");
    // In one without checkout there is nothing to lose yet.
    bare(&["-C", "../empty", "status"]);
    bare(&["-C", "../empty", "branch", "-m", "trunk"]);
    bare(&["-C", "../empty", "fsck"]);
    bare(&["-C", "../empty", "switch", "-q", "-c", "mine"]);
    assert!(sandbox.beside("empty/a").exists());
}

#[test]
fn the_folder_one_is_in_stays() {
    let sandbox = with_files();
    sandbox.write("late/x/y", "y");
    commit(&sandbox, "Second");
    let here = sandbox.path("late/x");
    sandbox.dits_in(&here, ["switch", "-q", "--detach", "HEAD~1"]).ok();
    assert!(here.is_dir() && !here.join("y").exists());
    sandbox.dits_in(&here, ["reset", "--hard", "main"]).ok();
    sandbox.dits_in(&here, ["reset", "--hard", "main~1"]).ok();
    assert!(here.is_dir());
    sandbox.dits(["reset", "-q", "--hard", "main"]).ok();
    sandbox.dits_in(&here, ["rm", "-q", "y"]).ok();
    assert!(here.is_dir());
    // Nor does a file take its place.
    sandbox.dits(["reset", "-q", "--hard", "main"]).ok();
    sandbox.dits(["switch", "-qc", "file", "main~1"]).ok();
    sandbox.write("late", "a file");
    commit(&sandbox, "File");
    sandbox.dits(["switch", "-q", "main"]).ok();
    sandbox.dits_in(&here, ["switch", "file"]).exits(3).warns("the folder you are in").warns("`cd`");
    assert_eq!(short(&sandbox), "");
}

#[test]
fn a_rename_of_case_alone_is_staged() {
    let sandbox = with_files();
    sandbox.write("u\u{308}", "umlaut");
    commit(&sandbox, "Second");
    fs::rename(sandbox.path("a"), sandbox.path("A")).unwrap();
    fs::rename(sandbox.path("shots"), sandbox.path("Shots")).unwrap();
    fs::rename(sandbox.path("u\u{308}"), sandbox.path("\u{fc}")).unwrap();
    sandbox.dits(["add", "A"]).exits(2).warns("a and A are one name on Windows and macOS").warns("`dits mv OLD NEW`");
    sandbox.dits(["add", "-A"]).ok();
    assert_eq!(short(&sandbox), "R  a -> A\nR  shots/b -> Shots/b\nR  shots/c -> Shots/c\nR  u\u{308} -> \u{fc}\n");
    sandbox.dits(["commit", "-m", "Third"]).ok().says(" 4 files changed");
    sandbox.dits(["show", "--shortstat"]).ok().says(" 4 files changed, ");
}

#[test]
fn all_names_that_are_refused_are_listed() {
    let sandbox = with_files();
    for name in ["a:b/1", "a:b/2", "nul.txt", "tab\t", "A"] {
        sandbox.write(name, name);
    }
    let refused = sandbox.dits(["add", "."]).exits(2);
    for line in ["\n  a:b: it has `:`", "\n  nul.txt: ", "\n  \"tab\\t\": ", "\n  a and A are one name"] {
        assert_eq!(refused.err().matches(line).count(), 1, "{line}: {refused}");
    }
}

#[test]
fn output_that_cannot_be_written_is_told_as_that() {
    let sandbox = with_files();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let run = |args: &[&str]| {
        let mut command = sandbox.dits_command(args);
        command.stdout(full());
        let done = command.stderr(Stdio::piped()).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    sandbox.write("a", "changed");
    sandbox.dits(["add", "a"]).ok();
    for args in [&["commit", "-m", "Second"][..], &["log"], &["--version"], &["--help"]] {
        let (code, text) = run(args);
        assert_eq!(code, Some(2), "{args:?}");
        assert!(text.starts_with("error: cannot write the output: ") && !text.contains("gc"), "{text}");
        assert!(args[0].starts_with('-') || text.contains("hint: the command itself was carried out"), "{text}");
    }
    assert_eq!(sandbox.dits(["log", "--format=%s"]).ok().out(), "Second\nFirst\n");
}

#[test]
fn what_is_named_and_not_there_ends_with_1() {
    let sandbox = with_files();
    for line in [
        "show no",
        "show HEAD:no",
        "show HEAD~9",
        "add no",
        "rm no",
        "log no",
        "diff no",
        "branch new no",
        "branch -d no",
        "tag new no",
        "tag -d no",
        "reset --hard no",
        "revert no",
        "cherry-pick no",
        "merge no",
        "ls-tree no",
        "rev-parse --verify no",
        "inspect no",
        "hash-object no",
        "stash drop",
        "stash pop",
        "stash drop 7",
        "mv no x",
        "switch no",
        "switch --detach no",
        "checkout no",
        "restore no",
        "restore --source no a",
        "cat-file -p no",
    ] {
        sandbox.dits(line.split(' ')).exits(1);
    }
}

#[test]
fn add_says_why_a_path_is_out_of_reach() {
    let sandbox = with_files();
    sandbox.write("inner/file", "x");
    fs::create_dir(sandbox.path("inner/.git")).unwrap();
    symlink("shots", sandbox.path("link")).unwrap();
    sandbox.dits(["add", "inner/file"]).exits(2).warns("`inner/file` is inside another repository, `inner`");
    sandbox.dits(["add", "link/b"]).exits(2).warns("`link/b` is beyond a symbolic link, `link`");
    sandbox.dits(["add", "nothing"]).exits(1).warns("there is no file `nothing`");
    sandbox
        .dits(["add", ".dits/config"])
        .exits(2)
        .warns("`.dits` is never versioned: a repository keeps its own files");
}

#[test]
fn garbage_that_waits_weighs_the_same_loose_and_packed() {
    let sandbox = with_files();
    sandbox.write("big", random::bytes(1, 300));
    sandbox.dits(["add", "big"]).ok();
    sandbox.dits(["rm", "-qf", "big"]).ok();
    let weigh = || {
        let report = json(&sandbox, &["gc", "--json"]);
        (report["waiting"].as_u64().unwrap(), report["waiting_bytes"].as_u64().unwrap())
    };
    let first = weigh();
    assert!(first.0 == 1 && first.1 >= 300, "{first:?}");
    assert_eq!(weigh(), first);
}

#[test]
fn junk_behind_a_pack_is_one_finding() {
    let sandbox = with_files();
    (0..12).for_each(|number| {
        sandbox.write(format!("{number}/file"), random::bytes(number, 3000));
    });
    commit(&sandbox, "Second");
    sandbox.dits(["gc", "-q"]).ok();
    let packs = fs::read_dir(sandbox.path(".dits/manifests/pack")).unwrap();
    let pack = packs.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "pack"));
    OpenOptions::new().append(true).open(pack.unwrap()).unwrap().write_all(b"junk").unwrap();
    let told = sandbox.dits(["fsck"]).exits(6).says("something was written behind its end");
    assert_eq!(told.out().lines().filter(|line| line.starts_with("error: ")).count(), 1, "{told}");
}

#[test]
fn slips_are_met_with_the_way_out() {
    let sandbox = with_files();
    sandbox.dits(["inspect", "."]).exits(2).warns("`.` is a folder; name a file");
    sandbox.dits(["inspect", "shots"]).exits(2).warns("`shots` is a folder; name a file");
    assert!(!sandbox.dits(["inspect", "a"]).ok().out().contains("100 %"));
    sandbox.dits_in(&sandbox.path(".dits"), ["status"]).exits(2).warns("inside `.dits`").warns("`cd ..`");
    sandbox.dits(["commit", "-m", "x", "a"]).exits(2).warns("dits add a, then dits commit");
    sandbox.dits(["mv", "a", "a"]).exits(2).warns("it has this name already");
    sandbox.dits(["mv", "a", "shots/b"]).exits(2).warns("`dits mv -f`");
    sandbox.dits(["branch", "Alt"]).ok();
    sandbox.dits(["switch", "alt"]).exits(1).warns("did you mean `Alt`?");
    sandbox.dits(["-c", "alias.x=y", "-c", "alias.y=x", "x"]).exits(2).warns("the alias `x` leads back to itself");
    sandbox.dits(["--color", "always", "log", "-1"]).ok().says("\u{1b}[");
    let id = sandbox.dits(["rev-parse", "HEAD"]).ok().out();
    assert_eq!(sandbox.dits(["log", "--pretty=oneline"]).ok().out(), format!("{} First\n", id.trim()));
    assert_eq!(sandbox.dits(["log", "--oneline"]).ok().out(), format!("{} First\n", &id[..7]));
}

#[test]
fn giving_up_a_merge_keeps_what_was_added_meanwhile() {
    let sandbox = with_files();
    sandbox.dits(["switch", "-qc", "side"]).ok();
    sandbox.write("a", "theirs");
    sandbox.write("brought", "by them");
    commit(&sandbox, "Theirs");
    sandbox.dits(["switch", "-q", "main"]).ok();
    sandbox.write("a", "ours");
    commit(&sandbox, "Ours");
    sandbox.dits(["merge", "side"]).exits(3);
    sandbox.write("mine", "new");
    sandbox.dits(["add", "mine"]).ok();
    sandbox.dits(["merge", "--abort"]).ok();
    assert_eq!(short(&sandbox), "?? mine\n");
    assert_eq!(sandbox.read("mine"), b"new");
}
