//! Repositories made to hurt: every command that reads them says what is wrong, and touches nothing.

#[path = "../forge/mod.rs"]
mod forge;

use std::fs;
use std::path::Path;

use dits_testkit::Sandbox;

/// Names below a folder, without what commands may change in `.dits`.
fn names(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).unwrap().flatten() {
            let shown = entry.path().strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            let ours = ["objects", "manifests", "logs", "refs", "tmp", "writers", "clock", "index"];
            if ours.iter().any(|own| shown.starts_with(&format!("work/.dits/{own}"))) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            }
            found.push(shown);
        }
    }
    found.sort();
    found
}

#[test]
fn malformed_trees_are_refused_by_name() {
    let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
    sandbox.write("a", b"good");
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "good"]).ok();
    let repo = forge::repository(&sandbox.path(""));
    let all = forge::bad_trees(&repo);
    let few: Vec<_> = if std::env::var_os(dits_testkit::LONG).is_some() {
        all
    } else {
        let wanted = ["file \"..\"", "folder \".DITS\"", "file \".g", "a count of 2^60", "the same name twice"];
        let deeper = ["a manifest longer", "a chunk larger", "5000 folders", "a link target with a NUL"];
        all.into_iter().filter(|(what, _)| wanted.iter().chain(&deeper).any(|w| what.starts_with(w))).collect()
    };
    assert!(few.len() >= 9, "{}", few.len());
    let before = names(&sandbox.beside(""));
    for (what, tree) in few {
        let commit = forge::branch(&repo, "evil", tree).to_string();
        // A tree that is fine but for the bytes it names can be listed.
        let listable = ["a manifest", "a chunk"].iter().any(|w| what.starts_with(w));
        let mut commands = vec![
            vec!["switch", "evil"],
            vec!["switch", "-f", "evil"],
            vec!["checkout", &commit],
            vec!["reset", "--hard", &commit],
            vec!["fsck"],
            vec!["worktree", "add", "../elsewhere", "evil"],
        ];
        if !listable {
            commands.extend([vec!["diff", "main", "evil"], vec!["log", "--stat", "evil"], vec!["show", &commit]]);
        }
        for command in commands {
            let done = sandbox.dits(&command);
            assert!(done.code == Some(6), "{what}: exit code 6 expected of {done}");
            assert!(!done.err().is_empty() || !done.out().is_empty(), "{what}: {done}");
            assert_eq!(sandbox.read("a"), b"good", "{what}: {done}");
        }
        let mut after = names(&sandbox.beside(""));
        after.retain(|name| !before.contains(name) && !name.starts_with("elsewhere") && !name.contains("/worktrees"));
        assert!(after.is_empty(), "{what}: {after:?}");
        let _ = fs::remove_dir_all(sandbox.beside("elsewhere"));
        sandbox.dits(["worktree", "prune"]);
    }
    sandbox.dits(["switch", "-f", "main"]).ok();
    assert_eq!(sandbox.dits(["status", "--porcelain"]).ok().out(), "");
}

/// Each file of `.dits` damaged in turn: an error that names it, exit code 6, and nothing changed.
#[test]
fn damage_is_named_and_changes_nothing() {
    let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
    sandbox.write("film", dits_testkit::random::bytes(1, 2 << 20));
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "good"]).ok();
    sandbox.write("film", dits_testkit::random::bytes(2, 300_000));
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "shorter"]).ok();
    let pack = find(&sandbox.path(".dits/objects/pack"), "pack");
    let cases: [(std::path::PathBuf, &[&[&str]]); 5] = [
        (sandbox.path(".dits/index"), &[&["status"], &["add", "."], &["commit", "-m", "x"], &["fsck"]]),
        (sandbox.path(".dits/refs/HEAD"), &[&["status"], &["log"], &["commit", "-m", "x"]]),
        (sandbox.path(".dits/refs/branches/main"), &[&["log"], &["commit", "-m", "x"], &["fsck"]]),
        (pack, &[&["switch", "--detach", "HEAD~1"], &["fsck", "--full"]]),
        (sandbox.path(".dits/format"), &[&["status"], &["log"]]),
    ];
    for (file, commands) in cases {
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        let at = bad.len() / 2;
        bad[at] ^= 0x55;
        fs::write(&file, &bad).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        for command in commands {
            let done = sandbox.dits(*command);
            assert!(done.code == Some(6), "{name}: exit code 6 expected of {done}");
            assert!(format!("{}{}", done.out(), done.err()).contains(&name), "{name} is not named: {done}");
            assert_eq!(sandbox.read("film").len(), 300_000, "{done}");
            assert_eq!(fs::read(&file).unwrap(), bad, "{done}");
        }
        fs::write(&file, good).unwrap();
        sandbox.dits(["fsck", "--full"]).ok();
    }
    assert_eq!(sandbox.dits(["status", "--porcelain"]).ok().out(), "");
}

fn find(folder: &Path, extension: &str) -> std::path::PathBuf {
    let mut entries = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.find(|path| path.extension().is_some_and(|e| e == extension)).expect("a file of this kind")
}
