use super::*;

fn options(rig: &Rig) -> PickOptions {
    PickOptions { mainline: 0, no_commit: false, who: rig.who() }
}

const PICK: Pick = Pick::CherryPick { name_origin: true };

#[test]
fn a_revert_takes_one_commit_back_and_no_other() {
    let rig = Rig::new();
    rig.write("a", "1").write("b", "1").commit("first");
    let undone = rig.write("a", "2").write("c", "new").commit("second");
    rig.write("b", "3").commit("third");
    let outcome = rig.repo.pick(Pick::Revert, &[undone], &options(&rig), &Silent).unwrap();
    assert!(outcome.stopped.is_none() && matches!(outcome.done[..], [Picked::Committed(_)]));
    assert_eq!(rig.files(), files([("a", "1"), ("b", "3")]));
    let message = Commit::read(rig.repo.store(), rig.head()).unwrap().message;
    assert_eq!(message, format!("Revert \"second\"\n\nThis reverts commit {undone}.\n"));
    rig.assert_clean();
    // There is nothing left of it to undo.
    let again = rig.repo.pick(Pick::Revert, &[undone], &options(&rig), &Silent).unwrap();
    assert!(matches!(again.done[..], [Picked::Nothing(_)]));
    rig.assert_clean();
}

#[test]
fn picking_keeps_author_and_message() {
    let rig = Rig::new();
    let base = rig.write("a", "1").commit("base");
    rig.branch("topic", base).switch("topic");
    let first = rig.write("n", "1").commit("one");
    let second = rig.write("a", "2").commit("two");
    rig.switch("main").write("m", "1").commit("other");
    rig.repo.pick(PICK, &[first, second], &options(&rig), &Silent).unwrap();
    assert_eq!(rig.files(), files([("a", "2"), ("m", "1"), ("n", "1")]));
    let (made, original) = [rig.head(), second].map(|id| Commit::read(rig.repo.store(), id).unwrap()).into();
    assert_eq!((made.author, made.parents.len()), (original.author, 1));
    assert_eq!(made.message, format!("two\n\n(cherry picked from commit {second})\n"));
    rig.assert_clean();
}

/// Three commits of which the second is in conflict.
fn stopped() -> (Rig, CommitId, Vec<CommitId>) {
    let rig = Rig::new();
    let base = rig.write("a", "1").write("keep", "1").commit("base");
    rig.branch("topic", base).switch("topic");
    let picks = vec![
        rig.write("n1", "1").commit("one"),
        rig.write("a", "theirs").commit("two"),
        rig.write("n3", "3").commit("three"),
    ];
    let start = rig.switch("main").write("a", "ours").commit("ours");
    rig.write("keep", "not recorded");
    let outcome = rig.repo.pick(PICK, &picks, &options(&rig), &Silent).unwrap();
    assert_eq!(outcome.done.len(), 1);
    assert_eq!(outcome.stopped.unwrap().0, picks[1]);
    assert_eq!(rig.files()["a.theirs"], "theirs");
    (rig, start, picks)
}

#[test]
fn an_abort_goes_back_to_before_the_first() {
    let (rig, start, _) = stopped();
    rig.repo.abort_pending(PendingKind::CherryPick, &rig.who(), &Silent).unwrap();
    assert_eq!(rig.head(), start);
    assert_eq!(rig.files(), files([("a", "ours"), ("keep", "not recorded")]));
    rig.write("keep", "1").assert_clean();
}

#[test]
fn going_on_does_the_rest() {
    let (rig, _, _) = stopped();
    rig.repo.resolve_conflicts(&[path("a")], Choice::Theirs, &Silent).unwrap();
    let outcome = rig.repo.pick_continue(PICK, None, &options(&rig), &Silent).unwrap();
    assert_eq!((outcome.done.len(), outcome.stopped.is_none()), (2, true));
    let expected = files([("a", "theirs"), ("keep", "not recorded"), ("n1", "1"), ("n3", "3")]);
    assert_eq!(rig.files(), expected);
    rig.write("keep", "1").assert_clean();
}

#[test]
fn skipping_leaves_one_out_and_does_the_rest() {
    let (rig, _, _) = stopped();
    rig.repo.pick_skip(PICK, &options(&rig), &Silent).unwrap();
    assert_eq!(rig.files(), files([("a", "ours"), ("keep", "not recorded"), ("n1", "1"), ("n3", "3")]));
    rig.write("keep", "1").assert_clean();
    // The same when the conflict is decided for what is there.
    let (rig, _, picks) = stopped();
    rig.repo.resolve_conflicts(&[path("a")], Choice::Ours, &Silent).unwrap();
    let outcome = rig.repo.pick_continue(PICK, None, &options(&rig), &Silent).unwrap();
    assert!(matches!(outcome.done[0], Picked::Nothing(id) if id == picks[1]));
    assert!(rig.files().contains_key("n3"));
    rig.write("keep", "1").assert_clean();
}

#[test]
fn a_merge_needs_a_side() {
    let rig = Rig::new();
    let theirs = rig.fork(|r| _ = r.write("a", "1"), |r| _ = r.write("b", "1"), |r| _ = r.write("c", "1"));
    rig.merge(theirs).unwrap();
    let merge = rig.head();
    let revert = |mainline| {
        let options = PickOptions { mainline, ..options(&rig) };
        rig.repo.pick(Pick::Revert, &[merge], &options, &Silent)
    };
    assert!(matches!(revert(0), Err(RepoError::NeedsMainline { parents: 2, .. })));
    assert!(matches!(revert(3), Err(RepoError::NoSuchParent { number: 3, .. })));
    revert(1).unwrap();
    assert_eq!(rig.files(), files([("a", "1"), ("b", "1")]));
}
