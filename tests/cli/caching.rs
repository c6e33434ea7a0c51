//! `pin`, `prefetch`, `evict`, `cache`, and what programs may have brought: with real mounts and a real server.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dits_testkit::Finished;
use dits_testkit::random::bytes;
use rustix::fs::Advice;
use serde_json::Value;

use crate::inspect::json;
use crate::mounting::{Drive, partial, possible, range};
use crate::served;
use crate::sharing::Studio;

/// What a command in `at` says in JSON.
#[track_caller]
fn told(s: &Studio, at: &str, line: &str) -> Value {
    json(served::dits(s, at, line).ok())
}

#[track_caller]
fn stats(s: &Studio, at: &str) -> Value {
    let stats = told(s, at, "cache stats --json");
    let part = |name: &str, key: &str| stats["head"][name][key].as_u64().unwrap();
    for key in ["bytes", "chunks"] {
        let sum = part("store", key) + part("cache", key) + part("absent", key);
        assert_eq!(sum, part("all", key), "{stats}");
    }
    let folders = ["pack", "whole"].map(|name| fs::read_dir(s.path("bob/.dits/cache").join(name)));
    let files = folders.into_iter().flatten().flatten().flatten();
    let files = files.filter(|entry| !entry.file_name().to_string_lossy().starts_with("tmp-"));
    let on_disk: u64 = files.map(|entry| entry.metadata().unwrap().len()).sum();
    assert_eq!(stats["used"].as_u64().unwrap(), on_disk, "{stats}");
    stats
}

/// The bytes of a file, past what the kernel has of them.
fn afresh(path: &Path) -> Vec<u8> {
    let file = File::open(path).unwrap();
    // Where nothing can be written there is nothing to write.
    let _ = file.sync_all();
    rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    drop(file);
    fs::read(path).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

#[test]
fn what_is_in_the_cache_is_counted_pinned_and_evicted_exactly() {
    if !possible("what_is_in_the_cache_is_counted_pinned_and_evicted_exactly") {
        return;
    }
    let large = bytes(60, 6_000_000);
    let (s, server) = partial(&large);
    // Too little for a whole copy of it, which would come at a time of its own.
    s.dits("bob", "config set mount.cacheSize 16M").ok();
    let would = told(&s, "bob", "prefetch --json --dry-run large.mov");
    assert_eq!((number(&would["brought"]["bytes"]), number(&would["received"])), (6_000_000, 0));
    assert_eq!(number(&stats(&s, "bob")["used"]), 0);
    let came = told(&s, "bob", "prefetch --json large.mov");
    assert_eq!(came["brought"], would["brought"]);
    assert_eq!(number(&came["left_out"]["chunks"]), 0);
    let now = stats(&s, "bob");
    assert_eq!((number(&now["head"]["cache"]["bytes"]), number(&now["head"]["store"]["bytes"])), (6_000_000, 0));
    assert_eq!(now["chunks"], came["brought"]["chunks"]);
    let drive = Drive::mount(&s, "bob", "");
    assert!(fs::read(drive.path("large.mov")).unwrap() == large);
    assert!(drive.received() < 100_000, "it was in the cache");
    assert_eq!(stats(&s, "m")["mounts"][0]["path"], drive.point.to_str().unwrap());
    // Pinned without asking for anything again, from inside of the mount.
    let would = told(&s, "m", "pin --json --dry-run large.mov");
    assert_eq!((number(&would["from_cache"]), number(&would["new"])), (6_000_000, 0));
    let pinned = told(&s, "m", "pin --json large.mov");
    assert_eq!((number(&pinned["from_cache"]), number(&pinned["received"])), (6_000_000, 0));
    served::dits(&s, "m", "pin large.mov").ok().warns("Everything is here already");
    assert_eq!(number(&stats(&s, "bob")["head"]["store"]["bytes"]), 6_000_000);
    let cached = told(&s, "bob", "evict --json --dry-run --cache-only large.mov");
    assert!(number(&cached["store"]["bytes"]) == 0 && number(&cached["cache"]["bytes"]) >= 6_000_000, "{cached}");
    // Where there is no staging area, files are those of HEAD.
    let would = told(&s, "bob", "evict --json --dry-run large.mov");
    assert!(number(&would["store"]["bytes"]) >= 6_000_000, "{would}");
    assert_eq!(told(&s, "m", "evict --json --dry-run large.mov"), would);
    drive.unmount();
    let drive = Drive::writable(&s, "bob", "--ram 1M ");
    let would = told(&s, "m", "evict --json --dry-run large.mov");
    let before = stats(&s, "bob");
    let gave = told(&s, "m", "evict --json large.mov");
    assert_eq!((&gave["cache"], &gave["store"]), (&would["cache"], &would["store"]));
    assert_eq!(gave["kept"], Value::Array(Vec::new()));
    let after = stats(&s, "bob");
    assert_eq!(number(&before["used"]) - number(&after["used"]), number(&gave["cache"]["bytes"]));
    assert_eq!(number(&after["head"]["absent"]["bytes"]), number(&after["head"]["all"]["bytes"]));
    assert!(number(&gave["store"]["bytes"]) >= 6_000_000, "{gave}");
    assert!(afresh(&drive.path("large.mov")) == large, "it comes again");
    assert!(drive.received() >= 6_000_000);
    drive.unmount();
    drop(server);
}

#[test]
fn more_than_the_quota_is_not_brought() {
    if !possible("more_than_the_quota_is_not_brought") {
        return;
    }
    let (s, _server) = partial(&bytes(61, 6_000_000));
    s.dits("bob", "config set mount.cacheSize 3M").ok();
    let came = told(&s, "bob", "prefetch --json large.mov");
    let (brought, left) = (number(&came["brought"]["bytes"]), number(&came["left_out"]["bytes"]));
    assert_eq!(brought + left, 6_000_000);
    assert!(brought > 2_000_000 && left >= 3_000_000, "{came}");
    assert!(number(&stats(&s, "bob")["used"]) <= 3 << 20);
    assert_eq!(number(&stats(&s, "bob")["head"]["cache"]["bytes"]), brought, "nothing of it went again");
    served::dits(&s, "bob", "prefetch large.mov").ok().warns("do not fit into the disk cache");
    // A mount obeys another quota while it runs.
    let drive = Drive::mount(&s, "bob", "");
    s.dits("bob", "config set mount.cacheSize 1M").ok();
    let begin = Instant::now();
    while number(&told(&s, "bob", "cache stats --json")["used"]) > 1 << 20 {
        assert!(begin.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(100));
    }
    drive.unmount();
}

#[test]
fn a_cache_that_is_cleared_while_somebody_reads_fills_again() {
    if !possible("a_cache_that_is_cleared_while_somebody_reads_fills_again") {
        return;
    }
    let large = bytes(62, 12_000_000);
    let (s, _server) = partial(&large);
    let drive = Drive::mount(&s, "bob", "--ram 1M ");
    let (over, path) = (AtomicBool::new(false), drive.path("large.mov"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut at = 0_usize;
            while !over.load(Ordering::Relaxed) {
                at = (at * 7 + 1_234_567) % 11_000_000;
                assert!(range(&path, at as u64, 300_000).unwrap() == large[at..at + 300_000], "at {at}");
            }
        });
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(150));
            told(&s, "bob", "cache clear --json");
        }
        over.store(true, Ordering::Relaxed);
    });
    // What was read ahead may still be coming.
    let begin = Instant::now();
    let now = loop {
        told(&s, "m", "cache clear --json");
        match told(&s, "bob", "cache stats --json") {
            now if number(&now["used"]) == 0 => break stats(&s, "bob"),
            _ => assert!(begin.elapsed() < Duration::from_secs(20)),
        }
    };
    assert_eq!((number(&now["chunks"]), number(&now["packs"])), (0, 0));
    assert!(afresh(&path) == large);
    drive.unmount();
}

#[test]
fn evict_never_loses_what_is_not_pushed() {
    if !possible("evict_never_loses_what_is_not_pushed") {
        return;
    }
    let large = bytes(63, 6_000_000);
    let (s, _server) = partial(&large);
    let drive = Drive::writable(&s, "bob", "--ram 1M ");
    let edit = |at: usize, seed: u64, expected: &mut [u8]| {
        let written = bytes(seed, 100_000);
        File::options().write(true).open(drive.path("large.mov")).unwrap().write_all_at(&written, at as u64).unwrap();
        expected[at..at + 100_000].copy_from_slice(&written);
    };
    let mut expected = large;
    let evict = |expected: &[u8], when: &str| {
        let gave = told(&s, "m", "evict --json .");
        told(&s, "m", "cache clear --json");
        assert!(afresh(&drive.path("large.mov")) == expected, "{when}");
        assert!(afresh(&drive.path("new")) == bytes(9, 200_000), "{when}");
        gave
    };
    fs::write(drive.path("new"), bytes(9, 200_000)).unwrap();
    edit(1_000_000, 1, &mut expected);
    evict(&expected, "edited");
    served::dits(&s, "m", "add -A").ok();
    let gave = evict(&expected, "added");
    let stays = |gave: &Value| -> Vec<String> {
        gave["kept"].as_array().unwrap().iter().map(|kept| kept["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(stays(&gave), ["large.mov", "new"], "{gave}");
    served::dits(&s, "m", "commit -q -m edit").ok();
    edit(3_000_000, 2, &mut expected);
    let gave = evict(&expected, "committed, and edited again");
    assert_eq!(stays(&gave), ["large.mov", "new"], "{gave}");
    served::dits(&s, "m", "commit -q -a -m more").ok();
    served::dits(&s, "m", "push -q origin HEAD:edited").ok();
    let gave = evict(&expected, "pushed");
    assert_eq!(stays(&gave), Vec::<String>::new(), "{gave}");
    assert!(number(&gave["store"]["bytes"]) >= 400_000, "{gave}");
    s.dits("server", "fsck --full").ok();
    drive.unmount();
}

/// Runs a copy of `cat` under another name on a file of the mount.
fn named(s: &Studio, name: &str, file: &str) -> Finished {
    let program = s.path(name);
    if !program.exists() {
        fs::copy("/bin/cat", &program).unwrap();
    }
    let mut command = Command::new(program);
    command.arg(s.path(&format!("m/{file}"))).current_dir(s.path("."));
    s.sandbox.run(command)
}

#[test]
fn an_indexer_is_refused_what_is_not_here() {
    if !possible("an_indexer_is_refused_what_is_not_here") {
        return;
    }
    let (s, _server) = partial(&bytes(64, 2_000_000));
    s.dits("bob", "config set mount.policy indexer=metadata").ok();
    served::dits(&s, "bob", "prefetch notes.txt").ok();
    let drive = Drive::mount(&s, "bob", "");
    assert_eq!(named(&s, "indexer", "notes.txt").ok().out(), "one\ntwo\n", "it may read what is here");
    let refused = named(&s, "indexer", "large.mov");
    assert!(refused.code == Some(1) && refused.err().contains("Permission denied"), "{refused}");
    assert!(drive.received() < 100_000, "nothing came for it");
    assert!(named(&s, "indexer", "shots").err().contains("Is a directory"), "it may list folders");
    let log = told(&s, "bob", "cache log --json");
    assert_eq!(log["programs"], Value::Array(Vec::new()));
    assert_eq!(named(&s, "viewer", "large.mov").ok().stdout, bytes(64, 2_000_000));
    // It is written down when the last reader is done, which the kernel tells a little later.
    let begin = Instant::now();
    let hungry = loop {
        let log = told(&s, "m", "cache log --json");
        match log["programs"].as_array().unwrap().first() {
            Some(program) => break program.clone(),
            None => assert!(begin.elapsed() < Duration::from_secs(20)),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!((hungry["program"].as_str(), hungry["files"][0]["path"].as_str()), (Some("viewer"), Some("large.mov")));
    assert!((2_000_000..2_200_000).contains(&number(&hungry["bytes"])), "{hungry}");
    assert_eq!(named(&s, "indexer", "large.mov").ok().stdout.len(), 2_000_000, "now it is here");
    // Rules are obeyed while it is mounted.
    s.dits("bob", "config set mount.policy indexer=deny").ok();
    let begin = Instant::now();
    while named(&s, "indexer", "notes.txt").code == Some(0) {
        assert!(begin.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(named(&s, "indexer", "shots").err().contains("Permission denied"));
    drive.unmount();
    s.dits("bob", "config set mount.policy indexer").ok();
    s.dits(".", "mount --read-only bob m").exits(2).warns("is no rule");
}

#[test]
fn what_is_given_back_while_it_is_mounted_comes_again() {
    if !possible("what_is_given_back_while_it_is_mounted_comes_again") {
        return;
    }
    let s = Studio::with_a_project();
    let drive = Drive::mount(&s, "ada", "");
    s.dits("ada", "evict film.mov").ok().warns("Given back");
    assert!(fs::read(s.path("ada/film.mov")).is_err(), "a ghost");
    assert!(fs::read(drive.path("film.mov")).unwrap() == bytes(1, 3_000_000));
    s.dits("ada", "pin film.mov").ok();
    assert!(fs::read(s.path("ada/film.mov")).unwrap() == bytes(1, 3_000_000));
    drive.unmount();
}
