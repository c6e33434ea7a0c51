//! The server's disk is full.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use dits_testkit::mount::{Kind, Mounted};

use super::studio::Studio;
use crate::rig::SOON;

/// Takes all the room there is but this much.
fn fill(file: &Path, but: u64) {
    let mut filler = File::create(file).unwrap();
    while filler.write_all(&[7; 4096]).is_ok() {}
    let len = filler.metadata().unwrap().len();
    filler.set_len(len - but).unwrap();
}

#[test]
fn a_push_to_a_full_disk_says_so_and_harms_nobody() {
    for kind in [Kind::Tmpfs, Kind::Ext4] {
        let Some(disk) = Mounted::new("a_push_to_a_full_disk_says_so_and_harms_nobody", kind, 48) else { return };
        let studio = Studio::on_disk(&disk);
        studio.project("ada");
        let mut server = studio.serve();
        studio.publish("ada", "film");
        let filler = disk.path().join("filler");
        // Nearly all of it comes, some of it, nothing.
        for room in [11 << 20, 3 << 20, 0] {
            fill(&filler, room);
            let refused = studio.dits("ada", "push -q origin main").exits(5);
            refused.warns("no room left");
            assert_eq!(studio.id_there("film", "main"), Some(studio.id("ada", "first")));
            assert!(server.is_running());
            let clone = format!("clone -q {} beside-{room}", studio.url("film"));
            studio.dits(".", &clone).ok();
            fs::remove_file(&filler).unwrap();
            studio.rig.run("fsck film --full").ok();
            let packs = fs::read_dir(studio.there("film").join("objects/pack")).into_iter().flatten().flatten();
            let left: Vec<_> = packs.filter(|entry| entry.file_name().to_string_lossy().starts_with("tmp-")).collect();
            assert!(left.is_empty(), "{left:?}");
        }
        studio.dits("ada", "push -q origin main").ok();
        assert_eq!(studio.id_there("film", "main"), Some(studio.id("ada", "main")));
        studio.rig.run("fsck film --full").ok();
        assert!(server.terminate(SOON).ok().err().contains("No space left"));
        assert_eq!(studio.rig.json("audit verify")["intact"], true);
    }
}
