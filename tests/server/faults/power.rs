//! The server's power is cut: what a client saw succeed is there, and nothing is in the way of what comes next.

use std::thread;
use std::time::{Duration, Instant};

use dits_testkit::SplitMix64;
use dits_testkit::mount::{CUT, Mounted};
use dits_testkit::random::bytes;
use rustix::process::Signal;

use super::studio::{LONG, Studio};

#[test]
fn a_push_that_was_seen_to_succeed_survives() {
    let rounds = if std::env::var_os(dits_testkit::LONG).is_some() { 30 } else { 3 };
    for (kind, mib, options) in CUT {
        let test = "a_push_that_was_seen_to_succeed_survives";
        let Some(mut disk) = Mounted::with_options(test, kind, mib, &[], options) else { return };
        let studio = Studio::on_disk(&disk);
        studio.project("ada");
        let mut server = studio.serve();
        studio.publish("ada", "film");
        let random = &mut SplitMix64::new(mib);
        for round in 0..rounds {
            // Few small objects and many large ones are stored in different ways.
            let len = [3_000, 700_000, 2_500_000][round as usize % 3];
            studio.write(&format!("ada/{}/take", round % 4), &bytes(1000 + round, len));
            studio.commit("ada", "more");
            let is_seen = round % 2 == 0;
            let mut push = studio.spawn("ada", "push -q origin main");
            let (begun, soon) = (Instant::now(), Duration::from_millis(random.below(400)));
            while push.is_running() && (is_seen || begun.elapsed() < soon) {
                assert!(begun.elapsed() < LONG, "it hangs: {}", push.so_far());
                thread::sleep(Duration::from_millis(1));
            }
            let has_ended = !push.is_running();
            disk.cut_power().unwrap();
            server.kill();
            let done = push.kill();
            let seen = has_ended && done.code == Some(0);
            assert!(seen || !is_seen, "{done}");
            disk.remount().unwrap();
            studio.rig.run("fsck film --full").ok();
            let (there, tip) = (studio.id_there("film", "main"), Some(studio.id("ada", "main")));
            assert!(!seen || there == tip, "round {round} on {kind:?} {options}: {there:?} instead of {tip:?}");
            if seen {
                let log = std::fs::read_to_string(studio.rig.root("audit/log")).unwrap();
                assert!(log.contains(tip.as_ref().unwrap()), "{log}");
            }
            assert_eq!(studio.rig.json("audit verify")["intact"], true);
            server = studio.serve();
            studio.dits("ada", "push -q origin main").ok();
            assert_eq!(studio.id_there("film", "main"), tip);
        }
        server.signal(Signal::TERM);
        server.wait(LONG).ok();
        studio.rig.run("fsck film --full").ok();
    }
}
