//! `add`, `commit` and `status` as users see them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use dits_testkit::random;
use dits_testkit::sandbox::Sandbox;
use serde_json::Value;

fn repository() -> Sandbox {
    Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"))
}

#[track_caller]
fn json(sandbox: &Sandbox, args: &[&str]) -> Value {
    serde_json::from_slice(&sandbox.dits(args).ok().stdout).unwrap()
}

#[track_caller]
fn short(sandbox: &Sandbox) -> String {
    sandbox.dits(["status", "-s"]).ok().out()
}

#[test]
fn the_first_commit() {
    let sandbox = repository();
    sandbox.write("shots/a.mov", random::bytes(1, 100_000));
    sandbox.write("notes.txt", b"hello\n");
    let added = sandbox.dits(["add", "-A"]).ok();
    assert_eq!(added.out().lines().count(), 1, "{added}");
    added.says("Staged 2 files, 97.7 KiB: 97.7 KiB new, 0 B deduplicated; ");
    let done = sandbox.dits(["commit", "-m", "First", "-m", "Body"]).ok();
    assert!(done.out().starts_with("[main (root-commit) "), "{done}");
    done.says("] First\n 2 files changed, 97.7 KiB: 97.7 KiB new, 0 B deduplicated; ");
    insta::assert_snapshot!(sandbox.dits(["status"]).ok().out(), @r"
    On branch main
    nothing to commit, working tree clean
    ");
    // A second copy costs nothing.
    fs::copy(sandbox.path("shots/a.mov"), sandbox.path("shots/b.mov")).unwrap();
    let numbers = json(&sandbox, &["add", ".", "--json"]);
    assert_eq!(numbers["added"], serde_json::json!(["shots/b.mov"]));
    for (field, expected) in [("logical", 100_000), ("new", 0), ("deduplicated", 100_000), ("stored", 0)] {
        assert_eq!(numbers[field], expected, "{field}");
    }
    let numbers = json(&sandbox, &["commit", "-m", "Copy", "--json"]);
    assert_eq!(numbers["files_changed"], 1);
    assert_eq!(numbers["parents"].as_array().unwrap().len(), 1);
    sandbox.dits(["add", "."]).ok().says("Nothing has changed\n");
}

#[test]
fn add_goes_by_what_is_named() {
    let sandbox = repository();
    for name in ["a", "dir/b", "dir/c.tmp", "dir/sub/d", "z"] {
        sandbox.write(name, name);
    }
    sandbox.write(".ditsignore", "*.tmp\n");
    sandbox.dits(["add"]).exits(2).warns("hint: `dits add .`");
    sandbox.dits(["add", "z", "nothing"]).exits(1).warns("error: there is no file `nothing`");
    sandbox.dits(["add", "z", "dir/c.tmp"]).exits(2).warns("dir/c.tmp is ignored").warns("`dits add -f`");
    assert_eq!(short(&sandbox), "?? .ditsignore\n?? a\n?? dir/\n?? z\n", "nothing is half staged");
    sandbox.dits(["add", "-n", "."]).ok().says("add 'dir/b'\n");
    assert_eq!(short(&sandbox), "?? .ditsignore\n?? a\n?? dir/\n?? z\n", "a dry run stages nothing");
    sandbox.dits_in(&sandbox.path("dir"), ["add", "."]).ok();
    assert_eq!(short(&sandbox), "A  dir/b\nA  dir/sub/d\n?? .ditsignore\n?? a\n?? z\n");
    sandbox.dits(["add", "-f", "dir/c.tmp"]).ok();
    sandbox.dits(["add", "-A"]).ok();
    sandbox.dits(["commit", "-qm", "x"]).ok();
    fs::remove_file(sandbox.path("a")).unwrap();
    sandbox.write("dir/b", "changed");
    sandbox.write("new", "new");
    sandbox.dits(["add", "-u"]).ok().says("Staged 1 file").says("and the removal of 1 file");
    assert_eq!(short(&sandbox), "D  a\nM  dir/b\n?? new\n");
    // Named and not changed is no error, nor is an empty folder.
    fs::create_dir(sandbox.path("empty")).unwrap();
    sandbox.dits(["add", "z", "empty"]).ok().says("Nothing has changed");
    sandbox.dits(["add", "-N", "new"]).ok();
    assert_eq!(short(&sandbox), "D  a\nM  dir/b\n A new\n");
    sandbox.dits(["add", "new"]).ok().says("Staged 1 file");
}

#[test]
fn what_cannot_be_versioned_is_said() {
    let sandbox = repository();
    sandbox.run({
        let mut command = sandbox.command("mkfifo");
        command.arg("pipe");
        command
    });
    sandbox.write("nested/.git/HEAD", "");
    sandbox.write("nested/file", "");
    sandbox.write("fine", "");
    let done = sandbox.dits(["add", "-A"]).ok();
    done.warns("pipe is not a file").warns("nested is a repository of its own").says("Staged 1 file");
    sandbox.write("aux.mov", "");
    sandbox.write("also fine", "");
    sandbox.dits(["add", "-A"]).exits(2).warns("aux.mov").warns("core.portable");
    assert_eq!(short(&sandbox), "A  fine\n?? \"also fine\"\n?? aux.mov\n");
}

#[test]
fn tracked_files_in_a_folder_that_became_a_repository_are_not_gone() {
    let sandbox = repository();
    sandbox.write("sub/a", "a");
    sandbox.write("sub/b", "b");
    sandbox.dits(["add", "-A"]).ok();
    sandbox.dits(["commit", "-qm", "x"]).ok();
    sandbox.write("sub/.git/HEAD", "");
    sandbox.write("sub/a", "changed");
    assert_eq!(short(&sandbox), " M sub/a\n");
    fs::remove_file(sandbox.path("sub/b")).unwrap();
    assert_eq!(short(&sandbox), " M sub/a\n D sub/b\n");
}

#[test]
fn a_file_that_changes_while_it_is_read_is_named() {
    let sandbox = repository();
    sandbox.write("fine", "x");
    sandbox.write("growing.mov", random::bytes(2, 3 << 20));
    let path = sandbox.path("growing.mov");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.write_all(b"frame").unwrap();
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        });
        let done = sandbox.dits(["add", "-A"]);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        done.exits(2).warns("`growing.mov` changed while it was being read; nothing was recorded");
    });
    assert_eq!(short(&sandbox), "?? fine\n?? growing.mov\n");
    sandbox.dits(["add", "-A"]).ok().says("Staged 2 files");
}

#[test]
fn commits_need_something_to_commit_a_message_and_a_name() {
    let sandbox = repository();
    sandbox.dits(["commit", "-m", "x"]).exits(1).says("No commits yet");
    sandbox.dits(["commit", "-m", "x", "--json"]).exits(1).warns("\"kind\":\"difference\"");
    sandbox.dits(["commit", "--amend", "-m", "x"]).exits(2).warns("no commit to amend");
    sandbox.write("a", "1");
    sandbox.dits(["add", "a"]).ok();
    sandbox.dits(["commit", "-m", " "]).exits(2).warns("the message is empty");
    sandbox.dits(["commit"]).exits(2).warns("no terminal").warns("`-m MESSAGE`");
    let mut nobody = sandbox.dits_command(["commit", "-m", "x"]);
    for name in ["AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"] {
        nobody.env_remove(format!("DITS_{name}"));
    }
    let refused = sandbox.run(nobody).exits(2);
    refused.warns("dits config --global user.name").warns("dits config --global user.email");
    sandbox.dits(["commit", "--dry-run"]).exits(0).says("new file:      a");
    sandbox.dits(["commit", "-m", "one"]).ok();
    sandbox.dits(["commit", "-m", "two"]).exits(1).says("nothing to commit, working tree clean");
    sandbox.dits(["commit", "--dry-run"]).exits(1);
    sandbox.dits(["commit", "-m", "two", "--allow-empty"]).ok().says("] two\n 0 files changed\n");
}

#[test]
fn commit_messages_from_everywhere() {
    let sandbox = repository();
    sandbox.write("a", "1");
    sandbox.dits(["add", "a"]).ok();
    let mut editor = sandbox.dits_command(["commit"]);
    editor.env("DITS_EDITOR", "grep -q '#   new file:      a' \"$1\" && sed -i 1iEdited");
    sandbox.run(editor).ok().says("(root-commit)").says("] Edited\n");
    sandbox.write("a", "2");
    sandbox.write("message", "From a file\n\nbody\n");
    sandbox.dits(["commit", "-a", "-F", "message"]).ok().says("] From a file\n 1 file changed");
    sandbox.write("a", "3");
    let amended = sandbox.dits(["commit", "-a", "--amend", "--no-edit", "--author", "Eve <eve@x>"]).ok();
    amended.says("] From a file\n");
    let mut command = sandbox.dits_command(["commit", "--amend", "-F", "-"]);
    command.stdin(Stdio::null());
    sandbox.run(command).exits(2).warns("the message is empty");
    sandbox.dits(["commit", "--author", "Eve", "-m", "x", "--allow-empty"]).exits(2).warns("`Name <address>`");
}

#[test]
fn status_in_full() {
    let sandbox = repository();
    for (name, content) in [("moved", "content"), ("edited", "1"), ("gone", "gone"), ("both", "1"), ("kind", "k")] {
        sandbox.write(format!("dir/{name}"), content);
    }
    sandbox.write(".ditsignore", "*.log\ncache/\n");
    sandbox.dits(["add", "-A"]).ok();
    sandbox.dits(["commit", "-qm", "x"]).ok();
    fs::rename(sandbox.path("dir/moved"), sandbox.path("dir/here")).unwrap();
    sandbox.write("dir/both", "2");
    sandbox.dits(["add", "-A"]).ok();
    sandbox.write("dir/both", "3 longer");
    sandbox.write("dir/edited", "22");
    fs::remove_file(sandbox.path("dir/gone")).unwrap();
    fs::remove_file(sandbox.path("dir/kind")).unwrap();
    symlink("x", sandbox.path("dir/kind")).unwrap();
    sandbox.write("new/file", "");
    sandbox.write("x.log", "");
    sandbox.write("cache/x", "");
    insta::assert_snapshot!(sandbox.dits(["status"]).ok().out(), @r"
    On branch main

    Changes to be committed:
      (`dits restore --staged PATH` takes them back out)
            modified:      dir/both
            renamed:       dir/moved -> dir/here

    Changes not staged for commit:
      (`dits add PATH` stages them, `dits commit -a` commits them)
      (`dits restore PATH` undoes them)
            modified:      dir/both
            modified:      dir/edited
            deleted:       dir/gone
            type changed:  dir/kind

    Untracked files:
      (`dits add PATH` stages them)
            new/
    ");
    insta::assert_snapshot!(sandbox.dits(["status", "-sb", "--ignored"]).ok().out(), @r"
    ## main
    MM dir/both
     M dir/edited
     D dir/gone
    R  dir/moved -> dir/here
     T dir/kind
    ?? new/
    !! cache/
    !! x.log
    ");
    let here = sandbox.dits_in(&sandbox.path("dir"), ["status", "-s", "-uno", "edited", "gone"]).ok();
    assert_eq!(here.out(), " M edited\n D gone\n");
    let status = json(&sandbox, &["status", "--json"]);
    assert_eq!(status["staged"][1]["from"], "dir/moved");
    assert_eq!(status["unstaged"][3]["change"], "type-changed");
    assert_eq!(status["untracked"][0], serde_json::json!({ "path": "new", "folder": true }));
    assert_eq!(status["clean"], false);
    sandbox.dits(["status", "-uwrong"]).exits(2);
}

#[test]
fn what_cannot_be_read_is_not_called_unchanged() {
    let sandbox = repository();
    sandbox.write("dir/a", "a");
    sandbox.dits(["add", "-A"]).ok();
    sandbox.dits(["commit", "-qm", "x"]).ok();
    fs::set_permissions(sandbox.path("dir"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(sandbox.path("dir")).is_ok() {
        return; // root reads everything
    }
    let done = sandbox.dits(["status"]).exits(2);
    assert!(!done.out().contains("clean"), "{done}");
    done.warns("cannot say anything about dir").says("as far as could be seen");
    sandbox.dits(["add", "-A"]).exits(2);
}

#[test]
fn the_users_ignore_rules_may_lie_in_the_home_folder() {
    let sandbox = repository();
    std::fs::create_dir_all(sandbox.home()).unwrap();
    std::fs::write(sandbox.home().join("ignored"), "*.tmp\n").unwrap();
    sandbox.dits(["config", "core.excludesFile", "~/ignored"]).ok();
    sandbox.write("render.tmp", "x");
    sandbox.write("shot.mov", "x");
    sandbox.dits(["status", "-s"]).ok().says("?? shot.mov");
    assert!(!String::from_utf8_lossy(&sandbox.dits(["status", "-s"]).ok().stdout).contains("render.tmp"));
}

#[test]
fn an_attribute_that_cannot_be_is_told_with_its_file() {
    let sandbox = repository();
    sandbox.write(".ditsattributes", "*.bin preset=nosuch\n");
    sandbox.write("one.bin", "x");
    sandbox.dits(["add", "."]).exits(2).warns("one.bin: the attribute `preset`").warns("dits check-attr -a");
    sandbox.dits(["check-attr", "-a", "one.bin"]).ok().says("preset: nosuch");
}
