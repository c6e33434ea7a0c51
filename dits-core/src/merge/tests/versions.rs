//! Moves, modes and links.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[track_caller]
fn merge(base: impl Fn(&Rig), ours: impl Fn(&Rig), theirs: impl Fn(&Rig)) -> (Rig, Vec<String>) {
    let rig = Rig::new();
    let commit = rig.fork(base, ours, theirs);
    let conflicts = match rig.merge(commit).unwrap() {
        MergeOutcome::Merged(..) => Vec::new(),
        MergeOutcome::Conflicts(applied) => applied.conflicts.iter().map(|c| c.path.to_string()).collect(),
        other => panic!("{other:?}"),
    };
    (rig, conflicts)
}

fn executable(rig: &Rig, name: &str) {
    std::fs::set_permissions(rig.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_edit_follows_a_move() {
    let base = |r: &Rig| _ = r.write("a/clip", "1").write("other", "x");
    let moved = |r: &Rig| _ = r.rename("a/clip", "b/clip");
    let edited = |r: &Rig| _ = r.write("a/clip", "2");
    for (rig, conflicts) in [merge(base, moved, edited), merge(base, edited, moved)] {
        assert_eq!(conflicts, [""; 0]);
        assert_eq!(rig.files(), files([("b/clip", "2"), ("other", "x")]));
        rig.assert_clean();
    }
}

#[test]
fn a_move_and_a_removal_are_a_conflict() {
    let base = |r: &Rig| _ = r.write("a", "1").write("other", "x");
    let moved = |r: &Rig| _ = r.rename("a", "b");
    let removed = |r: &Rig| _ = r.remove("a");
    for (rig, conflicts) in [merge(base, moved, removed), merge(base, removed, moved)] {
        assert_eq!(conflicts, ["b"]);
        assert_eq!(rig.files(), files([("b", "1"), ("other", "x")]));
    }
}

#[test]
fn moved_by_both_to_one_place_or_to_two() {
    let base = |r: &Rig| _ = r.write("a", "1").write("other", "x");
    let to = |place: &'static str| move |r: &Rig| _ = r.rename("a", place);
    let (rig, conflicts) = merge(base, to("b"), to("b"));
    assert_eq!((conflicts.len(), rig.files()), (0, files([("b", "1"), ("other", "x")])));
    let (rig, conflicts) = merge(base, to("b"), to("c"));
    assert_eq!(conflicts, ["b", "c"]);
    assert_eq!(rig.files(), files([("b", "1"), ("c", "1"), ("other", "x")]));
    rig.repo.resolve_conflicts(&[path("b"), path("c")], Choice::Theirs, &Silent).unwrap();
    assert_eq!(rig.files(), files([("c", "1"), ("other", "x")]));
    rig.repo.commit(&rig.options("merged")).unwrap();
    rig.assert_clean();
}

#[test]
fn a_place_taken_by_another_file_is_a_conflict() {
    let base = |r: &Rig| _ = r.write("a", "1").write("other", "x");
    let (rig, conflicts) = merge(base, |r| _ = r.rename("a", "b"), |r| _ = r.write("a", "2").write("b", "new"));
    assert_eq!(conflicts, ["a", "b"]);
    assert_eq!(rig.files()["b"], "1");
    assert_eq!(rig.files()["b.theirs"], "new");
    assert_eq!(rig.files()["a"], "2");
}

#[test]
fn both_moved_and_edited_differently() {
    let big = |mark: &str| (0..60_000).map(|n| format!("{n} ")).collect::<String>() + mark;
    let base = |r: &Rig| _ = r.write("a", &big("1")).write("other", "x");
    let (rig, conflicts) =
        merge(base, |r| _ = r.rename("a", "b").write("b", &big("2")), |r| _ = r.write("a", &big("3")));
    assert_eq!(conflicts, ["b"]);
    assert_eq!((&rig.files()["b"], &rig.files()["b.theirs"]), (&big("2"), &big("3")));
    let (rig, conflicts) =
        merge(base, |r| _ = r.write("a", &big("3")), |r| _ = r.rename("a", "b").write("b", &big("2")));
    assert_eq!(conflicts, ["b"]);
    assert!(!rig.path("a").exists());
    assert_eq!((&rig.files()["b"], &rig.files()["b.theirs"]), (&big("3"), &big("2")));
    rig.repo.abort_pending(PendingKind::Merge, &rig.who(), &Silent).unwrap();
    assert_eq!(rig.files(), files([("a", &big("3")), ("other", "x")]));
    rig.assert_clean();
}

#[test]
fn the_executable_bit_and_the_content_merge_apart() {
    let base = |r: &Rig| _ = r.write("a", "1");
    let edited = |r: &Rig| _ = r.write("a", "2");
    let marked = |r: &Rig| executable(r, "a");
    for (rig, conflicts) in [
        merge(base, marked, edited),
        merge(base, edited, marked),
        merge(base, marked, |r| {
            executable(r, "a");
            r.write("a", "2");
        }),
    ] {
        assert_eq!((conflicts.len(), rig.files()), (0, files([("a", "2*")])));
        rig.assert_clean();
    }
}

#[test]
fn links_merge_as_wholes() {
    let link = |to: &'static str| {
        move |r: &Rig| {
            let _ = std::fs::remove_file(r.path("l"));
            std::os::unix::fs::symlink(to, r.path("l")).unwrap();
        }
    };
    let (rig, conflicts) = merge(link("a"), |r| _ = r.write("x", "1"), link("b"));
    assert_eq!((conflicts.len(), rig.files()["l"].as_str()), (0, "-> b"));
    rig.assert_clean();
    let (rig, conflicts) = merge(link("a"), link("b"), |r| _ = r.remove("l").write("l", "a file"));
    assert_eq!(conflicts, ["l"]);
    assert_eq!(rig.files(), files([("l", "-> b"), ("l.theirs", "a file")]));
    rig.repo.resolve_conflicts(&[path("l")], Choice::Theirs, &Silent).unwrap();
    assert_eq!(rig.files(), files([("l", "a file")]));
}

#[test]
fn the_same_addition_is_none_to_decide() {
    let (rig, conflicts) =
        merge(|r| _ = r.write("a", "1"), |r| _ = r.write("n", "same"), |r| _ = r.write("n", "same").write("m", "2"));
    assert_eq!((conflicts.len(), rig.files()), (0, files([("a", "1"), ("m", "2"), ("n", "same")])));
}
