//! `branch`, `tag`, `switch`, `checkout`, `reflog`, `rev-parse`, `worktree`.

use dits_testkit::{Finished, Sandbox};

fn repository() -> Sandbox {
    let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
    commit(&sandbox, "a", "one");
    sandbox
}

fn commit(sandbox: &Sandbox, file: &str, text: &str) {
    sandbox.write(file, text);
    sandbox.dits(["add", "-A"]).ok();
    sandbox.dits(["commit", "-m", text]).ok();
}

fn run(sandbox: &Sandbox, line: &str) -> Finished {
    sandbox.dits(line.split(' '))
}

fn json(sandbox: &Sandbox, line: &str) -> serde_json::Value {
    let value: serde_json::Value = serde_json::from_str(&run(sandbox, &format!("{line} --json")).ok().out()).unwrap();
    assert_eq!(value["schema"], 1);
    assert_eq!(value["command"], line.split(' ').next().unwrap());
    value
}

fn id(sandbox: &Sandbox, revision: &str) -> String {
    sandbox.dits(["rev-parse", revision]).ok().out().trim().to_owned()
}

#[test]
fn branches_are_made_listed_renamed_and_deleted() {
    let s = repository();
    run(&s, "branch side").ok();
    run(&s, "switch -c work/x").ok().warns("Switched to a new branch `work/x`");
    commit(&s, "a", "two");
    assert_eq!(run(&s, "branch").ok().out(), "  main\n  side\n* work/x\n");
    let listed = run(&s, "branch -v").ok().out();
    assert_eq!(listed.lines().nth(2).unwrap(), format!("* work/x {} two", &id(&s, "HEAD")[..7]));
    assert_eq!(run(&s, "branch --merged main").ok().out(), "  main\n  side\n");
    assert_eq!(run(&s, "branch --contains HEAD").ok().out(), "* work/x\n");
    assert_eq!(run(&s, "branch --list s* m*").ok().out(), "  main\n  side\n");
    run(&s, "branch -m work/x work").ok();
    assert_eq!(run(&s, "branch --show-current").ok().out(), "work\n");
    run(&s, "reflog work")
        .ok()
        .says("work@{0}: Branch: renamed refs/branches/work/x to refs/branches/work")
        .says("work@{1}: commit: two");
    run(&s, "switch main").ok();
    run(&s, "branch -d work").exits(3).warns("has commits that the current one does not have");
    run(&s, "branch -d main").exits(2).warns("is checked out in");
    run(&s, "branch -d side").ok().says("Deleted branch side (was ");
    run(&s, "branch -D work").ok();
    run(&s, "branch -d nowhere").exits(1).warns("there is no branch `nowhere`");
    run(&s, "branch main").exits(2).warns("exists already");
    run(&s, "branch a..b").exits(2);
    assert_eq!(json(&s, "branch")["branches"][0]["name"], "main");
}

#[test]
fn tags_name_versions() {
    let s = repository();
    run(&s, "tag light").ok();
    s.dits(["tag", "-a", "v1", "-m", "As delivered\n\nto all"]).ok();
    commit(&s, "a", "two");
    assert_eq!(run(&s, "tag").ok().out(), "light\nv1\n");
    assert_eq!(run(&s, "tag -n").ok().out(), "light           one\nv1              As delivered\n");
    assert_eq!(id(&s, "v1^{commit}"), id(&s, "light"));
    assert_ne!(id(&s, "v1"), id(&s, "light"));
    run(&s, "tag v1").exits(2).warns("tag `v1` exists already");
    run(&s, "tag -f light").ok().says("Updated tag 'light' (was ");
    let tags = json(&s, "tag");
    assert_eq!(tags["tags"][1]["annotated"], true);
    assert_eq!(tags["tags"][1]["message"], "As delivered\n\nto all\n");
    run(&s, "checkout v1").ok();
    assert_eq!(s.read("a"), b"one");
    run(&s, "tag -d light v1").ok().says("Deleted tag 'v1' (was ");
    run(&s, "tag -d v1").exits(1);
}

#[test]
fn switching_goes_there_and_back() {
    let s = repository();
    run(&s, "switch -c two").ok();
    commit(&s, "b/c", "two");
    run(&s, "switch main").ok().warns("1 file removed");
    assert!(!s.path("b").exists());
    run(&s, "switch -").ok().warns("Switched to branch `two`\n1 file written (3 B)");
    run(&s, "switch two").ok().warns("Already on `two`");
    let went = json(&s, "switch main");
    assert_eq!((&went["branch"], &went["files"]["removed"]), (&"main".into(), &1.into()));
    s.write("b", "mine");
    run(&s, "switch two").exits(3).warns("files that are not tracked would be overwritten:\n  b\n");
    assert_eq!(s.read("b"), b"mine");
    run(&s, "switch -f two").ok();
    assert_eq!(s.read("b/c"), b"two");
    s.write("a", "changed");
    run(&s, "switch main").ok();
    assert_eq!(s.read("a"), b"changed", "a change that is in nobody's way comes along");
    run(&s, "switch HEAD~0").exits(2).warns("--detach");
    run(&s, "switch nowhere").exits(1).warns("there is no branch `nowhere`");
    run(&s, "switch --orphan fresh").exits(3).warns("changes that are not committed would be lost:\n  a\n");
    run(&s, "restore a").ok();
    run(&s, "switch --orphan fresh").ok();
    assert!(!s.path("a").exists());
    assert_eq!(run(&s, "branch --show-current").ok().out(), "fresh\n");
}

#[test]
fn a_detached_head_is_explained_and_what_it_leaves_behind_is_named() {
    let s = repository();
    commit(&s, "a", "two");
    run(&s, "checkout HEAD~1").ok().warns("on no branch").warns("HEAD is now at ");
    commit(&s, "a", "lost");
    run(&s, "branch").ok().says("* (HEAD detached at ");
    run(&s, "switch main").ok().warns("warning: 1 commit is left behind").warns("lost");
    run(&s, "checkout -b kept @{-1}").ok();
    assert_eq!(s.read("a"), b"lost");
    run(&s, "checkout nowhere").exits(1).warns("neither a branch or version nor a file");
}

#[test]
fn the_reflog_remembers() {
    let s = repository();
    commit(&s, "a", "two");
    run(&s, "reset --hard HEAD~1").ok();
    let log = run(&s, "reflog").ok().out();
    let messages: Vec<&str> = log.lines().map(|line| line.split_once(": ").unwrap().1).collect();
    assert_eq!(messages, ["reset: moving to HEAD~1", "commit: two", "commit (initial): one"]);
    assert_eq!(json(&s, "reflog main -n 1")["entries"][0]["message"], "reset: moving to HEAD~1");
    run(&s, "reset --hard HEAD@{1}").ok();
    assert_eq!(s.read("a"), b"two");
    run(&s, "reflog exists main").ok();
    run(&s, "reflog exists nowhere").exits(1);
    run(&s, "reflog expire --expire=never --all").ok().warns("0 lines removed");
    run(&s, "reflog expire --expire=now main").ok().warns("4 lines removed");
    assert_eq!(run(&s, "reflog main").ok().out(), "");
    run(&s, "reflog show nowhere").exits(1);
}

#[test]
fn rev_parse_answers_scripts() {
    let s = repository();
    commit(&s, "f/b", "two");
    let (head, first) = (id(&s, "HEAD"), id(&s, "HEAD~1"));
    assert_eq!(head.len(), 64);
    assert_eq!(run(&s, "rev-parse --short=4 HEAD").ok().out().trim(), &head[..4]);
    assert_eq!(run(&s, "rev-parse --abbrev-ref HEAD").ok().out(), "main\n");
    assert_eq!(run(&s, "rev-parse HEAD~1..main").ok().out(), format!("{head}\n^{first}\n"));
    let below = s.dits_in(&s.path("f"), ["rev-parse", "--show-prefix", "--is-inside-work-tree"]).ok().out();
    assert_eq!(below, "f/\ntrue\n");
    let top = s.path("").canonicalize().unwrap();
    assert_eq!(run(&s, "rev-parse --show-toplevel").ok().out().trim(), top.to_str().unwrap());
    assert_eq!(run(&s, "rev-parse --dits-dir").ok().out().trim(), top.join(".dits").to_str().unwrap());
    assert_eq!(json(&s, "rev-parse HEAD")["revisions"][0], head);
    run(&s, "rev-parse nowhere").exits(1).warns("`nowhere` is not a branch");
    assert_eq!(run(&s, "rev-parse -q --verify nowhere").exits(1).err(), "");
}

#[test]
fn worktrees_share_a_repository() {
    let s = repository();
    run(&s, "worktree add ../side").ok().warns("new branch 'side'");
    let side = s.beside("side");
    assert_eq!(std::fs::read(side.join("a")).unwrap(), b"one");
    s.dits_in(&side, ["status", "--porcelain"]).ok();
    assert_eq!(s.dits_in(&side, ["branch"]).ok().out(), "+ main\n* side\n");
    s.dits_in(&side, ["switch", "main"]).exits(2).warns("is checked out in");
    run(&s, "branch -D side").exits(2);
    run(&s, "branch -m side other").ok();
    assert_eq!(s.dits_in(&side, ["branch", "--show-current"]).ok().out(), "other\n");
    let listed = run(&s, "worktree list --porcelain").ok().out();
    assert!(listed.ends_with("\nbranch refs/branches/other\n\n"), "{listed}");
    assert_eq!(json(&s, "worktree list")["worktrees"][1]["branch"], "other");
    std::fs::write(side.join("new"), "x").unwrap();
    run(&s, "worktree remove ../side").exits(3).warns("files that are not tracked");
    run(&s, "worktree remove -f ../side").ok();
    assert!(!side.exists());
    run(&s, "worktree add --detach ../gone").ok();
    std::fs::remove_dir_all(s.beside("gone")).unwrap();
    run(&s, "worktree prune").ok().says("worktrees/gone: removed");
    assert_eq!(run(&s, "worktree list").ok().out().lines().count(), 1);
    run(&s, "worktree add ../work").exits(2).warns("is not empty");
    run(&s, "worktree remove ../nowhere").exits(1);
}

#[test]
fn a_mount_that_waits_keeps_its_branch_and_what_was_written_in_it() {
    let s = repository();
    // What a writable mount leaves when it ends.
    run(&s, "worktree add ../side").ok();
    let private = s.path(".dits/worktrees/side");
    std::fs::rename(private.join("worktree"), private.join("mount")).unwrap();
    std::fs::create_dir(private.join("overlay")).unwrap();
    std::fs::write(private.join("overlay/log"), "").unwrap();
    run(&s, "worktree list").ok().says("[side] (waiting mount)");
    run(&s, "worktree list --porcelain").ok().says("locked a mount with changes");
    let listed = json(&s, "worktree list");
    let side = &listed["worktrees"][1];
    assert_eq!((&side["waiting"], &side["missing"], &side["mount"]), (&true.into(), &false.into(), &true.into()));
    run(&s, "switch side").exits(2).warns("is checked out in");
    assert_eq!(run(&s, "worktree prune").ok().out(), "");
    run(&s, "worktree remove ../side").exits(3).warns("changes that are kept for it");
    assert!(private.join("overlay/log").is_file());
    run(&s, "worktree remove -f ../side").ok();
    assert!(!private.exists() && s.beside("side").is_dir());
    run(&s, "switch side").ok();
}
