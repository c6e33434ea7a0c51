//! Hostile servers against a client.

use std::thread;

use dits_core::progress::Silent;
use dits_core::refs::RefName;
use dits_core::store::StoreWriterOptions;
use dits_sync::SyncError;
use dits_sync::client::{Client, FetchRequest, Introduction, RemoteChunks};
use dits_sync::link::pair;
use dits_sync::wire::{ErrorCode, Failure, Got, Pushed, Refs, Segment, Start, Welcome};

use super::*;
use crate::fault::within;
use crate::rig::Rig;

const LIMIT: Duration = Duration::from_secs(100);

/// Plays a server that is not one, for a client.
fn against<T>(script: impl FnOnce(&Raw<'_>) + Send, client: impl FnOnce(&dyn Link) -> T) -> T {
    let (near, far) = pair("hostile");
    thread::scope(|scope| {
        scope.spawn(move || {
            script(&Raw(&far));
            // It stays until the client has gone.
            while far.recv(Duration::from_secs(20)).is_ok() {}
        });
        let result = client(&near);
        near.close();
        drop(near);
        result
    })
}

fn welcome() -> Message {
    let (features, limits) = (Features::ALL, Limits::default());
    Message::Welcome(Welcome { protocol: PROTOCOL, agent: "evil".into(), features, limits, may: 3, partial: false })
}

fn listing(id: Digest) -> Message {
    Message::Refs(Refs::Some { head: None, refs: vec![(RefName::branch("main").unwrap(), id)], more: false })
}

/// Fetches what a script offers, and gives the error; the client's repository is as it was.
fn fetch_from(id: Digest, script: impl FnOnce(&Raw<'_>) + Send) -> SyncError {
    let to = Rig::new();
    let fetched = against(
        |raw| {
            raw.hear_until("Hello");
            raw.say(&welcome());
            raw.hear_until("ListRefs");
            raw.say(&listing(id));
            raw.hear_until("Fetch");
            raw.say(&Message::Start(Start::default()));
            script(raw);
        },
        |link| to.fetch_over(link, FetchRequest::default()),
    );
    assert_eq!(to.refs_named(), 0);
    to.assert_sound();
    fetched.map(drop).unwrap_err()
}

fn broke_the_rules(error: &SyncError) -> bool {
    matches!(error, SyncError::Violation(_) | SyncError::Wire(_))
}

fn list(script: impl FnOnce(&Raw<'_>) + Send) -> SyncError {
    against(script, |link| {
        let mut client = Client::new(link, &Introduction::default()).unwrap();
        client.listing(None, &Silent).map(drop).unwrap_err()
    })
}

#[test]
fn greetings_and_listings() {
    within(LIMIT, "listings", || {
        let refused = list(|raw| {
            let text = "go\u{1b}[2J away".to_owned();
            raw.say(&Message::Error(Failure { code: ErrorCode::NotFound, text }));
            raw.0.close();
        });
        assert!(matches!(&refused, SyncError::Peer(why) if why.text == "go\u{fffd}[2J away"), "{refused:?}");
        assert!(broke_the_rules(&list(|raw| raw.say(&Message::Complete))));
        let other =
            Welcome { protocol: 9, agent: String::new(), features: Features(0), limits: Limits::default(), may: 0, partial: false };
        let error = list(|raw| raw.say(&Message::Welcome(other)));
        assert!(error.to_string().contains("protocol 9"), "{error}");
        let listing = |refs: Vec<Refs>| {
            list(move |raw| {
                raw.say(&welcome());
                refs.into_iter().for_each(|refs| raw.say(&Message::Refs(refs)));
            })
        };
        assert!(broke_the_rules(&listing(vec![Refs::Unchanged])));
        let some = |refs: Vec<(RefName, Digest)>, more| Refs::Some { head: None, refs, more };
        assert!(broke_the_rules(&listing(vec![some(vec![], true)])), "a listing without end");
        let (a, b) = (RefName::branch("a").unwrap(), RefName::branch("b").unwrap());
        let id = Digest([1; 32]);
        assert!(broke_the_rules(&listing(vec![some(vec![(b.clone(), id)], true), some(vec![(a, id)], false)])));
        assert!(broke_the_rules(&listing(vec![some(vec![(b.clone(), id)], true), some(vec![(b, id)], true)])));
        // A listing without end that is in order.
        let error = list(|raw| {
            raw.say(&welcome());
            for i in 0u64.. {
                let name = |j: u64| RefName::branch(&format!("b{:012}", i * 4096 + j)).unwrap();
                let refs = (0..4096).map(|j| (name(j), id)).collect();
                if !raw.bytes(Lane::Control, Message::Refs(some(refs, true)).encode()) {
                    break;
                }
                if i > 400 {
                    panic!("a million and a half are taken");
                }
            }
        });
        assert!(broke_the_rules(&error), "{error:?}");
    });
}

#[test]
fn signs_of_life_and_nothing_else() {
    within(LIMIT, "only progress", || {
        let error = list(|raw| {
            raw.say(&welcome());
            let progress = Message::Progress("soon".into()).encode();
            let many = (0..200_000).take_while(|_| raw.bytes(Lane::Control, progress.clone()));
            assert!(many.count() < 100_000, "it listens for ever");
        });
        assert!(matches!(error, SyncError::Link(LinkError::TimedOut(_))), "{error:?}");
    });
}

#[test]
fn transfers_that_break_the_rules() {
    within(LIMIT, "transfers", || {
        let mut made = Made::default();
        let tip = made.commit(vec![], Digest([6; 32]));
        let stray = made.commit(vec![], Digest([7; 32]));
        let frames = |ids: &[Digest]| made.frames(ids);
        let segment = |number| Message::Segment(Segment { number, held: vec![] });
        let scripts: Vec<Vec<Message>> = vec![
            vec![Message::Complete],
            vec![Message::More],
            vec![Message::Sent(1)],
            vec![segment(0)],
            vec![frames(&[tip]), segment(1)],
            vec![frames(&[stray])],
            vec![frames(&[tip, stray])],
            vec![frames(&[tip]), segment(0), Message::Sent(2)],
            vec![frames(&[tip]), segment(0), Message::Sent(1), Message::Sent(1)],
            vec![frames(&[tip]), segment(0), Message::Sent(1), frames(&[tip])],
            vec![Message::Got(Got { number: 0, missing: vec![] })],
            vec![Message::Objects(Bytes::from_static(b"not a frame"))],
            vec![Message::Pushed(Pushed { outcomes: vec![], text: String::new() })],
        ];
        for (i, script) in scripts.into_iter().enumerate() {
            let error = fetch_from(tip, move |raw| script.iter().for_each(|message| raw.say(message)));
            assert!(broke_the_rules(&error), "{i}: {error:?}");
        }
        let lost = fetch_from(tip, |raw| {
            raw.say(&frames(&[tip]));
            raw.say(&segment(0));
            raw.say(&Message::Sent(1));
            if let Message::Get(get) = raw.hear_until("Get") {
                raw.say_on(Lane::Demand, &Message::Got(Got { number: get.number, missing: vec![0] }));
            }
        });
        assert!(matches!(lost, SyncError::Lost { kind: ObjectKind::Tree, .. }), "{lost:?}");
        // It leaves, with and without a word.
        let gone = fetch_from(tip, |raw| raw.0.close());
        assert!(gone.is_transient(), "{gone:?}");
        let busy = fetch_from(tip, |raw| {
            raw.say(&Message::Error(Failure { code: ErrorCode::Busy, text: "later".into() }));
            raw.0.close();
        });
        assert!(matches!(&busy, SyncError::Peer(why) if why.code == ErrorCode::Busy), "{busy:?}");
    });
}

#[test]
fn edges_of_history_that_are_none() {
    within(LIMIT, "edges", || {
        let to = Rig::new();
        let (old, head) = (to.write("a", b"1").commit("1"), to.write("a", b"2").commit("2"));
        let tree = *Commit::read(to.repo.store(), head).unwrap().tree.digest();
        let mut made = Made::default();
        let tip = made.commit(vec![head], tree);
        let fetched = |start: Start, depth| {
            let fetched = against(
                |raw| {
                    raw.say(&welcome());
                    raw.hear_until("ListRefs");
                    raw.say(&listing(tip));
                    raw.hear_until("Fetch");
                    raw.say(&Message::Start(start));
                    raw.say(&made.frames(&[tip]));
                    raw.say(&Message::Segment(Segment { number: 0, held: vec![] }));
                    raw.say(&Message::Sent(1));
                },
                |link| to.fetch_over(link, FetchRequest { depth, ..FetchRequest::default() }),
            );
            fetched.map(|(fetched, _)| (fetched.shallow, fetched.lifted))
        };
        // Nobody asked for less history, and the commit was here before.
        let start = |shallow| Start { common: vec![0], shallow, ..Start::default() };
        assert_eq!(fetched(start(vec![head]), 0).unwrap(), (vec![], vec![]));
        // Where it is asked for, it ends only in what was asked for.
        assert_eq!(fetched(start(vec![head, old]), 2).unwrap().0, [head]);
        let lifts = Start { lifted: vec![head], ..start(vec![]) };
        for depth in [0, 2] {
            assert!(matches!(fetched(lifts.clone(), depth), Err(SyncError::Violation(_))));
        }
    });
}

#[test]
fn chunks_by_name_that_do_not_come() {
    within(LIMIT, "by name", || {
        let chunk = ObjectKind::Chunk.digest(b"wanted");
        let get = |script: &(dyn Fn(&Raw<'_>, u64) + Sync)| {
            let to = Rig::new();
            let writer = to.repo.store().writer(StoreWriterOptions::default()).unwrap();
            against(
                |raw| {
                    raw.say(&welcome());
                    if let Message::Get(get) = raw.hear_until("Get") {
                        script(raw, get.number);
                    }
                },
                |link| {
                    let mut client = Client::new(link, &Introduction::default()).unwrap();
                    let wanted = RemoteChunks { chunks: &[(chunk, 6)], ..RemoteChunks::default() };
                    client.get(&to.repo, &writer, &wanted, &Silent)
                },
            )
        };
        let got = |number, missing: &[u32]| Message::Got(Got { number, missing: missing.to_vec() });
        let lost = get(&|raw, number| raw.say_on(Lane::Demand, &got(number, &[0])));
        assert!(matches!(lost, Err(SyncError::Lost { count: 1, .. })), "{lost:?}");
        // It says it sent it.
        let lied = get(&|raw, number| raw.say_on(Lane::Demand, &got(number, &[])));
        assert!(matches!(lied, Err(SyncError::Violation(_))), "{lied:?}");
        let other = get(&|raw, _| {
            raw.say_on(Lane::Demand, &Message::Objects(frame(ObjectKind::Chunk, b"other").1.into()));
        });
        assert!(matches!(other, Err(SyncError::Violation(_))), "{other:?}");
        // The one that is wanted, for ever.
        let flood = get(&|raw, _| {
            let message = Message::Objects(frame(ObjectKind::Chunk, b"wanted").1.into()).encode();
            while raw.bytes(Lane::Demand, message.clone()) {}
        });
        assert!(matches!(flood, Err(SyncError::Violation(_))), "{flood:?}");
        let came = get(&|raw, number| {
            raw.say_on(Lane::Demand, &Message::Objects(frame(ObjectKind::Chunk, b"wanted").1.into()));
            raw.say_on(Lane::Demand, &got(number, &[]));
        });
        assert_eq!(came.unwrap().chunks, 1);
    });
}
