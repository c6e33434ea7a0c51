//! Either end is killed in the middle: nothing is torn, the next command finishes, and what was delivered stays delivered.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use dits_testkit::net::{LinkSettings, Net, Side};
use dits_testkit::{Background, SplitMix64};
use rustix::process::Signal;

use super::studio::{LONG, Studio};
use crate::rig::SOON;

/// Bytes that may cross twice: one batch, beside what waits in the kernel of the one who is killed.
const BATCH: u64 = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    Push,
    Fetch,
    Clone,
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Client,
    Server,
}

/// A project at `ada`, at the server's repository `film` as well, and a clone of its first commit at `before`.
struct Scene {
    studio: Studio,
    doing: Doing,
    carrier: &'static str,
    tip: String,
    first: String,
}

impl Scene {
    fn new(doing: Doing, net: Net) -> Self {
        let studio = Studio::across(net);
        studio.project("ada");
        let (tip, first) = (studio.id("ada", "main"), studio.id("ada", "first"));
        Self { studio, doing, carrier: "tcp", tip, first }
    }

    /// With a running server, what the tries need.
    fn prepare(&self) {
        self.studio.publish("ada", "film");
        self.studio.dits(".", &format!("clone -q {} before", self.studio.url("film"))).ok();
        self.studio.dits("ada", "push -q origin main").ok();
    }

    /// The side that the content comes from.
    fn sender(&self) -> Side {
        if self.doing == Doing::Push { Side::A } else { Side::B }
    }

    fn crossed(&self) -> u64 {
        self.studio.network().counters(self.sender()).delivered_bytes
    }

    /// A place for one more try.
    fn place(&self, number: u64) -> String {
        let name = format!("try-{number}");
        match self.doing {
            Doing::Push => drop(self.studio.rig.run(&format!("repo create {name}")).ok()),
            Doing::Fetch => copy(&self.studio.path("before"), &self.studio.path(&name)),
            Doing::Clone => {}
        }
        name
    }

    fn command(&self, place: &str) -> Command {
        let carrier = format!("-c transfer.carrier={}", self.carrier);
        match self.doing {
            Doing::Push => self.studio.command("ada", &format!("{carrier} push -q {} main", self.studio.url(place))),
            Doing::Fetch => self.studio.command(place, &format!("{carrier} fetch -q")),
            Doing::Clone => {
                self.studio.command(".", &format!("{carrier} clone -q {} {place}", self.studio.url("film")))
            }
        }
    }

    fn run(&self, place: &str) -> Background {
        self.studio.rig.sandbox.spawn(self.command(place))
    }

    /// Nothing is damaged, and the ref is what it was or what it is to be.
    fn judge(&self, place: &str, done: bool) {
        let studio = &self.studio;
        let found = match self.doing {
            Doing::Push => {
                studio.rig.run(&format!("fsck {place} --full")).ok();
                studio.id_there(place, "main")
            }
            _ if !done && !studio.path(place).join(".dits/refs/HEAD").exists() => None,
            Doing::Fetch | Doing::Clone => {
                studio.dits(place, "fsck --full").ok();
                let found = studio.dits(place, "rev-parse --verify -q refs/remotes/origin/main");
                (found.code == Some(0)).then(|| found.out().trim().to_owned())
            }
        };
        let before = (self.doing == Doing::Fetch).then_some(&self.first);
        assert!(found.as_ref() == Some(&self.tip) || (!done && found.as_ref() == before), "{found:?}");
        if done && self.doing == Doing::Clone {
            studio.same_files("ada", place);
        }
    }

    fn remove(&self, place: &str) {
        match self.doing {
            Doing::Push => drop(self.studio.rig.run(&format!("repo rm {place} --yes")).ok()),
            Doing::Fetch | Doing::Clone => std::fs::remove_dir_all(self.studio.path(place)).unwrap(),
        }
    }

    /// How many bytes cross when nobody is killed.
    fn undisturbed(&self, number: u64) -> u64 {
        let (place, before) = (self.place(number), self.crossed());
        self.run(&place).wait(LONG).ok();
        let crossed = self.crossed() - before;
        self.judge(&place, true);
        self.remove(&place);
        crossed
    }

    /// Kills the victim once so many bytes have crossed, if it has not ended by then, and sees that all comes to a good end.
    /// Gives how many bytes that took, without those that waited in the victim's kernel: it never saw them.
    fn kill(&self, victim: Victim, at: u64, number: u64, server: &mut Option<Background>) -> u64 {
        let (place, before) = (self.place(number), self.crossed());
        let mut client = self.run(&place);
        let begun = Instant::now();
        while self.crossed() - before < at && client.is_running() {
            assert!(begun.elapsed() < LONG, "nothing comes: {}", client.so_far());
            thread::sleep(Duration::from_micros(200));
        }
        let unread = match (victim, &*server) {
            (Victim::Server, Some(server)) => unread(server.id()),
            _ => unread(client.id()),
        };
        let done = match victim {
            Victim::Client => {
                client.signal(Signal::KILL);
                client.wait(SOON).code == Some(0)
            }
            Victim::Server => {
                server.take().map(Background::kill);
                *server = Some(self.studio.serve());
                // The client dials again by itself.
                client.wait(LONG).ok().code == Some(0)
            }
        };
        self.judge(&place, done);
        if !done {
            self.run(&place).wait(LONG).ok();
        }
        self.judge(&place, true);
        let crossed = self.crossed() - before;
        self.remove(&place);
        crossed.saturating_sub(unread)
    }
}

/// How many bytes have come over TCP for a process's network namespace and wait in its sockets.
fn unread(process: u32) -> u64 {
    let waiting = |line: &str| {
        let (_, queue) = line.split_whitespace().nth(4)?.split_once(':')?;
        u64::from_str_radix(queue, 16).ok()
    };
    // A process that has ended has none.
    std::fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap_or_default().lines().filter_map(waiting).sum()
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

fn killed(doing: Doing, test: &str) {
    let settings =
        LinkSettings { delay: Duration::from_millis(2), mbit: 200.0, queue: 256 << 10, ..LinkSettings::default() };
    let Some(net) = Net::new(test, &settings) else { return };
    // For each end, half of them over each carrier.
    let points = if std::env::var_os(dits_testkit::LONG).is_some() { 100 } else { 2 };
    let mut scene = Scene::new(doing, net);
    let mut server = Some(scene.studio.serve());
    scene.prepare();
    let (random, mut number) = (&mut SplitMix64::new(1 + doing as u64), 0);
    for carrier in ["quic", "tcp"] {
        scene.carrier = carrier;
        number += 1;
        let all = scene.undisturbed(number);
        for _ in 0..points / 2 {
            for victim in [Victim::Client, Victim::Server] {
                number += 1;
                let at = random.below(all);
                let again = scene.kill(victim, at, number, &mut server).saturating_sub(all);
                assert!(again <= BATCH, "{again} bytes crossed twice: {doing:?} over {carrier}, {victim:?} at {at}");
            }
        }
    }
    scene.studio.dits("ada", "fsck --full").ok();
    scene.studio.rig.run("fsck film --full").ok();
    server.map(|server| server.terminate(SOON).ok());
}

#[test]
fn a_push_survives_the_death_of_either_end() {
    killed(Doing::Push, "a_push_survives_the_death_of_either_end");
}

#[test]
fn a_fetch_survives_the_death_of_either_end() {
    killed(Doing::Fetch, "a_fetch_survives_the_death_of_either_end");
}

#[test]
fn a_clone_survives_the_death_of_either_end() {
    killed(Doing::Clone, "a_clone_survives_the_death_of_either_end");
}
