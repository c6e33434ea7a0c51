//! Several at once: pushes to one ref, and transfers beside garbage collection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dits_core::maintain::{GcOptions, GcReport};
use dits_core::progress::Silent;
use dits_core::refs::{Expected, RefEdit, RefName, RefStore};
use dits_core::repo::{RepoError, Repository};
use dits_sync::client::{Client, FetchRequest, Introduction, UpdateOutcome};
use dits_sync::server::LocalHost;
use dits_testkit::random::bytes;

use crate::fault::{Fault, through, within};
use crate::rig::Rig;

const MINUTES: Duration = Duration::from_secs(180);

fn gc(repository: &Repository) {
    // It may find that somebody else collects, or writes.
    let _ = gc_after(repository, Duration::ZERO, Duration::ZERO);
}

/// Collects as if this much time had passed.
fn gc_after(repository: &Repository, passed: Duration, grace: Duration) -> Result<GcReport, RepoError> {
    let now = SystemTime::now() + passed;
    let options = GcOptions {
        now: now.duration_since(UNIX_EPOCH).unwrap().as_secs() as i64,
        grace,
        reflog_expire: None,
        dry_run: false,
        max_packs: 2,
        max_loose: 2,
        pack_limit: 1 << 30,
        wait: Duration::from_secs(5),
    };
    repository.gc(&options, &Silent)
}

#[test]
fn of_two_pushes_to_one_ref_one_wins() {
    within(MINUTES, "race", || {
        let server = Rig::bare();
        let first = Rig::new();
        first.write("f", b"0").commit("0");
        first.push(&server, "main").unwrap();
        let base = server.branch("main").unwrap();
        for round in 0..6u64 {
            server.set("refs/branches/main", base);
            let host = Arc::new(LocalHost::new(server.reopen(), "server".into(), "s@x".into()));
            let racers: Vec<_> = (0..3u64)
                .map(|i| {
                    let host = Arc::clone(&host);
                    let rig = Rig::new();
                    rig.fetch(&server).unwrap();
                    rig.set("refs/branches/main", base);
                    rig.check_out();
                    rig.write("f", &bytes(round * 10 + i, 200_000)).commit("mine");
                    thread::spawn(move || {
                        let push = |link: &dyn dits_sync::link::Link| rig.push_over(link, "main", false, false);
                        let pushed = through(&*host, &Fault::none(), push).unwrap().0;
                        (pushed.outcomes, rig.branch("main").unwrap())
                    })
                })
                .collect();
            let outcomes: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
            let (won, lost): (Vec<_>, Vec<_>) =
                outcomes.into_iter().partition(|(outcome, _)| *outcome == [UpdateOutcome::Done]);
            assert_eq!(won.len(), 1, "{won:?} {lost:?}");
            assert_eq!(server.branch("main"), Some(won[0].1));
            let fits = |o: &UpdateOutcome| matches!(o, UpdateOutcome::Changed | UpdateOutcome::NotFastForward);
            assert!(lost.iter().all(|(outcome, _)| outcome.iter().all(fits)), "{lost:?}");
        }
        server.assert_sound();
    });
}

#[test]
fn a_source_that_is_pushed_to_and_collected_is_fetched_whole() {
    within(MINUTES, "source", || {
        let server = Rig::bare();
        let author = Rig::new();
        author.write("big", &bytes(1, 3 << 20)).commit("0");
        author.push(&server, "main").unwrap();
        let host = LocalHost::new(server.reopen(), "server".into(), "s@x".into());
        let collected = server.reopen();
        let over = Arc::new(AtomicBool::new(false));
        let busy = Arc::clone(&over);
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut i = 2;
                while !busy.load(Ordering::Relaxed) {
                    author.write("more", &bytes(i, 300_000)).commit("more");
                    author.push(&server, "main").unwrap();
                    gc(&collected);
                    i += 1;
                }
                server.assert_sound();
            });
            for _ in 0..8 {
                let to = Rig::new();
                let fault = Fault::with_delay(1 << 60, 1 << 60, Duration::from_millis(5));
                let fetched = through(&host, &fault, |link| to.fetch_over(link, FetchRequest::default()));
                drop(fetched.unwrap());
                to.assert_sound();
            }
            over.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn a_receiver_is_collected_while_it_receives() {
    within(MINUTES, "receiver", || {
        let from = Rig::new();
        from.write("big", &bytes(1, 3 << 20)).commit("0");
        for i in 0..4 {
            from.write("more", &bytes(5 + i, 500_000)).commit("more");
            let to = Rig::new();
            let collected = to.reopen();
            let over = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        gc(&collected);
                        thread::sleep(Duration::from_millis(20));
                    }
                });
                let host = LocalHost::new(from.reopen(), "server".into(), "s@x".into());
                let fault = Fault::with_delay(1 << 60, 1 << 60, Duration::from_millis(10));
                // Cut once, so that something lies there that nothing refers to.
                let cut = Fault::after(12, 1 << 60);
                through(&host, &cut, |link| to.fetch_over(link, FetchRequest::default())).unwrap_err();
                let fetched = through(&host, &fault, |link| to.fetch_over(link, FetchRequest::default()));
                drop(fetched.unwrap());
                over.store(true, Ordering::Relaxed);
            });
            to.assert_sound();
            gc(&to.reopen());
            to.assert_sound();
        }
    });
}

#[test]
fn what_is_condemned_is_received_again() {
    const DAY: Duration = Duration::from_secs(86_400);
    within(MINUTES, "condemned", || {
        let (from, to) = (Rig::new(), Rig::new());
        from.write("big", &bytes(1, 3 << 20)).write("more", &bytes(2, 300_000)).commit("0");
        to.fetch(&from).unwrap();
        let name = RefName::parse("refs/remotes/origin/main").unwrap();
        to.repo.refs().transaction(vec![RefEdit::delete(name.clone(), Expected::Any)]).unwrap();
        // After a transfer that stopped, the sender is told what is held.
        let host = LocalHost::new(from.reopen(), "server".into(), "s@x".into());
        let cut = Fault::after(3, 1 << 60);
        through(&host, &cut, |link| to.fetch_over(link, FetchRequest::default())).unwrap_err();
        let condemned = gc_after(&to.reopen(), Duration::ZERO, DAY).unwrap();
        assert!(condemned.waiting > 0 && condemned.removed == 0, "{condemned:?}");
        let wanted = *from.branch("main").as_ref().unwrap();
        let fetched = from.serve(|link| {
            let mut client = Client::new(link, &Introduction::default())?;
            client.listing(None, &Silent)?;
            client.fetch(&to.repo, FetchRequest { wants: vec![wanted], ..FetchRequest::default() }, &Silent)
        });
        let fetched = fetched.unwrap();
        // Nothing refers to it yet, and the grace period ends.
        let collected = gc_after(&to.reopen(), 2 * DAY, DAY).unwrap();
        assert!(collected.removed > 0 && collected.writers == 0, "{collected:?}");
        to.set(name.as_str(), wanted);
        drop(fetched);
        to.assert_sound();
    });
}
