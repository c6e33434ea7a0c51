//! Real footage: what comes back is what went in, and an edit costs what the edit is worth.

#![allow(clippy::print_stderr, reason = "the numbers are worth seeing: cargo test -- --nocapture")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dits_testkit::{Sandbox, edit, media, random};

const DITS: &str = env!("CARGO_BIN_EXE_dits");

/// The largest chunk that any default profile makes.
const CHUNK: u64 = 256 << 10;

/// What one change cost.
struct Cost {
    what: String,
    /// Bytes of content the store did not have.
    new: u64,
    /// Bytes by which the files of the metadata grew, with the commit.
    meta: u64,
}

/// A repository whose every version is remembered by the checksums of its files.
struct Project {
    sandbox: Sandbox,
    versions: Vec<(String, Vec<(PathBuf, String)>)>,
}

impl Project {
    fn new() -> Self {
        let sandbox = Sandbox::with_repository(DITS).limit(Duration::from_secs(900));
        Self { sandbox, versions: Vec::new() }
    }

    /// A folder for what is made on the way.
    fn footage(&self) -> PathBuf {
        let folder = self.sandbox.beside("footage");
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn record(&mut self, what: &str) -> Cost {
        let manifests = self.sandbox.path(".dits/manifests");
        let before = edit::folder_size(&manifests).unwrap();
        let added = json(&self.sandbox, &["add", "-A", "--json", "."]);
        let commit = json(&self.sandbox, &["commit", "--json", "-m", what]);
        self.versions.push((commit["commit"].as_str().unwrap().to_owned(), checksums(&self.sandbox.path(""))));
        let meta = edit::folder_size(&manifests).unwrap() - before;
        let cost = Cost { what: what.to_owned(), new: added["new"].as_u64().unwrap(), meta };
        eprintln!("{:>12} new {:>8} metadata  {}", cost.new, cost.meta, cost.what);
        cost
    }

    /// Every version, checked out in another folder, is what was recorded.
    fn check_out_all(&self) {
        let other = self.sandbox.beside("other");
        let at = other.to_str().unwrap();
        self.sandbox.dits(["worktree", "add", "--detach", at, "HEAD"]).ok();
        for (commit, files) in self.versions.iter().rev() {
            self.sandbox.dits_in(&other, ["switch", "--detach", commit]).ok();
            assert_eq!(checksums(&other), *files, "{commit} comes back otherwise");
        }
        self.sandbox.dits(["fsck", "--full"]).ok();
    }
}

#[track_caller]
fn json(sandbox: &Sandbox, args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&sandbox.dits(args).ok().out()).unwrap()
}

fn checksums(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut sums = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.file_name() != ".dits") {
        let sum = std::process::Command::new("b2sum").arg(entry.path()).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap().split_whitespace().next().unwrap().to_owned();
        sums.push((PathBuf::from(entry.file_name()), sum));
    }
    sums.sort();
    sums
}

#[track_caller]
fn at_most(cost: &Cost, new: u64) {
    assert!(cost.new <= new, "{}: {} new bytes, at most {new} expected", cost.what, cost.new);
}

/// Renames, copies, appends to, inserts into and edits one film.
fn edits(project: &mut Project, name: &str) {
    let film = project.sandbox.path(name);
    let renamed = project.sandbox.path("Renamed, with another ending.bin");
    fs::rename(&film, &renamed).unwrap();
    at_most(&project.record("renamed"), 0);
    fs::copy(&renamed, project.sandbox.path("copy.mov")).unwrap();
    at_most(&project.record("copied"), 0);
    fs::remove_file(project.sandbox.path("copy.mov")).unwrap();
    fs::rename(&renamed, &film).unwrap();

    edit::append(&film, &random::bytes(1, 1_000_000)).unwrap();
    at_most(&project.record("appended 1 MB"), 1_000_000 + 2 * CHUNK);
    edit::insert(&film, 0, b"\0").unwrap();
    let inserted = project.record("inserted 1 byte at the front");
    at_most(&inserted, CHUNK);
    assert!(inserted.meta <= 50_000, "{} bytes of metadata", inserted.meta);
    let len = fs::metadata(&film).unwrap().len();
    for i in 1..=10 {
        edit::overwrite(&film, len * i / 11, &random::bytes(i, 1000)).unwrap();
        let cost = project.record(&format!("overwrote 1000 bytes, {i} of 10"));
        at_most(&cost, 3 * CHUNK);
        assert!(cost.meta <= 50_000, "{} bytes of metadata", cost.meta);
    }
}

#[test]
fn a_film_costs_what_its_edits_are_worth() {
    if !media::available("a_film_costs_what_its_edits_are_worth") {
        return;
    }
    let mut project = Project::new();
    let footage = project.footage();
    let base = media::base(&footage, media::Scale::Small).unwrap();
    fs::copy(&base, project.sandbox.path("film.mp4")).unwrap();
    let size = fs::metadata(&base).unwrap().len();
    let first = project.record("the film");
    assert!(first.new <= size && first.new >= size * 99 / 100, "{} of {size}", first.new);
    trims(&mut project, &footage, "film.mp4");
    edits(&mut project, "film.mp4");
    project.check_out_all();
}

/// What the README has a newcomer type for their own video, line by line.
#[test]
fn the_readme_versions_a_video() {
    if !media::available("the_readme_versions_a_video") {
        return;
    }
    let sandbox = Sandbox::new(DITS);
    let footage = sandbox.beside("footage");
    fs::create_dir_all(&footage).unwrap();
    let film = media::base(&footage, media::Scale::Small).unwrap();
    fs::copy(&film, sandbox.path("scene.mp4")).unwrap();
    let readme = include_str!("../../README.md");
    let section = readme.split("## Version your own video").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let dits = Path::new(DITS).parent().unwrap();
    let path = format!("{}:{}", dits.display(), std::env::var("PATH").unwrap());
    let mut said = String::new();
    for line in section.lines().filter(|line| line.starts_with("    dits ")) {
        if line.contains("dits status") {
            edit::overwrite(&sandbox.path("scene.mp4"), 100_000, &random::bytes(1, 1000)).unwrap();
        }
        let mut shell = sandbox.command("sh");
        shell.args(["-ec", line]).env("PATH", &path);
        said.push_str(&sandbox.run(shell).ok().out());
    }
    for known in ["scene.mp4", "modified", "chunks", "Shorter opening"] {
        assert!(said.contains(known), "`{known}` is not in:\n{said}");
    }
    assert!(fs::read(sandbox.path("scene.mp4")).unwrap() == fs::read(&film).unwrap(), "it is as it was");
}

/// Cuts the head off without encoding again: at most 5 % of what is left may be new.
fn trims(project: &mut Project, footage: &Path, name: &str) {
    let trim = media::VERSIONS.iter().find(|version| version.name == "trim_head.mp4").unwrap();
    let made = media::derive(footage, trim.name, trim.args()).unwrap();
    let whole = fs::read(project.sandbox.path(name)).unwrap();
    fs::copy(&made, project.sandbox.path(name)).unwrap();
    let size = fs::metadata(&made).unwrap().len();
    let cost = project.record("head trimmed by -c copy");
    eprintln!("{:>11}% of {size} bytes", cost.new * 100 / size);
    at_most(&cost, size / 20);
    fs::write(project.sandbox.path(name), whole).unwrap();
    at_most(&project.record("the whole film again"), 0);
}

#[test]
fn a_film_of_minutes() {
    if !dits_testkit::long("a_film_of_minutes") || !media::available("a_film_of_minutes") {
        return;
    }
    let mut project = Project::new();
    let footage = project.footage();
    let base = media::base(&footage, media::Scale::Normal).unwrap();
    fs::copy(&base, project.sandbox.path("film.mp4")).unwrap();
    project.record("the film");
    trims(&mut project, &footage, "film.mp4");
    project.check_out_all();
}

#[test]
fn films_of_a_gigabyte() {
    if !dits_testkit::long("films_of_a_gigabyte") || !media::available("films_of_a_gigabyte") {
        return;
    }
    let mut project = Project::new();
    let footage = project.footage();
    // Noise at a camera's bitrate: a gigabyte in half a minute.
    let picture = "testsrc2=s=1280x720:r=30:d=34,noise=alls=50:allf=t:all_seed=5";
    let codec = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "12", "-g", "60", "-pix_fmt", "yuv420p"];
    let args: Vec<&str> = ["-f", "lavfi", "-i", picture].into_iter().chain(codec).collect();
    let h264 = media::derive(&footage, "large.mp4", &args).unwrap();
    let prores = media::prores(&footage).unwrap();
    for (made, name) in [(h264, "film.mp4"), (prores, "film.mov")] {
        assert!(fs::metadata(&made).unwrap().len() >= 1_000_000_000, "{name} is too short");
        fs::rename(made, project.sandbox.path(name)).unwrap();
        project.record(name);
    }
    edits(&mut project, "film.mp4");
    edits(&mut project, "film.mov");
    project.check_out_all();
}

#[test]
fn one_byte_at_the_front_of_two_gibibytes() {
    if !dits_testkit::long("one_byte_at_the_front_of_two_gibibytes") {
        return;
    }
    let mut project = Project::new();
    random::file(&project.sandbox.path("take"), 3, 2 << 30).unwrap();
    project.record("2 GiB");
    edits(&mut project, "take");
    project.check_out_all();
}
