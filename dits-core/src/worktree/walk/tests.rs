use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, OFlags};

use super::*;
use crate::progress::Silent;

#[derive(Default)]
struct Seen {
    entries: Mutex<BTreeMap<String, (EntryKind, bool)>>,
    problems: Mutex<Vec<String>>,
    enter_ignored: bool,
    stop_at: Option<&'static str>,
}

impl Visitor for Seen {
    fn enter(&self, _: &RepoPath, ignored: Option<&Match>) -> bool {
        self.enter_ignored || ignored.is_none()
    }

    fn visit(&self, folder: &Folder<'_>, entries: &[Entry]) -> ControlFlow<()> {
        assert!(entries.is_sorted_by(|a, b| a.name < b.name));
        let mut seen = self.entries.lock().unwrap();
        for entry in entries {
            let path = folder.path_of(entry).unwrap().to_string();
            let ignored = folder.matched(entry).is_some_and(|found| !found.negated);
            assert!(seen.insert(path, (entry.kind, ignored)).is_none(), "nothing is seen twice");
        }
        let here = folder.path.map(ToString::to_string).unwrap_or_default();
        if self.stop_at == Some(here.as_str()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn problem(&self, problem: Problem) {
        let text = match problem {
            Problem::Unreadable { path, error } => format!("unreadable {path}: {}", error.source.kind()),
            Problem::Nested { path } => format!("nested {path}"),
            Problem::Refused { folder, name, .. } => format!("refused {folder:?} {}", name.escape_ascii()),
        };
        self.problems.lock().unwrap().push(text);
    }
}

fn run(root: &Path, seen: &Seen) -> Result<(), WalkError> {
    walk(root, &WalkOptions { threads: 2, ignore: IgnoreRules::default(), progress: &Silent }, seen)
}

fn paths(seen: &Seen) -> Vec<String> {
    seen.entries.lock().unwrap().keys().cloned().collect()
}

fn problems(seen: Seen) -> Vec<String> {
    let mut problems = seen.problems.into_inner().unwrap();
    problems.sort();
    problems
}

#[test]
fn kinds_ignored_files_and_the_repository_itself() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    for folder in [".dits", ".git", "a/b", "cache/deep", "out"] {
        fs::create_dir_all(top.join(folder)).unwrap();
    }
    for file in [".dits/config", "a/b/f", "a/x.tmp", "cache/deep/f", "run"] {
        fs::write(top.join(file), "").unwrap();
    }
    fs::set_permissions(top.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(top.join(".ditsignore"), "cache/\n*.tmp\n").unwrap();
    symlink("/", top.join("link")).unwrap();
    rustix::fs::mknodat(CWD, top.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let seen = Seen::default();
    run(top, &seen).unwrap();
    let expected = [".ditsignore", "a", "a/b", "a/b/f", "a/x.tmp", "cache", "link", "out", "pipe", "run"];
    assert_eq!(paths(&seen), expected);
    let entry = |path: &str| seen.entries.lock().unwrap()[path];
    assert_eq!(entry("run"), (EntryKind::File { executable: true }, false));
    assert_eq!(entry("a/x.tmp"), (EntryKind::File { executable: false }, true));
    assert_eq!(entry("link").0, EntryKind::Symlink);
    assert_eq!(entry("pipe").0, EntryKind::Special);
    assert_eq!(entry("cache"), (EntryKind::Folder, true));
    let seen = Seen { enter_ignored: true, ..Seen::default() };
    run(top, &seen).unwrap();
    assert!(seen.entries.lock().unwrap()["cache/deep/f"].1, "what is below an ignored folder is ignored");
    assert!(problems(seen).is_empty());
}

#[test]
fn nested_repositories_and_impossible_names_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    fs::create_dir_all(top.join("sub/repo/.dits")).unwrap();
    fs::write(top.join("sub/repo/f"), "").unwrap();
    fs::create_dir_all(top.join("module")).unwrap();
    fs::write(top.join("module/.git"), "gitdir: x").unwrap();
    fs::create_dir_all(top.join("sub/.DITS/hidden")).unwrap();
    let seen = Seen::default();
    run(top, &seen).unwrap();
    assert_eq!(paths(&seen), ["module", "sub", "sub/repo"]);
    assert_eq!(problems(seen), ["nested module", "nested sub/repo", "refused Some(\"sub\") .DITS"]);
}

#[test]
fn a_rules_file_that_cannot_be_used_ends_the_walk() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    symlink("/etc/passwd", dir.path().join("a/.ditsignore")).unwrap();
    let error = run(dir.path(), &Seen::default()).unwrap_err();
    assert!(matches!(error, WalkError::Rules(RulesError::Symlink(_))), "{error}");
    assert!(matches!(run(&dir.path().join("absent"), &Seen::default()), Err(WalkError::Io(_))));
}

#[test]
fn the_visitor_and_the_user_can_stop() {
    struct Stop;
    impl Progress for Stop {
        fn interrupted(&self) -> bool {
            true
        }
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    let seen = Seen { stop_at: Some(""), ..Seen::default() };
    run(dir.path(), &seen).unwrap();
    assert_eq!(paths(&seen), ["a"]);
    let options = WalkOptions { threads: 3, ignore: IgnoreRules::default(), progress: &Stop };
    assert!(matches!(walk(dir.path(), &options, &Seen::default()), Err(WalkError::Interrupted(_))));
}

/// A chain of folders so deep that one path cannot name them for the system, plus siblings on every level.
#[test]
fn a_deep_tree_is_walked_with_few_folders_open() {
    let dir = tempfile::tempdir().unwrap();
    let mut fd = rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..1000 {
        rustix::fs::mkdirat(&fd, "a", Mode::RWXU).unwrap();
        rustix::fs::mkdirat(&fd, "b", Mode::RWXU).unwrap();
        fd = rustix::fs::openat(&fd, "a", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let seen = Seen::default();
    run(dir.path(), &seen).unwrap();
    assert_eq!(paths(&seen).len(), 2000);
    assert!(problems(seen).is_empty());
}

#[test]
fn paths_longer_than_a_path_may_be_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let name = "n".repeat(250);
    let mut fd = rustix::fs::open(dir.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..18 {
        rustix::fs::mkdirat(&fd, name.as_str(), Mode::RWXU).unwrap();
        fd = rustix::fs::openat(&fd, name.as_str(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let seen = Seen::default();
    run(dir.path(), &seen).unwrap();
    assert_eq!(paths(&seen).len(), 16);
    let found = problems(seen);
    assert!(found.len() == 1 && found[0].starts_with("refused"), "{found:?}");
}

#[test]
fn a_large_folder_is_seen_whole() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..10_000 {
        fs::write(dir.path().join(format!("{i:05}")), "").unwrap();
    }
    let seen = Seen::default();
    run(dir.path(), &seen).unwrap();
    assert_eq!(paths(&seen).len(), 10_000);
}

/// Root reads everything, so the walk is run by another user in a process of its own.
#[test]
fn an_unreadable_folder_is_an_error_not_an_absence() {
    const VARIABLE: &str = "DITS_TEST_WALK_ROOT";
    if let Some(top) = std::env::var_os(VARIABLE) {
        let seen = Seen::default();
        run(Path::new(&top), &seen).unwrap();
        assert_eq!(paths(&seen), ["listed", "locked", "open", "open/f"]);
        assert_eq!(problems(seen), ["unreadable listed/f: permission denied", "unreadable locked: permission denied"]);
        return;
    }
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    let top = dir.path();
    for folder in ["locked", "listed", "open"] {
        fs::create_dir(top.join(folder)).unwrap();
        fs::write(top.join(folder).join("f"), "").unwrap();
    }
    let test = fs::canonicalize(std::env::current_exe().unwrap()).unwrap();
    let copy = top.join("test-binary");
    fs::copy(&test, &copy).unwrap();
    let runner = tempfile::tempdir_in("/tmp").unwrap();
    let program = runner.path().join("test-binary");
    fs::rename(&copy, &program).unwrap();
    for (path, mode) in [("", 0o755), ("open", 0o755), ("listed", 0o444), ("locked", 0)] {
        fs::set_permissions(top.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(runner.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command
    } else {
        Command::new(&program)
    };
    let name = "worktree::walk::tests::an_unreadable_folder_is_an_error_not_an_absence";
    let output = command.args(["--exact", name]).env(VARIABLE, top).current_dir("/").output();
    for folder in ["locked", "listed"] {
        fs::set_permissions(top.join(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
    match output {
        Err(_) => eprintln!("SKIPPED: running as root, and there is no setpriv to become somebody else"),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(
                output.status.success() && text.contains("1 passed"),
                "{text}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}
