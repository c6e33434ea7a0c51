//! Servers that are killed while several write.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dits_core::lock::LockKey;
use dits_sync::locks::{LockStore, Written};
use dits_testkit::{Redis, SplitMix64};

use super::super::{RedisLocks, server};
use super::{Address, SOON, edit, open, recovered, stamp};

/// What writers were told.
#[derive(Default)]
struct Counted {
    /// Which number was written, by instance: never the same twice.
    done: Mutex<HashSet<(String, u64)>>,
    acknowledged: AtomicU64,
    /// Of which nobody knows whether they were written.
    unknown: AtomicU64,
    stop: AtomicBool,
}

/// Lets the writers end, also when the test fails.
struct Stop<'a>(&'a Counted);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Counts in one record, until told to stop.
fn count(locks: &RedisLocks, counted: &Counted) {
    while !counted.stop.load(Ordering::Relaxed) {
        let Ok(seen) = locks.read(None) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let number = number(&seen.records) + 1;
        match locks.write(&seen.stamp, &edit(&number.to_string())) {
            Ok(Written::Done(stamp)) => {
                assert_eq!((&stamp.instance, stamp.version), (&seen.stamp.instance, seen.stamp.version + 1));
                counted.acknowledged.fetch_add(1, Ordering::Relaxed);
                let is_new = counted.done.lock().unwrap().insert((stamp.instance, number));
                assert!(is_new, "{number} was written before: that was forgotten");
            }
            Ok(Written::Changed) => {}
            Err(_) => {
                counted.unknown.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn number(records: &[(LockKey, Option<Vec<u8>>)]) -> u64 {
    let value = records.first().and_then(|(_, value)| value.clone());
    value.map_or(0, |text| String::from_utf8(text).unwrap().parse().unwrap())
}

/// Kills a server while four count, and gives what they were told and what is there in the end.
fn kill_often(more: &str) -> (Counted, u64) {
    let long = std::env::var_os(dits_testkit::LONG).is_some_and(|value| value == "1");
    let mut random = SplitMix64::new(7);
    let mut redis = Redis::start(more);
    let counted = Counted::default();
    // Two processes with two writers each, as it were.
    let servers = [(); 2].map(|()| server(Address::parse(&redis.url()).unwrap(), "dits").unwrap());
    let locks = |at: usize| RedisLocks::new(Arc::clone(&servers[at % 2]), "dits", "studio/film");
    std::thread::scope(|scope| {
        for at in 0..4 {
            let (locks, counted) = (locks(at), &counted);
            scope.spawn(move || count(&locks, counted));
        }
        let _stop = Stop(&counted);
        let watcher = locks(0);
        let mut before = recovered(&watcher).instance;
        for _ in 0..if long { 100 } else { 20 } {
            let some = counted.acknowledged.load(Ordering::Relaxed) + 1 + random.below(200);
            wait_until(|| counted.acknowledged.load(Ordering::Relaxed) >= some);
            redis.kill();
            redis.begin();
            let now = recovered(&watcher).instance;
            assert_ne!(now, before, "it was restarted");
            before = now;
        }
    });
    let left = number(&open(&redis.url()).read(None).unwrap().records);
    (counted, left)
}

fn says(redis: &Redis, text: &str) -> bool {
    redis.try_command("INFO replication").is_some_and(|answer| answer.contains(text))
}

#[track_caller]
fn wait_until(done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < SOON, "nothing goes on");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn nothing_durable_is_lost() {
    let (counted, left) = kill_often("--appendonly yes --appendfsync always");
    let acknowledged = counted.acknowledged.into_inner();
    let most = acknowledged + counted.unknown.into_inner();
    assert!((acknowledged..=most).contains(&left), "{left} of {acknowledged} to {most}");
}

#[test]
fn what_is_forgotten_is_of_another_instance() {
    let (counted, left) = kill_often("");
    assert!(left < counted.acknowledged.into_inner(), "it keeps nothing");
}

#[test]
fn a_failover_is_followed_and_is_another_instance() {
    let mut master = Redis::start("");
    let mut replica = Redis::start(&format!("--replicaof 127.0.0.1 {}", master.port()));
    replica.wait_for("INFO replication", "master_link_status:up");
    let sentinels = [(); 3].map(|()| Redis::sentinel(&master, 2));
    for sentinel in &sentinels {
        sentinel.wait_for("SENTINEL master film", "num-other-sentinels\n2");
        sentinel.wait_for("SENTINEL master film", "num-slaves\n1");
    }
    let places: Vec<_> = sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
    let locks = open(&format!("redis-sentinel://{}/film", places.join(",")));
    let mut instances = vec![stamp(&locks).instance];
    let counted = Counted::default();
    std::thread::scope(|scope| {
        scope.spawn(|| count(&locks, &counted));
        let _stop = Stop(&counted);
        for _ in 0..2 {
            let some = counted.acknowledged.load(Ordering::Relaxed) + 50;
            wait_until(|| counted.acknowledged.load(Ordering::Relaxed) >= some);
            // Where all is slow, sentinels may have taken the new master for dead meanwhile, and gone back to the old one.
            wait_until(|| says(&master, "role:master") != says(&replica, "role:master"));
            let (old, new) = match says(&master, "role:master") {
                true => (&mut master, &replica),
                false => (&mut replica, &master),
            };
            instances.push(recovered(&locks).instance);
            old.kill();
            let begin = Instant::now();
            let now = loop {
                let now = recovered(&locks).instance;
                if !instances.contains(&now) {
                    break now;
                }
                assert!(begin.elapsed() < SOON);
            };
            instances.push(now);
            // One that comes back before they all know of it would be the master again.
            for sentinel in &sentinels {
                sentinel.wait_for("SENTINEL get-master-addr-by-name film", &new.port().to_string());
            }
            // It comes back, and one of them copies the other.
            old.begin();
            wait_until(|| says(old, "master_link_status:up") || says(new, "master_link_status:up"));
            sentinels[0].wait_for("SENTINEL replicas film", "flags\nslave\n");
        }
        let some = counted.acknowledged.load(Ordering::Relaxed) + 50;
        wait_until(|| counted.acknowledged.load(Ordering::Relaxed) >= some);
    });
}
