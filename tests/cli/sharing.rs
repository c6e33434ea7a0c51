//! `clone`, `fetch`, `pull`, `push`, `ls-remote` with repositories on this machine, beside git where the words are git's.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use dits_testkit::random::bytes;
use dits_testkit::snapshot::Snapshot;
use dits_testkit::strace::{self, Fault};
use dits_testkit::{Finished, Sandbox};

use crate::inspect::json;

/// A bare repository `server`, and clones of it beside each other.
pub(crate) struct Studio {
    pub(crate) sandbox: Sandbox,
}

impl Studio {
    pub(crate) fn new() -> Self {
        let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_dits"));
        let studio = Self { sandbox };
        studio.dits(".", "init -q --bare server").ok();
        studio
    }

    /// With a clone `ada` that has pushed a first version.
    pub(crate) fn with_a_project() -> Self {
        let studio = Self::new();
        studio.dits(".", "clone -q server ada").ok();
        studio.write("ada/film.mov", &bytes(1, 3_000_000));
        studio.write("ada/shots/010/a.exr", &bytes(2, 300_000));
        studio.write("ada/shots/020/a.exr", &bytes(3, 200_000));
        studio.write("ada/notes.txt", b"one\ntwo\n");
        studio.commit("ada", "one");
        studio.dits("ada", "push -q").ok();
        studio
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        self.sandbox.write(name, content);
    }

    #[track_caller]
    pub(crate) fn dits(&self, at: &str, line: &str) -> Finished {
        self.sandbox.dits_in(&self.path(at), line.split(' '))
    }

    #[track_caller]
    pub(crate) fn commit(&self, at: &str, message: &str) {
        self.dits(at, "add -A -q").ok();
        self.dits(at, &format!("commit -q -m {message}")).ok();
    }

    #[track_caller]
    pub(crate) fn id(&self, at: &str, revision: &str) -> String {
        self.dits(at, &format!("rev-parse {revision}")).ok().out().trim().to_owned()
    }

    #[track_caller]
    pub(crate) fn same_files(&self, one: &str, other: &str) {
        let (a, b) = (Snapshot::of(&self.path(one)).unwrap(), Snapshot::of(&self.path(other)).unwrap());
        let found = a.differences(&b).unwrap();
        assert!(found.is_empty(), "{one} and {other} differ: {found:?}");
    }
}

#[test]
fn five_commands_share_a_project() {
    let s = Studio::with_a_project();
    let cloned = s.dits(".", "clone server bob").ok();
    cloned.warns("Cloning into 'bob'...").warns("transferred").warns("HEAD is now at ").warns("4 files written");
    s.same_files("ada", "bob");
    assert_eq!(s.dits("bob", "status -sb").ok().out(), "## main...origin/main\n");
    assert_eq!(
        s.dits("bob", "branch -a").ok().out(),
        "* main\n  remotes/origin/HEAD -> origin/main\n  remotes/origin/main\n"
    );
    s.write("bob/notes.txt", b"one\ntwo\nthree\n");
    s.commit("bob", "three");
    s.dits("bob", "push").ok().warns("  main -> main");
    s.dits("ada", "pull").ok().says("Fast-forward").warns("main       -> origin/main");
    s.same_files("ada", "bob");
    s.dits("ada", "pull").ok().says("Already up to date.");
    s.dits("ada", "push").ok().warns("Everything up-to-date");
    assert_eq!(s.id("server", "main"), s.id("ada", "main"));
    s.dits("server", "fsck --full").ok();
}

#[test]
fn a_push_that_would_lose_commits_says_to_pull_first() {
    let s = Studio::with_a_project();
    s.dits(".", "clone -q server bob").ok();
    s.write("ada/a", b"a");
    s.commit("ada", "a");
    s.dits("ada", "push -q").ok();
    s.write("bob/b", b"b");
    s.commit("bob", "b");
    let refused = s.dits("bob", "push").exits(3);
    refused
        .warns(" ! [rejected]        main -> main (fetch first)")
        .warns("error: failed to push some refs to ")
        .warns("`dits pull` first, then push again");
    s.dits("bob", "fetch -q").ok();
    s.dits("bob", "push").exits(3).warns("(non-fast-forward)");
    let refused = s.dits("bob", "push --json").exits(3);
    let answer: serde_json::Value = serde_json::from_str(&refused.out()).unwrap();
    assert_eq!(answer["refs"][0]["status"], "rejected");
    assert_eq!(answer["refs"][0]["reason"], "non-fast-forward");
    s.dits("bob", "pull --ff-only").exits(3).warns("cannot fast-forward");
    s.dits("bob", "pull").ok().says("Merge made");
    assert!(s.dits("bob", "log -1").ok().out().contains("Merge branch 'main' of "));
    s.dits("bob", "push").ok();
    s.dits("ada", "pull -q").ok();
    s.same_files("ada", "bob");
}

#[test]
fn a_lease_protects_what_was_not_seen() {
    let s = Studio::with_a_project();
    s.dits(".", "clone -q server bob").ok();
    s.write("ada/a", b"a");
    s.commit("ada", "a");
    s.dits("ada", "push -q").ok();
    let seen = s.id("bob", "origin/main");
    s.dits("bob", "commit -q --amend -m other").ok();
    s.dits("bob", "push --force-with-lease").exits(3).warns("(stale info)").warns("dits fetch");
    s.dits("bob", &format!("push --force-with-lease=main:{seen}")).exits(3).warns("(stale info)");
    s.dits("bob", "push --force-with-lease=new: origin main:new").ok().warns("[new branch]");
    s.dits("bob", "push --force-with-lease=new: origin HEAD~0:new").ok();
    s.dits("bob", "fetch -q").ok();
    s.dits("bob", "push --force-with-lease").ok().warns("(forced update)");
    assert_eq!(s.id("server", "main"), s.id("bob", "main"));
}

#[test]
fn what_a_push_or_pull_lacks_is_said_with_the_command_to_type() {
    let s = Studio::new();
    s.dits(".", "init -q one").ok();
    s.dits("one", "push")
        .exits(2)
        .warns("no remote repository specified for `dits push`")
        .warns("dits remote add origin URL");
    s.dits("one", "remote add origin ../server").ok();
    s.dits("one", "push").exits(2).warns("has no commits yet");
    s.write("one/a", b"a");
    s.commit("one", "a");
    s.dits("one", "push")
        .exits(2)
        .warns("the current branch main has no upstream branch")
        .warns("dits push --set-upstream origin main");
    s.dits("one", "pull")
        .exits(2)
        .warns("there is no tracking information")
        .warns("--set-upstream-to=origin/<branch> main");
    s.dits("one", "push origin nowhere").exits(1).warns("src refspec nowhere does not match any");
    s.dits("one", "push -d origin nowhere").exits(1).warns("unable to delete 'nowhere': remote ref does not exist");
    s.dits("one", "fetch origin nowhere").exits(1).warns("couldn't find remote ref nowhere");
    s.dits("one", "fetch nowhere").exits(1).warns("neither a remote nor a file");
    s.dits("one", "-c push.autoSetupRemote=true push").ok().says("branch 'main' set up to track 'origin/main'.");
    s.dits("one", "branch -m main trunk").ok();
    s.dits("one", "push")
        .exits(2)
        .warns("does not match the name of your current branch")
        .warns("dits push origin HEAD:main");
    s.dits("one", "-c push.default=upstream push").ok();
    s.dits("one", "-c push.default=nothing push").exits(2);
    s.dits("one", "checkout -q --detach").ok();
    s.dits("one", "push").exits(2).warns("not currently on a branch");
    s.dits("one", "remote set-url origin ../gone").ok();
    s.dits("one", "fetch").exits(5).warns("cannot open ").warns("check the address");
    s.dits("one", "remote set-url origin dits://127.0.0.1:9/x").ok();
}

#[test]
fn a_branch_that_somebody_works_on_is_not_pushed_to() {
    let s = Studio::with_a_project();
    s.write("ada/more", b"x");
    s.commit("ada", "more");
    s.dits(".", "clone -q ada bob").ok();
    s.write("bob/b", b"b");
    s.commit("bob", "b");
    s.dits("bob", "push")
        .exits(5)
        .warns(" ! [remote rejected] main -> main (it is checked out in ")
        .warns("hint: the remote's reasons stand beside the names");
    s.dits("bob", "push origin main:review").ok().warns(" * [new branch]      main -> review");
    s.dits("ada", "merge review").ok().says("Fast-forward");
}

#[test]
fn tags_branches_and_patterns() {
    let s = Studio::with_a_project();
    s.dits("ada", "tag light").ok();
    s.dits("ada", "tag -a v1 -m first").ok();
    s.dits("ada", "branch side").ok();
    s.dits("ada", "push --all --tags").ok().warns("[new tag]").warns("[new branch]      side -> side");
    let listed = s.dits("ada", "ls-remote").ok().out();
    let names: Vec<&str> = listed.lines().map(|line| line.split('\t').nth(1).unwrap()).collect();
    assert_eq!(names, ["HEAD", "refs/branches/main", "refs/branches/side", "refs/tags/light", "refs/tags/v1"]);
    assert_eq!(s.dits(".", "ls-remote --tags server v*").ok().out().lines().count(), 1);
    s.dits(".", "ls-remote --exit-code server nothing").exits(1);
    s.dits(".", "clone -q server bob").ok();
    assert_eq!(s.dits("bob", "tag").ok().out(), "light\nv1\n");
    s.dits("ada", "tag -f light HEAD").ok();
    s.write("ada/n", b"n");
    s.commit("ada", "n");
    s.dits("ada", "tag -f light").ok();
    s.dits("ada", "push origin light").exits(3).warns("(already exists)").warns("tags do not move");
    s.dits("ada", "push -f origin light").ok();
    s.dits("bob", "fetch").ok();
    s.dits("bob", "fetch --tags").exits(3).warns("(would clobber existing tag)");
    s.dits("bob", "fetch --tags --force").ok().warns(" t [tag update]      light");
    s.dits("ada", "push -d origin side light").ok().warns(" - [deleted]         side");
    s.dits("bob", "fetch").ok();
    s.dits("bob", "rev-parse origin/side").ok();
    s.dits("bob", "fetch --prune").ok().warns(" - [deleted]         (none)     -> origin/side");
    s.dits("bob", "rev-parse origin/side").exits(2);
    s.dits("ada", "push origin HEAD~1:refs/branches/old").ok().warns("[new branch]      HEAD~1 -> old");
    s.dits("bob", "fetch origin old").ok().warns("old        -> origin/old");
    assert_eq!(s.id("bob", "FETCH_HEAD"), s.id("ada", "HEAD~1"));
    s.dits("bob", "fetch origin old:mine").ok().warns("old        -> mine");
    s.dits("ada", "push -q origin main").ok();
    s.dits("ada", "remote show origin").ok().says("  HEAD branch: main\n").says("    main merges with remote main\n");
    s.dits("ada", "push -q -d origin old").ok();
    s.dits("bob", "remote show origin").ok().says("    old  stale (use 'dits remote prune origin' to remove)\n");
    s.dits("bob", "remote prune origin").ok().says(" * [pruned] origin/old\n");
    s.dits("bob", "fetch origin main:main").exits(3).warns("refusing to fetch into a branch checked out");
}

#[test]
fn clones_are_of_many_kinds() {
    let s = Studio::with_a_project();
    s.dits("ada", "tag -a v1 -m first").ok();
    s.dits("ada", "switch -q -c grading").ok();
    s.write("ada/grade", b"g");
    s.commit("ada", "grade");
    s.dits("ada", "push -q --all --tags").ok();
    s.dits(".", "clone -q -b grading server graded").ok();
    assert_eq!(s.dits("graded", "status -sb").ok().out(), "## grading...origin/grading\n");
    s.dits(".", "clone -q -b v1 server tagged").ok();
    assert_eq!(s.dits("tagged", "branch --show-current").ok().out(), "");
    s.dits(".", "clone -q --no-checkout -o studio server bare-bones").ok();
    assert!(!s.path("bare-bones/film.mov").exists());
    assert_eq!(s.dits("bare-bones", "remote").ok().out(), "studio\n");
    s.dits(".", "clone -q --bare server mirror").ok();
    assert_eq!(s.dits("mirror", "branch").ok().out(), "  grading\n* main\n");
    s.dits("mirror", "fsck --full").ok();
    s.dits(".", "clone -q --single-branch server one").ok();
    assert_eq!(s.dits("one", "branch -r").ok().out(), "  origin/HEAD -> origin/main\n  origin/main\n");
    s.dits(".", "clone -q --depth 1 -b grading server shallow").ok();
    assert_eq!(s.dits("shallow", "log --format=%s").ok().out(), "grade\n");
    s.dits("shallow", "fetch --unshallow").ok();
    assert_eq!(s.dits("shallow", "log --format=%s").ok().out(), "grade\none\n");
    s.dits("shallow", "fsck --full").ok();
    s.dits(".", "clone -q server named/like/this").ok();
    let answer = json(s.dits(".", "clone --json --reference ada server referred").ok());
    assert_eq!((&answer["new"], &answer["branch"]), (&0.into(), &"main".into()), "{answer}");
    s.same_files("one", "referred");
}

#[test]
fn a_clone_that_fails_leaves_nothing_in_the_way() {
    let s = Studio::with_a_project();
    s.dits(".", "clone nowhere").exits(5).warns("repository 'nowhere' does not exist");
    s.dits(".", "clone -b nope server new").exits(1).warns("remote branch nope not found in upstream origin");
    s.dits(".", "clone server ada").exits(2).warns("exists and is not empty");
    s.dits(".", "clone --filter=tree:0 server new").exits(2).warns("use none, all or blob:limit=SIZE");
    assert!(!s.path("new").exists() && !s.path("nowhere").exists());
    std::fs::create_dir(s.path("empty")).unwrap();
    s.dits(".", "clone -q server empty").ok();
    s.dits(".", "init -q --bare void").ok();
    s.dits(".", "clone void copy").ok().warns("you appear to have cloned an empty repository");
    s.write("copy/first", b"1");
    s.commit("copy", "first");
    s.dits("copy", "push").ok().warns("[new branch]      main -> main");
}

#[test]
fn a_dry_run_tells_exactly_and_changes_nothing() {
    let s = Studio::with_a_project();
    s.dits(".", "clone -q server bob").ok();
    s.write("ada/new.mov", &bytes(9, 1_000_000));
    s.commit("ada", "new");
    let would = json(s.dits("ada", "push --dry-run --json").ok());
    assert_eq!(s.id("server", "main"), s.id("bob", "main"));
    let did = json(s.dits("ada", "push --json").ok());
    assert_eq!((&would["new"], &would["chunks"]), (&did["new"], &did["chunks"]));
    assert_eq!(did["new"], 1_000_000);
    let would = json(s.dits("bob", "fetch --dry-run --json").ok());
    assert_eq!(s.id("bob", "origin/main"), s.id("bob", "main"));
    let did = json(s.dits("bob", "fetch --json").ok());
    assert_eq!(
        (&would["remotes"][0]["new"], &would["remotes"][0]["chunks"]),
        (&did["remotes"][0]["new"], &did["remotes"][0]["chunks"])
    );
    assert_eq!(did["remotes"][0]["refs"][0]["status"], "fast-forward");
    s.dits("ada", "push --dry-run").ok().warns("Everything up-to-date");
    let text = s.dits("bob", "fetch --dry-run origin main").ok().err();
    assert!(!text.contains("transfer"), "{text}");
}

#[test]
fn atomic_pushes_are_all_or_nothing() {
    let s = Studio::with_a_project();
    s.dits(".", "clone -q server bob").ok();
    s.write("ada/a", b"a");
    s.commit("ada", "a");
    s.dits("ada", "push -q").ok();
    s.write("bob/b", b"b");
    s.commit("bob", "b");
    s.dits("bob", "branch side").ok();
    s.dits("bob", "push --atomic origin main side").exits(3).warns("(atomic push failed)");
    s.dits("server", "rev-parse side").exits(2);
    s.dits("bob", "push origin main side").exits(3).warns(" * [new branch]      side -> side");
    s.dits("server", "rev-parse side").ok();
}

/// Kills a clone at many of its calls; the same command run again completes it.
#[test]
fn a_killed_clone_goes_on_when_it_is_run_again() {
    if !strace::available("a_killed_clone_goes_on_when_it_is_run_again") {
        return;
    }
    let s = Studio::with_a_project();
    let clone = |s: &Studio| {
        let mut command = s.sandbox.dits_command(["clone", "--json", "server", "new"]);
        command.current_dir(s.path(""));
        command
    };
    let points = strace::points(&clone(&s), strace::MUTATING, Duration::from_secs(60)).unwrap();
    std::fs::remove_dir_all(s.path("new")).unwrap();
    let step = (points.len() / 12).max(1);
    for (call, when) in points.iter().step_by(step) {
        for fault in [Fault::Kill, Fault::Interrupt] {
            let done = s.sandbox.run(strace::inject(&clone(&s), call, fault, *when));
            let again = s.dits(".", "clone --json server new");
            let complete = s.path("new/notes.txt").exists() && again.code == Some(2);
            assert!(complete || again.code == Some(0), "{call} {when} {fault:?}\n{done}\n{again}");
            s.same_files("ada", "new");
            s.dits("new", "fsck --full").ok();
            assert_eq!(s.dits("new", "status -sb").ok().out(), "## main...origin/main\n", "{call} {when}");
            std::fs::remove_dir_all(s.path("new")).unwrap();
        }
    }
}

/// git and dits, side by side.
struct Twins(Studio);

impl Twins {
    fn git(&self, at: &str, line: &str) -> Finished {
        let mut command: Command = self.0.sandbox.command("git");
        command.current_dir(self.0.path("git").join(at)).args(["-c", "pull.rebase=false"]).args(line.split(' '));
        self.0.sandbox.run(command)
    }

    /// The lines about refs, without ids.
    fn lines(done: &Finished) -> Vec<String> {
        let hex = |text: &str| text.len() >= 7 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let word = |word: &str| match word.split_once("...").or(word.split_once("..")) {
            Some((a, b)) if hex(a) && hex(b) => "A..B".to_owned(),
            _ => word.to_owned(),
        };
        let marks = [" * ", "   ", " + ", " - ", " ! ", " t ", " = "];
        let text = done.err();
        let about = text.lines().filter(|line| marks.iter().any(|mark| line.starts_with(mark)));
        about.map(|line| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")).collect()
    }

    #[track_caller]
    fn both(&self, at: &str, line: &str) {
        let (ours, theirs) = (self.0.dits(at, line), self.git(at, line));
        assert_eq!(ours.code == Some(0), theirs.code == Some(0), "{at}: {line}\n{ours}\n{theirs}");
        assert_eq!(Self::lines(&ours), Self::lines(&theirs), "{at}: {line}\n{ours}\n{theirs}");
        let refs = |done: Finished| {
            let out = done.out().replace("refs/heads/", "refs/branches/");
            out.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect::<Vec<_>>()
        };
        for clone in ["a", "b"] {
            let theirs = refs(self.git(clone, "branch -a --format=%(refname)"));
            let ours = self.0.dits(clone, "branch -a --json").out();
            let ours: serde_json::Value = serde_json::from_str(&ours).unwrap();
            let ours: Vec<&str> =
                ours["branches"].as_array().unwrap().iter().map(|b| b["ref"].as_str().unwrap()).collect();
            assert_eq!(ours, theirs, "{clone} after {at}: {line}");
        }
        assert_eq!(self.0.dits(at, "status -sb").out(), self.git(at, "status -sb").out(), "{at}: {line}");
    }

    #[track_caller]
    fn commit(&self, at: &str, file: &str) {
        self.0.write(&format!("{at}/{file}"), file.as_bytes());
        self.0.write(&format!("git/{at}/{file}"), file.as_bytes());
        self.both(at, "add -A");
        self.both(at, &format!("commit -q -m {file}"));
    }
}

#[test]
fn refs_move_and_are_told_of_as_in_git() {
    let t = Twins(Studio::new());
    std::fs::create_dir(t.0.path("git")).unwrap();
    t.git("", "init -q --bare -b main server").ok();
    for name in ["a", "b"] {
        t.0.dits(".", &format!("clone -q server {name}")).ok();
        t.git("", &format!("clone -q server {name}")).ok();
    }
    t.commit("a", "one");
    t.both("a", "push");
    t.both("b", "pull -q");
    t.commit("a", "two");
    t.both("a", "push origin main");
    t.both("a", "push origin main:x main:y");
    t.both("a", "push -v");
    t.both("b", "fetch");
    t.both("b", "fetch -v");
    t.both("b", "merge -q");
    t.commit("b", "three");
    t.both("b", "push");
    t.commit("a", "four");
    t.both("a", "push");
    t.both("a", "push origin main:x");
    t.both("a", "fetch");
    t.both("a", "push");
    t.both("a", "push origin main main:z");
    t.both("a", "push -f origin main");
    t.both("a", "push --delete origin x");
    t.both("b", "fetch");
    t.both("b", "fetch --prune");
    t.both("b", "push origin :y :nope");
    t.both("b", "push --force-with-lease=main:main origin main");
    t.both("b", "push --force-with-lease origin main");
    t.both("a", "fetch origin main:copy");
    t.both("a", "fetch origin +main:copy");
    t.both("a", "tag v1");
    t.both("a", "push --tags");
    t.both("b", "fetch");
    t.both("b", "switch -q -c topic");
    t.commit("b", "five");
    t.both("b", "push -u origin HEAD");
    t.both("b", "push origin topic:other");
    t.both("a", "fetch");
    t.both("a", "switch topic");
    t.both("a", "pull");
    t.commit("a", "six");
    t.both("a", "push");
    t.both("b", "pull");
    t.both("b", "push --all");
}

#[test]
fn a_name_in_the_way_stops_one_branch_and_not_the_fetch() {
    let s = Studio::with_a_project();
    s.dits("ada", "push -q origin main:refs/branches/side").ok();
    s.dits(".", "clone -q server bob").ok();
    s.dits("ada", "push -q origin :side").ok();
    s.dits("ada", "push -q origin main:refs/branches/side/a").ok();
    s.write("ada/notes.txt", b"new\n");
    s.commit("ada", "two");
    s.dits("ada", "push -q").ok();
    let fetched = s.dits("bob", "fetch").exits(3);
    fetched.warns(" ! [rejected]        side/a     -> origin/side/a  (`refs/remotes/origin/side` is in the way;");
    assert_eq!(s.id("bob", "origin/main"), s.id("ada", "main"));
    s.dits("bob", "pull -q").exits(3);
    s.dits("bob", "fetch --prune").ok();
    assert_eq!(s.id("bob", "origin/side/a"), s.id("bob", "origin/main~1"));
    s.dits("bob", "pull -q").ok();
    s.same_files("ada", "bob");
    // The other way round.
    s.dits("ada", "push -q origin :side/a").ok();
    s.dits("ada", "push -q origin main:refs/branches/side").ok();
    s.dits("bob", "fetch").exits(3).warns("`refs/remotes/origin/side/a` is in the way");
    s.dits("bob", "fetch -p").ok();
}
