//! Many clients at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dits_sync::client::{Introduction, UpdateOutcome};
use dits_sync::link::Carrier;

use crate::rig::{Rig, SOON};
use crate::sharing::{address, dial, introduction, own};

/// Readers, pushers, and for how long.
struct Crowd {
    readers: usize,
    pushers: usize,
    time: Duration,
}

#[test]
fn readers_and_pushers_and_gc_at_once() {
    gather(&Crowd { readers: 6, pushers: 3, time: Duration::from_secs(4) });
}

#[test]
fn a_hundred_clients_for_ten_minutes() {
    if dits_testkit::long("a_hundred_clients_for_ten_minutes") {
        gather(&Crowd { readers: 92, pushers: 8, time: Duration::from_secs(600) });
    }
}

fn gather(crowd: &Crowd) {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    std::fs::write(rig.root("config"), "gc.pruneExpire = 'now'\n").unwrap();
    let limits = "[limits]\nconnectionsPerAddress = 200\n[gc]\ninterval = '1s'\n";
    std::fs::write(rig.root("server.toml"), format!("version = 1\n{limits}")).unwrap();
    let token = rig.token("ada", "--repository film --allow read,write");
    let mut server = rig.serve("");
    let address = address(&mut server);
    let who = introduction("film", Some(&token));
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for number in 0..crowd.pushers {
            let (rig, address, who, stop, done) = (&rig, &address, &who, &stop, &done);
            scope.spawn(move || push_on(rig, address, who, number, stop, done));
        }
        for number in 0..crowd.readers {
            let (rig, address, who, stop, done) = (&rig, &address, &who, &stop, &done);
            scope.spawn(move || read_on(rig, address, who, number, stop, done));
        }
        let (mut memory, begin) = (Vec::new(), Instant::now());
        while begin.elapsed() < crowd.time && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(crowd.time / 20);
            memory.push(resident_kib(server.id()));
        }
        stop.store(true, Ordering::Relaxed);
        // The second half of the time needs no more than the first did, and some room.
        let (first, second) = memory.split_at(memory.len() / 2);
        let (first, second) = (first.iter().max(), second.iter().max());
        assert!(second <= first.map(|kib| kib + kib / 2 + 65_536).as_ref(), "{memory:?} KiB");
    });
    assert!(done.load(Ordering::Relaxed) >= (crowd.readers + crowd.pushers) as u64);
    let log = server.terminate(SOON).ok().err();
    assert!(!log.contains("ERROR") && !log.contains("failed"), "{log}");
    rig.run("fsck film --full").ok();
    assert_eq!(rig.json("audit verify")["intact"], true);
}

fn carrier(number: usize) -> Carrier {
    if number.is_multiple_of(2) { Carrier::Quic } else { Carrier::Tcp }
}

fn push_on(rig: &Rig, address: &str, who: &Introduction, number: usize, stop: &AtomicBool, done: &AtomicU64) {
    let own = own();
    let branch = format!("pusher-{number}");
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let content = dits_testkit::random::bytes((number * 1_000_000 + round) as u64, 200_000);
        let commit = own.commit(&format!("take-{number}.mov"), &content);
        let pushed = own.push_to(&*dial(rig, address, carrier(number)), who, &branch, commit).unwrap();
        assert_eq!(pushed.outcomes, [UpdateOutcome::Done]);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

fn read_on(rig: &Rig, address: &str, who: &Introduction, number: usize, stop: &AtomicBool, done: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        own().fetch(&*dial(rig, address, carrier(number)), who).unwrap();
        done.fetch_add(1, Ordering::Relaxed);
    }
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
