//! Fetching and pushing between two repositories of one process.

use dits_core::object::Digest;
use dits_sync::client::{ContentFilter, FetchRequest, UNLIMITED_DEPTH, UpdateOutcome};
use dits_sync::server::{LocalHost, serve};
use dits_testkit::random::bytes;

use crate::pairs::Pair;
use crate::rig::Rig;

const MB: usize = 1 << 20;

/// Some large files, many small ones, a text.
fn project() -> Rig {
    let rig = Rig::new();
    rig.write("big.mov", &bytes(1, 12 * MB)).write("plates/a.exr", &bytes(2, 3 * MB)).write("notes.txt", b"hello");
    for i in 0..300 {
        rig.write(&format!("frames/{i:04}.dpx"), &bytes(100 + i, 9_000));
    }
    rig.commit("one");
    rig
}

#[test]
fn a_clone_a_pull_without_news_and_a_small_edit() {
    let from = project();
    let to = Rig::new();
    let (first, traffic) = to.fetch(&from).unwrap();
    assert_eq!(first.received.plain as usize, 15 * MB + 300 * 9_000 + 5);
    assert!((traffic.received as f64) < 1.02 * first.received.plain as f64, "{traffic:?}");
    drop(first);
    to.assert_sound();

    let (second, traffic) = to.fetch(&from).unwrap();
    assert_eq!((second.received.chunks, second.received.metadata), (0, 0));
    assert!(traffic.sent + traffic.received < 1_000, "{traffic:?}");

    let mut movie = bytes(1, 12 * MB);
    movie.insert(0, 7);
    from.write("big.mov", &movie).commit("two");
    let (third, traffic) = to.fetch(&from).unwrap();
    assert!(third.received.chunks <= 3, "{:?}", third.received);
    let payload = third.received.stored;
    assert!(traffic.received < payload + 64_000 && traffic.sent < 1_000 + 8 * third.received.chunks, "{traffic:?}");
    to.assert_sound();
}

#[test]
fn a_push_an_edit_a_move_and_a_copy() {
    let (from, to) = (project(), Rig::bare());
    let (first, _) = from.push(&to, "main").unwrap();
    assert_eq!(first.outcomes, [UpdateOutcome::Done]);
    assert_eq!(first.sent.plain as usize, 15 * MB + 300 * 9_000 + 5);
    assert_eq!(to.branch("main"), from.branch("main"));
    to.assert_sound();

    let (again, traffic) = from.push(&to, "main").unwrap();
    assert_eq!((again.outcomes, again.sent.chunks), (vec![UpdateOutcome::UpToDate], 0));
    assert!(traffic.sent + traffic.received < 1_000, "{traffic:?}");

    std::fs::create_dir_all(from.path("moved")).unwrap();
    std::fs::rename(from.path("big.mov"), from.path("moved/big.mov")).unwrap();
    std::fs::copy(from.path("plates/a.exr"), from.path("plates/b.exr")).unwrap();
    from.commit("moved and copied");
    let (moved, traffic) = from.push(&to, "main").unwrap();
    assert_eq!(moved.sent.chunks, 0);
    assert!(traffic.sent + traffic.received < 20_000, "{traffic:?}");

    let mut movie = bytes(1, 12 * MB);
    movie[6 * MB] ^= 1;
    from.write("moved/big.mov", &movie).commit("edited");
    let dry = to.serve(|link| from.push_over(link, "main", false, true)).unwrap().0;
    let before = to.branch("main");
    let (edited, traffic) = from.push(&to, "main").unwrap();
    assert_ne!(before, to.branch("main"));
    assert_eq!((dry.sent.chunks, dry.sent.stored), (edited.sent.chunks, edited.sent.stored));
    assert!(edited.sent.chunks <= 3 && traffic.sent < edited.sent.stored + 64_000, "{edited:?} {traffic:?}");
    to.assert_sound();
}

#[test]
fn chunks_that_are_longer_than_a_message() {
    let from = Rig::new();
    from.write(".ditsattributes", b"*.mov preset=1M/4M/8M\n").write("big.mov", &bytes(1, 20 * MB)).commit("one");
    for pair in Pair::all() {
        let to = Rig::new();
        std::thread::scope(|scope| {
            let host = LocalHost::new(from.reopen(), "server".into(), "s@x".into());
            let server = &*pair.server;
            scope.spawn(move || serve(server, &host));
            let fetched = to.fetch_over(&*pair.client, FetchRequest::default());
            pair.client.close();
            let received = fetched.unwrap().0.received;
            assert!(received.plain as usize > 20 * MB && received.chunks < 12, "{}: {received:?}", pair.name);
        });
        to.assert_sound();
    }
    let to = Rig::bare();
    assert_eq!(from.push(&to, "main").unwrap().0.outcomes, [UpdateOutcome::Done]);
    to.assert_sound();
}

#[test]
fn what_is_no_fast_forward_is_refused_unless_forced() {
    let (a, b, server) = (Rig::new(), Rig::new(), Rig::bare());
    a.write("f", b"1").commit("1");
    a.push(&server, "main").unwrap();
    b.fetch(&server).unwrap();
    b.write("f", b"other").commit("unrelated");
    let (refused, _) = b.push(&server, "main").unwrap();
    assert_eq!(refused.outcomes, [UpdateOutcome::NotFastForward]);
    assert_eq!(server.branch("main"), a.branch("main"));
    let forced = server.serve(|link| b.push_over(link, "main", true, false)).unwrap().0;
    assert_eq!(forced.outcomes, [UpdateOutcome::Done]);
    assert_eq!(server.branch("main"), b.branch("main"));
    server.assert_sound();
    // A branch that a worktree is on does not move under it.
    let (refused, _) = a.push(&b, "main").unwrap();
    assert!(matches!(&refused.outcomes[..], [UpdateOutcome::Refused(why)] if why.contains("checked out")));
}

#[test]
fn histories_that_share_nothing_but_content() {
    let (from, to) = (project(), Rig::new());
    // The same files, committed by somebody else.
    for name in ["big.mov", "plates/a.exr"] {
        to.write(name, &std::fs::read(from.path(name)).unwrap());
    }
    to.write("only here", b"x").commit("mine");
    let (fetched, traffic) = to.fetch(&from).unwrap();
    assert_eq!(fetched.received.plain as usize, 300 * 9_000 + 5);
    // Of the recipes that are here only the names came.
    assert!(traffic.received < fetched.received.stored + 64_000, "{traffic:?} {:?}", fetched.received);
    to.assert_sound();
    // And the other way.
    let server = Rig::bare();
    from.push(&server, "main").unwrap();
    to.write("more", b"y").commit("mine too");
    let (pushed, _) = server.serve(|link| to.push_over(link, "main", true, false)).unwrap();
    assert_eq!(pushed.outcomes, [UpdateOutcome::Done]);
    assert!(pushed.sent.plain < 100, "{:?}", pushed.sent);
    server.assert_sound();
}

#[test]
fn part_of_the_content_and_part_of_the_history() {
    let from = project();
    from.write(".ditsignore", b"*.tmp\n").write("frames/0000.dpx", &bytes(7, 9_000));
    let mut tips: Vec<Digest> = vec![from.branch("main").unwrap()];
    for i in 0..5 {
        from.write("notes.txt", format!("{i}").as_bytes());
        tips.push(*from.commit("more").digest());
    }
    let bare = Rig::new();
    let none = FetchRequest { filter: ContentFilter::at_most(0), ..FetchRequest::default() };
    let (fetched, traffic) = bare.fetch_with(&from, none).unwrap();
    assert_eq!(fetched.received.plain, 6);
    assert!(traffic.received < 200_000, "{traffic:?}");
    let small = FetchRequest { filter: ContentFilter::at_most(10_000), ..FetchRequest::default() };
    let other = Rig::new();
    let (fetched, _) = other.fetch_with(&from, small).unwrap();
    assert_eq!(fetched.received.plain, 301 * 9_000 + 5 + 5 + 6);

    let shallow = Rig::new();
    let depth = FetchRequest { depth: 2, ..FetchRequest::default() };
    let (fetched, _) = shallow.fetch_with(&from, depth).unwrap();
    assert_eq!(fetched.shallow.len(), 1);
    assert_eq!(fetched.shallow[0].digest(), &tips[4]);
    assert!(!shallow.repo.store().meta.contains(&tips[3]).unwrap());
    let edges = fetched.shallow.clone();
    drop(fetched);
    let all = FetchRequest { depth: UNLIMITED_DEPTH, shallow: edges, ..FetchRequest::default() };
    let (fetched, _) = shallow.fetch_with(&from, all).unwrap();
    assert!(fetched.shallow.is_empty() && fetched.received.plain > 0);
    shallow.assert_sound();
}

#[test]
fn a_dry_run_counts_exactly_and_changes_nothing() {
    let (from, to) = (project(), Rig::new());
    let dry = FetchRequest { dry_run: true, ..FetchRequest::default() };
    let (would, traffic) = to.fetch_with(&from, dry).unwrap();
    assert!(traffic.received < 300_000, "{traffic:?}");
    assert!(to.repo.store().meta.pack_ids().unwrap().is_empty());
    let (did, _) = to.fetch(&from).unwrap();
    assert_eq!((would.received.chunks, would.received.plain), (did.received.chunks, did.received.plain));
}

#[test]
fn what_another_clone_on_the_machine_has_is_not_sent() {
    let (from, near, to) = (project(), Rig::new(), Rig::new());
    near.fetch(&from).unwrap();
    from.write("new", &bytes(9, 50_000)).commit("new");
    let request = FetchRequest { alternates: vec![near.repo.store().clone()], ..FetchRequest::default() };
    let (fetched, _) = to.fetch_with(&from, request).unwrap();
    assert_eq!(fetched.received.borrowed.1 as usize, 15 * MB + 300 * 9_000 + 5);
    assert_eq!(fetched.received.plain, 50_000);
    to.assert_sound();
}
