//! With Redis servers of their own.

mod kills;
#[path = "../../../../tests/lock_model/mod.rs"]
mod model;

use std::time::{Duration, Instant};

use dits_core::lock::LockKey;
use dits_sync::locks::{Edit, LockStore, StoreError, Written, conformance};
use dits_sync::wire::LockStamp;
use dits_testkit::Redis;

use super::{Address, RedisLocks, server};

/// How long what should happen soon may take.
const SOON: Duration = Duration::from_secs(30);

/// The store of a repository, with a connection of its own.
fn open(url: &str) -> RedisLocks {
    open_address(Address::parse(url).unwrap())
}

fn open_address(address: Address) -> RedisLocks {
    RedisLocks::new(server(address, "dits").unwrap(), "dits", "studio/film")
}

fn edit(value: &str) -> [Edit; 1] {
    [(LockKey::from_bytes(b"key".to_vec()), Some(value.as_bytes().to_vec()))]
}

fn stamp(locks: &RedisLocks) -> LockStamp {
    locks.read(None).unwrap().stamp
}

/// Reads until there is an answer.
fn recovered(locks: &RedisLocks) -> LockStamp {
    let begin = Instant::now();
    loop {
        match locks.read(None) {
            Ok(seen) => return seen.stamp,
            Err(error) => assert!(begin.elapsed() < SOON, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn away<T>(outcome: Result<T, StoreError>) -> String {
    match outcome {
        Err(StoreError::Away(text)) => text,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it must be away"),
    }
}

#[test]
fn conforms() {
    let redis = Redis::start("");
    conformance::check(&|| Box::new(open(&redis.url())));
}

#[test]
fn each_request_is_answered_as_the_model_says() {
    let redis = Redis::start("");
    let store = |folder: &std::path::Path| -> Box<dyn LockStore> {
        let address = Address::parse(&redis.url()).unwrap();
        Box::new(RedisLocks::new(server(address, "dits").unwrap(), "dits", &folder.display().to_string()))
    };
    model::in_order(&store, 5, 250);
    if dits_testkit::long("ten_thousand_requests_are_answered_as_the_model_says") {
        model::in_order(&store, 98, 10_000);
    }
    model::at_once(&store, 40);
}

#[test]
fn conforms_at_a_socket_as_a_user_in_another_database() {
    let redis = Redis::start("--unixsocket DIR/socket");
    redis.command(
        "ACL SETUSER ada on >geheim ~dits:* &dits:* +@hash +@sortedset +@scripting +@pubsub +del +info +hello +select",
    );
    let url = format!("redis+unix://ada:geheim@{}/socket?db=3", redis.dir().display());
    conformance::check(&|| Box::new(open(&url)));
    assert_eq!(redis.command("DBSIZE"), "0");
    assert_eq!(redis.command("-n 3 KEYS *").lines().count(), 3);
}

#[test]
fn conforms_with_tls_and_meets_nobody_without() {
    let dir = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.pem();
    std::fs::write(dir.path().join("cert.pem"), &certificate).unwrap();
    std::fs::write(dir.path().join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    let tls = "--port 0 --tls-port PORT --tls-cert-file DIR/cert.pem --tls-key-file DIR/key.pem --tls-auth-clients no";
    let redis = Redis::start_in(dir, tls);
    let address = Address::parse(&format!("rediss://localhost:{}", redis.port())).unwrap();
    let mut trusting = address.clone();
    trusting.authority = Some(certificate.into_bytes());
    conformance::check(&|| Box::new(open_address(trusting.clone())));
    let text = away(open_address(address).read(None));
    assert!(text.contains("certificate"), "{text}");
    away(open(&redis.url()).read(None));
}

#[test]
fn a_wrong_password_is_told_and_not_repeated() {
    let redis = Redis::start("--requirepass richtig");
    let at = redis.url().replace("redis://", "");
    for (login, why) in [(":geheim@", "are refused"), ("ada:geheim@", "are refused"), ("", "it wants a password")] {
        let text = away(open(&format!("redis://{login}{at}")).read(None));
        assert!(text.contains(why) && text.contains(&at) && !text.contains("geheim"), "{text}");
    }
    stamp(&open(&format!("redis://:richtig@{at}")));
}

#[test]
fn whatever_may_have_been_forgotten_is_another_instance() {
    let mut redis = Redis::start("--appendonly yes --appendfsync always");
    let locks = open(&redis.url());
    let mut seen = vec![stamp(&locks)];
    let mut changed = |locks: &RedisLocks, what: &str| {
        let now = recovered(locks);
        assert!(seen.iter().all(|before| before.instance != now.instance), "{what}");
        let old = seen.last().unwrap();
        assert_eq!(locks.write(old, &edit("late")).unwrap(), Written::Changed, "{what}");
        assert!(matches!(locks.write(&now, &edit("new")).unwrap(), Written::Done(_)), "{what}");
        seen.push(now);
    };
    redis.command("FLUSHALL");
    changed(&locks, "it was emptied");
    for key in ["table", "records"] {
        redis.command(&format!("DEL dits:{{studio/film}}:{key}"));
        changed(&locks, key);
    }
    redis.kill();
    redis.begin();
    changed(&locks, "it was restarted");
    locks.remove().unwrap();
    changed(&locks, "it was removed");
    // On the same connection all the time: a master that was a replica for a while has another's memory, here an older copy
    // of its own table.
    let other = Redis::start(&format!("--replicaof 127.0.0.1 {}", redis.port()));
    other.wait_for("INFO replication", "master_link_status:up");
    other.command("REPLICAOF NO ONE");
    assert!(matches!(locks.write(&stamp(&locks), &edit("newer")).unwrap(), Written::Done(_)));
    redis.command(&format!("REPLICAOF 127.0.0.1 {}", other.port()));
    redis.wait_for("INFO replication", "master_link_status:up");
    let text = away(locks.read(None));
    assert!(text.contains("no master"), "{text}");
    redis.command("REPLICAOF NO ONE");
    changed(&locks, "it was a replica");
}

#[test]
fn changes_that_are_not_known_any_more_are_everything() {
    let redis = Redis::start("");
    let locks = open(&redis.url());
    let begin = stamp(&locks);
    let Written::Done(one) = locks.write(&begin, &edit("1")).unwrap() else { panic!("nobody else writes") };
    assert!(!locks.read(Some(&begin)).unwrap().whole);
    // As one that may evict keys does, also when it knows nothing of the scripts any more.
    redis.command("DEL dits:{studio/film}:changes");
    redis.command("SCRIPT FLUSH");
    let seen = locks.read(Some(&begin)).unwrap();
    assert!(seen.whole && seen.records == edit("1") && seen.stamp == one);
    let mut at = one.clone();
    for number in 0..4097 {
        let Written::Done(next) = locks.write(&at, &edit(&number.to_string())).unwrap() else {
            panic!("only we write")
        };
        at = next;
    }
    assert!(locks.read(Some(&one)).unwrap().whole);
    let recent = LockStamp { version: one.version + 1, ..one };
    let seen = locks.read(Some(&recent)).unwrap();
    assert!(!seen.whole && seen.records == edit("4096"), "{seen:?}");
    redis.command("HSET dits:{studio/film}:table format 2");
    assert!(matches!(locks.read(None), Err(StoreError::Damaged(text)) if text.contains("another format")));
}

#[test]
fn one_that_hangs_costs_seconds_and_is_found_again() {
    let redis = Redis::start("");
    let locks = open(&redis.url());
    let before = stamp(&locks);
    redis.stop();
    let timed = |most: u64| {
        let begin = Instant::now();
        let text = away(locks.write(&before, &edit("1")));
        assert!(text.contains("no answer within 2 seconds"), "{text}");
        assert!(begin.elapsed() < Duration::from_millis(most), "{:?}", begin.elapsed());
    };
    timed(4000);
    // Without asking again, and then by connecting anew.
    timed(200);
    std::thread::sleep(Duration::from_millis(600));
    timed(4000);
    std::thread::scope(|scope| {
        scope.spawn(|| away(locks.wait(&before, Duration::from_secs(60))));
        scope.spawn(|| away(open(&redis.url()).read(None)));
    });
    redis.go_on();
    let begin = Instant::now();
    // What was asked before may have been done meanwhile.
    let now = recovered(&locks);
    assert!(now.instance == before.instance && now.version <= before.version + 1);
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn those_who_wait_hear_of_the_end() {
    let mut redis = Redis::start("");
    let locks = open(&redis.url());
    let seen = stamp(&locks);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| locks.wait(&seen, Duration::from_secs(60)));
        std::thread::sleep(Duration::from_millis(200));
        redis.kill();
        let _ = waiting.join().unwrap();
    });
    assert!(begin.elapsed() < Duration::from_secs(5));
    away(locks.wait(&seen, Duration::from_secs(60)));
}
