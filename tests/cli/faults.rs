//! Writers that meet each other, full disks, failing disks, Ctrl-C and sudden death: nothing acknowledged is lost, what
//! failed says so, and the next command works.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dits_testkit::mount::{Kind, Mounted};
use dits_testkit::strace::{self, Fault};
use dits_testkit::{Finished, Sandbox, random};

const DITS: &str = env!("CARGO_BIN_EXE_dits");
const LIMIT: Duration = Duration::from_secs(60);
/// More calls of one command than these are alike: `gc` removes thousands of files one by one.
const MANY: usize = 400;

/// The calls that a full disk can refuse.
const GROWING: &str = "write,pwrite64,writev,pwritev,rename,renameat,renameat2,linkat,symlinkat,mkdir,mkdirat,fsync,\
                       fdatasync,ftruncate";

/// A command, and what has to be there before it.
struct Case {
    name: &'static str,
    prepare: &'static [&'static [&'static str]],
    command: &'static [&'static str],
}

const CASES: [Case; 7] = [
    Case { name: "add", prepare: &[], command: &["add", "-A", "."] },
    Case { name: "commit", prepare: &[&["add", "-A", "."]], command: &["commit", "-m", "second"] },
    Case { name: "switch", prepare: &[&["reset", "--hard"]], command: &["switch", "topic"] },
    Case { name: "merge", prepare: &[&["reset", "--hard"]], command: &["merge", "-m", "merged", "topic"] },
    Case { name: "reset", prepare: &[], command: &["reset", "--hard"] },
    Case { name: "stash", prepare: &[], command: &["stash"] },
    Case { name: "gc", prepare: &[&["add", "-A", "."], &["reset", "--hard"]], command: &["gc", "--prune=now"] },
];

/// A repository with two branches and changes that are not staged; every try works on a copy.
struct Rig {
    sandbox: Sandbox,
    case: &'static Case,
}

impl Rig {
    fn new(case: &'static Case) -> Self {
        let sandbox = Sandbox::with_repository(DITS).limit(LIMIT);
        for i in 0..12 {
            sandbox.write(format!("shots/{i:02}"), random::text(i, 300));
        }
        sandbox.write("film", random::bytes(7, 400_000));
        let run = |args: &[&str]| drop(sandbox.dits(args).ok());
        run(&["add", "."]);
        run(&["commit", "-m", "first"]);
        if case.name != "add" && case.name != "commit" {
            run(&["switch", "-c", "topic"]);
            fs::remove_file(sandbox.path("shots/03")).unwrap();
            sandbox.write("shots/03/a folder now", b"x");
            sandbox.write("film", random::bytes(8, 500_000));
            run(&["add", "-A", "."]);
            run(&["commit", "-m", "on topic"]);
            run(&["switch", "main"]);
            sandbox.write("only on main", b"y");
            run(&["add", "-A", "."]);
            run(&["commit", "-m", "on main"]);
        }
        sandbox.write("shots/01", b"changed");
        fs::remove_file(sandbox.path("shots/02")).unwrap();
        for i in 0..12 {
            sandbox.write(format!("new/{i:02}"), random::text(100 + i, 300));
        }
        sandbox.write("take two", random::bytes(9, 1_500_000));
        case.prepare.iter().for_each(|args| run(args));
        Self { sandbox, case }
    }

    /// A fresh copy of the repository.
    fn copy(&self) -> PathBuf {
        let at = self.sandbox.beside("copy");
        let _ = fs::remove_dir_all(&at);
        let done = std::process::Command::new("cp").arg("-a").arg(self.sandbox.path("")).arg(&at).status().unwrap();
        assert!(done.success());
        at
    }

    fn command(&self, at: &Path) -> std::process::Command {
        let mut command = self.sandbox.dits_command(["-c", "core.threads=1"].iter().chain(self.case.command));
        command.current_dir(at);
        command
    }

    /// What an undisturbed run leads to.
    fn expected(&self) -> String {
        let at = self.copy();
        self.sandbox.run(self.command(&at)).ok();
        self.outcome(&at)
    }

    fn outcome(&self, at: &Path) -> String {
        let head = dits_core::repo::Repository::discover(at, &Default::default()).unwrap().head().unwrap();
        format!("{:?}\n", head.commit()) + &self.sandbox.dits_in(at, ["status", "--porcelain", "-b"]).ok().out()
    }

    /// After a fault: the repository is whole, and the same command leads where it should.
    fn judge(&self, at: &Path, expected: &str, what: &str) {
        let in_copy = |args: &[&str]| self.sandbox.dits_in(at, args);
        in_copy(&["fsck", "--full"]).ok();
        in_copy(&["status"]).ok();
        let again = self.sandbox.run(self.command(at));
        if again.code != Some(0) && self.case.name == "merge" {
            in_copy(&["merge", "--abort"]).ok();
            self.sandbox.run(self.command(at)).ok();
        }
        let mut outcome = self.outcome(at);
        if outcome != expected && self.case.name == "stash" {
            in_copy(&["stash"]).ok(); // the entry was made, the worktree was not cleaned
            outcome = self.outcome(at);
        }
        assert_eq!(outcome, expected, "after {what}; {again}");
    }

    /// Runs the command with `fault` at a sample of the calls it makes, in the long suite at all or [`MANY`] of them.
    fn at_calls(&self, calls: &str, fault: Fault, sample: usize, verdict: impl Fn(&str, &Finished)) {
        let expected = self.expected();
        let points = strace::points(&self.command(&self.copy()), calls, LIMIT).unwrap();
        let all = std::env::var_os(dits_testkit::LONG).is_some();
        let wanted = if all { MANY } else { sample }.min(points.len());
        for number in 0..wanted {
            // From the first to the last.
            let (call, when) = &points[number * (points.len() - 1) / (wanted - 1).max(1)];
            let at = self.copy();
            let done = self.sandbox.run(strace::inject(&self.command(&at), call, fault, *when));
            let what = format!("{fault:?} at {call} {when} of {}: {done}", self.case.name);
            verdict(&what, &done);
            self.judge(&at, &expected, &what);
        }
    }
}

fn killed(name: &str) {
    if !strace::available(name) {
        return;
    }
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let rig = Rig::new(case);
    rig.at_calls(strace::MUTATING, Fault::Kill, 6, |_, _| {});
    rig.at_calls(strace::MUTATING, Fault::Interrupt, 3, |what, done| {
        // Before the handler is there, the signal itself ends it.
        let fine = [Some(0), Some(130)].contains(&done.code) || done.signal == Some(2);
        assert!(fine, "{what}");
    });
}

/// No error is swallowed, and none does harm.
fn failing(name: &str) {
    if !strace::available(name) {
        return;
    }
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let rig = Rig::new(case);
    let fails = |what: &str, done: &Finished| {
        assert!(![None, Some(0), Some(6), Some(101)].contains(&done.code), "{what}");
    };
    rig.at_calls("fsync,fdatasync", Fault::Error("EIO"), 4, fails);
    rig.at_calls(GROWING, Fault::Error("ENOSPC"), 5, |what, done| {
        assert!(![None, Some(6), Some(101)].contains(&done.code), "{what}");
    });
}

macro_rules! every_case {
    ($($test:ident, $name:literal;)*) => {
        mod death {
            $(#[test] fn $test() { super::killed($name); })*
        }
        mod errors {
            $(#[test] fn $test() { super::failing($name); })*
        }
    };
}

every_case! {
    add, "add";
    commit, "commit";
    switch, "switch";
    merge, "merge";
    reset, "reset";
    stash, "stash";
    gc, "gc";
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let sandbox = Sandbox::with_repository(DITS).limit(LIMIT);
    let (writers, rounds) = (6, 4);
    let outcomes: Vec<(String, Finished, Finished)> = std::thread::scope(|scope| {
        let write = |writer: u64| {
            let sandbox = &sandbox;
            move || {
                let mut done = Vec::new();
                for round in 0..rounds {
                    let name = format!("w{writer}-{round}");
                    sandbox.write(&name, random::bytes(writer * 100 + round, 20_000));
                    let added = sandbox.dits(["add", &name]);
                    let committed = sandbox.dits(["commit", "-m", &name]);
                    done.push((name, added, committed));
                }
                done
            }
        };
        let threads: Vec<_> = (0..writers).map(|writer| scope.spawn(write(writer))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    sandbox.dits(["fsck", "--full"]).ok();
    let listed = sandbox.dits(["ls-files"]).ok().out();
    let mut commits = 0;
    for (name, added, committed) in &outcomes {
        assert!([Some(0), Some(4)].contains(&added.code), "{added}");
        // 1: another one's commit took the file along.
        assert!([Some(0), Some(1), Some(4)].contains(&committed.code), "{committed}");
        commits += usize::from(committed.code == Some(0));
        assert_eq!(added.code == Some(0), listed.lines().any(|line| line == name), "{name}: {added}\n{listed}");
    }
    assert_eq!(history(&sandbox.path("")), commits, "every commit that was acknowledged is in the history");
    assert!(commits >= rounds as usize, "{commits} commits");
    sandbox.dits(["commit", "-m", "the rest"]);
    assert_eq!(sandbox.dits(["status", "--porcelain"]).ok().out(), "");
}

/// How many commits lead to HEAD.
fn history(at: &Path) -> usize {
    let repo = dits_core::repo::Repository::discover(at, &Default::default()).unwrap();
    let mut next = repo.head().unwrap().commit();
    let mut count = 0;
    while let Some(id) = next {
        next = dits_core::commit::Commit::read(repo.store(), id).unwrap().parents.first().copied();
        count += 1;
    }
    count
}

#[test]
fn a_full_disk_changes_nothing() {
    for kind in [Kind::Tmpfs, Kind::Ext4] {
        let Some(disk) = Mounted::new("a_full_disk_changes_nothing", kind, 32) else { return };
        let sandbox = Sandbox::new(DITS).limit(LIMIT);
        let at = disk.path().join("project");
        fs::create_dir(&at).unwrap();
        let dits = |args: &[&str]| sandbox.dits_in(&at, args);
        dits(&["init"]).ok();
        random::file(&at.join("first"), 1, 100_000).unwrap();
        dits(&["add", "."]).ok();
        dits(&["commit", "-m", "first"]).ok();
        random::file(&at.join("film"), 2, 11 << 20).unwrap();
        let filler = disk.path().join("filler");
        random::file(&filler, 3, 11 << 20).unwrap();
        let before = files(&at.join(".dits"));
        let done = dits(&["add", "."]);
        assert_eq!(done.code, Some(2), "{done}");
        done.warns("disk is full");
        assert_eq!(files(&at.join(".dits")), before, "{kind:?}: something was left behind");
        dits(&["fsck", "--full"]).ok();
        let status = dits(&["status", "--porcelain"]).ok();
        assert_eq!(status.out(), "?? film\n");
        fs::remove_file(&filler).unwrap();
        dits(&["add", "."]).ok();
        dits(&["commit", "-m", "second"]).ok();
        dits(&["fsck", "--full"]).ok();
        // A checkout that finds no room leaves the old file, whole.
        fs::write(at.join("film"), "a short cut").unwrap();
        random::file(&filler, 4, 7 << 20).unwrap();
        dits(&["commit", "-a", "-m", "short"]).ok();
        random::file(&disk.path().join("filler 2"), 4, 5 << 20).unwrap();
        let done = dits(&["switch", "--detach", "HEAD~1"]);
        assert!(done.code == Some(2), "{done}");
        assert_eq!(fs::read(at.join("film")).unwrap(), b"a short cut");
        fs::remove_file(disk.path().join("filler 2")).unwrap();
        fs::remove_file(&filler).unwrap();
        dits(&["switch", "--detach", "HEAD~1"]).ok();
        assert_eq!(fs::metadata(at.join("film")).unwrap().len(), 11 << 20);
        assert_eq!(dits(&["status", "--porcelain"]).ok().out(), "");
    }
}

/// Files below `.dits`, without those that are rewritten whenever somebody looks.
fn files(dits: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut todo = vec![dits.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let meta = entry.metadata().unwrap();
            if meta.is_dir() {
                todo.push(entry.path());
            } else if entry.file_name() != "clock" && entry.path().extension().is_none_or(|e| e != "lock") {
                found.push((entry.path(), meta.len()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_cannot_be_read_is_never_unmodified() {
    if !strace::available("what_cannot_be_read_is_never_unmodified") {
        return;
    }
    let sandbox = Sandbox::with_repository(DITS).limit(LIMIT);
    for name in ["film", "other"] {
        sandbox.write(name, random::bytes(1, 300_000));
    }
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "first"]).ok();
    // Same size, another mtime: only reading tells.
    let film = sandbox.write("film", random::bytes(2, 300_000));
    let reads = "read,pread64,readv,preadv,copy_file_range,mmap";
    for args in [&["status"][..], &["add", "."], &["commit", "-a", "-m", "x"]] {
        let command = strace::inject_on(&sandbox.dits_command(args), &film, reads, Fault::Error("EIO"));
        let done = sandbox.run(command);
        assert!(![None, Some(0), Some(6), Some(101)].contains(&done.code), "{done}");
        assert!(format!("{}{}", done.out(), done.err()).contains("film"), "the file is not named: {done}");
    }
    assert_eq!(sandbox.dits(["status", "--porcelain"]).ok().out(), " M film\n");
}

#[test]
fn a_file_without_permission_is_an_error() {
    let test = "a_file_without_permission_is_an_error";
    if !rustix::process::geteuid().is_root() || !dits_testkit::installed("setpriv") {
        dits_testkit::skip(test, "not root, or no setpriv");
        return;
    }
    let sandbox = Sandbox::new(DITS).limit(LIMIT);
    for folder in ["", "work", "home"] {
        std::os::unix::fs::chown(sandbox.beside(folder), Some(65534), Some(65534)).unwrap();
    }
    let as_nobody = |args: &[&str]| {
        let mut command = sandbox.command("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", DITS]).args(args);
        sandbox.run(command)
    };
    as_nobody(&["init"]).ok();
    let film = sandbox.write("film", random::bytes(1, 10_000));
    sandbox.write("other", b"o");
    as_nobody(&["add", "."]).ok();
    as_nobody(&["commit", "-m", "first"]).ok();
    sandbox.write("film", random::bytes(2, 10_000));
    sandbox.write("other", b"p");
    rustix::fs::chmod(&film, rustix::fs::Mode::empty()).unwrap();
    for args in [&["status"][..], &["add", "."], &["commit", "-a", "-m", "x"]] {
        let done = as_nobody(args);
        assert!(![None, Some(0), Some(6), Some(101)].contains(&done.code), "{done}");
        assert!(format!("{}{}", done.out(), done.err()).contains("film"), "the file is not named: {done}");
    }
    rustix::fs::chmod(&film, rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
    let status = as_nobody(&["status", "--porcelain"]).ok();
    assert_eq!(status.out(), " M film\n M other\n", "all is staged or nothing");
}
