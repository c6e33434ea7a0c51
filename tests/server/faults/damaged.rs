//! A pack on the server has lost a bit.

use std::fs;

use super::studio::Studio;
use crate::rig::SOON;

#[test]
fn a_damaged_chunk_is_named_and_comes_once_it_is_repaired() {
    let studio = Studio::new();
    studio.project("ada");
    let server = studio.serve();
    studio.publish("ada", "film");
    studio.dits(".", &format!("clone -q {} bob", studio.url("film"))).ok();
    studio.dits("ada", "push -q origin main").ok();
    let packs = fs::read_dir(studio.there("film").join("objects/pack")).unwrap().flatten();
    let pack = packs.map(|entry| entry.path()).max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let good = fs::read(&pack).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    replace(&pack, &bad);
    let found = studio.rig.run("fsck film --full --json").exits(6).out();
    let name = found.split("chunk ").nth(1).expect("a chunk is named").split([':', ' ']).next().unwrap().to_owned();
    for carrier in ["quic", "tcp"] {
        let failed = studio.dits("bob", &format!("-c transfer.carrier={carrier} fetch"));
        failed.exits(5).warns(&name).warns("dits fsck");
        assert_eq!(studio.id("bob", "origin/main"), studio.id("ada", "first"));
        studio.dits("bob", "fsck --full").ok();
    }
    replace(&pack, &good);
    studio.dits("bob", "pull -q").ok();
    studio.same_files("ada", "bob");
    studio.dits("bob", "fsck --full").ok();
    let log = server.terminate(SOON).ok().err();
    assert!(log.contains(&name), "{log}");
}

/// Packs are only ever made and removed.
fn replace(file: &std::path::Path, bytes: &[u8]) {
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}
