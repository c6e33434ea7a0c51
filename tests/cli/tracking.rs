//! What branches follow: settings, distances, and the words for them, compared with git's.

use std::process::Command;

use dits_testkit::{Finished, Sandbox};

use crate::inspect::json;
use crate::remote::{commit, repository, run, seen};

/// The same history in a dits and a git repository.
struct Twins {
    sandbox: Sandbox,
}

impl Twins {
    fn new() -> Self {
        let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
        std::fs::create_dir(sandbox.beside("git")).unwrap();
        let twins = Self { sandbox };
        twins.git("init -q -b main").ok();
        twins.both("remote add origin /nowhere");
        twins
    }

    fn git_command(&self) -> Command {
        let mut command = self.sandbox.command("git");
        command.current_dir(self.sandbox.beside("git"));
        command
    }

    #[track_caller]
    fn git(&self, line: &str) -> Finished {
        let mut command = self.git_command();
        command.args(line.split(' '));
        self.sandbox.run(command)
    }

    #[track_caller]
    fn both(&self, line: &str) -> [Finished; 2] {
        let done = [run(&self.sandbox, line), self.git(line)];
        assert_eq!(done[0].code == Some(0), done[1].code == Some(0), "{line}\n{}\n{}", done[0], done[1]);
        done
    }

    #[track_caller]
    fn commit(&self, text: &str) {
        for root in [self.sandbox.path("a"), self.sandbox.beside("git").join("a")] {
            std::fs::write(root, text).unwrap();
        }
        self.both("add a");
        self.both(&format!("commit -q -m {text}"));
    }

    #[track_caller]
    fn seen(&self, name: &str, revision: &str) {
        seen(&self.sandbox, &format!("refs/remotes/{name}"), revision);
        self.git(&format!("update-ref refs/remotes/{name} {revision}")).ok();
    }

    /// What both say, without what has to differ: ids, the program's name in hints, and dits' own hints.
    #[track_caller]
    fn same(&self, line: &str) {
        let plain = |text: String| {
            let kept = text.lines().filter(|line| !line.starts_with("  (use \"git add") && !line.starts_with("  (`"));
            let words = kept.map(|line| {
                let line = line.replace("git ", "dits ").replace("refs/heads/", "refs/branches/");
                let word = |word: &str| match word.len() >= 7 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
                    true => "ID".to_owned(),
                    false => word.to_owned(),
                };
                line.split(' ').map(word).collect::<Vec<_>>().join(" ")
            });
            words.collect::<Vec<_>>().join("\n")
        };
        let [ours, theirs] = self.both(line).map(|done| plain(done.out()));
        assert_eq!(ours, theirs, "{line}");
    }

    #[track_caller]
    fn check(&self) {
        for line in
            ["status", "status -sb", "status --porcelain -b", "status -b -z", "branch -vv", "branch -v", "branch -avv"]
        {
            self.same(line);
        }
        self.same("log --oneline --decorate");
    }
}

#[test]
fn distances_are_told_as_git_tells_them() {
    let t = Twins::new();
    t.same("status -sb");
    t.commit("one");
    t.check();
    t.seen("origin/main", "main");
    t.same("branch -u origin/main");
    t.check();
    t.commit("two");
    t.check();
    t.commit("three");
    t.check();
    t.seen("origin/main", "main");
    t.both("reset -q --hard HEAD~1");
    t.check();
    t.both("reset -q --hard HEAD~1");
    t.check();
    t.commit("other");
    t.check();
    t.same("rev-parse --abbrev-ref @{u}");
    t.same("rev-parse --abbrev-ref main@{upstream}");
    t.same("rev-parse --symbolic-full-name @{u}");
    t.same("log --format=%s @{u}..");
    t.same("log --format=%s ..@{upstream}");
    t.same("log --format=%s main...origin/main");
    std::fs::write(t.sandbox.path("a"), "changed").unwrap();
    std::fs::write(t.sandbox.beside("git/a"), "changed").unwrap();
    t.both("add a");
    t.same("status -sb");
    t.both("commit -q -m more");
    t.both("branch -q --track topic");
    t.both("switch -q topic");
    t.commit("on-topic");
    t.check();
    run(&t.sandbox, "branch -D -r origin/main").ok();
    t.git("update-ref -d refs/remotes/origin/main").ok();
    t.both("switch -q main");
    t.check();
    t.both("branch --unset-upstream");
    t.check();
    t.both("branch --unset-upstream");
}

#[test]
fn branches_follow_what_they_begin_at() {
    let t = Twins::new();
    t.commit("one");
    for name in ["origin/main", "origin/cut/a", "origin/cut/b", "origin/cut/c", "origin/cut/d", "origin/cut/e"] {
        t.seen(name, "main");
    }
    t.same("switch cut/a");
    t.same("switch -c b --track origin/cut/b");
    t.same("switch --track origin/cut/c");
    t.same("switch -c own --no-track origin/cut/b");
    t.same("branch second origin/cut/d");
    t.same("branch --no-track third origin/cut/d");
    t.same("branch --track here main");
    t.same("branch --track=inherit heir b");
    t.same("checkout -b e origin/cut/e");
    t.same("checkout --track origin/cut/d");
    t.same("checkout main");
    t.same("switch b");
    t.both("branch -q --track bad main~0");
    t.both("branch -u nowhere");
    t.both("branch -m b renamed");
    t.both("branch -c renamed copied");
    t.check();
    t.both("branch -D e");
    assert!(!String::from_utf8(t.sandbox.read(".dits/config")).unwrap().contains("[branch.e]"));
}

#[test]
fn a_branch_that_several_remotes_have_is_no_guess() {
    let s = repository();
    for name in ["one", "two"] {
        run(&s, &format!("remote add {name} /{name}")).ok();
        seen(&s, &format!("refs/remotes/{name}/side"), "main");
    }
    run(&s, "switch side")
        .exits(1)
        .warns("`side` is a branch of several remotes: one/side, two/side")
        .warns("dits switch -c side --track one/side");
    run(&s, "switch --no-guess side").exits(1).warns("there is no branch `side`");
    run(&s, "switch -c side --track two/side").ok().says("branch 'side' set up to track 'two/side'.");
    run(&s, "branch -D -r one/side").ok();
}

#[test]
fn what_follows_nothing_says_the_commands_that_change_it() {
    let s = repository();
    run(&s, "rev-parse @{u}")
        .exits(2)
        .warns("`main` follows no branch")
        .warns("dits branch --set-upstream-to=origin/main main")
        .warns("dits push --set-upstream origin main");
    run(&s, "merge").exits(2).warns("`main` follows no branch");
    run(&s, "branch --unset-upstream").exits(1).warns("branch 'main' has no upstream information");
    run(&s, "branch -u nowhere").exits(1).warns("the requested upstream branch 'nowhere' does not exist");
    run(&s, "remote add origin /x").ok();
    seen(&s, "refs/remotes/origin/main", "main");
    run(&s, "branch -u origin/main").ok();
    run(&s, "branch -D -r origin/main").ok();
    run(&s, "rev-parse @{u}").exits(2).warns("`main` follows `main` of `origin`, which is not here");
    run(&s, "checkout --detach").ok();
    run(&s, "rev-parse @{u}").exits(2).warns("HEAD is on no branch");
}

#[test]
fn json_has_the_distance_too() {
    let s = repository();
    run(&s, "remote add origin /x").ok();
    seen(&s, "refs/remotes/origin/main", "main");
    run(&s, "branch -q -u origin/main").ok();
    commit(&s, "two");
    let status = json(run(&s, "status --json").ok());
    assert_eq!(
        status["upstream"],
        serde_json::json!({
            "name": "origin/main", "remote": "origin", "branch": "main", "gone": false, "ahead": 1, "behind": 0
        })
    );
    let branches = json(run(&s, "branch --json").ok());
    assert_eq!(branches["branches"][0]["upstream"]["ahead"], 1);
    run(&s, "reset -q --hard HEAD~1").ok();
    seen(&s, "refs/remotes/origin/main", "main@{1}");
    run(&s, "merge").ok().says("Fast-forward");
    let made = json(run(&s, "switch -c x origin/main --json").ok());
    assert_eq!(made["upstream"], "origin/main");
}
