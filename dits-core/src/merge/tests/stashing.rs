use super::*;
use crate::stash::StashOptions;

fn push(rig: &Rig, options: StashOptions) -> Option<CommitId> {
    rig.repo.stash_push(None, options, &rig.who(), &Silent).unwrap().map(|made| made.commit)
}

fn staged(rig: &Rig) -> Vec<String> {
    let index = rig.repo.index().unwrap();
    let changes = crate::worktree::changes_to_tree(&rig.repo, &index, rig.repo.head_tree().unwrap()).unwrap();
    changes.iter().map(|change| change.path.to_string()).collect()
}

#[test]
fn changes_go_aside_and_come_back() {
    let rig = Rig::new();
    rig.write("a", "1").write("b", "1").write("gone", "1").commit("base");
    rig.write("a", "2").add().write("b", "2").remove("gone").write("n", "new").add();
    rig.write("a", "3").write("u", "untracked");
    let before = rig.files();
    push(&rig, StashOptions { untracked: true, ..StashOptions::default() }).unwrap();
    assert_eq!(rig.files(), files([("a", "1"), ("b", "1"), ("gone", "1")]));
    rig.assert_clean();
    rig.repo.stash_apply(0, false, &Silent).unwrap();
    assert_eq!(rig.files(), before);
    assert_eq!(staged(&rig), ["n"]);
    assert_eq!(rig.repo.pending().unwrap(), None);
    // With the staging area.
    push(&rig, StashOptions { untracked: true, ..StashOptions::default() }).unwrap();
    rig.repo.stash_drop(0).unwrap();
    rig.repo.stash_apply(0, true, &Silent).unwrap();
    assert_eq!(rig.files(), before);
    assert_eq!(staged(&rig), ["a", "b", "gone", "n"]);
    assert_eq!(rig.repo.stash_list().unwrap().len(), 1);
}

#[test]
fn a_folder_in_place_of_a_file_is_not_lost() {
    let rig = Rig::new();
    rig.write("a", "1").write("b", "1").commit("base");
    rig.remove("a").write("a/untracked", "precious").write("b", "2");
    let before = rig.files();
    let refused = rig.repo.stash_push(None, StashOptions::default(), &rig.who(), &Silent);
    assert!(matches!(&refused, Err(RepoError::InTheWay(found)) if found.untracked == [path("a/untracked")]));
    assert_eq!(rig.files(), before);
    assert_eq!(rig.repo.stash_list().unwrap().len(), 0);
    // With the untracked files everything is put aside.
    push(&rig, StashOptions { untracked: true, ..StashOptions::default() }).unwrap();
    assert_eq!(rig.files(), files([("a", "1"), ("b", "1")]));
    rig.assert_clean();
    rig.repo.stash_apply(0, false, &Silent).unwrap();
    assert_eq!(rig.files(), before);
}

#[test]
fn what_is_staged_can_stay() {
    let rig = Rig::new();
    rig.write("a", "1").write("b", "1").commit("base");
    rig.write("a", "2").add().write("b", "2");
    push(&rig, StashOptions { keep_index: true, ..StashOptions::default() }).unwrap();
    assert_eq!(rig.files(), files([("a", "2"), ("b", "1")]));
    assert_eq!(staged(&rig), ["a"]);
}

#[test]
fn nothing_is_nothing_and_entries_have_numbers() {
    let rig = Rig::new();
    rig.write("a", "0").commit("base");
    assert_eq!(push(&rig, StashOptions::default()), None);
    for text in ["1", "2", "3"] {
        rig.write("a", text);
        push(&rig, StashOptions::default()).unwrap();
    }
    rig.repo.stash_drop(1).unwrap();
    assert_eq!(rig.repo.stash_list().unwrap().len(), 2);
    rig.repo.stash_apply(1, false, &Silent).unwrap();
    assert_eq!(rig.files()["a"], "1");
    assert!(matches!(rig.repo.stash_apply(2, false, &Silent), Err(RepoError::NoStash { number: 2 })));
    rig.repo.stash_drop(0).unwrap();
    rig.repo.stash_drop(0).unwrap();
    assert!(rig.repo.stash_list().unwrap().is_empty());
    rig.repo.stash_clear().unwrap();
}

#[test]
fn a_conflict_keeps_the_entry_and_can_be_decided_or_aborted() {
    let rig = Rig::new();
    rig.write("a", "1").write("b", "1").write("keep", "1").commit("base");
    rig.write("a", "mine").write("b", "2").write("u", "untracked");
    push(&rig, StashOptions { untracked: true, ..StashOptions::default() }).unwrap();
    rig.write("a", "newer").commit("newer");
    rig.write("keep", "not recorded");
    let before = rig.files();
    let applied = rig.repo.stash_apply(0, false, &Silent).unwrap();
    assert_eq!(applied.conflicts.len(), 1);
    assert_eq!(rig.files()["a.theirs"], "mine");
    rig.repo.abort_pending(PendingKind::Stash, &rig.who(), &Silent).unwrap();
    assert_eq!(rig.files(), before);
    rig.repo.stash_apply(0, false, &Silent).unwrap();
    rig.repo.resolve_conflicts(&[path("a")], Choice::Theirs, &Silent).unwrap();
    assert_eq!(rig.repo.pending().unwrap(), None);
    let expected = files([("a", "mine"), ("b", "2"), ("keep", "not recorded"), ("u", "untracked")]);
    assert_eq!(rig.files(), expected);
    assert_eq!(rig.repo.stash_list().unwrap().len(), 1);
}

#[test]
fn files_in_the_way_stop_it_before_it_begins() {
    let rig = Rig::new();
    rig.write("a", "1").commit("base");
    rig.write("a", "2").write("u", "untracked");
    push(&rig, StashOptions { untracked: true, ..StashOptions::default() }).unwrap();
    for (name, text) in [("u", "another"), ("a", "edited")] {
        rig.write(name, text);
        let before = rig.files();
        assert!(matches!(rig.repo.stash_apply(0, false, &Silent), Err(RepoError::InTheWay(_))), "{name}");
        assert_eq!(rig.files(), before);
        assert_eq!(rig.repo.pending().unwrap(), None);
        if name == "u" {
            rig.remove("u");
        }
    }
}
