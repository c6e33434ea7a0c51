//! Messages about locks: their bytes, their limits, and that they decode.

use dits_core::lock::{
    CloneId, Fence, FileVersion, Holder, Lock, LockKey, LockKind, MAX_NAME, MAX_REASON, Release, Retained,
};
use dits_core::path::RepoPath;

use super::limits::{letters, limit, refused};
use super::*;

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text.as_bytes()).unwrap()
}

fn place() -> Place {
    Place { clone: CloneId([7; 16]), host: "ws-7".into(), folder: "/home/ada/film".into() }
}

fn lock(name: &str, retained: bool) -> Lock {
    let waits = Retained { branch: main_branch(), commit: commit(3), version: Some(FileVersion(digest(4))) };
    Lock {
        path: path("Maps/Level_01.umap"),
        holder: Holder {
            name: name.into(),
            clone: CloneId([7; 16]),
            host: "ws-7".into(),
            folder: "/home/ada/film".into(),
        },
        kind: LockKind::Shared,
        branch: Some(main_branch()),
        reason: "light".into(),
        since: 1_767_323_045,
        expires: Some(1_767_323_945),
        fence: Fence { epoch: 2, counter: 300 },
        release: Release::Merge,
        retained: retained.then_some(waits),
    }
}

fn request() -> LockRequest {
    let ask = Ask { path: path("a.psd"), versions: vec![None, Some(FileVersion(digest(5)))], release: Release::Close };
    LockRequest {
        place: place(),
        paths: vec![ask],
        kind: LockKind::Exclusive,
        only: None,
        upstream: Some(main_branch()),
        reason: "light".into(),
        lease: Some(600),
        all: true,
    }
}

fn table() -> LockTable {
    LockTable {
        stamp: LockStamp { instance: "c0ffee/master".into(), version: 9 },
        you: "ada".into(),
        whole: false,
        changed: vec![LockKey::of(&path("A.psd"))],
        locks: vec![lock("ada", false)],
        more: false,
    }
}

/// Each message once, and each kind of refusal.
pub(super) fn samples() -> Vec<Message> {
    let refusals = vec![
        LockRefusal::Held(lock("ada", false).into()),
        LockRefusal::Retained(lock("ada", true).into()),
        LockRefusal::Stale { branch: main_branch() },
        LockRefusal::Token { own: None },
        LockRefusal::Token { own: Some(lock("ada", false).into()) },
        LockRefusal::NotLocked,
        LockRefusal::Crowded,
        LockRefusal::Unknown,
    ];
    let outcomes = [LockOutcome::Locked(Fence { epoch: 1, counter: 2 }), LockOutcome::NotDone];
    let outcomes = outcomes.into_iter().chain(refusals.iter().cloned().map(LockOutcome::Refused)).collect();
    let against = refusals.into_iter().map(|refusal| (path("a.psd"), refusal)).collect();
    vec![
        Message::Pushed(Pushed { outcomes: vec![UpdateOutcome::Locked(against)], text: String::new() }),
        Message::Lock(request()),
        Message::Locked(Locked { outcomes }),
        Message::Unlock(UnlockRequest { place: place(), paths: vec![path("a.psd")], force: true }),
        Message::Unlocked(Unlocked {
            outcomes: vec![
                UnlockOutcome::Unlocked(vec![lock("ben", false)]),
                UnlockOutcome::NotLocked,
                UnlockOutcome::Held(lock("ben", false).into()),
                UnlockOutcome::Denied(lock("ben", false).into()),
            ],
        }),
        Message::ListLocks(ListLocks { known: None, wait: 0 }),
        Message::ListLocks(ListLocks { known: Some(table().stamp), wait: 60 }),
        Message::LockTable(table()),
        Message::Tokens(Tokens {
            place: place(),
            tokens: vec![Token { path: path("a.psd"), fence: Fence { epoch: 1, counter: 2 }, keep: true }],
        }),
    ]
}

#[test]
fn all_decode_and_damage_is_seen_or_says_something_else() {
    for message in samples() {
        round_trip(&message);
        let bytes = message.encode();
        for at in 1..bytes.len() {
            assert!(Message::decode(&bytes.slice(..at)).is_err(), "{} cut at {at}", message.name());
            let mut other = bytes.to_vec();
            other[at] ^= 0x55;
            if let Ok(Some(other)) = Message::decode(&other.into()) {
                assert_ne!(other, message);
            }
        }
    }
}

#[test]
fn limits_of_requests() {
    let many = |n: usize| (0..n).map(|i| path(&format!("f{i}"))).collect::<Vec<_>>();
    let ask = |path| Ask { path, versions: Vec::new(), release: Release::Push };
    limit(MAX_LOCKS, |n| Message::Lock(LockRequest { paths: many(n).into_iter().map(ask).collect(), ..request() }));
    limit(MAX_LOCKS, |n| Message::Unlock(UnlockRequest { place: place(), paths: many(n), force: false }));
    limit(MAX_LOCKS, |n| Message::Locked(Locked { outcomes: vec![LockOutcome::NotDone; n] }));
    limit(MAX_LOCKS, |n| Message::Unlocked(Unlocked { outcomes: vec![UnlockOutcome::NotLocked; n] }));
    let fence = Fence { epoch: 1, counter: 1 };
    limit(MAX_LOCKS, |n| {
        Message::Tokens(Tokens {
            place: place(),
            tokens: many(n).into_iter().map(|path| Token { path, fence, keep: false }).collect(),
        })
    });
    limit(4, |n| {
        let paths = vec![Ask { versions: vec![None; n], ..ask(path("a")) }];
        Message::Lock(LockRequest { paths, ..request() })
    });
    limit(MAX_REASON, |n| Message::Lock(LockRequest { reason: letters(n), ..request() }));
    limit(MAX_NAME, |n| Message::Lock(LockRequest { place: Place { host: letters(n), ..place() }, ..request() }));
    limit(MAX_NAME, |n| {
        Message::Unlock(UnlockRequest {
            place: Place { folder: letters(n), ..place() },
            paths: Vec::new(),
            force: true,
        })
    });
    limit(60, |n| Message::ListLocks(ListLocks { known: None, wait: n as u32 }));
    limit(256, |n| {
        let known = LockStamp { instance: letters(n), version: 1 };
        Message::ListLocks(ListLocks { known: Some(known), wait: 0 })
    });
    for lease in [Some(0), Some(u32::MAX)] {
        assert!(refused(&Message::Lock(LockRequest { lease, ..request() })));
    }
    let endless = LockTable { changed: Vec::new(), locks: Vec::new(), more: true, ..table() };
    assert!(refused(&Message::LockTable(endless)));
}

#[test]
fn a_long_table_comes_in_parts_that_fit() {
    let locks: Vec<Lock> = (0..2000).map(|i| lock(&letters(i % 900), i % 3 == 0)).collect();
    let changed: Vec<LockKey> = (0..20_000).map(|i| LockKey::of(&path(&format!("{}/{i}", letters(200))))).collect();
    let whole = LockTable { locks: locks.clone(), changed: changed.clone(), ..table() };
    let parts = whole.clone().messages();
    assert!(parts.len() > 3);
    let (mut seen, mut keys) = (Vec::new(), Vec::new());
    for (i, part) in parts.iter().enumerate() {
        assert_eq!((part.more, &part.stamp), (i + 1 < parts.len(), &whole.stamp));
        let message = Message::LockTable(part.clone());
        assert!(message.encode().len() <= MAX_MESSAGE);
        round_trip(&message);
        seen.extend(part.locks.clone());
        keys.extend(part.changed.clone());
    }
    assert_eq!((seen, keys), (locks, changed));
    let none = LockTable { locks: Vec::new(), changed: Vec::new(), ..table() };
    assert_eq!(none.clone().messages(), [none]);
}
