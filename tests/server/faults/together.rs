//! Several users at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dits_testkit::random::bytes;

use super::studio::{LONG, Studio};
use crate::rig::SOON;

#[test]
fn of_two_pushes_to_one_ref_one_wins_and_the_other_hears_it() {
    let studio = Studio::new();
    studio.project("ada");
    let server = studio.serve();
    studio.publish("ada", "film");
    studio.dits(".", &format!("clone -q {} bob", studio.url("film"))).ok();
    studio.dits("ada", "switch -q -C main origin/main").ok();
    // Each waits at the last moment until the other is there too.
    studio.rig.hook(
        "film",
        "pre-receive",
        "touch here-$$; while [ $(ls here-* | wc -l) -lt 2 ]; do sleep 0.02; done; sleep 0.2",
    );
    for round in 0..4 {
        for name in ["ada", "bob"] {
            studio.dits(name, "pull -q").ok();
            studio.write(&format!("{name}/of-{name}"), &bytes(round, 300_000 + round as usize));
            studio.commit(name, &format!("{name}-{round}"));
        }
        let pushes = ["ada", "bob"].map(|name| studio.spawn(name, "push origin main"));
        let [ada, bob] = pushes.map(|push| push.wait(LONG));
        let ((winner, _), (_, lost)) =
            if ada.code == Some(0) { (("ada", ada), ("bob", bob)) } else { (("bob", bob), ("ada", ada)) };
        lost.exits(3).warns("[rejected]").warns("dits pull");
        assert_eq!(studio.id_there("film", "main"), Some(studio.id(winner, "main")));
        for entry in std::fs::read_dir(studio.there("film")).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("here-") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        let loser = if winner == "ada" { "bob" } else { "ada" };
        studio.dits(loser, "reset -q --hard HEAD~1").ok();
    }
    studio.rig.run("fsck film --full").ok();
    server.terminate(SOON).ok();
}

#[test]
fn a_clone_of_what_is_being_pushed_to_is_whole() {
    let studio = Studio::new();
    studio.project("ada");
    let server = studio.serve();
    studio.publish("ada", "film");
    studio.dits("ada", "push -q origin main").ok();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let pushes = scope.spawn(|| {
            let mut pushed = vec![studio.id("ada", "main")];
            while !over.load(Ordering::Relaxed) {
                studio.write("ada/take", &bytes(pushed.len() as u64, 400_000));
                studio.commit("ada", "take");
                studio.dits("ada", "push -q origin main").ok();
                pushed.push(studio.id("ada", "main"));
            }
            pushed
        });
        let mut cloned = Vec::new();
        for (i, carrier) in ["quic", "tcp", "quic", "tcp"].into_iter().enumerate() {
            let name = format!("clone-{i}");
            let url = studio.url("film");
            studio.dits(".", &format!("-c transfer.carrier={carrier} clone -q {url} {name}")).ok();
            studio.dits(&name, "fsck --full").ok();
            assert_eq!(studio.dits(&name, "status --porcelain").ok().out(), "");
            cloned.push(studio.id(&name, "HEAD"));
        }
        over.store(true, Ordering::Relaxed);
        let pushed = pushes.join().unwrap();
        assert!(cloned.iter().all(|id| pushed.contains(id)), "{cloned:?} of {pushed:?}");
        assert!(pushed.len() > 2, "{pushed:?}");
    });
    studio.rig.run("fsck film --full").ok();
    server.terminate(SOON).ok();
}
