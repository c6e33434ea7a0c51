use super::*;

#[track_caller]
fn conflicts(outcome: Result<MergeOutcome, RepoError>) -> Applied {
    match outcome.unwrap() {
        MergeOutcome::Conflicts(applied) => applied,
        other => panic!("no conflict: {other:?}"),
    }
}

#[track_caller]
fn merged(outcome: Result<MergeOutcome, RepoError>) {
    match outcome.unwrap() {
        MergeOutcome::Merged(..) => {}
        other => panic!("not merged: {other:?}"),
    }
}

#[test]
fn changes_of_both_sides_come_together() {
    let rig = Rig::new();
    let theirs = rig.fork(
        |r| _ = r.write("a", "1").write("b", "1").write("c/d", "1").write("gone", "1"),
        |r| _ = r.write("a", "ours").write("new", "ours"),
        |r| _ = r.write("b", "theirs").remove("gone").remove("c/d").write("e/f", "theirs"),
    );
    let ours = rig.head();
    rig.write("a-note", "not tracked");
    merged(rig.merge(theirs));
    assert_eq!(rig.parents(), [ours, theirs]);
    let expected =
        files([("a", "ours"), ("b", "theirs"), ("new", "ours"), ("e/f", "theirs"), ("a-note", "not tracked")]);
    assert_eq!(rig.files(), expected);
    assert!(!rig.path("c").exists());
    rig.remove("a-note").assert_clean();
    assert!(matches!(rig.merge(theirs).unwrap(), MergeOutcome::UpToDate));
}

#[test]
fn a_branch_that_is_only_behind_moves_forward() {
    let rig = Rig::new();
    let base = rig.write("a", "1").commit("base");
    let ahead = rig.write("a", "2").commit("ahead");
    rig.branch("topic", base).switch("topic");
    assert!(matches!(rig.merge(ahead).unwrap(), MergeOutcome::FastForwarded { from: Some(from), .. } if from == base));
    assert_eq!((rig.head(), rig.files()), (ahead, files([("a", "2")])));
    rig.assert_clean();
    rig.branch("other", base).switch("other");
    let never = MergeOptions { fast_forward: FastForward::Never, ..rig.merge_options() };
    assert!(matches!(rig.repo.merge(ahead, &never, &Silent).unwrap(), MergeOutcome::Merged(..)));
    assert_eq!(rig.parents(), [base, ahead]);
}

#[test]
fn only_forward_and_unrelated_are_refused() {
    let rig = Rig::new();
    let theirs = rig.fork(|r| _ = r.write("a", "1"), |r| _ = r.write("b", "1"), |r| _ = r.write("c", "1"));
    let only = MergeOptions { fast_forward: FastForward::Only, ..rig.merge_options() };
    assert!(matches!(rig.repo.merge(theirs, &only, &Silent), Err(RepoError::NotFastForward)));
    rig.assert_clean();
}

#[test]
fn a_conflict_leaves_ours_puts_theirs_beside_and_can_be_aborted() {
    let rig = Rig::new();
    let theirs = rig.fork(
        |r| _ = r.write("s.mov", "base").write("t.mov", "base").write("u", "1").write("keep", "1"),
        |r| _ = r.write("s.mov", "ours").remove("t.mov").write("mine", "x"),
        |r| _ = r.write("s.mov", "theirs").write("t.mov", "theirs!").write("u", "2").write("mine", "y"),
    );
    let before = rig.files();
    let ours = rig.head();
    rig.write("keep", "not recorded");
    let applied = conflicts(rig.merge(theirs));
    let names: Vec<_> = applied.conflicts.iter().map(|c| c.path.to_string()).collect();
    assert_eq!(names, ["mine", "s.mov", "t.mov"]);
    assert_eq!(
        rig.files(),
        files([
            ("keep", "not recorded"),
            ("mine", "x"),
            ("mine.theirs", "y"),
            ("s.mov", "ours"),
            ("s.theirs.mov", "theirs"),
            ("t.mov", "theirs!"),
            ("u", "2"),
        ])
    );
    assert!(matches!(rig.repo.commit(&rig.options("x")), Err(RepoError::Unresolved { .. })));
    assert!(matches!(rig.merge(theirs), Err(RepoError::OperationPending { command: "merge" })));
    rig.repo.abort_pending(PendingKind::Merge, &rig.who(), &Silent).unwrap();
    assert_eq!(rig.head(), ours);
    let mut expected = before;
    expected.insert("keep".into(), "not recorded".into());
    assert_eq!(rig.files(), expected);
    rig.write("keep", "1").assert_clean();
    assert!(matches!(
        rig.repo.abort_pending(PendingKind::Merge, &rig.who(), &Silent),
        Err(RepoError::NothingPending { .. })
    ));
}

#[test]
fn conflicts_are_decided_one_by_one() {
    let rig = Rig::new();
    let names = ["a", "b", "c", "d", "e"];
    let all = |text: &'static str| move |r: &Rig| names.iter().for_each(|name| _ = r.write(name, text));
    let theirs = rig.fork(all("base"), all("ours"), |r| {
        all("theirs")(r);
        r.remove("e");
    });
    conflicts(rig.merge(theirs));
    let decide = |name: &str, choice| rig.repo.resolve_conflicts(&[path(name)], choice, &Silent).unwrap();
    decide("a", Choice::Ours);
    decide("b", Choice::Theirs);
    rig.write("c", "mixed by hand").write("d.theirs", "edited beside");
    decide("c", Choice::Worktree);
    let other = rig.write("elsewhere", "from elsewhere").path("elsewhere");
    rig.repo.resolve_with(&path("d"), &other, &Silent).unwrap();
    rig.remove("elsewhere").remove("e");
    decide("e", Choice::Worktree);
    assert!(matches!(
        rig.repo.resolve_conflicts(&[path("a")], Choice::Ours, &Silent),
        Err(RepoError::NotInConflict { .. })
    ));
    rig.repo.commit(&rig.options("merged")).unwrap();
    // What somebody wrote into the file beside is theirs to remove.
    let expected = files([
        ("a", "ours"),
        ("b", "theirs"),
        ("c", "mixed by hand"),
        ("d", "from elsewhere"),
        ("d.theirs", "edited beside"),
    ]);
    assert_eq!(rig.files(), expected);
    rig.remove("d.theirs").assert_clean();
    assert_eq!(rig.parents().len(), 2);
}

#[test]
fn amending_in_the_middle_is_refused() {
    let rig = Rig::new();
    let theirs = rig.fork(|r| _ = r.write("a", "1"), |r| _ = r.write("b", "1"), |r| _ = r.write("c", "1"));
    let staged = MergeOptions { no_commit: true, ..rig.merge_options() };
    assert!(matches!(rig.repo.merge(theirs, &staged, &Silent).unwrap(), MergeOutcome::Staged(_)));
    let amend = CommitOptions { amend: true, ..rig.options("x") };
    assert!(matches!(rig.repo.commit(&amend), Err(RepoError::AmendDuringMerge)));
    rig.repo.commit(&rig.options("merged")).unwrap();
    assert_eq!(rig.parents()[1], theirs);
    rig.assert_clean();
}

#[test]
fn what_is_in_the_way_stops_a_merge_before_it_begins() {
    let theirs_adds = |r: &Rig| _ = r.write("a", "2").write("new", "theirs").write("d/e", "theirs");
    for (what, change) in [
        ("untracked file", Box::new(|r: &Rig| _ = r.write("new", "mine")) as Box<dyn Fn(&Rig)>),
        ("changed file", Box::new(|r: &Rig| _ = r.write("a", "mine"))),
        ("file where a folder comes", Box::new(|r: &Rig| _ = r.write("d", "mine"))),
        ("folder with files where a file comes", Box::new(|r: &Rig| _ = r.write("new/x", "mine"))),
        ("changed file in conflict", Box::new(|r: &Rig| _ = r.write("both", "mine"))),
        ("untracked file where theirs is removed here", Box::new(|r: &Rig| _ = r.write("md", "mine"))),
    ] {
        let rig = Rig::new();
        let theirs = rig.fork(
            |r| _ = r.write("a", "1").write("z", "1").write("both", "1").write("md", "1"),
            |r| _ = r.write("z", "2").write("both", "2").remove("md"),
            |r| {
                theirs_adds(r);
                r.write("both", "3").write("md", "4");
            },
        );
        change(&rig);
        let before = rig.files();
        let outcome = rig.merge(theirs);
        assert!(matches!(outcome, Err(RepoError::InTheWay(_))), "{what}: {outcome:?}");
        assert_eq!(rig.files(), before, "{what}");
        assert_eq!(rig.repo.pending().unwrap(), None, "{what}");
        assert!(!rig.repo.index().unwrap().has_conflicts(), "{what}");
    }
}

#[test]
fn a_file_against_a_folder_is_refused() {
    let cases: [(&str, &str); 3] = [("x", "x/y"), ("x/y", "x"), ("x/y/z", "x/y")];
    for (ours, theirs) in cases {
        let rig = Rig::new();
        let commit =
            rig.fork(|r| _ = r.write("a", "1"), |r| _ = r.write(ours, "ours"), |r| _ = r.write(theirs, "theirs"));
        let before = rig.files();
        assert!(matches!(rig.merge(commit), Err(RepoError::FileAndFolder { .. })), "{ours} {theirs}");
        assert_eq!(rig.files(), before);
        rig.assert_clean();
    }
    // A link is no folder either; and a file that gives way to a folder on one side only is no clash.
    let rig = Rig::new();
    let link = |r: &Rig| std::os::unix::fs::symlink("a", r.path("x")).unwrap();
    let commit = rig.fork(|r| _ = r.write("a", "1"), link, |r| _ = r.write("x/y", "theirs"));
    assert!(matches!(rig.merge(commit), Err(RepoError::FileAndFolder { .. })));
    let rig = Rig::new();
    let commit = rig.fork(
        |r| _ = r.write("x", "1").write("y/z", "1"),
        |r| _ = r.write("a", "1"),
        |r| _ = r.remove("x").write("x/deep/er", "2").remove("y/z").write("note", "3"),
    );
    merged(rig.merge(commit));
    assert_eq!(rig.files(), files([("a", "1"), ("note", "3"), ("x/deep/er", "2")]));
    rig.assert_clean();
}

/// A merge killed at each of its steps can be aborted, and cannot be committed as if it were whole.
#[test]
fn a_merge_killed_halfway_can_be_aborted() {
    let rig = Rig::new();
    let theirs = rig.fork(
        |r| _ = r.write("a", "1").write("b", "1").write("gone", "1").write("both", "1"),
        |r| _ = r.write("z", "ours").write("both", "2"),
        |r| _ = r.write("a", "2").write("b", "2").write("new/c", "2").remove("gone").write("both", "3"),
    );
    let before = rig.files();
    conflicts(rig.merge(theirs));
    let mut record = rig.repo.pending().unwrap().unwrap();
    rig.repo.abort_pending(PendingKind::Merge, &rig.who(), &Silent).unwrap();
    assert_eq!(rig.files(), before);
    // Some files are there, the index knows nothing of it yet.
    record.applied = false;
    rig.repo.set_pending(&record).unwrap();
    rig.write("a", "2").write("new/c", "2").remove("gone").write("both.theirs", "3");
    let half = rig.repo.commit(&rig.options("x"));
    assert!(matches!(half, Err(RepoError::HalfDone { command: "merge" })), "{half:?}");
    rig.repo.abort_pending(PendingKind::Merge, &rig.who(), &Silent).unwrap();
    assert_eq!(rig.files(), before);
    rig.assert_clean();
    // Killed after the commit, before the record was removed.
    conflicts(rig.merge(theirs));
    let record = rig.repo.pending().unwrap().unwrap();
    rig.repo.resolve_conflicts(&[path("both")], Choice::Theirs, &Silent).unwrap();
    rig.repo.commit(&rig.options("merged")).unwrap();
    rig.repo.set_pending(&record).unwrap();
    rig.assert_clean();
}

#[test]
fn bases_that_disagree_make_a_conflict() {
    // Two branches that merged each other, each deciding for itself: taking either base alone would take a side.
    let rig = Rig::new();
    let base = rig.write("a", "0").write("b", "0").commit("base");
    rig.branch("topic", base).switch("topic");
    let theirs = rig.write("a", "theirs").commit("t1");
    rig.switch("main");
    let ours = rig.write("a", "ours").commit("o1");
    let settle = |with: CommitId, choice, more: &str| {
        conflicts(rig.merge(with));
        rig.repo.resolve_conflicts(&[path("a")], choice, &Silent).unwrap();
        rig.repo.commit(&rig.options(more)).unwrap();
        rig.head()
    };
    settle(theirs, Choice::Ours, "main took ours");
    rig.switch("topic");
    let crossed = settle(ours, Choice::Ours, "topic took its own");
    rig.switch("main");
    assert_eq!(crate::history::merge_bases(rig.repo.store(), rig.head(), crossed).unwrap().len(), 2);
    let applied = conflicts(rig.merge(crossed));
    assert_eq!(applied.conflicts[0].path, path("a"));
    assert_eq!(rig.files()["a.theirs"], "theirs");
}

#[test]
fn bases_that_agree_on_the_rest_do_not() {
    let rig = Rig::new();
    let base = rig.write("a", "0").write("b", "0").commit("base");
    rig.branch("topic", base).switch("topic");
    let theirs = rig.write("b", "theirs").commit("t1");
    rig.switch("main");
    let ours = rig.write("a", "ours").commit("o1");
    merged(rig.merge(theirs));
    rig.switch("topic");
    merged(rig.merge(ours));
    let crossed = rig.write("a", "newer").commit("t2");
    rig.switch("main").write("b", "newest").commit("o2");
    merged(rig.merge(crossed));
    assert_eq!(rig.files(), files([("a", "newer"), ("b", "newest")]));
}
