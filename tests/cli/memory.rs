//! What a daemon holds in memory.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use dits_testkit::random::bytes;

use crate::mounting::{Drive, possible};
use crate::sharing::Studio;

const HANDLES: usize = 500;
const LEN: usize = 400_000;
const RAM: u64 = 64 << 20;

#[test]
fn five_hundred_handles_stay_within_the_memory_that_was_given() {
    if !possible("five_hundred_handles_stay_within_the_memory_that_was_given") {
        return;
    }
    let s = Studio::with_a_project();
    (0..HANDLES).for_each(|n| s.write(&format!("ada/many/{n}"), &bytes(n as u64, LEN)));
    s.commit("ada", "many");
    let drive = Drive::mount(&s, "ada", &format!("--cache-size 0 --ram {RAM} "));
    let files: Vec<File> = (0..HANDLES).map(|n| File::open(drive.path(&format!("many/{n}"))).unwrap()).collect();
    std::thread::scope(|scope| {
        for part in files.chunks(HANDLES / 4) {
            scope.spawn(|| {
                let mut buffer = vec![0; 50_000];
                for at in (0..LEN).step_by(buffer.len()) {
                    part.iter().for_each(|file| file.read_exact_at(&mut buffer, at as u64).unwrap());
                }
            });
        }
    });
    let status = fs::read_to_string(format!("/proc/{}/status", drive.pid().as_raw_pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let held = line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10;
    assert!(held <= RAM + RAM / 10, "{held} bytes, {:.2} of what was given", held as f64 / RAM as f64);
    assert!(held >= RAM / 2, "what was read is in memory");
    drop(files);
    drive.unmount();
}
