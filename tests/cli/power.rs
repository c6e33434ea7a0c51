//! The power is cut after a command has said that it is done, and in the middle of others: what was acknowledged is there,
//! the repository is whole, and the next command works.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use dits_testkit::mount::{CUT, Kind, Mounted};
use dits_testkit::{Finished, Sandbox, SplitMix64, random};

const DITS: &str = env!("CARGO_BIN_EXE_dits");
const LIMIT: Duration = Duration::from_secs(60);
/// In the long suite: new repositories for each file system, and how often each loses its power. 1008 cuts in all.
const LONG: (u64, u64) = (7, 48);
/// The same in the short one: 36 in all.
const SHORT: (u64, u64) = (1, 12);

/// What is done when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Add,
    Commit,
    Tag,
    Merge,
    Switch,
    Gc,
}

const ACTS: [Act; 6] = [Act::Add, Act::Commit, Act::Tag, Act::Merge, Act::Switch, Act::Gc];

/// A repository on a file system that loses its power.
struct Rig {
    sandbox: Sandbox,
    disk: Mounted,
    /// What each branch and tag has to be, as far as it was acknowledged.
    refs: BTreeMap<String, String>,
}

/// What is visible of a repository.
#[derive(Debug, PartialEq, Eq)]
struct State {
    branch: String,
    head: String,
    tags: String,
    staged: String,
}

impl Rig {
    fn new(test: &str, (kind, mib, options): (Kind, u64, &str)) -> Option<Self> {
        let disk = Mounted::with_options(test, kind, mib, &[], options)?;
        let rig = Self { sandbox: Sandbox::new(DITS).limit(LIMIT), disk, refs: BTreeMap::new() };
        std::fs::create_dir(rig.at()).unwrap();
        rig.run("init -q");
        rig.take("first", 0);
        rig.run("add -A -q");
        rig.run("commit -q -m first");
        Some(rig)
    }

    fn at(&self) -> PathBuf {
        self.disk.path().join("film")
    }

    fn dits(&self, line: &str) -> Finished {
        self.sandbox.dits_in(&self.at(), line.split(' '))
    }

    fn run(&self, line: &str) -> String {
        self.dits(line).ok().out().trim().to_owned()
    }

    /// Writes a file: few small objects and many large ones are stored in different ways.
    fn take(&self, name: &str, round: u64) {
        let len = [3_000, 300_000, 1_800_000][round as usize % 3];
        random::file(&self.at().join(name), round + len, len).unwrap();
    }

    fn commit(&self, name: &str, round: u64) {
        self.take(name, round);
        self.run("add -A -q");
        self.run(&format!("commit -q -m {name}-{round}"));
    }

    fn state(&self) -> State {
        State {
            branch: self.run("branch --show-current"),
            head: self.run("rev-parse HEAD"),
            tags: self.run("tag"),
            staged: self.run("diff --cached --name-only"),
        }
    }

    /// Makes everything ready for an act; the command that is it.
    fn prepare(&self, act: Act, round: u64) -> String {
        let name = format!("take-{}", round % 4);
        match act {
            Act::Add => {
                self.take(&name, round);
                "add -A".to_owned()
            }
            Act::Commit => {
                self.take(&name, round);
                self.run("add -A -q");
                format!("commit -m round-{round}")
            }
            Act::Tag => format!("tag tag-{round}"),
            Act::Merge => {
                self.run(&format!("switch -q -c side-{round}"));
                self.commit(&format!("side-{}", round % 4), round);
                self.run("switch -q main");
                self.commit("main", round + 1);
                format!("merge -m merged-{round} side-{round}")
            }
            Act::Switch => {
                self.run(&format!("branch other-{round} HEAD~1"));
                format!("switch other-{round}")
            }
            Act::Gc => {
                self.take("lost", round);
                self.run("add -A -q");
                self.run("reset -q --hard");
                "gc --prune=now".to_owned()
            }
        }
    }

    /// Whether an act is done, by what there is now.
    fn is_done(&self, act: Act, round: u64, before: &State, now: &State) -> bool {
        match act {
            Act::Add => !now.staged.is_empty(),
            Act::Commit => now.head != before.head && self.run("rev-parse HEAD~1") == before.head,
            Act::Tag => now.tags.lines().any(|tag| tag == format!("tag-{round}")),
            Act::Merge => {
                let second = self.dits("rev-parse HEAD^2");
                second.code == Some(0) && second.out().trim() == self.run(&format!("rev-parse side-{round}"))
            }
            Act::Switch => now.branch == format!("other-{round}"),
            Act::Gc => now == before,
        }
    }

    /// All refs are what they were when they were acknowledged.
    fn check_refs(&self, what: &str) {
        for (name, id) in &self.refs {
            assert_eq!(self.run(&format!("rev-parse {name}")), *id, "{name} {what}");
        }
    }

    fn note_refs(&mut self) {
        for line in self.run("branch").lines().chain(self.run("tag").lines()) {
            let name = line.trim_start_matches(['*', '+', ' ']).to_owned();
            let id = self.run(&format!("rev-parse {name}"));
            self.refs.insert(name, id);
        }
    }

    /// Does again what was cut off.
    fn go_on(&self, act: Act, round: u64, command: &str, before: &State) -> bool {
        match act {
            Act::Add => drop(self.prepare(act, round)),
            // What was staged had been acknowledged.
            Act::Commit => {}
            _ => drop(self.run("reset -q --hard")),
        }
        self.run(command);
        self.is_done(act, round, before, &self.state())
    }

    fn round(&mut self, round: u64, random: &mut SplitMix64) {
        let act = ACTS[round as usize % ACTS.len()];
        // Each is cut after its end, then in its middle.
        let is_seen = (round / ACTS.len() as u64).is_multiple_of(2);
        let command = self.prepare(act, round);
        let before = self.state();
        self.note_refs();
        let mut words = self.sandbox.dits_command(command.split(' '));
        words.current_dir(self.at());
        let mut running = self.sandbox.spawn(words);
        let (begun, soon) = (Instant::now(), Duration::from_millis(random.below(60)));
        while running.is_running() && (is_seen || begun.elapsed() < soon) {
            assert!(begun.elapsed() < LIMIT, "it hangs: {}", running.so_far());
            thread::sleep(Duration::from_millis(1));
        }
        let has_ended = !running.is_running();
        self.disk.cut_power().unwrap();
        let done = running.kill();
        let seen = has_ended && done.code == Some(0);
        assert!(seen || !(is_seen || has_ended), "{done}");
        self.disk.remount().unwrap();

        let what = format!("after round {round}, {act:?}, {}", if seen { "acknowledged" } else { "cut off" });
        self.dits("fsck --full").ok();
        let now = self.state();
        let mut is_done = self.is_done(act, round, &before, &now);
        assert!(is_done || !seen, "{what}: {before:?} became {now:?}");
        if matches!(act, Act::Commit | Act::Merge) {
            self.refs.remove(&before.branch);
        }
        self.check_refs(&what);
        if !is_done {
            is_done = self.go_on(act, round, &command, &before);
        }
        assert!(is_done, "{what}: {before:?} stays {:?}", self.state());
        if act == Act::Add {
            self.run(&format!("commit -q -m round-{round}"));
        }
        // What a worktree had is not promised, and is made anew.
        self.run("reset -q --hard");
        self.run("switch -q main");
        assert_eq!(self.run("status --porcelain"), "", "{what}");
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    let test = "what_was_acknowledged_survives_a_power_cut";
    let is_long = std::env::var_os(dits_testkit::LONG).is_some();
    let (repositories, cuts) = if is_long { LONG } else { SHORT };
    for disk in CUT {
        for repository in 0..repositories {
            let Some(mut rig) = Rig::new(test, disk) else { return };
            let random = &mut SplitMix64::new(repository);
            (0..cuts).for_each(|round| rig.round(round, random));
        }
    }
}
