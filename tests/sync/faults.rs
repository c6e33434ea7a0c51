//! Connections that end anywhere, processes that are killed, and disks that lie.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use dits_core::compress::Encoding;
use dits_core::object::Digest;
use dits_core::progress::Silent;
use dits_core::repo::Repository;
use dits_core::store::StoreWriterOptions;
use dits_core::store::frame::Header;
use dits_sync::SyncError;
use dits_sync::client::{Client, FetchRequest, Introduction, PushRequest, RemoteChunks, UpdateOutcome, converse};
use dits_sync::server::LocalHost;
use dits_testkit::SplitMix64;
use dits_testkit::random::bytes;

use crate::fault::{Breaking, Fault, through, within};
use crate::rig::{Rig, environment};
use crate::watched::Watched;

const MINUTE: Duration = Duration::from_secs(60);
const NO_LIMIT: u64 = 1 << 60;

/// What a link inside one process holds of chunks, and the message that its sender waits with.
const WINDOW: u64 = (8 << 20) + (1 << 20);

/// Some six megabytes: a large file, and small ones.
fn project() -> Rig {
    let rig = Rig::new();
    rig.write("big.mov", &bytes(1, 5 << 20));
    for i in 0..100 {
        rig.write(&format!("frames/{i:04}.dpx"), &bytes(100 + i, 9_000));
    }
    rig.commit("one");
    rig
}

fn host(rig: &Rig) -> LocalHost {
    LocalHost::new(rig.reopen(), "server".into(), "s@x".into())
}

/// Counts what tries cost, and proves in the end that nothing that arrived was sent again.
#[derive(Default)]
struct Tally {
    sent: u64,
    taken: u64,
    cuts: u64,
}

impl Tally {
    fn add(&mut self, fault: &Fault) {
        let (sent, taken) = (fault.chunks_sent.load(Ordering::Relaxed), fault.chunks_taken.load(Ordering::Relaxed));
        assert!(sent - taken.min(sent) <= WINDOW, "{} bytes were under way", sent - taken);
        self.sent += sent;
        self.taken += taken;
        self.cuts += u64::from(fault.is_cut());
    }

    fn check(&self, payload: u64) {
        let Self { sent, taken, cuts } = *self;
        // What was taken was kept, and never sent again.
        assert!(taken <= payload + payload / 100, "{taken} bytes taken of {payload}, {cuts} cuts");
        assert!(sent <= payload + payload / 50 + cuts * WINDOW, "{sent} bytes sent of {payload}, {cuts} cuts");
    }
}

/// A random place to cut at, further along the more tries there have been.
fn random_fault(random: &mut SplitMix64, tries: u64) -> std::sync::Arc<Fault> {
    match random.below(2) {
        0 => Fault::after(random.between(1, 8 + 4 * tries), NO_LIMIT),
        _ => Fault::after(NO_LIMIT, random.between(1, (1 + tries) << 18)),
    }
}

#[test]
fn a_fetch_that_is_cut_anywhere_goes_on() {
    within(5 * MINUTE, "fetch", || {
        let from = project();
        let mut all_cuts = 0;
        for seed in 0..4 {
            let (to, random) = (Rig::new(), &mut SplitMix64::new(seed));
            let mut tally = Tally::default();
            for tries in 0.. {
                assert!(tries < 100, "no progress");
                let fault = random_fault(random, tries);
                let fetched = through(&host(&from), &fault, |link| to.fetch_over(link, FetchRequest::default()));
                tally.add(&fault);
                match fetched {
                    Ok(_) => break,
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
                assert_eq!(to.refs_named(), 0, "no ref moves before everything is there");
            }
            tally.check((5 << 20) + 100 * 9_000);
            all_cuts += tally.cuts;
            to.assert_sound();
        }
        assert!(all_cuts > 8, "{all_cuts} cuts");
        from.assert_sound();
    });
}

#[test]
fn a_push_that_is_cut_anywhere_goes_on() {
    within(5 * MINUTE, "push", || {
        let from = project();
        let mut all_cuts = 0;
        for seed in 10..14 {
            let (to, random) = (Rig::bare(), &mut SplitMix64::new(seed));
            let mut tally = Tally::default();
            for tries in 0.. {
                assert!(tries < 100, "no progress");
                let fault = random_fault(random, tries);
                let pushed = through(&host(&to), &fault, |link| from.push_over(link, "main", false, false));
                tally.add(&fault);
                let there = to.branch("main");
                assert!(there.is_none() || there == from.branch("main"));
                match pushed {
                    // The answer to an earlier push may have been lost.
                    Ok((pushed, _)) => {
                        assert!(matches!(pushed.outcomes[..], [UpdateOutcome::Done | UpdateOutcome::UpToDate]));
                        break;
                    }
                    Err(error) => assert!(error.is_transient(), "{error:?}"),
                }
            }
            tally.check((5 << 20) + 100 * 9_000);
            all_cuts += tally.cuts;
            assert_eq!(to.branch("main"), from.branch("main"));
            to.assert_sound();
        }
        assert!(all_cuts > 8, "{all_cuts} cuts");
        from.assert_sound();
    });
}

/// Each try brings a part, and there are more tries than would be made without any success.
#[test]
fn a_link_that_breaks_often_is_dialled_as_long_as_something_gets_through() {
    within(5 * MINUTE, "redial", || {
        let from = Rig::new();
        from.write("big.mov", &bytes(1, 20 << 20));
        from.commit("one");
        let to = Rig::bare();
        let pushing = breaking(&to, 1_500_000);
        let pushed = converse(&pushing, &Introduction::default(), &Silent, &mut |client| {
            let listing = client.listing(None, &Silent)?;
            let updates = vec![from.update(&listing, "main", false)];
            client.push(&from.repo, &PushRequest { updates, ..PushRequest::default() }, &listing, &Silent)
        });
        assert_eq!(pushed.unwrap().0.outcomes, [UpdateOutcome::Done]);
        let fetched_into = Rig::bare();
        let fetching = breaking(&to, 1_500_000);
        let fetched = converse(&fetching, &Introduction::default(), &Silent, &mut |client| {
            let wants = client.listing(None, &Silent)?.refs.iter().map(|(_, id)| *id).collect();
            client.fetch(&fetched_into.repo, FetchRequest { wants, ..FetchRequest::default() }, &Silent)
        });
        fetched_into.set("refs/branches/main", from.branch("main").unwrap());
        drop(fetched.unwrap());
        for dialled in [pushing.dialled, fetching.dialled] {
            let dialled = dialled.into_inner();
            assert!(dialled > 10, "{dialled} tries");
        }
        fetched_into.assert_sound();
        to.assert_sound();
    });
}

fn breaking(rig: &Rig, bytes: u64) -> Breaking {
    let layout = rig.repo.layout().clone();
    let open = move || Repository::open(layout.clone(), &environment()).unwrap();
    Breaking {
        host: Box::new(move || LocalHost::new(open(), "server".into(), "s@x".into())),
        fault: Box::new(move || Fault::after(NO_LIMIT, bytes)),
        dialled: AtomicU64::default(),
    }
}

#[test]
fn chunks_by_name_that_are_cut_off_go_on() {
    within(5 * MINUTE, "get", || {
        let (from, to) = (project(), Rig::new());
        let nothing = || dits_sync::client::ContentFilter::at_most(0);
        to.fetch_with(&from, FetchRequest { filter: nothing(), ..FetchRequest::default() }).unwrap();
        let mut chunks = Vec::new();
        let content = &from.repo.store().content;
        let listed = content.for_each(|digest, info| {
            chunks.push((*digest, u64::from(info.plain_len)));
            Ok::<_, SyncError>(())
        });
        listed.unwrap();
        let (mut tally, random) = (Tally::default(), &mut SplitMix64::new(3));
        for tries in 0.. {
            assert!(tries < 100, "no progress");
            let fault = random_fault(random, tries);
            let writer = to.repo.store().writer(StoreWriterOptions::default()).unwrap();
            let got = through(&host(&from), &fault, |link| {
                let mut client = Client::new(link, &Introduction::default())?;
                let wanted = RemoteChunks { chunks: &chunks, ..RemoteChunks::default() };
                client.get(&to.repo, &writer, &wanted, &Silent)
            });
            writer.finish().unwrap();
            tally.add(&fault);
            if got.is_ok() {
                break;
            }
        }
        tally.check((5 << 20) + 100 * 9_000);
        assert!(chunks.iter().all(|(digest, _)| to.repo.store().content.contains(digest).unwrap()));
        to.assert_sound();
    });
}

/// The side that only receives has nothing to say for longer than the other one waits.
#[test]
fn a_transfer_of_one_segment_may_take_minutes() {
    if !dits_testkit::long("a_transfer_of_one_segment_may_take_minutes") {
        return;
    }
    within(5 * MINUTE, "slow", || {
        let from = Rig::new();
        from.write("big.mov", &bytes(1, 20 << 20)).commit("one");
        let fault = Fault::with_delay(NO_LIMIT, NO_LIMIT, Duration::from_secs(1));
        let (to, began) = (Rig::new(), std::time::Instant::now());
        through(&host(&from), &fault, |link| to.fetch_over(link, FetchRequest::default())).unwrap();
        assert!(began.elapsed() > Duration::from_secs(65), "it was too fast to show anything: {:?}", began.elapsed());
        to.assert_sound();
    });
}

const CHILD: &str = "DITS_SYNC_TEST_CHILD";

/// Not a test of its own: what the next one kills.
#[test]
fn a_child() {
    let Ok(job) = std::env::var(CHILD) else { return };
    let [what, from, to] = job.split('|').collect::<Vec<_>>()[..] else { panic!("{job}") };
    let open = |dir: &str| Rig::at(Repository::discover(dir.as_ref(), &environment()).unwrap());
    let (from, to) = (open(from), open(to));
    // Slow enough to be killed in the middle.
    let fault = Fault::with_delay(NO_LIMIT, NO_LIMIT, Duration::from_millis(15));
    match what {
        "fetch" => {
            through(&host(&from), &fault, |link| to.fetch_over(link, FetchRequest::default())).unwrap();
        }
        _ => _ = through(&host(&to), &fault, |link| from.push_over(link, "main", false, false)).unwrap(),
    }
}

/// Bytes of all files below a folder.
fn size(dir: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

#[test]
fn a_process_that_is_killed_leaves_what_came() {
    // What a killed child had in its own temporary folder goes with this one.
    let (from, scratch) = (project(), tempfile::tempdir().unwrap());
    for what in ["fetch", "push"] {
        let (to, random) = (Rig::bare(), &mut SplitMix64::new(7));
        let mut killed = 0;
        for _ in 0..6 {
            let before = size(&to.repo.layout().common.join("objects"));
            let job = format!("{what}|{}|{}", from.dir.path().display(), to.dir.path().display());
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "faults::a_child"])
                .env(CHILD, job)
                .env("TMPDIR", scratch.path())
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let began = std::time::Instant::now();
            while size(&to.repo.layout().common.join("objects")) < before + (500 << 10)
                && child.try_wait().unwrap().is_none()
            {
                assert!(began.elapsed() < MINUTE, "nothing arrives");
                thread::sleep(Duration::from_millis(5));
            }
            thread::sleep(Duration::from_millis(random.below(30)));
            killed += u32::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(killed > 2, "only {killed} were killed");
        let (chunks, stored) = if what == "fetch" {
            let (fetched, _) = to.fetch(&from).unwrap();
            (fetched.received.chunks, fetched.received.stored)
        } else {
            let (pushed, _) = from.push(&to, "main").unwrap();
            assert_eq!(to.branch("main"), from.branch("main"));
            (pushed.sent.chunks, pushed.sent.stored)
        };
        // Most of it had come before.
        assert!(chunks < 200 && stored < 5 << 20, "{what}: {chunks} chunks, {stored} bytes");
        to.assert_sound();
    }
    from.assert_sound();
}

/// Damages a chunk in the middle of the largest pack: flips a byte, or replaces the frame by one with other content under
/// the same name, which its checksums do not show.
fn damage(rig: &Rig, silently: bool) -> Digest {
    let store = rig.repo.store();
    let (id, len) = store.content.pack_ids().unwrap().into_iter().max_by_key(|(_, len)| *len).unwrap();
    let file = store.content.dir().join("pack").join(id.file_name());
    let mut bytes = std::fs::read(&file).unwrap();
    let (mut at, mut header) = (16, None);
    while at < len as usize / 2 {
        if let Ok(found) = Header::decode(&bytes[at..]) {
            header = Some((at, found));
            at += found.frame_len();
        } else {
            at += 1;
        }
    }
    let (at, header) = header.unwrap();
    bytes[at + header.header_len() + 100] ^= 1;
    if silently {
        let payload = &bytes[at + header.header_len()..at + header.frame_len()];
        let encoding = Encoding::from_code(header.encoding).unwrap();
        let again = Header::new(header.kind, encoding, header.digest, payload, header.plain_len as usize);
        bytes[at..at + header.header_len()].copy_from_slice(&again.encode());
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, bytes).unwrap();
    header.digest
}

/// The digest is in the message of both sides.
fn names(error: &SyncError, digest: &Digest) -> bool {
    error.to_string().contains(&digest.to_string())
}

#[test]
fn a_damaged_chunk_is_named_and_stored_nowhere() {
    within(4 * MINUTE, "damage", || {
        for silently in [false, true] {
            let from = project();
            let digest = damage(&from, silently);
            let to = Rig::new();
            let watched = Watched::new(&from);
            let error = to.fetch_from(&watched, FetchRequest::default()).map(drop).unwrap_err();
            // The one who finds it tells the other.
            assert!(names(&error, &digest) && !error.is_transient(), "{error}");
            assert!(matches!(error, SyncError::DamagedObject { .. }) == silently, "{error:?}");
            let told = watched.failures();
            assert!(told.len() == 1 && told[0].contains(&digest.to_string()), "{told:?}");
            assert!(!to.repo.store().content.contains(&digest).unwrap());
            assert_eq!(to.refs_named(), 0);
            to.assert_sound();

            let server = Rig::bare();
            let watched = Watched::new(&server);
            let pushed = server.serve_as(&watched, |link| from.push_over(link, "main", false, false));
            let error = pushed.unwrap_err();
            assert!(names(&error, &digest) && !error.is_transient(), "{error}");
            let told = watched.failures();
            assert!(told.len() == 1 && told[0].contains(&digest.to_string()), "{told:?}");
            assert_eq!(server.branch("main"), None);
            server.assert_sound();
        }
    });
}

#[test]
fn a_quota_that_ends_in_the_middle_says_so() {
    within(2 * MINUTE, "quota", || {
        for quota in [0, 1_000, 1 << 20, 5 << 20] {
            let (from, to) = (project(), Rig::bare());
            let watched = Watched::with_quota(&to, quota);
            let pushed = to.serve_as(&watched, |link| from.push_over(link, "main", false, false));
            let Err(SyncError::Peer(failure)) = pushed else { panic!("{quota}: {pushed:?}") };
            assert_eq!(failure.code, dits_sync::wire::ErrorCode::Limit);
            assert!(failure.text.contains("quota"), "{failure:?}");
            assert_eq!(to.branch("main"), None);
            to.assert_sound();
        }
        // Enough is enough.
        let (from, to) = (project(), Rig::bare());
        let pushed = to.serve_as(&Watched::with_quota(&to, 8 << 20), |link| from.push_over(link, "main", false, false));
        assert_eq!(pushed.unwrap().0.outcomes, [UpdateOutcome::Done]);
    });
}

#[test]
fn reasons_reach_the_client_whatever_it_is_doing() {
    within(MINUTE, "reasons", || {
        let (from, to) = (project(), Rig::bare());
        let refused = to.serve_as(&Watched::read_only(&to), |link| from.push_over(link, "main", false, false));
        assert!(matches!(&refused, Err(SyncError::Peer(why)) if why.text.contains("may not push")), "{refused:?}");
        // A hook with a long breath, and control sequences.
        let why = format!("\u{1b}[31mno{}", "!".repeat(3 << 20));
        let (refused, _) =
            to.serve_as(&Watched::refusing(&to, why), |link| from.push_over(link, "main", false, false)).unwrap();
        let [UpdateOutcome::Refused(why)] = &refused.outcomes[..] else { panic!("{refused:?}") };
        assert!(why.len() <= 4_200 && why.contains("no!!!") && !why.contains('\u{1b}'), "{why}");
        assert_eq!(to.branch("main"), None);
    });
}

#[test]
fn a_dry_run_says_what_a_push_would() {
    within(MINUTE, "dry run", || {
        let (from, to) = (project(), Rig::bare());
        let dry = || to.serve(|link| from.push_over(link, "main", false, true)).unwrap().0;
        assert_eq!(dry().outcomes, [UpdateOutcome::Done]);
        assert_eq!(to.branch("main"), None);
        from.push(&to, "main").unwrap();
        from.write("notes", b"more").commit("two");
        assert_eq!(dry().outcomes, [UpdateOutcome::Done]);
        from.push(&to, "main").unwrap();
        assert_eq!(dry().outcomes, [UpdateOutcome::UpToDate]);
        let other = Rig::new();
        other.write("notes", b"other").commit("unrelated");
        other.fetch(&to).unwrap();
        let refused = to.serve(|link| other.push_over(link, "main", false, true)).unwrap().0;
        assert_eq!(refused.outcomes, [UpdateOutcome::NotFastForward]);
    });
}

#[test]
fn more_refs_than_a_message_holds() {
    within(MINUTE, "many refs", || {
        let (from, to) = (Rig::new(), Rig::bare());
        from.write("a", b"a").commit("one");
        let id = from.branch("main");
        let name = |i: u32| dits_core::refs::RefName::branch(&format!("{}{i}", "n".repeat(120))).unwrap();
        let update = |i| dits_sync::client::Update { name: name(i), old: None, new: id, force: false };
        let push = |count: u32| {
            to.serve(|link| {
                let mut client = Client::new(link, &Introduction::default())?;
                let listing = client.listing(None, &Silent)?;
                let request = PushRequest { updates: (0..count).map(update).collect(), ..PushRequest::default() };
                client.push(&from.repo, &request, &listing, &Silent)
            })
        };
        for count in [8_193, 8_192] {
            let refused = push(count);
            assert!(matches!(&refused, Err(SyncError::Refuse(why)) if why.text.contains("more than")), "{refused:?}");
        }
        assert_eq!(push(300).unwrap().outcomes.len(), 300);
        // Many refs of one commit are one want.
        let clone = Rig::new();
        let (fetched, _) = clone.fetch(&to).unwrap();
        assert_eq!(fetched.received.chunks, 1);
    });
}
