//! Folders swapped for symbolic links while a checkout runs: what is outside stays as it was.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use dits_core::object::CommitId;
use dits_core::progress::Silent;
use dits_core::repo::Repository;
use dits_core::worktree::Destination;

use crate::forge;

const FILES: usize = 60;

fn version(repo: &Repository, name: &str, text: &str) -> CommitId {
    let file = |i: usize| forge::file(repo, format!("f{i:03}").as_bytes(), format!("{text} {i}").as_bytes());
    let files: Vec<_> = (0..FILES).map(file).collect();
    let inside = forge::tree(repo, &files);
    let around = forge::tree(repo, &[forge::folder(b"deep", inside)]);
    forge::branch(repo, name, forge::tree(repo, &[forge::folder(b"dir", around)]))
}

/// Swaps `dir` and `dir/deep` for links to `outside` and back, again and again.
fn swap(work: &Path, outside: &Path, stop: &AtomicBool) -> u64 {
    let mut swaps = 0;
    while !stop.load(Ordering::Relaxed) {
        for name in ["dir", "dir/deep"] {
            let (at, aside) = (work.join(name), work.join(".aside"));
            if fs::rename(&at, &aside).is_ok() {
                let linked = std::os::unix::fs::symlink(outside, &at).is_ok();
                std::thread::yield_now();
                if linked {
                    let _ = fs::remove_file(&at);
                }
                let _ = fs::rename(&aside, &at);
                let _ = fs::remove_dir_all(&aside);
                swaps += 1;
            }
        }
    }
    swaps
}

#[test]
fn a_checkout_never_writes_through_a_swapped_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (work, outside) = (dir.path().join("work"), dir.path().join("outside"));
    for folder in [&outside, &outside.join("deep")] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("f001"), "precious").unwrap();
    }
    let repo = forge::repository(&work);
    let versions = [version(&repo, "one", "one"), version(&repo, "two", "two")];
    let empty = forge::branch(&repo, "empty", forge::tree(&repo, &[]));
    let stop = AtomicBool::new(false);
    let rounds = if std::env::var_os("DITS_TEST_LONG").is_some() { 600 } else { 60 };
    let swaps = std::thread::scope(|scope| {
        let swapper = scope.spawn(|| swap(&work, &outside, &stop));
        for round in 0..rounds {
            for commit in [versions[round % 2], empty] {
                // Errors are fine here; what matters is what is outside.
                let _ = repo.switch(&Destination::Commit(commit), &forge::who(), true, &Silent);
            }
        }
        stop.store(true, Ordering::Relaxed);
        swapper.join().unwrap()
    });
    assert!(swaps > 10, "only {swaps} swaps: this shows nothing");
    let left: Vec<_> = fs::read_dir(&outside).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(fs::read_dir(outside.join("deep")).unwrap().count(), 1);
    for file in ["f001", "deep/f001"] {
        assert_eq!(fs::read(outside.join(file)).unwrap(), b"precious");
    }
    // The next command is not blocked.
    repo.switch(&Destination::Commit(versions[0]), &forge::who(), true, &Silent).unwrap();
    assert_eq!(fs::read(work.join("dir/deep/f059")).unwrap(), b"one 59");
}
