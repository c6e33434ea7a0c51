//! The network goes dark in the middle of a transfer, or the client is suddenly somewhere else: it goes on by itself.

use std::thread;
use std::time::{Duration, Instant};

use dits_testkit::Background;
use dits_testkit::net::{LinkSettings, Net, Side};

use super::studio::{LONG, Studio};
use crate::rig::SOON;

/// A project that takes some seconds to cross.
fn studio(test: &str) -> Option<Studio> {
    let settings = LinkSettings { delay: Duration::from_millis(5), mbit: 50.0, ..LinkSettings::default() };
    let studio = Studio::across(Net::new(test, &settings)?);
    studio.project("ada");
    Some(studio)
}

/// Waits until this much more has crossed.
fn wait_until_crossed(studio: &Studio, from: Side, bytes: u64, running: &mut Background) {
    let crossed = || studio.network().counters(from).delivered_bytes;
    let (before, begun) = (crossed(), Instant::now());
    while crossed() < before + bytes {
        assert!(running.is_running() && begun.elapsed() < SOON, "it does not cross: {}", running.so_far());
        thread::sleep(Duration::from_millis(1));
    }
}

/// Pushes and clones, and lets something happen in the middle of either.
fn disturbed(studio: &mut Studio, carriers: &[&str], mut disturb: impl FnMut(&mut Studio)) {
    let server = studio.serve();
    for carrier in carriers {
        let carry = format!("-c transfer.carrier={carrier}");
        studio.rig.run(&format!("repo create {carrier}")).ok();
        let url = studio.url(carrier);
        let mut push = studio.spawn("ada", &format!("{carry} push {url} main"));
        wait_until_crossed(studio, Side::A, 4 << 20, &mut push);
        disturb(studio);
        push.wait(LONG).ok();
        assert_eq!(studio.id_there(carrier, "main"), Some(studio.id("ada", "main")));
        studio.rig.run(&format!("fsck {carrier} --full")).ok();
        let mut clone = studio.spawn(".", &format!("{carry} clone {url} of-{carrier}"));
        wait_until_crossed(studio, Side::B, 4 << 20, &mut clone);
        disturb(studio);
        clone.wait(LONG).ok();
        studio.same_files("ada", &format!("of-{carrier}"));
        studio.dits(&format!("of-{carrier}"), "fsck --full").ok();
    }
    server.terminate(SOON).ok();
}

fn dark_for(time: Duration) -> impl FnMut(&mut Studio) {
    move |studio| {
        studio.network().blackout(true);
        thread::sleep(time);
        studio.network().blackout(false);
    }
}

#[test]
fn a_short_blackout_is_survived() {
    let Some(mut studio) = studio("a_short_blackout_is_survived") else { return };
    disturbed(&mut studio, &["quic", "tcp"], dark_for(Duration::from_secs(3)));
}

#[test]
fn a_minute_of_darkness_is_survived() {
    let test = "a_minute_of_darkness_is_survived";
    if dits_testkit::long(test)
        && let Some(mut studio) = studio(test)
    {
        disturbed(&mut studio, &["quic", "tcp"], dark_for(Duration::from_secs(60)));
    }
}

#[test]
fn a_client_that_moves_goes_on() {
    let Some(mut studio) = studio("a_client_that_moves_goes_on") else { return };
    let mut place = 100;
    disturbed(&mut studio, &["quic"], |studio| {
        place += 1;
        studio.network().change_ports();
        thread::sleep(Duration::from_millis(200));
        let [a, b, c, _] = studio.network().address(Side::A).octets();
        studio.net.as_mut().unwrap().change_address(Side::A, [a, b, c, place].into());
    });
}
