//! `status --porcelain=v1` against git's, on the same operations in twin folders.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use dits_testkit::random::SplitMix64;
use dits_testkit::sandbox::Sandbox;

struct Twins {
    sandbox: Sandbox,
    log: Vec<String>,
}

impl Twins {
    fn new() -> Self {
        let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
        let twins = Self { sandbox, log: Vec::new() };
        fs::create_dir(twins.git_folder()).unwrap();
        twins.git(&["init", "-q", "-b", "main"]);
        twins
    }

    fn git_folder(&self) -> PathBuf {
        self.sandbox.beside("git")
    }

    #[track_caller]
    fn git(&self, args: &[&str]) -> Vec<u8> {
        let mut command = self.sandbox.command("git");
        command.current_dir(self.git_folder()).args(args);
        self.sandbox.run(command).ok().stdout
    }

    /// Runs the same command in both.
    #[track_caller]
    fn both(&mut self, args: &[&str]) {
        self.log.push(args.join(" "));
        let done = self.sandbox.dits(args);
        assert!(matches!(done.code, Some(0 | 1)), "{:?}\n{done}", self.log);
        let mut command = self.sandbox.command("git");
        command.current_dir(self.git_folder()).args(args);
        self.sandbox.run(command);
    }

    /// Does the same to both folders.
    fn change(&mut self, what: String, change: impl Fn(&Path)) {
        self.log.push(what);
        change(&self.sandbox.path(""));
        change(&self.git_folder());
    }

    #[track_caller]
    fn check(&self, options: &[&str]) {
        let arguments = [&["status", "--porcelain=v1"], options].concat();
        let ours = self.sandbox.dits(&arguments).ok().stdout;
        let theirs = self.git(&arguments);
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\0', "\n");
        assert_eq!(shown(&ours), shown(&theirs), "{options:?} after {:#?}", self.log);
        assert_eq!(ours, theirs);
    }
}

const NAMES: [&str; 14] = [
    "a",
    "b.mov",
    "dir/a",
    "dir/b",
    "dir.x",
    "dir/sub/c",
    "dir/sub/d",
    "new/x",
    "new/y",
    "new/deep/z",
    "skip/1",
    "x.log",
    "new/y.log",
    "with space",
];

/// A content that no other call gives, so that git's idea of similar files plays no part.
fn content(random: &mut SplitMix64) -> Vec<u8> {
    (0..40).map(|_| random.below(256) as u8).collect()
}

fn clear(path: &Path) {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    let _ = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// Makes room for a file: folders around it, nothing at it, no file where a folder is needed.
fn make_way(root: &Path, name: &str) -> PathBuf {
    let mut folder = root.to_owned();
    let parts: Vec<&str> = name.split('/').collect();
    for part in &parts[..parts.len() - 1] {
        folder.push(part);
        if !fs::symlink_metadata(&folder).is_ok_and(|meta| meta.is_dir()) {
            clear(&folder);
            fs::create_dir(&folder).unwrap();
        }
    }
    let path = root.join(name);
    clear(&path);
    path
}

fn is_file(root: &Path, name: &str) -> bool {
    fs::symlink_metadata(root.join(name)).is_ok_and(|meta| meta.is_file())
}

fn step(twins: &mut Twins, random: &mut SplitMix64) {
    let name = NAMES[random.below(NAMES.len() as u64) as usize];
    let other = NAMES[random.below(NAMES.len() as u64) as usize];
    let bytes = content(random);
    let here = is_file(&twins.sandbox.path(""), name);
    match random.below(14) {
        0..=3 => twins.change(format!("write {name}"), |root| fs::write(make_way(root, name), &bytes).unwrap()),
        4 => twins.change(format!("clear {name}"), |root| clear(&root.join(name))),
        5 => twins.change(format!("link {name}"), |root| symlink("target", make_way(root, name)).unwrap()),
        6 if here => twins.change(format!("toggle {name}"), |root| {
            let path = root.join(name);
            let mode = fs::metadata(&path).unwrap().permissions().mode() ^ 0o111;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }),
        7 if here
            && name != other
            && !other.starts_with(&format!("{name}/"))
            && !name.starts_with(&format!("{other}/")) =>
        {
            twins.change(format!("move {name} to {other}"), |root| {
                let bytes = fs::read(root.join(name)).unwrap();
                let mode = fs::metadata(root.join(name)).unwrap().permissions();
                clear(&root.join(name));
                let path = make_way(root, other);
                fs::write(&path, bytes).unwrap();
                fs::set_permissions(&path, mode).unwrap();
            });
        }
        8 => twins.change(format!("folder instead of {name}"), |root| fs::create_dir(make_way(root, name)).unwrap()),
        9 => twins.both(&["add", "-A"]),
        10 => twins.both(&["add", "-u"]),
        11 if fs::symlink_metadata(twins.sandbox.path(name)).is_ok() => twins.both(&["add", "-f", "--", name]),
        12 => twins.both(&["commit", "-q", "-m", "x"]),
        13 if here => twins.both(&["add", "-N", "-f", "--", name]),
        _ => {}
    }
}

#[test]
fn the_same_as_git_on_random_operations() {
    let rounds = std::env::var("DITS_STATUS_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    for seed in 0..rounds {
        let mut random = SplitMix64::new(seed + 1);
        let mut twins = Twins::new();
        twins.change(format!("seed {seed}"), |root| {
            fs::write(root.join(".ditsignore"), "skip/\n*.log\n.gitignore\n.ditsignore\n").unwrap();
            fs::write(root.join(".gitignore"), "skip/\n*.log\n.gitignore\n.ditsignore\n").unwrap();
        });
        for _ in 0..12 {
            for _ in 0..random.between(1, 4) {
                step(&mut twins, &mut random);
            }
            match random.below(4) {
                0 => twins.check(&["-b"]),
                1 => twins.check(&["-z", "-uall"]),
                2 => twins.check(&["-z", "--ignored"]),
                _ => twins.check(&["-z"]),
            }
        }
    }
}
