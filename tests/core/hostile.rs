//! Trees and manifests that no dits would write: refused as damage, by everything that reads them.

use std::fs;
use std::path::Path;

use dits_core::maintain::FsckOptions;
use dits_core::progress::Silent;
use dits_core::repo::Repository;
use dits_core::worktree::Destination;

use crate::forge;

/// Everything below a folder but the parts of `.dits` that any command may change.
fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at).unwrap().flatten() {
            let path = entry.path();
            let shown = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            if ["objects", "manifests", "logs", "refs"].iter().any(|own| path.ends_with(format!(".dits/{own}"))) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                todo.push(path);
            }
            found.push(shown);
        }
    }
    found.sort();
    found
}

fn switch(repo: &Repository, commit: dits_core::object::CommitId, force: bool) -> Result<(), String> {
    match repo.switch(&Destination::Commit(commit), &forge::who(), force, &Silent) {
        Ok(report) => Err(format!("was checked out: {report:?}")),
        Err(error) if error.is_corruption() => Ok(()),
        Err(error) => Err(format!("is not called damage: {error}")),
    }
}

#[test]
fn nothing_malformed_is_checked_out_and_fsck_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("outer/work");
    let repo = forge::repository(&work);
    let good = forge::branch(&repo, "good", forge::tree(&repo, &[forge::file(&repo, b"a", b"good")]));
    repo.switch(&Destination::Commit(good), &forge::who(), false, &Silent).unwrap();
    let before = listing(dir.path());
    let mut wrong = Vec::new();
    for (what, tree) in forge::bad_trees(&repo) {
        let commit = forge::branch(&repo, "evil", tree);
        for force in [false, true] {
            if let Err(error) = switch(&repo, commit, force) {
                wrong.push(format!("{what} (force {force}): {error}"));
                repo.switch(&Destination::Commit(good), &forge::who(), true, &Silent).unwrap();
            }
        }
        if !repo.fsck(FsckOptions::default(), &Silent).unwrap().is_damaged() {
            wrong.push(format!("{what}: fsck is content"));
        }
        let mut after = listing(dir.path());
        if after != before {
            after.retain(|name| !before.contains(name));
            wrong.push(format!("{what}: changed the worktree: {after:?}"));
        }
        if fs::read(work.join("a")).ok().as_deref() != Some(b"good") {
            wrong.push(format!("{what}: changed a file"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Names that are ordinary here, whatever they mean elsewhere, stay below the worktree.
#[test]
fn names_of_other_systems_are_names() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    let repo = forge::repository(&work);
    let names: [&[u8]; 6] = [b"C:", b"C:\\x", b"aux.", b"con", b"nul.txt", b"~"];
    let mut entries: Vec<_> = names.iter().map(|name| forge::file(&repo, name, name)).collect();
    entries.sort();
    let tree = {
        let mut named: Vec<_> = names.to_vec();
        named.sort();
        forge::tree(&repo, &named.iter().map(|name| forge::file(&repo, name, name)).collect::<Vec<_>>())
    };
    let commit = forge::branch(&repo, "odd", tree);
    repo.switch(&Destination::Commit(commit), &forge::who(), false, &Silent).unwrap();
    for name in names {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(fs::read(work.join(std::ffi::OsStr::from_bytes(name))).unwrap(), name);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// A link out of the worktree is only a link: what a later version has below a folder of its name does not follow it.
#[test]
fn a_link_is_never_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (work, outside) = (dir.path().join("work"), dir.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    let repo = forge::repository(&work);
    let target = outside.to_str().unwrap().as_bytes();
    let linked = forge::branch(&repo, "link", forge::tree(&repo, &[forge::link(b"x", target)]));
    let inside = forge::tree(&repo, &[forge::file(&repo, b"evil", b"evil")]);
    let nested = forge::branch(&repo, "nested", forge::tree(&repo, &[forge::folder(b"x", inside)]));
    let go = |commit, force| repo.switch(&Destination::Commit(commit), &forge::who(), force, &Silent);
    go(linked, false).unwrap();
    assert!(fs::symlink_metadata(work.join("x")).unwrap().is_symlink());
    go(nested, false).unwrap();
    assert_eq!(fs::read(work.join("x/evil")).unwrap(), b"evil");
    // The user puts a link where the folder was: refused, and replaced only by force.
    fs::remove_dir_all(work.join("x")).unwrap();
    std::os::unix::fs::symlink(&outside, work.join("x")).unwrap();
    let empty = forge::branch(&repo, "empty", forge::tree(&repo, &[]));
    let _ = go(empty, false);
    let _ = go(nested, false);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    go(nested, true).unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(fs::symlink_metadata(work.join("x")).unwrap().is_dir());
}
