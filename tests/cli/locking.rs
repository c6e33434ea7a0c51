//! Locks as two artists meet them: read-only files, who has what, what a push refuses, and what is said of it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use dits_testkit::random::bytes;
use dits_testkit::{Background, Finished, built};
use serde_json::Value;

use crate::inspect::json;
use crate::sharing::Studio;

const DITS: &str = env!("CARGO_BIN_EXE_dits");
const SOON: Duration = Duration::from_secs(60);
pub const MAP: &str = "Maps/Level_01.umap";

/// Clones `ada` and `bob` of a repository on a server, with a map that is lockable.
pub struct Set {
    pub s: Studio,
    /// `None` where the repository is a folder on this machine.
    pub server: Option<Background>,
    tokens: [String; 2],
}

impl Set {
    /// With a server, where `ada` may administrate and `bob` may not.
    pub fn served() -> Self {
        let s = Studio::new();
        let run = |words: &str| {
            let mut command = s.sandbox.command(built("dits-server"));
            command.args(words.split(' ')).arg("--root").arg(s.sandbox.beside("root"));
            command
        };
        s.sandbox.run(run("repo create film")).ok();
        let token = |name: &str, rights: &str| {
            let made = s.sandbox.run(run(&format!("token create {name} --repository film --allow {rights}"))).ok();
            made.out().trim().to_owned()
        };
        let tokens = [token("ada", "read,write,lock,admin"), token("bob", "read,write,lock")];
        let mut server = s.sandbox.spawn(run("serve --listen 127.0.0.1:0"));
        let line = server.wait_for("serving on ", SOON);
        let address = line["serving on ".len()..].split(',').next().unwrap().to_owned();
        let set = Self { s, server: Some(server), tokens };
        set.begin(&format!("dits://{address}/film"));
        set
    }

    /// With a repository in a folder, where both are the same person.
    fn local() -> Self {
        let set = Self { s: Studio::new(), server: None, tokens: [String::new(), String::new()] };
        set.begin("server");
        set
    }

    fn begin(&self, url: &str) {
        self.dits("", &format!("clone -q {url} ada")).ok();
        self.s.write("ada/.ditsattributes", b"*.umap lockable\n*.blend release=merge\n*.psd release=manual\n");
        self.s.write(&format!("ada/{MAP}"), &bytes(1, 20_000));
        self.s.write("ada/Maps/Level_02.umap", &bytes(2, 20_000));
        self.s.write("ada/shot.blend", &bytes(3, 20_000));
        self.s.write("ada/notes.txt", b"one\n");
        self.commit("ada", "one");
        self.dits("ada", "push -q").ok();
        self.dits("", &format!("clone -q {url} bob")).ok();
        self.dits("ada", "locks --apply -q").ok();
    }

    /// Nobody answers any more.
    pub fn stop_server(&self) {
        if let Some(server) = &self.server {
            server.signal(rustix::process::Signal::KILL);
        }
    }

    /// What the server knows somebody by.
    pub fn token(&self, who: &str) -> &str {
        &self.tokens[usize::from(who != "ada")]
    }

    /// A command in a clone, with the token of the person it is called after.
    #[track_caller]
    pub fn dits(&self, at: &str, line: &str) -> Finished {
        let mut command = self.s.sandbox.dits_command(line.split(' '));
        command.current_dir(self.s.path(at)).env("DITS_TOKEN", self.token(at));
        self.s.sandbox.run(command)
    }

    #[track_caller]
    pub fn commit(&self, at: &str, message: &str) {
        self.dits(at, "add -A -q").ok();
        self.dits(at, &format!("commit -q -m {message}")).ok();
    }

    fn path(&self, at: &str, file: &str) -> PathBuf {
        self.s.path(at).join(file)
    }

    /// Whether a file can be written, by its bits: the tests may run as a user who can write everything.
    fn writable(&self, at: &str, file: &str) -> bool {
        std::fs::metadata(self.path(at, file)).unwrap().permissions().mode() & 0o200 != 0
    }

    /// Changes a file, whatever its bits say.
    fn edit(&self, at: &str, file: &str, seed: u64) {
        let path = self.path(at, file);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode | 0o200)).unwrap();
        std::fs::write(&path, bytes(seed, 20_000)).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[track_caller]
    pub fn locks(&self, at: &str, more: &str) -> Vec<Value> {
        let answer = json(self.dits(at, format!("locks --json {more}").trim()).ok());
        answer["locks"].as_array().unwrap().clone()
    }
}

/// The answer of a command that failed.
#[track_caller]
fn answer(done: &Finished) -> Value {
    serde_json::from_slice(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done}"))
}

#[test]
fn two_artists_and_one_map() {
    let mut set = Set::served();
    assert!(!set.writable("ada", MAP) && !set.writable("bob", MAP), "read-only until locked");
    assert!(set.writable("bob", "notes.txt"));
    let mut lock = set.s.sandbox.dits_command(["lock", MAP, "--reason", "new lighting"]);
    lock.current_dir(set.s.path("ada")).env("DITS_TOKEN", &set.tokens[0]);
    set.s.sandbox.run(lock).ok().says("Locked Maps/Level_01.umap");
    assert!(set.writable("ada", MAP));
    assert!(set.dits("ada", "status -s").ok().out().is_empty(), "bits are no change");
    let listed = set.dits("bob", "locks").ok().out();
    assert!(listed.contains(MAP) && listed.contains("ada") && listed.contains("new lighting"), "{listed}");
    set.dits("ada", "locks").ok().says("you");
    let refused = set.dits("bob", &format!("lock {MAP}")).exits(4);
    refused.warns("is locked by ada (").warns("new lighting").warns("ask ada").warns("dits lock --wait");
    let refused = answer(&set.dits("bob", &format!("lock --json {MAP}")).exits(4));
    let one = &refused["refused"][0];
    assert_eq!((&one["why"], &one["lock"]["holder"], &one["path"]), (&"held".into(), &"ada".into(), &MAP.into()));
    assert!(one["lock"]["folder"].as_str().unwrap().ends_with("/ada") && one["lock"]["mine"] == false, "{one}");
    // Bob does it all the same, and is told each time.
    set.edit("bob", MAP, 7);
    set.dits("bob", "status").ok().says("Changed, and not locked by you:").says("is locked by ada");
    set.dits("bob", &format!("add {MAP}")).ok().warns("is locked by ada");
    set.dits("bob", "commit -q -m mine").ok().warns("is locked by ada");
    let push = set.dits("bob", "push").exits(4).warns("(locked files)").warns("is locked by ada (");
    push.warns("your commits are safe here");
    let push = answer(&set.dits("bob", "push --json").exits(4));
    assert_eq!((&push["locked"][0]["why"], &push["refs"][0]["status"]), (&"held".into(), &"remote-rejected".into()));
    set.dits("bob", "reset -q --hard HEAD~1").ok();
    assert!(!set.writable("bob", MAP));
    // Ada is done, and with her push the map is free.
    set.edit("ada", MAP, 8);
    set.commit("ada", "light");
    set.dits("ada", "push").ok();
    assert!(set.locks("ada", "").is_empty() && !set.writable("ada", MAP));
    let stale = set.dits("bob", &format!("lock {MAP}")).exits(4);
    stale.warns("has a newer version on origin/main").warns("`dits pull` first");
    set.dits("bob", "pull -q").ok();
    set.dits("bob", &format!("edit {MAP}")).ok();
    assert!(set.writable("bob", MAP) && set.locks("ada", "--theirs").len() == 1);
    // Who administrates may take it away; the loser learns of it with the next push at the latest.
    set.dits("bob", &format!("unlock --force {MAP}")).ok();
    set.dits("bob", &format!("lock {MAP}")).ok();
    set.dits("ada", &format!("unlock {MAP}")).exits(4).warns("is locked by bob");
    set.dits("ada", &format!("unlock --force {MAP}")).ok().warns("taken away");
    set.edit("bob", MAP, 9);
    set.commit("bob", "late");
    set.dits("bob", "push").exits(4).warns("was locked by you, and is not any more");
    assert_eq!(json(set.dits("bob", "locks --json").ok())["lost"][0], MAP);
    set.dits("bob", &format!("lock {MAP}")).ok();
    set.dits("bob", "push").ok();
    set.dits("ada", &format!("lock {MAP}")).exits(4).warns("dits pull");
    set.dits("ada", "pull -q").ok();
    set.dits("ada", &format!("lock {MAP}")).ok();
    set.dits("bob", &format!("unlock --force {MAP}")).exits(4).warns("ask ada");
    set.dits("bob", "locks").ok().says("ada");
    set.server.take().unwrap().terminate(SOON).ok();
    set.dits("bob", &format!("lock {MAP}")).exits(5).warns("dits edit --offline");
    set.dits("bob", &format!("edit {MAP}")).exits(5).warns("dits edit --offline");
    set.dits("bob", "locks").exits(5).says("ada");
    set.dits("bob", "locks --cached").ok().says("ada");
}

#[test]
fn any_number_of_files_all_or_nothing() {
    let set = Set::local();
    set.dits("ada", "lock Maps/*.umap").ok().says("Locked Maps/Level_01.umap").says("Locked Maps/Level_02.umap");
    assert_eq!(set.locks("ada", "--mine").len(), 2);
    set.dits("ada", "unlock Maps/Level_02.umap").ok();
    let refused = set.dits("bob", "lock Maps").exits(4);
    refused.warns("nothing was locked").warns("`Maps/Level_01.umap` is locked by").warns("another clone of yours");
    assert!(set.locks("bob", "--mine").is_empty() && !set.writable("bob", "Maps/Level_02.umap"));
    let partial = answer(&set.dits("bob", "lock --partial --json Maps").exits(4));
    assert_eq!(partial["locked"][0]["path"], "Maps/Level_02.umap");
    assert!(set.writable("bob", "Maps/Level_02.umap") && !set.writable("bob", MAP));
    assert_eq!(set.locks("bob", "Maps/Level_02.umap").len(), 1);
    assert_eq!(set.locks("bob", "--theirs --path Maps").len(), 1);
    set.dits("bob", "lock nothing/*.umap").exits(1).warns("matches no file");
    // A name that no file has yet can be taken.
    set.dits("bob", "lock Maps/Level_03.umap").ok();
    set.dits("ada", "lock maps/level_03.UMAP").exits(4).warns("is locked by");
    set.dits("bob", "unlock .").ok();
    set.dits("bob", "unlock notes.txt").exits(1).warns("nobody has locked");
    // One's own lock in another clone can always be taken away.
    set.dits("bob", &format!("unlock --force {MAP}")).ok().warns("taken away");
    set.dits("bob", &format!("lock {MAP}")).ok();
    set.dits("ada", "locks -q").ok();
    assert!(!set.writable("ada", MAP), "lost, and read-only again");
}

/// A job that waits until its lease was renewed, and then does something.
fn job(set: &Set, then: &str) -> String {
    let expires = format!("{DITS} locks --json | tr ',' '\\n' | grep -m1 '\"expires\":[0-9]' | tr -dc 0-9");
    let text = format!(
        "#!/bin/sh\nfirst=$({expires})\n[ -n \"$first\" ] || exit 99\n\
         until [ \"$({expires})\" -gt \"$first\" ] 2>/dev/null; do sleep 0.1; done\n{then}\n"
    );
    set.s.write("job.sh", text.as_bytes());
    format!("sh {}", set.s.path("job.sh").display())
}

#[test]
fn a_lease_lasts_as_long_as_a_command_runs() {
    let set = Set::served();
    let run = |then: &str| {
        let mut command = set.s.sandbox.dits_command(["lock", "--ttl", "3s", MAP, "shot.blend", "--exec"]);
        command.arg(job(&set, then)).current_dir(set.s.path("ada")).env("DITS_TOKEN", set.token("ada"));
        set.s.sandbox.run(command)
    };
    // Root may write everything.
    let expected = format!("[ -n \"$(find {MAP} -perm -200)\" ] && exit 7");
    run(&expected).exits(7).says("Locked Maps/Level_01.umap").warns("Released 2 files");
    assert!(!set.writable("ada", MAP), "it is read-only again");
    set.dits("bob", &format!("lock {MAP}")).ok();
    run("exit 0").exits(4).warns("bob");
    set.dits("bob", &format!("unlock {MAP}")).ok();
    // What it changed stays locked for as long as the lease is, and what it pushed is free.
    run("echo new > shot.blend; kill -TERM $$").exits(128 + 15).warns("shot.blend has changes that are not committed");
    set.dits("ada", "unlock -q --keep-changes shot.blend").ok();
    run(&format!("{DITS} add -A && {DITS} commit -qm two && {DITS} push -q")).ok();
    set.dits("bob", &format!("lock -q {MAP}")).ok();
    set.dits("ada", &format!("lock --json --exec true {MAP}")).exits(2).warns("do not go together");
    set.dits("ada", "lock -q notes.txt").ok();
    set.dits("ada", "lock notes.txt --exec true").exits(4).warns("locked by this clone already");
    set.dits("ada", "release -q").ok();
    // SIGTERM ends all that it has started, and the lock.
    let mut command = set.s.sandbox.dits_command(["lock", "notes.txt", "--exec", "sleep 1000; echo not reached"]);
    command.current_dir(set.s.path("ada")).env("DITS_TOKEN", set.token("ada"));
    let mut running = set.s.sandbox.spawn(command);
    running.wait_for("Locked notes.txt", SOON);
    running.signal(rustix::process::Signal::TERM);
    running.wait(SOON).exits(128 + 15).warns("Released 1 file");
}

#[test]
fn shared_locks_leases_and_waiting() {
    let set = Set::local();
    set.dits("ada", &format!("lock --shared {MAP}")).ok();
    set.dits("bob", &format!("lock --shared {MAP}")).ok();
    assert_eq!(set.locks("ada", "").len(), 2);
    set.dits("ada", &format!("lock {MAP}")).exits(4);
    set.dits("ada", &format!("unlock {MAP}")).ok();
    set.dits("bob", &format!("unlock {MAP}")).ok();
    set.dits("ada", &format!("lock --ttl soon {MAP}")).exits(2).warns("use a time such as");
    set.dits("ada", &format!("lock --ttl 3s {MAP}")).ok();
    set.dits("bob", &format!("lock --wait {MAP}")).ok().warns("waiting: Maps/Level_01.umap is locked by");
    assert!(set.writable("bob", MAP));
}

#[test]
fn files_are_read_only_wherever_they_come_from() {
    let set = Set::local();
    set.dits("ada", "switch -q -c side").ok();
    set.dits("ada", &format!("lock {MAP}")).ok();
    set.edit("ada", MAP, 5);
    set.edit("ada", "Maps/Level_02.umap", 6);
    set.commit("ada", "side");
    assert!(set.writable("ada", MAP) && !set.writable("ada", "Maps/Level_02.umap"));
    set.dits("ada", "switch -q main").ok();
    assert!(set.writable("ada", MAP) && !set.writable("ada", "Maps/Level_02.umap"), "switch");
    set.dits("ada", "merge -q side").ok();
    assert!(set.writable("ada", MAP) && !set.writable("ada", "Maps/Level_02.umap"), "merge");
    std::fs::remove_file(set.path("ada", "Maps/Level_02.umap")).unwrap();
    set.dits("ada", "restore Maps/Level_02.umap").ok();
    assert!(!set.writable("ada", "Maps/Level_02.umap"), "restore");
    set.edit("ada", "Maps/Level_02.umap", 9);
    set.dits("ada", "stash -q").ok();
    assert!(!set.writable("ada", "Maps/Level_02.umap"), "stash");
    set.dits("ada", "stash pop -q").ok();
    assert!(!set.writable("ada", "Maps/Level_02.umap"), "stash pop");
    set.dits("ada", "reset -q --hard").ok();
    // Rules that come and go.
    set.s.write("ada/.ditsattributes", b"*.txt lockable\n");
    set.dits("ada", "add .ditsattributes").ok();
    assert!(!set.writable("ada", "notes.txt"), "staged rules hold");
    set.dits("ada", "locks --apply").ok();
    assert!(set.writable("ada", "Maps/Level_02.umap"), "and what is lockable no more can be written");
    set.dits("ada", "commit -q -m rules").ok();
    set.dits("ada", "switch -q side").ok();
    assert!(set.writable("ada", "notes.txt") && !set.writable("ada", "Maps/Level_02.umap"), "rules of another branch");
    set.dits("ada", "switch -q main").ok();
    assert!(!set.writable("ada", "notes.txt") && set.writable("ada", "Maps/Level_02.umap"));
    assert!(set.dits("ada", "status -s").ok().out().is_empty());
    set.dits("ada", "worktree add -q ../tree side").ok();
    let mode = |file: &str| std::fs::metadata(set.path("tree", file)).unwrap().permissions().mode() & 0o200;
    assert!(mode(MAP) != 0 && mode("Maps/Level_02.umap") == 0, "a worktree belongs to its clone");
}

#[test]
fn changes_are_not_given_back_by_the_way() {
    let set = Set::local();
    set.dits("ada", "lock Maps notes.txt").ok();
    set.edit("ada", MAP, 5);
    set.dits("ada", &format!("unlock {MAP}"))
        .exits(4)
        .warns("has changes that are not committed")
        .warns("--keep-changes");
    let released = json(set.dits("ada", "release --json").ok());
    assert_eq!(released["kept"][0]["path"], MAP);
    assert_eq!(released["released"].as_array().unwrap().len(), 2);
    assert_eq!(set.locks("ada", "").len(), 1);
    set.commit("ada", "changed");
    set.dits("ada", "release").ok().warns("not pushed: it stays locked");
    set.dits("ada", &format!("unlock --keep-changes {MAP}")).ok();
    assert!(set.locks("ada", "").is_empty() && !set.writable("ada", MAP));
    set.dits("ada", "push").ok();
}

#[test]
fn offline_edits_are_locked_with_the_push() {
    let set = Set::local();
    set.dits("ada", &format!("edit --offline {MAP}")).ok().says("not locked yet");
    assert!(set.writable("ada", MAP) && set.locks("bob", "").is_empty());
    set.dits("ada", "locks --cached").ok().says("not locked yet");
    set.edit("ada", MAP, 5);
    set.dits("ada", "status").ok().says("is not locked yet; it was made editable offline");
    set.commit("ada", "offline");
    set.dits("bob", "lock notes.txt").ok();
    set.dits("ada", "push").ok();
    assert_eq!(json(set.dits("ada", "locks --json").ok())["offline"].as_array().unwrap().len(), 0);
    assert!(!set.writable("ada", MAP));
    // Somebody was faster.
    set.dits("bob", "pull -q").ok();
    set.dits("bob", &format!("lock {MAP}")).ok();
    set.dits("ada", &format!("edit --offline {MAP}")).ok();
    set.edit("ada", MAP, 6);
    set.commit("ada", "again");
    set.dits("ada", "push").exits(4).warns("is locked by");
    set.dits("ada", "lock Maps/Level_02.umap").ok().warns("it was made editable offline, and stays so");
}

#[test]
fn a_change_that_waits_for_the_main_line_is_not_changed_elsewhere() {
    let set = Set::local();
    set.dits("ada", "switch -q -c look").ok();
    set.dits("ada", "lock shot.blend").ok();
    set.edit("ada", "shot.blend", 5);
    set.commit("ada", "look");
    set.dits("ada", "push -q -u origin look").ok();
    assert!(!set.writable("ada", "shot.blend"));
    set.dits("bob", "lock shot.blend")
        .exits(4)
        .warns("on `look`, which is not on the main line yet")
        .warns("dits merge origin/look");
    set.dits("bob", "locks").ok().says("done, on look");
    set.dits("bob", "fetch -q").ok();
    set.dits("bob", "merge -q origin/look").ok();
    set.dits("bob", "push").ok();
    assert!(set.locks("bob", "").is_empty(), "it has reached the main line");
    set.dits("bob", "lock shot.blend").ok();
}

#[test]
fn a_locked_file_that_moves_is_locked_in_both_places() {
    let set = Set::local();
    set.dits("ada", &format!("lock {MAP}")).ok();
    set.dits("ada", &format!("mv {MAP} Maps/Intro.umap")).ok();
    assert_eq!(set.locks("bob", "").len(), 2);
    assert!(set.writable("ada", "Maps/Intro.umap"));
    set.dits("bob", "lock Maps/Intro.umap").exits(4);
    set.dits("ada", "commit -q -m moved").ok();
    set.dits("ada", "push").ok();
    assert!(set.locks("bob", "").is_empty());
    set.dits("bob", "lock Maps/Level_02.umap").ok();
    set.dits("bob", "lock Maps/Elsewhere.umap").ok();
    set.dits("ada", "lock Maps/Intro.umap").ok();
    set.dits("ada", "mv Maps/Intro.umap Maps/Elsewhere.umap").ok().warns("is locked by").warns("the push will tell");
}

#[test]
fn rules_are_suggested_for_what_is_there() {
    let set = Set::local();
    set.s.write("ada/cover.PSD", b"8BPS");
    set.s.write("ada/edit.prproj", b"x");
    set.commit("ada", "more");
    let suggested = json(set.dits("ada", "lock --suggest --json").ok());
    assert_eq!(suggested["suggested"], serde_json::json!(["*.PSD lockable", "*.prproj lockable"]));
    assert!(!set.writable("ada", "edit.prproj"));
    let text = std::fs::read_to_string(set.path("ada", ".ditsattributes")).unwrap();
    assert!(text.starts_with("*.umap lockable\n") && text.ends_with("*.prproj lockable\n"), "{text}");
    set.dits("ada", "lock slip.umap").ok().warns("there is no slip.umap yet: only its name is locked").says("Locked");
    set.dits("ada", "lock --suggest").ok().warns("no file that dits knows is of a binary format without a rule");
}

#[test]
fn a_clone_without_locks_and_one_without_remote() {
    let set = Set::local();
    set.s.dits(".", "init -q alone").ok();
    set.s.write("alone/a.psd", b"x");
    set.s.dits("alone", "add a.psd").ok();
    set.s.dits("alone", "lock a.psd").exits(2).warns("has no remote").warns("dits remote add origin URL");
    set.dits("ada", "locks").ok().warns("nothing is locked");
    set.dits("ada", "release").ok().warns("you have locked nothing");
    // Damage is told, with what is lost.
    set.dits("ada", &format!("lock {MAP}")).ok();
    let file = set.path("ada", ".dits/locks/remotes/origin");
    std::fs::write(&file, b"damaged").unwrap();
    set.dits("ada", "locks").ok().warns("is damaged").warns("edit --offline").says("you");
    set.edit("ada", MAP, 5);
    set.commit("ada", "tokenless");
    set.dits("ada", "push").ok();
    assert!(set.locks("ada", "").is_empty(), "the lock was asked for again, and has ended with the push");
    // A copy of a clone is another clone.
    set.dits("ada", &format!("lock {MAP}")).ok();
    let copied = std::process::Command::new("cp").arg("-r").arg(set.s.path("ada")).arg(set.s.path("copy")).status();
    assert!(copied.unwrap().success());
    set.dits("copy", &format!("lock {MAP}")).exits(4).warns("another clone of yours");
}

#[test]
fn a_repository_with_files_that_others_clone_keeps_both_its_tables() {
    let s = Studio::new();
    s.dits(".", "init -q here").ok();
    s.write("here/.ditsattributes", b"*.psd lockable\n");
    s.write("here/cover.psd", b"8BPS");
    s.commit("here", "one");
    s.dits(".", "clone -q here bob").ok();
    s.dits("bob", "lock cover.psd").ok().says("Locked cover.psd");
    assert!(s.path("here/.dits/locks/table.redb").exists());
    // What it keeps of a remote of its own stands beside the table in which others lock.
    s.dits("here", &format!("remote add origin {}", s.path("server").display())).ok();
    s.dits("here", "push -q origin main").ok();
    s.dits("here", "lock cover.psd").ok();
    s.write("here/notes.txt", b"one\n");
    for line in ["status", "add -A", "locks", "commit -m more", "push -u origin main"] {
        let done = s.dits("here", line).ok();
        let said = done.err();
        assert!(!said.contains("damaged"), "{line}: {said}");
    }
    let kept: Vec<_> =
        std::fs::read_dir(s.path("here/.dits/locks/remotes")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(
        kept.contains(&"origin".into()) && kept.iter().all(|name| name.to_string_lossy().starts_with("origin")),
        "{kept:?}"
    );
    s.dits("bob", "unlock cover.psd").ok();
}

#[test]
fn who_goes_on_working_keeps_the_lock() {
    let set = Set::served();
    set.dits("ada", &format!("lock {MAP}")).ok();
    set.edit("ada", MAP, 20);
    set.commit("ada", "light");
    set.edit("ada", MAP, 21);
    set.dits("ada", "push").ok().warns(&format!("{MAP} has further changes that are not committed: it stays locked"));
    assert!(set.writable("ada", MAP));
    set.dits("bob", "pull -q").ok();
    set.dits("bob", &format!("lock {MAP}")).exits(4).warns("is locked by ada");
    set.commit("ada", "more");
    set.dits("ada", "push -q").ok();
    assert!(set.locks("bob", "").is_empty() && !set.writable("ada", MAP));
}

#[test]
fn changes_in_another_worktree_keep_a_lock() {
    let set = Set::local();
    set.dits("ada", "worktree add -q -b side ../side").ok();
    set.dits("ada", &format!("lock {MAP} shot.blend notes.txt")).ok();
    set.edit("side", MAP, 30);
    set.s.write("side/notes.txt", b"two\n");
    set.dits("side", "add notes.txt").ok();
    set.dits("side", "commit -q -m notes").ok();
    set.dits("ada", &format!("unlock {MAP}")).exits(4).warns("has changes that are not committed in ").warns("side");
    let released = set.dits("ada", "release").ok();
    released.warns("notes.txt has changes that are not pushed in ").says("Released shot.blend");
    assert_eq!(set.locks("bob", "").len(), 2);
}
