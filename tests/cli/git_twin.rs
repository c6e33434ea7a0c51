//! The same random commands in a dits and a git repository: files and status stay the same.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use dits_core::progress::Silent;
use dits_core::repo::{Environment, Repository};
use dits_core::worktree::{Everything, ScanOptions, changes_to_tree, scan};
use dits_testkit::{Finished, Sandbox, SplitMix64, snapshot};

/// Names that get in each other's way: files and folders of the same name, one that is not ASCII.
const NAMES: [&str; 10] = ["a", "a/b", "a/b/c", "a/d", "e", "f/g", "f/h/i", "f/h", "ü", "Z"];
const BRANCHES: [&str; 3] = ["main", "two", "three"];

struct Twins {
    sandbox: Sandbox,
    random: SplitMix64,
    count: u64,
    log: Vec<String>,
}

impl Twins {
    fn new(seed: u64) -> Self {
        let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_dits"));
        for name in ["dits", "git"] {
            fs::create_dir(sandbox.path(name)).unwrap();
        }
        let twins = Self { sandbox, random: SplitMix64::new(seed), count: 0, log: Vec::new() };
        twins.dits(&["init"]).ok();
        twins.git(&["init", "-q", "-b", "main"]).ok();
        for root in twins.roots() {
            fs::write(root.join("e"), "first").unwrap();
        }
        for args in [&["add", "-A"][..], &["commit", "-m", "first"], &["branch", "two"], &["branch", "three"]] {
            twins.dits(args).ok();
            twins.git(args).ok();
        }
        twins
    }

    fn dits(&self, args: &[&str]) -> Finished {
        self.sandbox.dits_in(&self.sandbox.path("dits"), args)
    }

    fn git(&self, args: &[&str]) -> Finished {
        let mut command = self.sandbox.command("git");
        command.args(["-c", "core.quotePath=false", "-c", "advice.detachedHead=false"]).args(args);
        command.current_dir(self.sandbox.path("git"));
        self.sandbox.run(command)
    }

    fn roots(&self) -> [PathBuf; 2] {
        [self.sandbox.path("dits"), self.sandbox.path("git")]
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.random.below(from.len() as u64)).unwrap()]
    }

    /// Changes files in both worktrees alike.
    fn edit(&mut self) {
        let name = self.pick(&NAMES);
        let what = self.random.below(10);
        self.count += 1;
        let text = format!("{}", if self.random.below(4) == 0 { 0 } else { self.count });
        self.log.push(format!("edit {name} {what} {text}"));
        for root in self.roots() {
            let at = root.join(name);
            match what {
                0 | 1 => remove(&at),
                2 if at.is_file() => {
                    let mode = fs::metadata(&at).unwrap().permissions().mode() ^ 0o111;
                    fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
                }
                3 => {
                    make_room(&root, &at);
                    symlink(&text, &at).unwrap();
                }
                4 => {
                    make_room(&root, &at);
                    fs::write(&at, "").unwrap();
                }
                _ => {
                    make_room(&root, &at);
                    fs::write(&at, &text).unwrap();
                }
            }
        }
    }

    fn revision(&mut self) -> String {
        match self.random.below(6) {
            0 => "HEAD".to_owned(),
            1 => "HEAD~1".to_owned(),
            2 => "HEAD~2".to_owned(),
            3 => "@{-1}".to_owned(),
            _ => self.pick(&BRANCHES).to_owned(),
        }
    }

    fn arguments(&mut self) -> Vec<String> {
        let (branch, name, revision) = (self.pick(&BRANCHES), self.pick(&NAMES), self.revision());
        let line = match self.random.below(22) {
            0..=3 => "add -A".to_owned(),
            4 => format!("add -- {name}"),
            5..=7 => format!("commit -m {}", self.count),
            8 | 9 => format!("switch {branch}"),
            10 => format!("switch -c {branch}"),
            11 => "switch -".to_owned(),
            12 => format!("checkout --detach {revision}"),
            13 => format!("switch -f {branch}"),
            14 => format!("reset --hard {revision}"),
            15 => format!("reset --soft {revision}"),
            16 => format!("reset --mixed {revision}"),
            17 => format!("reset --merge {revision}"),
            18 => format!("restore -- {name}"),
            19 => format!("restore --staged -- {name}"),
            20 => format!("restore -s {revision} -S -W -- {name}"),
            _ => format!("checkout {revision} -- {name}"),
        };
        line.split(' ').map(str::to_owned).collect()
    }

    fn step(&mut self) {
        for _ in 0..self.random.below(4) {
            self.edit();
        }
        let arguments = self.arguments();
        let args: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.log.push(arguments.join(" "));
        self.copy("dits", "before");
        self.copy("git", "git-before");
        let ours = self.dits(&args);
        let theirs = self.git(&args);
        // It names files that are in its way, in a list or alone.
        let in_its_way = ["\t", "not uptodate"].iter().any(|mark| theirs.err().contains(mark));
        if ours.code == Some(0) && theirs.code != Some(0) && in_its_way {
            self.check_nothing_lost();
            self.copy("before", "dits");
        } else if ours.code == Some(3) && theirs.code == Some(0) && self.git_lost(&ours.err()) {
            self.copy("git-before", "git");
        } else {
            let same = (ours.code == Some(0)) == (theirs.code == Some(0));
            assert!(same, "{}\n{ours}\n{theirs}", self.log.join("\n"));
        }
        self.compare();
    }

    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (self.sandbox.path(from), self.sandbox.path(to));
        remove(&to);
        let mut command = self.sandbox.command("cp");
        command.arg("-a").args([&from, &to]);
        self.sandbox.run(command).ok();
    }

    /// git gives up a staged file in a folder that a file takes the place of; dits refuses that.
    fn git_lost(&self, refused: &str) -> bool {
        let before = porcelain(&self.sandbox.path("before"));
        let after = self.git_status();
        let lost =
            |path: &str| before.iter().any(|line| &line[3..] == path) && !after.iter().any(|line| &line[3..] == path);
        refused.lines().filter_map(|line| line.strip_prefix("  ")).any(lost)
    }

    fn git_status(&self) -> Vec<String> {
        let status = self.git(&["status", "--porcelain", "-z", "--no-renames", "-uall"]).ok().out().replace('T', "M");
        let mut lines: Vec<String> = status.split_terminator('\0').map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// git refuses more than is needed, as where a file is already what it would become. dits may do it, if nothing is
    /// lost that was not recorded.
    fn check_nothing_lost(&self) {
        let (before, after) = (self.sandbox.path("before"), self.sandbox.path("dits"));
        let unrecorded: Vec<String> =
            porcelain(&before).into_iter().filter(|line| !line[1..].starts_with(' ')).collect();
        for path in unrecorded.iter().map(|line| &line[3..]) {
            let kept = !before.join(path).is_file() || same(&before.join(path), &after.join(path));
            assert!(kept, "{}\n`{path}` is lost", self.log.join("\n"));
        }
    }

    fn compare(&self) {
        let [ours, theirs] = self.roots();
        let (a, b) = (snapshot::Snapshot::of(&ours).unwrap(), snapshot::Snapshot::of(&theirs).unwrap());
        let found = a.differences(&b).unwrap();
        assert!(found.is_empty(), "{}\n{found:?}", self.log.join("\n"));
        assert_eq!(porcelain(&ours), self.git_status(), "{}", self.log.join("\n"));
        let branch = |done: Finished| done.out();
        assert_eq!(branch(self.dits(&["branch", "--show-current"])), branch(self.git(&["branch", "--show-current"])));
    }
}

/// The status by the engine, in git's short form.
fn porcelain(root: &Path) -> Vec<String> {
    let repo = Repository::discover(&root.canonicalize().unwrap(), &Environment::default()).unwrap();
    let index = repo.index().unwrap();
    let mut letters = std::collections::BTreeMap::<String, [char; 2]>::new();
    for change in changes_to_tree(&repo, &index, repo.head_tree().unwrap()).unwrap() {
        let letter = match (&change.old, &change.new) {
            (Some(_), None) => 'A',
            (None, _) => 'D',
            _ => 'M',
        };
        letters.entry(change.path.to_string()).or_insert([' '; 2])[0] = letter;
    }
    let options = ScanOptions { untracked: true, each_untracked: true, ..ScanOptions::tracked_only() };
    let found = scan(&repo, &index, &Everything, options, &Silent).unwrap();
    for (paths, letter) in [(&found.modified, 'M'), (&found.deleted, 'D')] {
        for path in paths {
            letters.entry(path.to_string()).or_insert([' '; 2])[1] = letter;
        }
    }
    let mut lines: Vec<String> = letters.into_iter().map(|(path, [x, y])| format!("{x}{y} {path}")).collect();
    lines.extend(found.untracked.iter().map(|path| format!("?? {path}")));
    lines.sort();
    lines
}

fn same(a: &Path, b: &Path) -> bool {
    match (fs::read_link(a), fs::read_link(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => fs::read(a).ok() == fs::read(b).ok() && fs::read(a).is_ok(),
    }
}

fn remove(at: &Path) {
    match fs::symlink_metadata(at) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(at).unwrap(),
        Ok(_) => fs::remove_file(at).unwrap(),
        Err(_) => {}
    }
}

/// Removes what is at a path and any file where one of its folders has to be.
fn make_room(root: &Path, at: &Path) {
    remove(at);
    let above = at.strip_prefix(root).unwrap().parent().unwrap();
    let mut folder = root.to_owned();
    for part in above {
        folder.push(part);
        if !fs::symlink_metadata(&folder).is_ok_and(|meta| meta.is_dir()) {
            remove(&folder);
            fs::create_dir(&folder).unwrap();
        }
    }
}

fn run(seeds: std::ops::Range<u64>, steps: usize) {
    if !dits_testkit::installed("git") {
        return dits_testkit::skip("git_twin", "git is not installed");
    }
    for seed in seeds {
        let mut twins = Twins::new(seed);
        twins.log.push(format!("seed {seed}"));
        (0..steps).for_each(|_| twins.step());
    }
}

#[test]
fn random_commands_do_what_git_does() {
    run(0..1, 20);
}

#[test]
fn many_random_commands_do_what_git_does() {
    if dits_testkit::long("many_random_commands_do_what_git_does") {
        let from = std::env::var("DITS_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(100);
        run(from..from + 20, 80);
    }
}
