use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::refs::RefName;
use crate::tree::Mode;
use crate::worktree::{Destination, MoveOptions, RemoveOptions, ResetMode, Restore, RestoreFrom};

/// `a` (executable), `dir/b` and `dir/c`, of which `a` and `dir/b` are ghosts.
fn project() -> (Rig, Remote, CommitId) {
    let rig = Rig::new();
    rig.write("a", "content of a").write("dir/b", "content of b").write("dir/c", "content of c");
    std::fs::set_permissions(rig.path("a"), PermissionsExt::from_mode(0o755)).unwrap();
    let head = rig.commit("first");
    let remote = rig.remote();
    rig.drop_files(&["a", "dir/b"], &[head]).unwrap();
    (rig, remote, head)
}

fn staged(rig: &Rig) -> Vec<(String, Option<Mode>)> {
    let staged = rig.status().staged;
    staged.into_iter().map(|s| (s.change.path.to_string(), s.change.new.map(|new| new.mode))).collect()
}

fn unstaged(rig: &Rig) -> Vec<String> {
    rig.status().unstaged.into_iter().map(|change| format!("{:?} {}", change.kind, change.path)).collect()
}

#[test]
fn an_untouched_ghost_is_unmodified_whatever_its_stat_says() {
    let (rig, _, _) = project();
    assert_eq!(rig.seen(), files([("a", "ghost"), ("dir/b", "ghost"), ("dir/c", "content of c")]));
    assert_eq!((staged(&rig).len(), unstaged(&rig).len(), rig.status().ghosts), (0, 0, 2));
    // Made anew, and as a copy at another depth would be.
    let target = std::fs::read_link(rig.path("dir/b")).unwrap();
    rig.remove("dir/b");
    symlink(target.strip_prefix("..").unwrap(), rig.path("dir/b")).unwrap();
    assert_eq!((unstaged(&rig).len(), rig.status().ghosts), (0, 2));
    rig.add();
    assert!(staged(&rig).is_empty() && rig.is_ghost("dir/b"));
    assert_eq!(std::fs::read(rig.path("a")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert!(std::fs::write(rig.path("a"), "through the link").is_err(), "creating through it fails");
}

#[test]
fn a_file_in_place_of_a_ghost_is_a_change_like_any_other() {
    let (rig, _, _) = project();
    rig.remove("a").write("a", "mine");
    assert_eq!(unstaged(&rig), ["Modified a"]);
    assert_eq!(rig.status().ghosts, 1);
    rig.add();
    assert_eq!(staged(&rig), [("a".to_owned(), Some(Mode::File))]);
    assert!(!rig.is_ghost("a") && unstaged(&rig).is_empty());
    // The very content, from somewhere else: nothing has changed, and adding it takes it in.
    rig.remove("dir/b").write("dir/b", "content of b");
    assert!(unstaged(&rig).is_empty() && unstaged(&rig).is_empty());
    assert!(rig.is_ghost("dir/b") && !rig.has(b"content of b"));
    rig.add();
    assert!(!rig.is_ghost("dir/b") && rig.has(b"content of b"));
    assert_eq!(staged(&rig).len(), 1);
}

#[test]
fn a_ghost_that_is_deleted_is_a_deletion_and_one_moved_is_its_content() {
    let (rig, remote, _) = project();
    rig.remove("a");
    assert_eq!(unstaged(&rig), ["Deleted a"]);
    rig.repo.restore::<RepoError>(&restore(&these(&["a"])), || Ok(()), &Silent).unwrap();
    assert_eq!(rig.seen()["a"], "ghost");
    std::fs::create_dir_all(rig.path("deep/er")).unwrap();
    rig.rename("a", "deep/er/a").rename("dir", "folder");
    rig.add();
    let expected = [("deep/er/a", Mode::Executable), ("folder/b", Mode::File), ("folder/c", Mode::File)];
    let expected = expected.map(|(path, mode)| (path.to_owned(), Some(mode)));
    assert_eq!(staged(&rig), expected);
    assert!(rig.is_ghost("deep/er/a") && rig.is_ghost("folder/b") && !rig.is_ghost("folder/c"));
    rig.commit("moved");
    assert!(rig.status().is_clean() && !rig.fsck().is_damaged());
    rig.fetch(&["deep/er/a", "folder/b"], &remote);
    let mine = files([("deep/er/a", "content of a*"), ("folder/b", "content of b"), ("folder/c", "content of c")]);
    assert_eq!(rig.seen(), mine);
    rig.assert_clean();
}

fn restore(selection: &dyn Selection) -> Restore<'_> {
    Restore { selection, from: RestoreFrom::Index, staged: false, worktree: true, overlay: true }
}

#[test]
fn a_link_into_the_ghosts_is_never_recorded_as_a_link() {
    let (rig, _, _) = project();
    let hex = ChunkRef::of(b"content of a").id.to_string();
    let absolute = format!("{}/.dits/ghost/{hex}", rig.dir.path().display());
    symlink(&absolute, rig.path("absolute")).unwrap();
    symlink(format!("x/../.DITS/Ghost/{hex}"), rig.path("disguised")).unwrap();
    rig.add();
    let executable = Some(Mode::Executable);
    assert_eq!(staged(&rig), [("absolute".to_owned(), executable), ("disguised".to_owned(), executable)]);
    assert!(rig.is_ghost("absolute") && rig.is_ghost("disguised"));
    // What nobody knows is refused.
    for target in [format!(".dits/ghost/{}", "0".repeat(64)), ".dits/ghost/short".to_owned()] {
        symlink(target, rig.path("unknown")).unwrap();
        let error = rig.repo.add(&Everything, crate::worktree::AddOptions::default(), &Silent).unwrap_err();
        assert!(matches!(&error, RepoError::UnknownGhost { path: at } if *at == path("unknown")), "{error}");
        rig.remove("unknown");
    }
    // A ghost of one file in place of another is a change, not a change of type.
    rig.remove("dir/c");
    symlink(format!("../.dits/ghost/{hex}"), rig.path("dir/c")).unwrap();
    assert_eq!(unstaged(&rig), ["Modified dir/c"]);
    rig.add();
    assert_eq!(staged(&rig)[1], ("dir/c".to_owned(), executable));
    // Any other link is one.
    rig.remove("dir/b");
    symlink("c", rig.path("dir/b")).unwrap();
    assert_eq!(unstaged(&rig), ["TypeChanged dir/b"]);
}

#[test]
fn a_ghost_whose_content_only_history_knows_is_recognised() {
    let (rig, _, _) = project();
    let target = std::fs::read_link(rig.path("a")).unwrap();
    rig.remove("a").commit("without a");
    symlink(target, rig.path("back")).unwrap();
    rig.add();
    assert_eq!(staged(&rig), [("back".to_owned(), Some(Mode::Executable))]);
}

#[test]
fn moving_and_removing_ghosts() {
    let (rig, remote, _) = project();
    rig.repo.move_files(&[(path("a"), path("dir/moved")), (path("dir/b"), path("b"))], MoveOptions::default()).unwrap();
    assert_eq!(rig.seen(), files([("b", "ghost"), ("dir/c", "content of c"), ("dir/moved", "ghost")]));
    assert!(unstaged(&rig).is_empty() && rig.is_ghost("dir/moved") && rig.status().ghosts == 2);
    rig.commit("moved");
    let removed = rig.repo.remove_files(&these(&["b"]), RemoveOptions::default(), &Silent).unwrap();
    assert_eq!((removed.len(), rig.seen().contains_key("b")), (1, false));
    rig.fetch(&["dir/moved"], &remote);
    assert_eq!(rig.seen()["dir/moved"], "content of a*");
}

#[test]
fn branches_differ_in_what_is_here() {
    let (rig, remote, head) = project();
    rig.branch("topic", head).switch("topic");
    assert_eq!(rig.status().ghosts, 2, "switching to the same files leaves ghosts alone");
    let topic = rig.remove("a").write("a", "topic's a").commit("topic");
    // A ghost here, a file there, and back.
    rig.switch("main");
    assert_eq!((&rig.seen()["a"][..], rig.is_ghost("a")), ("ghost", true));
    rig.switch("topic");
    assert_eq!((&rig.seen()["a"][..], rig.is_ghost("a")), ("topic's a", false));
    // A folder in place of the ghost, and a file in place of the folder with a ghost.
    rig.remove("a").remove("dir/b").remove("dir/c").write("a/inside", "x");
    std::fs::remove_dir(rig.path("dir")).unwrap();
    rig.write("dir", "a file").commit("swapped");
    rig.switch("main");
    assert_eq!(rig.seen(), files([("a", "ghost"), ("dir/b", "ghost"), ("dir/c", "content of c")]));
    rig.switch("topic").switch("main");
    assert!(rig.status().is_clean());
    // Fetched on one branch, it is here on all.
    rig.fetch(&["a"], &remote);
    rig.switch("topic").switch("main");
    assert_eq!(rig.seen()["a"], "content of a*");
    assert!(rig.repo.reset(ResetMode::Hard, topic, "topic", &rig.who(), &Silent).is_ok());
    rig.repo.reset(ResetMode::Hard, head, "first", &rig.who(), &Silent).unwrap();
    assert_eq!(rig.seen(), files([("a", "content of a*"), ("dir/b", "ghost"), ("dir/c", "content of c")]));
    assert!(rig.status().is_clean());
}

#[test]
fn a_checkout_of_what_is_lost_touches_nothing() {
    let (rig, _, head) = project();
    rig.branch("topic", head).switch("topic");
    let lost = rig.write("dir/c", "will be lost").write("z", "other").commit("not pushed");
    rig.switch("main");
    let digest = *ChunkRef::of(b"will be lost").id.digest();
    let store = &rig.repo.store().content;
    let packs: Vec<_> = store.pack_ids().unwrap().into_iter().map(|(id, _)| id).collect();
    store.remove_objects(&crate::store::DigestSet::new(vec![digest]), &packs, false, &Silent).unwrap();
    let before = rig.seen();
    let to = Destination::Branch(RefName::branch("topic").unwrap());
    let error = rig.repo.switch(&to, &rig.who(), false, &Silent).unwrap_err();
    assert!(error.is_corruption() && error.to_string().contains(&digest.to_string()), "{error}");
    assert_eq!((rig.seen(), rig.head()), (before, head));
    // Once promised, the same is a ghost.
    rig.repo.record_promises("origin", &[lost]).unwrap();
    rig.switch("topic");
    assert_eq!((&rig.seen()["dir/c"][..], &rig.seen()["z"][..]), ("ghost", "other"));
}

#[test]
fn changes_that_are_not_recorded_are_not_lost_to_ghosts() {
    let (rig, _, head) = project();
    rig.branch("topic", head).switch("topic");
    rig.remove("a").write("a", "topic's a").commit("topic");
    rig.switch("main").remove("a").write("a", "not recorded");
    let to = Destination::Branch(RefName::branch("topic").unwrap());
    let error = rig.repo.switch(&to, &rig.who(), false, &Silent).unwrap_err();
    assert!(matches!(&error, RepoError::InTheWay(files) if files.changed == [path("a")]), "{error}");
    assert_eq!(rig.seen()["a"], "not recorded");
    // Hydrating leaves alone what a person has put there.
    assert_eq!(rig.repo.hydrate(&Everything, &Silent).unwrap().files, 0);
    assert_eq!(rig.seen()["a"], "not recorded");
}
