//! merge, resolve, revert, cherry-pick and stash.

use dits_core::object::CommitId;
use dits_core::progress::Silent;
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::repo::{Environment, Layout, Repository};
use dits_core::signature::Signature;
use dits_core::worktree::Destination;
use dits_testkit::{Finished, Sandbox};

fn sandbox() -> Sandbox {
    Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"))
}

fn open(sandbox: &Sandbox) -> Repository {
    let environment = Environment { threads: 1, ..Environment::default() };
    Repository::open(Layout::discover(&sandbox.path("")).unwrap(), &environment).unwrap()
}

fn head(sandbox: &Sandbox) -> CommitId {
    open(sandbox).head().unwrap().commit().unwrap()
}

fn branch(sandbox: &Sandbox, name: &str) {
    let edit = RefEdit::set(RefName::branch(name).unwrap(), Expected::Any, Target::Id(*head(sandbox).digest()));
    open(sandbox).refs().transaction(vec![edit]).unwrap();
}

fn switch(sandbox: &Sandbox, name: &str) {
    let who = Signature::new("A", "a@x", 1, 0).unwrap();
    let to = Destination::Branch(RefName::branch(name).unwrap());
    open(sandbox).switch(&to, &who, false, &Silent).unwrap();
}

#[track_caller]
fn commit(sandbox: &Sandbox, message: &str) {
    sandbox.dits(["add", "-A"]).ok();
    sandbox.dits(["commit", "-m", message]).ok();
}

/// A file that both branches changed, one that only the other did, and one that it moved.
fn forked() -> Sandbox {
    let sandbox = sandbox();
    sandbox.write("shot.mov", "base");
    sandbox.write("raw/b.wav", "base b");
    commit(&sandbox, "Base");
    branch(&sandbox, "grading");
    switch(&sandbox, "grading");
    sandbox.write("shot.mov", "theirs!");
    sandbox.dits(["mv", "raw", "audio"]).ok().says("Moved 1 file; 0 B new");
    sandbox.write("new.txt", "x");
    commit(&sandbox, "Graded");
    switch(&sandbox, "main");
    sandbox.write("shot.mov", "ours");
    commit(&sandbox, "Cut");
    sandbox
}

#[track_caller]
fn json(done: &Finished) -> serde_json::Value {
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn a_conflict_is_told_decided_and_committed() {
    let sandbox = forked();
    let done = sandbox.dits(["merge", "grading"]).exits(3);
    insta::assert_snapshot!(done.out(), @r"
    CONFLICT (changed by both): shot.mov
      ours:   shot.mov (4 B)
      theirs: shot.theirs.mov (7 B)

    The merge stopped: 1 file is in conflict. Decide each:
      dits resolve --ours PATH      keep ours
      dits resolve --theirs PATH    take theirs
      dits resolve PATH             take the file as it is now, e.g. after editing it
    Then `dits merge --continue`. To give up: `dits merge --abort`
    ");
    assert_eq!(sandbox.read("shot.theirs.mov"), b"theirs!");
    sandbox.dits(["commit", "-m", "x"]).exits(3);
    sandbox.dits(["commit", "--amend", "-m", "x"]).exits(3);
    sandbox.dits(["merge", "--continue"]).exits(3).warns("in conflict");
    let listed = json(&sandbox.dits(["--json", "resolve", "--list"]).ok());
    let conflict = &listed["conflicts"][0];
    assert_eq!((&conflict["path"], &conflict["kind"]), (&"shot.mov".into(), &"both-changed".into()));
    assert_eq!(conflict["beside"], "shot.theirs.mov");
    sandbox.dits(["resolve"]).exits(2).warns("--all");
    sandbox.dits(["resolve", "new.txt"]).exits(1).warns("`new.txt` is not in conflict");
    let done = sandbox.dits(["resolve", "--theirs", "shot.mov"]).ok();
    insta::assert_snapshot!(done.out(), @"Decided 1 file; nothing is left in conflict: finish with `dits merge --continue`");
    let done = sandbox.dits(["merge", "--continue"]).ok();
    assert!(done.out().contains("\n 2 files added, 1 file changed, 1 file removed\n"), "{done}");
    assert_eq!(sandbox.read("shot.mov"), b"theirs!");
    assert_eq!(sandbox.read("audio/b.wav"), b"base b");
    assert!(!sandbox.path("shot.theirs.mov").exists() && !sandbox.path("raw").exists());
    sandbox.dits(["merge", "grading"]).ok().says("Already up to date.");
    assert_eq!(json(&sandbox.dits(["--json", "merge", "grading"]).ok())["outcome"], "up-to-date");
}

#[test]
fn what_resolve_takes_from_a_file_is_told() {
    let sandbox = forked();
    sandbox.dits(["merge", "grading"]).exits(3);
    sandbox.write("shot.mov", "mended");
    sandbox.dits(["resolve", "shot.mov"]).ok().says("Decided 1 file, 6 B: 6 B new, 0 B deduplicated; ");
    sandbox.dits(["merge", "--continue"]).ok();
    assert_eq!(sandbox.read("shot.mov"), b"mended");
}

#[test]
fn an_abort_keeps_what_has_nothing_to_do_with_it() {
    let sandbox = forked();
    sandbox.write("raw/b.wav", "edited");
    // The merge would move this file, and with it what is recorded nowhere.
    sandbox.dits(["merge", "grading"]).exits(3).warns("raw/b.wav");
    sandbox.write("raw/b.wav", "base b");
    sandbox.write("note", "mine");
    let before = head(&sandbox);
    let done = sandbox.dits(["--json", "merge", "grading"]).exits(3);
    assert_eq!(json(&done)["outcome"], "conflicts");
    sandbox.dits(["merge", "--abort"]).ok().says("everything is as it was before");
    assert_eq!(head(&sandbox), before);
    assert_eq!((sandbox.read("shot.mov"), sandbox.read("note")), (b"ours".to_vec(), b"mine".to_vec()));
    assert!(!sandbox.path("shot.theirs.mov").exists() && !sandbox.path("new.txt").exists());
    sandbox.dits(["merge", "--abort"]).exits(2).warns("there is no merge in progress");
}

#[test]
fn forward_and_refusals() {
    let sandbox = forked();
    sandbox.dits(["merge", "--ff-only", "grading"]).exits(3).warns("--ff-only");
    sandbox.dits(["merge", "grading", "main"]).exits(2).warns("one commit");
    sandbox.dits(["merge", "nobody"]).exits(1);
    sandbox.dits(["merge"]).exits(2);
    branch(&sandbox, "behind");
    sandbox.write("more", "1");
    commit(&sandbox, "More");
    switch(&sandbox, "behind");
    let done = sandbox.dits(["merge", "main"]).ok();
    assert!(done.out().ends_with("Fast-forward\n 1 file added\n"), "{done}");
}

#[test]
fn revert_and_cherry_pick() {
    let sandbox = forked();
    let done = sandbox.dits(["revert", "HEAD"]).ok();
    assert!(done.out().contains("] Revert \"Cut\"\n 1 file changed\n"), "{done}");
    assert_eq!(sandbox.read("shot.mov"), b"base");
    sandbox.dits(["cherry-pick", "-x", "grading"]).ok().says("] Graded");
    assert_eq!(sandbox.read("shot.mov"), b"theirs!");
    let done = sandbox.dits(["--json", "cherry-pick", "grading"]).exits(1);
    assert_eq!(json(&done)["outcome"], "nothing");
    sandbox.write("shot.mov", "again");
    commit(&sandbox, "Again");
    sandbox.dits(["revert", "HEAD~1"]).exits(3).says("The revert of");
    sandbox.dits(["cherry-pick", "grading"]).exits(3).warns("dits revert --abort");
    sandbox.dits(["revert", "--abort"]).ok();
    assert_eq!(sandbox.read("shot.mov"), b"again");
    sandbox.dits(["revert", "--continue"]).exits(2).warns("there is no revert in progress");
}

#[test]
fn stash_puts_aside_and_brings_back() {
    let sandbox = forked();
    sandbox.dits(["stash"]).ok().says("No local changes to save");
    sandbox.write("shot.mov", "work in progress");
    sandbox.write("loose", "not tracked");
    let done = sandbox.dits(["stash", "push", "-u", "-m", "new cut"]).ok();
    insta::assert_snapshot!(done.out(), @r"
    Put aside: On main: new cut
     27 B: 27 B new, 0 B deduplicated; 141 B stored
    ");
    assert_eq!(sandbox.read("shot.mov"), b"ours");
    assert!(!sandbox.path("loose").exists());
    assert_eq!(sandbox.dits(["stash", "list"]).ok().out(), "stash@{0}: On main: new cut\n");
    let shown = sandbox.dits(["stash", "show"]).ok().out();
    assert_eq!(shown, "M\tshot.mov (4 B -> 16 B)\nA\tloose (11 B)\n");
    sandbox.dits(["stash", "drop", "7"]).exits(1).warns("there is no stash entry 7");
    let done = sandbox.dits(["stash", "pop"]).ok();
    assert!(done.out().starts_with("Brought back stash@{0}: 2 written, 0 removed\nDropped stash@{0} ("), "{done}");
    assert_eq!(sandbox.read("shot.mov"), b"work in progress");
    assert_eq!(sandbox.dits(["stash", "list"]).ok().out(), "");
    assert_eq!(json(&sandbox.dits(["--json", "stash"]).ok())["logical"], 16);
    sandbox.write("shot.mov", "another");
    commit(&sandbox, "Another");
    sandbox.dits(["stash", "pop"]).exits(3).says("The stash entry is kept");
    sandbox.dits(["stash", "abort"]).ok();
    assert_eq!(sandbox.read("shot.mov"), b"another");
}

#[test]
fn add_says_what_it_decides() {
    let sandbox = forked();
    sandbox.dits(["merge", "grading"]).exits(3);
    let added = sandbox.dits(["add", "-A"]).ok();
    added.warns("shot.mov was in conflict and is decided for the file as it is here");
    assert!(!sandbox.path("shot.theirs.mov").exists());
}

#[test]
fn moving_forward_takes_no_name() {
    let sandbox = sandbox();
    sandbox.write("shot.mov", "base");
    commit(&sandbox, "Base");
    branch(&sandbox, "grading");
    switch(&sandbox, "grading");
    sandbox.write("shot.mov", "graded");
    commit(&sandbox, "Graded");
    switch(&sandbox, "main");
    let nameless = |line: &[&str]| {
        let mut command = sandbox.dits_command(line);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env_remove(format!("DITS_{role}_NAME")).env_remove(format!("DITS_{role}_EMAIL"));
        }
        sandbox.run(command)
    };
    nameless(&["merge", "--no-ff", "grading"]).exits(2).warns("does not know your name");
    nameless(&["merge", "grading"]).ok().says("Fast-forward");
    nameless(&["merge", "grading"]).ok().says("Already up to date");
    sandbox.write("shot.mov", "ours");
    commit(&sandbox, "Cut");
    switch(&sandbox, "grading");
    sandbox.write("other.mov", "x");
    commit(&sandbox, "Another");
    nameless(&["merge", "main"]).exits(2).warns("does not know your name");
    assert_eq!(sandbox.dits(["status", "-s"]).ok().out(), "");
}
