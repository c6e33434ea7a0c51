//! Hostile clients against a server.

use std::time::{Duration, Instant};

use dits_core::object::ObjectRead;
use dits_core::object::memory::MemoryObjects;
use dits_core::path::RepoPath;
use dits_core::tree::{self, Content, Mode};
use dits_sync::wire::{
    ErrorCode, Failure, Fetch, Get, MAX_GET, Push, Pushed, Runs, Segment, Start, Update, UpdateOutcome, Want,
};

use super::*;
use crate::fault::within;
use crate::rig::Rig;
use crate::watched::Watched;

const LIMIT: Duration = Duration::from_secs(100);

pub(super) fn project() -> Rig {
    let rig = Rig::bare();
    let author = Rig::new();
    for i in 0..20u64 {
        author.write(&format!("f{i}"), &dits_testkit::random::bytes(i, 100_000));
    }
    author.commit("one");
    author.push(&rig, "main").unwrap();
    rig
}

/// Lets a hostile client talk, and checks that it is told to go, that the repository is as it was, and that the server
/// serves the next one.
pub(super) fn attack(server: &Rig, talk: impl Fn(&Raw<'_>)) -> Failure {
    let before = server.branch("main");
    let watched = Watched::new(server);
    let failure = server.serve_as(&watched, |link| {
        let raw = Raw(link);
        talk(&raw);
        loop {
            match raw.hear() {
                Some(Message::Error(failure)) => return failure,
                Some(_) => {}
                None => panic!("it ends without a reason"),
            }
        }
    });
    assert_eq!(server.branch("main"), before);
    Rig::new().fetch(server).unwrap();
    failure
}

fn protocol(server: &Rig, talk: impl Fn(&Raw<'_>)) {
    assert_eq!(attack(server, talk).code, ErrorCode::Protocol);
}

fn fetch(wants: Vec<Digest>) -> Fetch {
    Fetch { wants, haves: vec![], more: false, shallow: vec![], depth: 0, held: None }
}

fn start_fetch(server: &Rig, raw: &Raw<'_>) {
    raw.introduce();
    raw.say(&Message::Fetch(fetch(vec![server.branch("main").unwrap()])));
    raw.hear_until("Start");
}

pub(super) fn push_of(name: &str, old: Option<Digest>, new: Option<Digest>) -> Push {
    let update = Update { name: dits_core::refs::RefName::parse(name).unwrap(), old, new, force: true };
    Push { updates: vec![update], haves: vec![], unrelated: false, atomic: false, dry_run: false }
}

/// Asks to push a new branch of this commit, and waits for the start.
fn start_push(raw: &Raw<'_>, new: Digest) {
    raw.introduce();
    raw.say(&Message::Push(push_of("refs/branches/evil", None, Some(new))));
    raw.hear_until("Start");
}

#[test]
fn messages_out_of_shape_or_place() {
    within(LIMIT, "out of place", || {
        let server = project();
        let raw_bytes = |bytes: &'static [u8]| {
            protocol(&server, |raw| {
                raw.introduce();
                raw.bytes(Lane::Control, Bytes::from_static(bytes));
            });
        };
        raw_bytes(&[6, 255, 255, 255, 255, 255]);
        raw_bytes(&[21, 0, 252, 255, 255, 255, 127]);
        raw_bytes(&[8, 0]);
        protocol(&server, |raw| _ = raw.bytes(Lane::Control, Bytes::from(vec![1; 9_000])));
        protocol(&server, |raw| {
            let mut long = hello();
            long.token = Some("x".repeat(4_000));
            long.repository = "y".repeat(1_024);
            // Short enough to be a first message, and not let in twice.
            raw.say(&Message::Hello(long));
            raw.say(&Message::Hello(hello()));
        });
        protocol(&server, |raw| raw.say(&Message::ListRefs(None)));
        protocol(&server, |raw| raw.say(&Message::Progress("let me in".into())));
        for message in [Message::Complete, Message::Sent(0), Message::More, Message::Start(Start::default())] {
            protocol(&server, |raw| {
                raw.introduce();
                raw.say(&message);
            });
        }
        let newer = attack(&server, |raw| {
            raw.introduce();
            raw.bytes(Lane::Control, Bytes::from_static(&[99]));
        });
        assert_eq!(newer.code, ErrorCode::Version);
        let zero = attack(&server, |raw| raw.say(&Message::Hello(Hello { protocol: 0, ..hello() })));
        assert_eq!(zero.code, ErrorCode::Version);
    });
}

#[test]
fn signs_of_life_and_nothing_else() {
    within(LIMIT, "only progress", || {
        let server = project();
        let watched = Watched::new(&server);
        server.serve_as(&watched, |link| {
            let raw = Raw(link);
            raw.introduce();
            let progress = Message::Progress("still here".into()).encode();
            let unknown = Bytes::from_static(&[200]);
            let many = (0..200_000u64)
                .take_while(|i| raw.bytes(Lane::Control, if i % 2 == 0 { progress.clone() } else { unknown.clone() }));
            assert!(many.count() < 100_000, "it listens for ever");
        });
        assert_eq!(watched.failures().len(), 1);
        Rig::new().fetch(&server).unwrap();
    });
}

#[test]
fn somebody_who_asks_and_never_reads() {
    within(LIMIT, "never reads", || {
        let server = project();
        let watched = Watched::new(&server);
        let (near, far) = dits_sync::link::pair_with("deaf", Duration::from_secs(1));
        std::thread::scope(|scope| {
            let host = &watched;
            scope.spawn(move || dits_sync::server::serve(&far, host));
            let raw = Raw(&near);
            raw.say(&Message::Hello(hello()));
            let ask = Message::ListRefs(None).encode();
            let asked = (0..10_000_000).take_while(|_| raw.bytes(Lane::Control, ask.clone())).count();
            assert!(asked < 1_000_000, "{asked} answers are kept for somebody who does not read");
        });
        assert_eq!(watched.failures().len(), 1);
        Rig::new().fetch(&server).unwrap();
    });
}

#[test]
fn wants_that_no_ref_names() {
    within(LIMIT, "wants", || {
        let server = project();
        let old = server.branch("main").unwrap();
        let hidden = Rig::new();
        hidden.write("secret", b"secret").commit("secret");
        hidden.push(&server, "main").ok();
        for want in [Digest([7; 32]), hidden.branch("main").unwrap()] {
            let refused = attack(&server, |raw| {
                raw.introduce();
                raw.say(&Message::Fetch(fetch(vec![old, want])));
            });
            assert_eq!(refused.code, ErrorCode::Refused);
            assert!(refused.text.contains(&want.to_string()), "{refused:?}");
        }
    });
}

#[test]
fn answers_that_fit_nothing() {
    within(LIMIT, "answers", || {
        let server = project();
        let want = |segment, sent: Runs, held: Vec<Runs>| Message::Want(Want { segment, sent, held });
        let all = |n: usize| Runs::of(vec![true; n]);
        protocol(&server, |raw| {
            start_fetch(&server, raw);
            raw.say(&want(0, all(1_000_000), vec![]));
        });
        protocol(&server, |raw| {
            start_fetch(&server, raw);
            raw.hear_until("Sent");
            raw.say(&want(0, all(1), vec![]));
            raw.say(&want(0, all(1), vec![]));
        });
        protocol(&server, |raw| {
            start_fetch(&server, raw);
            raw.hear_until("Sent");
            raw.say(&want(0, Runs::default(), vec![all(1)]));
        });
        protocol(&server, |raw| {
            start_fetch(&server, raw);
            raw.say(&want(u64::MAX, Runs::default(), vec![]));
        });
        protocol(&server, |raw| {
            start_fetch(&server, raw);
            raw.say(&Message::Push(push_of("refs/branches/x", None, None)));
        });
        // Requests by name that pile up while nothing is read.
        protocol(&server, |raw| {
            start_fetch(&server, raw);
            let get = Get { number: 1, objects: vec![(1, Digest([1; 32])); MAX_GET] };
            for _ in 0..200 {
                raw.say(&Message::Get(get.clone()));
            }
        });
    });
}

#[test]
fn names_of_another_repository() {
    within(LIMIT, "probes", || {
        let (server, other) = (project(), project_of_another());
        let mut names = Vec::new();
        for odb in [&other.repo.store().content, &other.repo.store().meta] {
            odb.for_each(|digest, _| {
                names.push(*digest);
                Ok::<_, dits_core::store::StoreError>(())
            })
            .unwrap();
        }
        let probes: Vec<Digest> = (0..1000u32).map(|i| names[i as usize % names.len()]).collect();
        let nowhere: Vec<Digest> = (0..1000u32).map(|i| ObjectKind::Chunk.digest(&i.to_le_bytes())).collect();
        server.serve(|link| {
            let raw = Raw(link);
            raw.introduce();
            let ask = |number: u64, names: &[Digest]| {
                let began = Instant::now();
                for kind in [1, 2, 3, 4, 5, 99] {
                    let objects = names.iter().map(|digest| (kind, *digest)).collect();
                    raw.say(&Message::Get(Get { number, objects }));
                    match raw.hear() {
                        Some(Message::Got(got)) => assert_eq!(got.missing.len(), 1000, "an answer"),
                        other => panic!("{other:?}"),
                    }
                }
                began.elapsed()
            };
            ask(0, &nowhere);
            // What another repository has takes as long as what nobody has: the best of some rounds, in turn, as the
            // machine may be busy with something else.
            let rounds = (1..10).map(|i| (ask(2 * i, &probes), ask(2 * i + 1, &nowhere)));
            let (there, not) =
                rounds.fold((Duration::MAX, Duration::MAX), |best, (a, b)| (best.0.min(a), best.1.min(b)));
            let ratio = there.as_secs_f64() / not.as_secs_f64();
            assert!((0.3..3.0).contains(&ratio), "{there:?} for what another has, {not:?} for what nobody has");
        });
    });
}

fn project_of_another() -> Rig {
    let rig = Rig::new();
    for i in 0..30u64 {
        rig.write(&format!("g{i}"), &dits_testkit::random::bytes(900 + i, 50_000));
    }
    rig.commit("other");
    rig
}

/// A tree of one file, written by the rules, and its bytes.
pub(super) fn tree_of(name: &str, content: Content, size: u64) -> (Digest, Vec<u8>) {
    let memory = MemoryObjects::new();
    let path = RepoPath::parse(name.as_bytes()).unwrap();
    let id = tree::from_paths([(path, Mode::File, size, content)], &memory).unwrap();
    let bytes = memory.read(ObjectKind::Tree, id.digest()).unwrap();
    (*id.digest(), bytes)
}

pub(super) fn chunk_content(bytes: &[u8]) -> Content {
    Content::Chunk(dits_core::object::ChunkId::of(bytes))
}

/// Pushes these objects as one segment; what happens then is the server's answer.
pub(super) fn push_objects(raw: &Raw<'_>, made: &Made, tip: Digest, ids: &[Digest]) {
    start_push(raw, tip);
    raw.say(&made.frames(ids));
    raw.say(&Message::Segment(Segment { number: 0, held: vec![] }));
}

#[test]
fn objects_that_nobody_asked_for() {
    within(LIMIT, "unasked", || {
        let server = project();
        let mut made = Made::default();
        let (_, tree) = tree_of("a", chunk_content(b"a"), 1);
        let tree = made.object(ObjectKind::Tree, &tree);
        let tip = made.commit(vec![], tree);
        let stray = made.commit(vec![], Digest([5; 32]));
        let chunk = made.object(ObjectKind::Chunk, b"stray");
        // Metadata that nothing names, a chunk that nothing names, both on lanes where they may be and not.
        for (lane, id) in [
            (Lane::Control, stray),
            (Lane::Bulk(0), stray),
            (Lane::Demand, stray),
            (Lane::Bulk(0), chunk),
            (Lane::Demand, chunk),
            (Lane::Control, chunk),
        ] {
            protocol(&server, |raw| {
                start_push(raw, tip);
                raw.say_on(lane, &made.frames(&[id]));
            });
            assert!(!server.reopen().store().meta.contains(&stray).unwrap());
            assert!(!server.reopen().store().content.contains(&chunk).unwrap());
        }
        // The same object twice.
        protocol(&server, |raw| {
            start_push(raw, tip);
            raw.say(&made.frames(&[tip, tip]));
        });
        // Nothing at all, again and again.
        for empty in [
            Message::Objects(Bytes::new()),
            Message::Segment(Segment { number: 0, held: vec![] }),
            Message::Part(dits_sync::wire::Part { last: false, bytes: Bytes::new() }),
        ] {
            protocol(&server, |raw| {
                start_push(raw, tip);
                raw.say(&empty);
            });
        }
        // A frame without end, and one inside another.
        protocol(&server, |raw| {
            start_push(raw, tip);
            let part = dits_sync::wire::Part { last: false, bytes: Bytes::from(vec![0; 1 << 19]) };
            (0..100).for_each(|_| raw.say_on(Lane::Bulk(0), &Message::Part(part.clone())));
        });
        protocol(&server, |raw| {
            start_push(raw, tip);
            let part = dits_sync::wire::Part { last: false, bytes: Bytes::from(vec![0; 100]) };
            raw.say(&Message::Part(part));
            raw.say(&made.frames(&[tip]));
        });
        // Held metadata that was not named.
        protocol(&server, |raw| {
            start_push(raw, tip);
            raw.say(&Message::Segment(Segment { number: 0, held: vec![(ObjectKind::Tree as u8, tree)] }));
        });
    });
}

#[test]
fn bytes_that_are_not_what_they_say() {
    within(LIMIT, "wrong bytes", || {
        let server = project();
        let mut made = Made::default();
        let (_, tree) = tree_of("a", chunk_content(b"a"), 1);
        let tree = made.object(ObjectKind::Tree, &tree);
        let tip = made.commit(vec![], tree);
        let name = ObjectKind::Chunk.digest(b"a");
        let bomb = zstd_bomb();
        let chunks = [
            frame_named(ObjectKind::Chunk, name, Encoding::Raw, b"b", 1),
            frame_named(ObjectKind::Chunk, name, Encoding::Zstd, b"b", 1),
            // Says one byte and unpacks to many millions.
            frame_named(ObjectKind::Chunk, name, Encoding::Zstd, &bomb, 1),
        ];
        for chunk in chunks {
            let failure = attack(&server, |raw| {
                push_objects(raw, &made, tip, &[tip, tree]);
                raw.say(&Message::Sent(1));
                raw.hear_until("Want");
                raw.say_on(Lane::Bulk(1), &Message::Objects(chunk.clone().into()));
            });
            assert_eq!(failure.code, ErrorCode::Refused, "{failure:?}");
            assert!(failure.text.contains(&name.to_string()), "{failure:?}");
            assert!(!server.reopen().store().content.contains(&name).unwrap());
        }
        // Another length than the tree says; longer than any chunk may be; a frame that is cut off.
        let (other, frame_of_other) = frame(ObjectKind::Chunk, b"aa");
        let (_, lying) = tree_of("a", Content::Chunk(dits_core::object::ChunkId::from_digest(other)), 1);
        let lying = made.object(ObjectKind::Tree, &lying);
        let lying_tip = made.commit(vec![], lying);
        protocol(&server, |raw| {
            push_objects(raw, &made, lying_tip, &[lying_tip, lying]);
            raw.hear_until("Want");
            raw.say_on(Lane::Bulk(1), &Message::Objects(frame_of_other.clone().into()));
        });
        protocol(&server, |raw| {
            push_objects(raw, &made, tip, &[tip, tree]);
            raw.hear_until("Want");
            let mut frame = frame_named(ObjectKind::Chunk, name, Encoding::Zstd, b"b", 1);
            frame[45..49].copy_from_slice(&u32::MAX.to_le_bytes());
            let crc = crc32fast::hash(&frame[..53]);
            frame[53..57].copy_from_slice(&crc.to_le_bytes());
            raw.say_on(Lane::Bulk(1), &Message::Objects(frame.into()));
        });
        protocol(&server, |raw| {
            start_push(raw, tip);
            raw.say(&Message::Objects(Bytes::copy_from_slice(&made.0[&tip][..80])));
        });
    });
}

/// Four million zeros in a few hundred bytes.
fn zstd_bomb() -> Vec<u8> {
    let mut out = Vec::new();
    let policy = dits_core::compress::Policy::Level(1);
    let encoding = dits_core::compress::Encoder::new().encode(policy, &vec![0; 4 << 20], &mut out);
    assert_eq!(encoding, Encoding::Zstd);
    out
}

#[test]
fn trees_that_a_worktree_must_never_see() {
    within(LIMIT, "names", || {
        let server = project();
        for bad in ["..", ".", ".dits", "a/b", ".DITS", ""] {
            let (_, good) = tree_of(&"n".repeat(bad.len().max(1)), chunk_content(b"a"), 1);
            // The same tree under a name that no writer would write: the length before it stays right.
            let at = good.windows(bad.len().max(1)).position(|w| w.iter().all(|b| *b == b'n')).unwrap();
            let mut tree = good.clone();
            if bad.is_empty() {
                tree[at - 1] = 0;
                tree.remove(at);
            } else {
                tree[at..at + bad.len()].copy_from_slice(bad.as_bytes());
            }
            let mut made = Made::default();
            let tree = made.object(ObjectKind::Tree, &tree);
            let tip = made.commit(vec![], tree);
            let failure = attack(&server, |raw| push_objects(raw, &made, tip, &[tip, tree]));
            assert_eq!(failure.code, ErrorCode::Refused, "{bad:?}: {failure:?}");
            assert!(!server.reopen().store().meta.contains(&tree).unwrap(), "{bad:?}");
        }
    });
}

#[test]
fn pushes_with_something_missing() {
    within(LIMIT, "missing", || {
        let server = project();
        let mut made = Made::default();
        let (_, tree) = tree_of("a", chunk_content(b"a"), 1);
        let tree = made.object(ObjectKind::Tree, &tree);
        // A parent, a tree, a chunk that nobody has; each is asked for, and not given.
        let orphan = made.commit(vec![CommitId::from_digest(Digest([9; 32]))], tree);
        let treeless = made.commit(vec![], Digest([8; 32]));
        let whole = made.commit(vec![], tree);
        for (tip, ids) in [(orphan, vec![orphan, tree]), (treeless, vec![treeless]), (whole, vec![whole])] {
            let failure = attack(&server, |raw| {
                push_objects(raw, &made, tip, &ids);
                raw.say(&Message::Sent(1));
                let Message::Want(want) = raw.hear_until("Want") else { unreachable!() };
                if !want.sent.is_empty() {
                    let (_, chunk) = frame(ObjectKind::Chunk, b"a");
                    raw.say_on(Lane::Bulk(0), &Message::Objects(chunk.into()));
                }
                let Message::Get(get) = raw.hear_until("Get") else { unreachable!() };
                let missing = (0..get.objects.len() as u32).collect();
                raw.say_on(Lane::Demand, &Message::Got(dits_sync::wire::Got { number: get.number, missing }));
            });
            assert_eq!(failure.code, ErrorCode::Refused, "{failure:?}");
            assert!(failure.text.contains("has lost"), "{failure:?}");
        }
        // It says it sent them, and did not.
        protocol(&server, |raw| {
            push_objects(raw, &made, whole, &[whole]);
            raw.say(&Message::Sent(1));
            let Message::Get(get) = raw.hear_until("Get") else { unreachable!() };
            let got = dits_sync::wire::Got { number: get.number, missing: vec![] };
            raw.say_on(Lane::Demand, &Message::Got(got));
        });
        // Haves that nobody has, and a want of nothing.
        let failure = attack(&server, |raw| {
            raw.introduce();
            let mut push = push_of("refs/branches/evil", None, Some(Digest([3; 32])));
            push.haves = vec![CommitId::from_digest(Digest([4; 32])); 100];
            raw.say(&Message::Push(push));
            let Message::Start(start) = raw.hear_until("Start") else { unreachable!() };
            assert!(start.common.is_empty());
            raw.say(&Message::Sent(0));
            let Message::Get(get) = raw.hear_until("Get") else { unreachable!() };
            let got = dits_sync::wire::Got { number: get.number, missing: vec![0] };
            raw.say_on(Lane::Demand, &Message::Got(got));
        });
        assert_eq!(failure.code, ErrorCode::Refused, "{failure:?}");
        server.assert_sound();
    });
}

/// A whole push, as the rules say; gives the answer.
pub(super) fn push_whole(server: &Rig, made: &Made, push: &Push, tip: Digest, ids: &[Digest]) -> Pushed {
    server.serve(|link| {
        let raw = Raw(link);
        raw.introduce();
        raw.say(&Message::Push(push.clone()));
        raw.hear_until("Start");
        if made.0.contains_key(&tip) {
            raw.say(&made.frames(ids));
            raw.say(&Message::Segment(Segment { number: 0, held: vec![] }));
            raw.say(&Message::Sent(1));
            if let Message::Want(want) = raw.hear_until("Want")
                && !want.sent.is_empty()
            {
                let (_, chunk) = frame(ObjectKind::Chunk, b"a");
                raw.say_on(Lane::Bulk(0), &Message::Objects(chunk.into()));
            }
        } else {
            raw.say(&Message::Sent(0));
        }
        match raw.hear_until("Pushed") {
            Message::Pushed(pushed) => pushed,
            _ => unreachable!(),
        }
    })
}

#[test]
fn refs_that_no_repository_may_have() {
    within(LIMIT, "refs", || {
        let server = project();
        let main = server.branch("main").unwrap();
        let mut made = Made::default();
        let (_, tree) = tree_of("a", chunk_content(b"a"), 1);
        let tree = made.object(ObjectKind::Tree, &tree);
        let tip = made.commit(vec![], tree);
        // A branch of a tree.
        let push = push_of("refs/branches/evil", None, Some(tree));
        let pushed = push_whole(&server, &made, &push, tree, &[tree]);
        assert!(matches!(&pushed.outcomes[..], [UpdateOutcome::Refused(why)] if why.contains("commit")), "{pushed:?}");
        // What is no branch and no tag; the branch that HEAD names.
        for (name, old, new) in [
            ("refs/stash", None, Some(tip)),
            ("refs/remotes/origin/main", None, Some(tip)),
            ("refs/branches/main", Some(main), None),
        ] {
            server.serve(|link| {
                let raw = Raw(link);
                raw.introduce();
                raw.say(&Message::Push(push_of(name, old, new)));
                let Message::Pushed(pushed) = raw.hear_until("Pushed") else { unreachable!() };
                assert!(matches!(pushed.outcomes[..], [UpdateOutcome::Refused(_)]), "{name}: {pushed:?}");
            });
        }
        // One ref twice.
        protocol(&server, |raw| {
            raw.introduce();
            let mut push = push_of("refs/branches/evil", None, Some(tip));
            push.updates.push(push.updates[0].clone());
            raw.say(&Message::Push(push));
        });
        // The rules let this one through.
        let push = push_of("refs/branches/good", None, Some(tip));
        assert_eq!(push_whole(&server, &made, &push, tip, &[tip, tree]).outcomes, [UpdateOutcome::Done]);
        assert_eq!(server.branch("good"), Some(tip));
        server.assert_sound();
    });
}

#[test]
fn a_very_long_history() {
    within(LIMIT, "long history", || {
        let server = project();
        let mut made = Made::default();
        let (_, tree) = tree_of("a", chunk_content(b"a"), 1);
        let tree = made.object(ObjectKind::Tree, &tree);
        let mut ids = vec![tree];
        let mut parents = vec![];
        for _ in 0..2_000 {
            let id = made.commit(parents, tree);
            parents = vec![CommitId::from_digest(id)];
            ids.push(id);
        }
        ids.reverse();
        let push = push_of("refs/branches/long", None, Some(ids[0]));
        let pushed = push_whole(&server, &made, &push, ids[0], &ids);
        assert_eq!(pushed.outcomes, [UpdateOutcome::Done]);
        Rig::new().fetch(&server).unwrap();
    });
}
