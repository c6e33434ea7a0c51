//! Merging, stashing and measuring with ghosts.

use super::*;
use crate::merge::Choice;
use crate::stash::StashOptions;

/// `theirs` on topic changes `a` and `b`, ours only `b`; all is promised, and nothing but `keep` is here.
fn forked() -> (Rig, Remote, CommitId) {
    let rig = Rig::new();
    let theirs = rig.fork(
        |rig| _ = rig.write("a", "base a").write("b", "base b").write("keep", "kept"),
        |rig| _ = rig.write("b", "our b"),
        |rig| _ = rig.write("a", "their a").write("b", "their b"),
    );
    let remote = rig.remote();
    let tips = [theirs, rig.head()];
    rig.drop_files(&["a", "b"], &tips).unwrap();
    rig.switch("topic");
    rig.drop_files(&["a", "b"], &tips).unwrap();
    rig.switch("main");
    assert_eq!(rig.seen(), files([("a", "ghost"), ("b", "ghost"), ("keep", "kept")]));
    (rig, remote, theirs)
}

#[test]
fn a_merge_needs_no_content_and_a_conflict_can_be_fetched_and_decided() {
    for (choice, expected) in [(Choice::Ours, "our b"), (Choice::Theirs, "their b")] {
        let (rig, remote, theirs) = forked();
        rig.merge(theirs).unwrap();
        let ghosts = files([("a", "ghost"), ("b", "ghost"), ("b.theirs", "ghost"), ("keep", "kept")]);
        assert_eq!(rig.seen(), ghosts);
        let absent = rig.repo.absent(&these(&["b"]), &Silent).unwrap();
        assert_eq!(absent.chunks.len(), 2, "both sides are wanted to decide");
        assert_eq!(rig.fetch(&["b"], &remote).files, 2);
        assert_eq!((&rig.seen()["b"][..], &rig.seen()["b.theirs"][..]), ("our b", "their b"));
        rig.repo.resolve_conflicts(&[path("b")], choice, &Silent).unwrap();
        assert_eq!(rig.seen(), files([("a", "ghost"), ("b", expected), ("keep", "kept")]));
        rig.repo.commit(&rig.options("merged")).unwrap();
        assert!(rig.status().is_clean() && rig.status().ghosts == 1);
        rig.fetch(&["a"], &remote);
        assert_eq!(rig.seen()["a"], "their a");
        assert!(!rig.fsck().is_damaged());
    }
}

#[test]
fn a_conflict_can_be_decided_or_given_up_without_content() {
    let (rig, _, theirs) = forked();
    rig.merge(theirs).unwrap();
    rig.repo.abort_pending(crate::repo::PendingKind::Merge, &rig.who(), &Silent).unwrap();
    assert_eq!(rig.seen(), files([("a", "ghost"), ("b", "ghost"), ("keep", "kept")]));
    assert!(rig.status().is_clean());
    rig.merge(theirs).unwrap();
    rig.repo.resolve_conflicts(&[path("b")], Choice::Theirs, &Silent).unwrap();
    assert_eq!(rig.seen(), files([("a", "ghost"), ("b", "ghost"), ("keep", "kept")]));
    assert!(rig.is_ghost("b"));
    rig.repo.commit(&rig.options("merged")).unwrap();
    assert!(rig.status().is_clean() && !rig.fsck().is_damaged());
}

#[test]
fn a_stash_carries_what_is_here_and_leaves_ghosts() {
    let (rig, _, _) = forked();
    rig.remove("b").write("b", "changed").write("keep", "changed too");
    rig.rename("a", "moved");
    let stash = |rig: &Rig| {
        let options = StashOptions { untracked: true, ..StashOptions::default() };
        rig.repo.stash_push(None, options, &rig.who(), &Silent).unwrap().unwrap()
    };
    stash(&rig);
    assert_eq!(rig.seen(), files([("a", "ghost"), ("b", "ghost"), ("keep", "kept")]));
    assert!(rig.status().is_clean());
    rig.repo.stash_apply(0, false, &Silent).unwrap();
    assert_eq!(rig.seen(), files([("b", "changed"), ("keep", "changed too"), ("moved", "ghost")]));
}

#[test]
fn the_space_of_a_version_says_what_is_not_here() {
    let (rig, _, _) = forked();
    let usage = rig.repo.usage(rig.head(), &mut |path| Some(path.clone()), &Silent).unwrap();
    assert_eq!((usage.files, usage.logical, usage.chunks.objects), (3, 15, 3));
    assert_eq!((usage.absent.objects, usage.absent.plain, usage.absent.stored), (2, 11, 0));
}

#[test]
fn a_chunk_that_only_a_promised_recipe_names_may_be_absent_from_others() {
    // A file that shares its beginning with a promised one and is not promised itself.
    let rig = Rig::new();
    let old = noise(5, 600_000);
    let pushed = rig.write_bytes("take.mov", &old).commit("pushed");
    let remote = rig.remote();
    let new = [&old[..], &noise(6, 300_000)].concat();
    rig.branch("longer", pushed).switch("longer");
    rig.write_bytes("take.mov", &new).commit("longer");
    rig.switch("main");
    rig.repo.record_promises("origin", &[pushed]).unwrap();
    // Harder than a drop: nothing of the promised file stays, though the longer one has most of it.
    let promised = rig.repo.promised().unwrap();
    let digests = promised.chunks().unwrap().iter().copied().collect();
    let content = &rig.repo.store().content;
    let packs: Vec<_> = content.pack_ids().unwrap().into_iter().map(|(id, _)| id).collect();
    content.remove_objects(&crate::store::DigestSet::new(digests), &packs, false, &Silent).unwrap();
    assert!(!rig.fsck().is_damaged());
    rig.switch("longer");
    assert!(rig.is_ghost("take.mov"));
    let absent = rig.repo.absent(&Everything, &Silent).unwrap();
    assert!(absent.bytes < 600_001 && !absent.chunks.is_empty());
    rig.fetch(&["take.mov"], &remote);
    assert_eq!(std::fs::read(rig.path("take.mov")).unwrap(), new);
}
