use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;

use rustix::fs::CWD;

use super::*;
use crate::ignore::{IgnoreLookup, IgnoreRules};

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text.as_bytes()).unwrap()
}

fn fixture() -> (tempfile::TempDir, PathBuf, PathBuf, WorkDirs) {
    let dir = tempfile::tempdir().unwrap();
    let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
    fs::create_dir(&tree).unwrap();
    fs::create_dir(&outside).unwrap();
    let work = WorkDirs::open(&tree).unwrap();
    (dir, tree, outside, work)
}

#[test]
fn files_are_placed_read_and_removed() {
    let (dir, tree, _, work) = fixture();
    let temp = dir.path().join("temp");
    fs::write(&temp, "one").unwrap();
    work.put_in_place(CWD, &temp, &path("a/b/file")).unwrap();
    let (mut file, meta) = work.open_file(&path("a/b/file")).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), meta.size), ("one", 3));
    assert_eq!(work.stat(&path("a/b/file")).unwrap(), Some(meta));
    for (text, put) in [("two", true), ("three", false)] {
        fs::write(&temp, text).unwrap();
        let done = match put {
            true => work.put_in_place(CWD, &temp, &path("a/b/file")),
            false => work.rename_from(CWD, &temp, &path("a/b/file")),
        };
        done.unwrap();
        assert_eq!(fs::read_to_string(tree.join("a/b/file")).unwrap(), text);
        assert!(!temp.exists());
    }
    fs::write(&temp, "four").unwrap();
    work.put_in_place(CWD, &temp, &path("a/b")).unwrap_err();
    assert!(temp.exists() && tree.join("a/b/file").exists(), "a folder stays");
    work.create_link(&path("a/link"), b"b/file").unwrap();
    assert_eq!(work.read_link(&path("a/link")).unwrap(), b"b/file");
    assert!(work.unlink(&path("a/b/file")).unwrap());
    assert!(!work.unlink(&path("a/b/file")).unwrap());
    work.remove_empty_parents(&path("a/b/file")).unwrap();
    assert!(tree.join("a/link").is_symlink() && !tree.join("a/b").exists());
    assert_eq!(work.stat(&path("a/b/file")).unwrap(), None);
}

#[test]
fn a_link_in_place_of_a_folder_leads_nowhere() {
    let (dir, tree, outside, work) = fixture();
    fs::write(outside.join("victim"), "safe").unwrap();
    fs::create_dir(tree.join("real")).unwrap();
    symlink(&outside, tree.join("link")).unwrap();
    symlink(&outside, tree.join("real/link")).unwrap();
    let temp = dir.path().join("temp");
    fs::write(&temp, "evil").unwrap();
    for folder in ["link", "real/link"] {
        let victim = path(&format!("{folder}/victim"));
        let error = work.put_in_place(CWD, &temp, &victim).unwrap_err();
        assert!(error.to_string().contains(folder), "{error}");
        assert!(work.create_file(&path(&format!("{folder}/new")), false).is_err());
        assert!(work.create_link(&path(&format!("{folder}/deep/new")), b"x").is_err());
        assert!(work.open_file(&victim).is_err());
        assert_eq!(work.stat(&victim).unwrap(), None, "a file behind a link is not the worktree's");
        assert!(!work.unlink(&victim).unwrap());
        work.remove_empty_parents(&victim).unwrap();
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(outside.join("victim")).unwrap(), "safe");
    assert!(tree.join("link").is_symlink());
}

#[test]
fn a_folder_swapped_for_a_link_while_it_is_open_leads_nowhere() {
    let (_dir, tree, outside, work) = fixture();
    work.create_file(&path("a/b/one"), false).unwrap();
    fs::remove_dir_all(tree.join("a/b")).unwrap();
    symlink(&outside, tree.join("a/b")).unwrap();
    assert!(work.create_file(&path("a/b/two"), false).is_err());
    fs::rename(tree.join("a"), tree.join("moved")).unwrap();
    symlink(&outside, tree.join("a")).unwrap();
    let _ = work.create_file(&path("a/three"), false);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_folder_made_anew_is_found_again() {
    let (_dir, tree, _, work) = fixture();
    work.create_file(&path("a/one"), false).unwrap();
    fs::remove_dir_all(tree.join("a")).unwrap();
    work.create_file(&path("a/two"), true).unwrap();
    assert!(tree.join("a/two").exists());
}

#[test]
fn only_plain_files_are_opened() {
    let (_dir, tree, _, work) = fixture();
    fs::create_dir(tree.join("folder")).unwrap();
    fs::write(tree.join("target"), "").unwrap();
    symlink("target", tree.join("link")).unwrap();
    rustix::fs::mknodat(CWD, tree.join("pipe"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for name in ["folder", "link", "pipe", "absent", "target/x"] {
        assert!(work.open_file(&path(name)).is_err(), "{name}");
    }
    assert!(work.open_file(&path("target")).is_ok());
    assert!(work.unlink(&path("folder")).is_err());
}

#[test]
fn many_folders_do_not_stay_open() {
    let (_dir, _, _, work) = fixture();
    for i in 0..100 {
        work.create_file(&path(&format!("d{i}/f")), false).unwrap();
    }
    assert!(work.kept().len() <= KEPT_OPEN);
}

#[test]
fn rules_that_are_links_are_refused() {
    let (_dir, tree, outside, work) = fixture();
    fs::write(outside.join("secret"), "*\n").unwrap();
    fs::create_dir(tree.join("a")).unwrap();
    fs::write(tree.join(".ditsignore"), "*.tmp\n").unwrap();
    symlink(outside.join("secret"), tree.join("a/.ditsignore")).unwrap();
    let lookup = IgnoreLookup::new(&work, IgnoreRules::default());
    assert!(lookup.matched(&path("x.tmp"), false).unwrap().is_some());
    assert!(lookup.matched(&path("absent/x.tmp"), false).unwrap().is_some());
    let error = lookup.matched(&path("a/x"), false).unwrap_err();
    assert!(matches!(&error, RulesError::Symlink(path) if path == Path::new("a/.ditsignore")), "{error}");
    fs::remove_file(tree.join("a/.ditsignore")).unwrap();
    fs::write(tree.join("a/.ditsignore"), vec![b'x'; rules_file::MAX_RULES_FILE + 1]).unwrap();
    assert!(matches!(lookup.matched(&path("a/x"), false), Err(RulesError::TooLong(_))));
}
