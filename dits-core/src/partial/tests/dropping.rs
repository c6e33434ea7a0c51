use super::*;
use crate::object::Digest;
use crate::store::Condemned;

/// Two big files, a small one, and rules, all pushed.
fn project() -> (Rig, Remote, CommitId) {
    let rig = Rig::new();
    rig.write_bytes("shots/one.mov", &noise(1, 900_000)).write_bytes("shots/two.mov", &noise(2, 400_000));
    rig.write("notes.txt", "read me").write(".ditsattributes", "*.mov chunking=video\n").write("empty", "");
    let head = rig.commit("first");
    let remote = rig.remote();
    (rig, remote, head)
}

#[test]
fn dropping_gives_space_back_and_fetching_brings_it() {
    let (rig, remote, head) = project();
    let mut dry = rig.drop_options(&[]);
    let confirmed = [head];
    dry = DropOptions { dry_run: true, confirmed: &confirmed, ..dry };
    let before = std::fs::read(rig.path("shots/one.mov")).unwrap();
    let planned = rig.repo.drop_content(&these(&["shots/one.mov"]), &dry, &Silent).unwrap();
    assert!(rig.repo.promises().unwrap().is_empty() && !rig.is_ghost("shots/one.mov"), "a dry run changes nothing");
    let dropped = rig.drop_files(&["shots/one.mov"], &confirmed).unwrap();
    assert_eq!(dropped, planned, "the dry run was exact");
    assert_eq!((dropped.files.len(), dropped.worktree_bytes, dropped.kept_chunks), (1, 900_000, 0));
    assert!(dropped.chunks > 1 && dropped.store_bytes > 899_000, "{dropped:?}");
    let target = std::fs::read_link(rig.path("shots/one.mov")).unwrap();
    assert!(target.starts_with("../.dits/ghost") && !rig.path("shots/one.mov").exists());
    assert!(rig.is_ghost("shots/one.mov") && !rig.is_ghost("shots/two.mov"));
    let status = rig.status();
    assert!(status.is_clean() && status.untracked.is_empty() && status.ghosts == 1);
    rig.gc();
    let report = rig.fsck();
    assert!(!report.is_damaged() && report.absent == dropped.chunks, "{:?}", report.findings);
    let absent = rig.repo.absent(&Everything, &Silent).unwrap();
    assert_eq!((absent.files.len(), absent.chunks.len() as u64, absent.bytes), (1, dropped.chunks, 900_000));
    let (fetched, hydrated) = rig.repo.fetch_content(&Everything, &remote, &Silent).unwrap();
    // Chunks travel as frames, whose headers have 57 bytes.
    assert_eq!((fetched.chunks, fetched.bytes), (dropped.chunks, 900_000 + 57 * dropped.chunks));
    assert_eq!(hydrated, Hydrated { files: 1, bytes: 900_000, absent: 0 });
    assert_eq!(std::fs::read(rig.path("shots/one.mov")).unwrap(), before);
    assert!(!rig.is_ghost("shots/one.mov"));
    rig.assert_clean();
    assert_eq!(rig.fsck().absent, 0);
}

#[test]
fn what_only_this_repository_has_is_not_dropped() {
    let (rig, _, head) = project();
    rig.write_bytes("shots/new.mov", &noise(3, 300_000)).commit("not pushed");
    let error = rig.drop_files(&["shots/one.mov", "shots/new.mov"], &[head]).unwrap_err();
    let RepoError::KeptBack(kept) = &error else { panic!("{error}") };
    assert_eq!((&kept.only_here[..], kept.changed.len()), (&[path("shots/new.mov")][..], 0));
    assert!(error.to_string().contains("shots/new.mov") && !error.to_string().contains("one.mov"), "{error}");
    assert!(!rig.is_ghost("shots/one.mov"), "all or nothing");
    assert!(rig.drop_files(&["shots/one.mov"], &[head]).is_ok());
    assert!(rig.drop_files(&["shots/one.mov"], &[]).is_ok(), "what was promised before need not be confirmed again");
    rig.gc();
    assert!(!rig.fsck().is_damaged());
    // A file that was changed, and one that is gone.
    rig.write("notes.txt", "changed").remove("shots/two.mov");
    let Err(RepoError::KeptBack(kept)) = rig.drop_files(&["notes.txt", "shots/two.mov"], &[]) else { panic!() };
    assert_eq!((kept.only_here.len(), kept.changed), (0, vec![path("notes.txt"), path("shots/two.mov")]));
}

#[test]
fn chunks_that_something_else_needs_stay() {
    let (rig, remote, _) = project();
    // The same content under another name, and a change that shares most of it and is not pushed.
    std::fs::copy(rig.path("shots/two.mov"), rig.path("copy.mov")).unwrap();
    let pushed = rig.commit("a copy");
    let mut edited = noise(1, 900_000);
    edited[500_000] ^= 1;
    rig.branch("edit", pushed).switch("edit");
    rig.write_bytes("shots/one.mov", &edited).commit("edited, not pushed");
    rig.switch("main");
    let dropped = rig.drop_files(&["shots/one.mov", "shots/two.mov"], &[pushed]).unwrap();
    assert_eq!(dropped.files.len(), 2);
    assert!(dropped.kept_chunks > dropped.chunks && dropped.chunks > 0, "{dropped:?}");
    assert!(rig.is_ghost("shots/one.mov"));
    rig.gc();
    assert!(!rig.fsck().is_damaged());
    rig.switch("edit");
    assert_eq!(std::fs::read(rig.path("shots/one.mov")).unwrap(), edited, "what is not pushed is whole");
    assert_eq!(std::fs::read(rig.path("copy.mov")).unwrap(), noise(2, 400_000));
    // Nothing of two.mov went: its copy has all of it. So it comes back without a remote.
    assert_eq!(rig.repo.hydrate(&these(&["shots/two.mov"]), &Silent).unwrap().files, 1);
    rig.switch("main");
    assert_eq!(rig.fetch(&["shots/one.mov"], &remote).files, 1);
    rig.assert_clean();
}

#[test]
fn stash_and_other_worktrees_keep_what_they_need() {
    let (rig, _, head) = project();
    let mut edited = noise(1, 900_000);
    edited[10] ^= 1;
    rig.write_bytes("shots/one.mov", &edited);
    rig.repo.stash_push(None, crate::stash::StashOptions::default(), &rig.who(), &Silent).unwrap().unwrap();
    let other = tempfile::tempdir().unwrap();
    let place = other.path().join("linked");
    let target = crate::refs::Target::Id(*head.digest());
    let linked = rig.repo.add_worktree(&place, target, &crate::repo::Environment::default()).unwrap();
    linked.reset_hard(linked.head_tree().unwrap(), &Silent).unwrap();
    // The linked worktree drops one.mov, the main one drops two.mov: each keeps what the other has.
    let options = DropOptions { wait: Duration::ZERO, ..rig.drop_options(&[]) };
    let confirmed = [head];
    let options = DropOptions { confirmed: &confirmed, ..options };
    assert_eq!(linked.drop_content(&these(&["shots/one.mov"]), &options, &Silent).unwrap().chunks, 0);
    assert_eq!(rig.drop_files(&["shots/two.mov"], &confirmed).unwrap().chunks, 0);
    assert!(std::fs::symlink_metadata(place.join("shots/one.mov")).unwrap().is_symlink());
    // Now nobody has one.mov, but the stash has most of it.
    let dropped = rig.drop_files(&["shots/one.mov"], &confirmed).unwrap();
    assert!(dropped.chunks > 0 && dropped.kept_chunks > dropped.chunks, "{dropped:?}");
    rig.gc();
    assert!(!rig.fsck().is_damaged());
    rig.repo.stash_apply(0, false, &Silent).unwrap();
    assert_eq!(std::fs::read(rig.path("shots/one.mov")).unwrap(), edited);
    let status = linked.status(&Everything, StatusOptions::default(), &Silent).unwrap();
    assert!(status.is_clean() && status.ghosts == 1);
}

#[test]
fn rules_and_what_has_no_content_never_become_ghosts() {
    let (rig, _, head) = project();
    std::os::unix::fs::symlink("notes.txt", rig.path("link")).unwrap();
    // Another file with the content of the rules.
    rig.write("copy-of-rules", "*.mov chunking=video\n");
    let head = [head, rig.commit("link")];
    let dropped = rig.repo.drop_content(&Everything, &rig.drop_options(&head), &Silent).unwrap();
    let names: Vec<String> = dropped.files.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["copy-of-rules", "notes.txt", "shots/one.mov", "shots/two.mov"]);
    assert!(rig.has(b"*.mov chunking=video\n") && !rig.has(b"read me"));
    let seen = rig.seen();
    assert_eq!((&seen["link"][..], &seen["empty"][..]), ("-> notes.txt", ""));
    assert_eq!(seen[".ditsattributes"], "*.mov chunking=video\n");
    assert!(rig.status().is_clean());
}

#[test]
fn pins_are_passed_over() {
    let (rig, _, head) = project();
    let (pinned, confirmed) = (these(&["shots/one.mov"]), [head]);
    let options = DropOptions { pinned: &pinned, ..rig.drop_options(&confirmed) };
    let dropped = rig.repo.drop_content(&these(&["shots/one.mov", "notes.txt"]), &options, &Silent).unwrap();
    assert_eq!((dropped.files, dropped.pinned), (vec![path("notes.txt")], vec![path("shots/one.mov")]));
}

#[test]
fn a_writer_at_work_keeps_everything() {
    let (rig, _, head) = project();
    let writer = rig.repo.writer().unwrap();
    let error = rig.drop_files(&["notes.txt"], &[head]).unwrap_err();
    assert!(matches!(error, RepoError::WritersAtWork { count: 1 }), "{error}");
    assert!(!rig.is_ghost("notes.txt") && rig.has(b"read me"));
    drop(writer);
    assert_eq!(rig.drop_files(&["notes.txt"], &[head]).unwrap().chunks, 1);
}

#[test]
fn a_drop_that_was_interrupted_is_finished_by_the_next() {
    let (rig, remote, head) = project();
    rig.drop_files(&["notes.txt"], &[head]).unwrap();
    // As if it had been killed before the removal: a ghost, and its chunk still here.
    rig.write("elsewhere", "read me").add();
    assert!(rig.has(b"read me") && rig.is_ghost("notes.txt"));
    rig.repo.reset_index(rig.repo.head_tree().unwrap()).unwrap();
    rig.remove("elsewhere");
    let dropped = rig.drop_files(&["notes.txt"], &[]).unwrap();
    assert_eq!((dropped.files.len(), dropped.chunks), (0, 1));
    assert_eq!(rig.fetch(&["notes.txt"], &remote).files, 1);
}

#[test]
fn a_drop_that_died_after_condemning_changed_nothing() {
    let (rig, _, head) = project();
    rig.repo.record_promises("origin", &[head]).unwrap();
    let chunks = [*ChunkRef::of(b"read me").id.digest()].into_iter().collect();
    let before = crate::store::Condemned::current(&rig.path(".dits")).unwrap();
    rig.repo.condemn(&before, &chunks, 2_000).unwrap();
    // What is condemned and reachable is stored again by those who need it, and not removed by gc.
    rig.write("copy", "read me").commit("a copy");
    rig.gc();
    assert!(rig.has(b"read me") && !rig.fsck().is_damaged());
    assert_eq!(rig.drop_files(&["notes.txt"], &[]).unwrap().kept_chunks, 1);
    assert_eq!(rig.seen_text("copy"), "read me");
    // A folder that would make ghosts lead somewhere.
    std::fs::create_dir(rig.path(".dits/ghost")).unwrap();
    assert!(rig.fsck().findings.iter().any(|finding| finding.what.contains("must not exist")));
}

#[test]
fn garbage_that_waits_keeps_waiting() {
    let (rig, _, head) = project();
    rig.write("garbage", "nobody needs this").add();
    rig.repo.reset_index(rig.repo.head_tree().unwrap()).unwrap();
    rig.remove("garbage");
    let options = GcOptions {
        now: 1_500,
        grace: Duration::from_secs(10_000),
        reflog_expire: None,
        dry_run: false,
        max_packs: 50,
        max_loose: 1000,
        pack_limit: 1 << 30,
        wait: Duration::ZERO,
    };
    assert_eq!(rig.repo.gc(&options, &Silent).unwrap().waiting, 1);
    rig.drop_files(&["shots/one.mov"], &[head]).unwrap();
    let report = rig.repo.gc(&GcOptions { now: 1_600, ..options }, &Silent).unwrap();
    assert_eq!((report.waiting, report.waiting_until), (1, Some(11_500)));
    let report = rig.repo.gc(&GcOptions { now: 20_000, ..options }, &Silent).unwrap();
    assert_eq!((report.removed, rig.has(b"nobody needs this")), (1, false));
}

#[test]
fn content_nobody_promised_is_lost_and_content_that_was_is_not() {
    let (rig, remote, head) = project();
    rig.drop_files(&["notes.txt"], &[head]).unwrap();
    let digest = *ChunkRef::of(b"read me").id.digest();
    let read = |rig: &Rig| rig.repo.store().read(ObjectKind::Chunk, &digest).unwrap_err();
    assert!(matches!(read(&rig), StoreError::Absent { .. }) && !read(&rig).is_corruption());
    // Gone at the remote too.
    let chunks = remote.0.path().join("objects");
    std::fs::remove_dir_all(&chunks).unwrap();
    let error = rig.repo.fetch_content(&Everything, &remote, &Silent).unwrap_err();
    assert!(matches!(error, RepoError::Source(SourceError::Gone { .. })), "{error}");
    rig.repo.forget_promises("origin").unwrap();
    assert!(read(&rig).is_corruption());
    assert!(rig.fsck().is_damaged());
}

#[test]
fn what_the_remote_lacks_stays_and_was_condemned_before_anybody_asked() {
    let (rig, _, head) = project();
    let (confirmed, asked) = ([head], std::cell::Cell::new(false));
    let lacking = |chunks: &[Digest]| {
        let condemned = Condemned::current(&rig.repo.layout().common).unwrap().content.digests;
        assert!(!chunks.is_empty() && chunks.iter().all(|chunk| condemned.contains(chunk)));
        asked.set(true);
        Ok(chunks[..1].to_vec())
    };
    let options = DropOptions { lacking: &lacking, ..rig.drop_options(&confirmed) };
    let error = rig.repo.drop_content(&these(&["shots/one.mov"]), &options, &Silent).unwrap_err();
    let RepoError::KeptBack(kept) = &error else { panic!("{error}") };
    assert_eq!((&kept.not_there[..], kept.only_here.len()), (&[path("shots/one.mov")][..], 0));
    assert!(asked.get() && !rig.is_ghost("shots/one.mov") && rig.repo.promises().unwrap().is_empty());
    assert!(Condemned::current(&rig.repo.layout().common).unwrap().content.digests.is_empty(), "and is no more");
    rig.gc();
    rig.assert_clean();
}
