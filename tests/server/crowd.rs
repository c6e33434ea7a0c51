//! Many clients at once.
#![allow(clippy::print_stderr, reason = "the numbers are worth seeing: cargo test -- --nocapture")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dits_core::progress::Silent;
use dits_sync::SyncError;
use dits_sync::client::{Client, Introduction, UpdateOutcome};
use dits_sync::link::Carrier;
use dits_testkit::Background;

use crate::rig::{Rig, SOON};
use crate::sharing::{address, introduction, own, try_dial};

/// What a server gives a client for its handshake, and again to say what it wants (`docs/protocol.md`, "Deadlines"). On a
/// machine that is busy enough it passes.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long either side may be silent later, or take nothing of what waits for it.
const SILENCE: Duration = Duration::from_secs(60);

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
    let limits = "[limits]\nconnectionsPerAddress = 200\n[gc]\ninterval = '1s'\n[log]\nlevel = 'warn'\n";
    std::fs::write(rig.root("server.toml"), format!("version = 1\n{limits}")).unwrap();
    let token = rig.token("ada", "--repository film --allow read,write");
    let mut server = rig.serve("");
    let address = address(&mut server);
    let meeting = Meeting { rig: &rig, address, who: introduction("film", Some(&token)), seen: Seen::default() };
    let memory = meet(crowd, &meeting, &mut server);
    meeting.seen.check(crowd, &memory);
    let log = server.terminate(SOON).ok().err();
    // Of what it failed at it says nothing but that a limit had passed.
    let is_limit = |line: &str| line.contains("failed") && line.contains("no answer for 60 s");
    let rest: Vec<&str> = log.lines().filter(|line| !is_limit(line)).collect();
    assert!(!rest.iter().any(|line| line.contains("ERROR") || line.contains("failed")), "{log}");
    rig.run("fsck film --full").ok();
    assert_eq!(rig.json("audit verify")["intact"], true);
}

/// Lets all clients do what they do for the time; the server's memory meanwhile, in MiB.
fn meet(crowd: &Crowd, meeting: &Meeting<'_>, server: &mut Background) -> Vec<u64> {
    let (mut memory, begin) = (Vec::new(), Instant::now());
    std::thread::scope(|scope| {
        for number in 0..crowd.pushers {
            scope.spawn(move || meeting.push_on(number));
        }
        for number in 0..crowd.readers {
            scope.spawn(move || meeting.read_on(number));
        }
        while begin.elapsed() < crowd.time && !meeting.seen.stop.load(Ordering::Relaxed) {
            std::thread::sleep(crowd.time / 20);
            memory.push(resident_kib(server.id()) >> 10);
        }
        meeting.seen.stop.store(true, Ordering::Relaxed);
    });
    memory
}

fn carrier(number: usize) -> Carrier {
    if number.is_multiple_of(2) { Carrier::Quic } else { Carrier::Tcp }
}

/// What all clients share.
struct Meeting<'a> {
    rig: &'a Rig,
    address: String,
    who: Introduction,
    seen: Seen,
}

/// What happened to all clients.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    pushes: AtomicU64,
    clones: AtomicU64,
    /// How many connections broke because a stated limit had passed, and how many for no such reason; by when and why.
    limits: Mutex<BTreeMap<String, u64>>,
    broken: Mutex<BTreeMap<String, u64>>,
    /// How long it took each client to be let in.
    waits: Mutex<Vec<Duration>>,
}

impl Meeting<'_> {
    fn push_on(&self, number: usize) {
        let own = own();
        let branch = format!("pusher-{number}");
        for round in 0.. {
            let content = dits_testkit::random::bytes((number * 1_000_000 + round) as u64, 200_000);
            let commit = own.commit(&format!("take-{number}.mov"), &content);
            let pushed = self.talk(number, |client| own.push_to(client, &branch, commit));
            let Some(pushed) = pushed else { return };
            assert_eq!(pushed.outcomes, [UpdateOutcome::Done]);
            self.seen.pushes.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read_on(&self, number: usize) {
        while self.talk(number, |client| own().fetch_from(client)).is_some() {
            self.seen.clones.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Dials and talks, and does so again when a limit has passed; nothing once it is time to go.
    fn talk<T>(&self, number: usize, act: impl Fn(&mut Client<'_>) -> Result<T, SyncError>) -> Option<T> {
        while !self.seen.stop.load(Ordering::Relaxed) {
            let (begin, mut when) = (Instant::now(), "dialling");
            let result = try_dial(self.rig, &self.address, carrier(number)).map_err(SyncError::from).and_then(|link| {
                when = "waiting to be let in";
                let mut client = Client::new(&*link, &self.who)?;
                client.welcome(&Silent)?;
                lock(&self.seen.waits).push(begin.elapsed());
                when = "talking";
                act(&mut client)
            });
            match result {
                Ok(done) => return Some(done),
                Err(error) => self.seen.end(when, begin.elapsed(), &error, carrier(number)),
            }
        }
        None
    }
}

impl Seen {
    /// A connection ended with an error. Whatever no limit explains ends the meeting.
    fn end(&self, when: &str, after: Duration, error: &SyncError, carrier: Carrier) {
        let least = if when == "talking" { SILENCE } else { HANDSHAKE };
        let is_limit = after >= least && error.is_transient();
        let counts = if is_limit { &self.limits } else { &self.broken };
        *lock(counts).entry(format!("{carrier:?}, {when}: {error}")).or_default() += 1;
        if !is_limit {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn check(self, crowd: &Crowd, memory: &[u64]) {
        let (pushes, clones) = (self.pushes.into_inner(), self.clones.into_inner());
        let mut waits = std::mem::take(&mut *lock(&self.waits));
        waits.sort_unstable();
        let wait = |percent: usize| waits.get(waits.len() * percent / 100).or(waits.last()).copied();
        eprintln!("{pushes} pushes, {clones} clones; server: {memory:?} MiB");
        eprintln!("let in after {:?} (half), {:?} (99 %), {:?} (all)", wait(50), wait(99), wait(100));
        let (limits, broken) = (lock(&self.limits), lock(&self.broken));
        eprintln!("limits that passed: {limits:#?}");
        assert!(broken.is_empty(), "broke: {broken:#?}");
        assert!(pushes >= crowd.pushers as u64 && clones >= crowd.readers as u64);
        // The second half of the time needs no more than the first did, and some room.
        let (first, second) = memory.split_at(memory.len() / 2);
        let (first, second) = (first.iter().max(), second.iter().max());
        assert!(second <= first.map(|mib| mib + mib / 2 + 64).as_ref(), "{memory:?} MiB");
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
