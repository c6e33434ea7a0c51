//! Content is dropped on the word of a remote that has it, and never is the last copy.

use std::cell::RefCell;
use std::fs;
use std::time::Duration;

use dits_core::partial::DropOptions;
use dits_core::path::RepoPath;
use dits_core::progress::Silent;
use dits_core::repo::{Environment, Layout, RepoError, Repository};
use dits_core::worktree::Exactly;
use dits_testkit::random::bytes;

use crate::inspect::json;
use crate::sharing::Studio;

/// `ada` and `bob`, clones of one server and remotes of each other.
fn two() -> Studio {
    let s = Studio::with_a_project();
    s.dits(".", "clone -q server bob").ok();
    s.dits("ada", "remote add bob ../bob").ok();
    s.dits("bob", "remote add ada ../ada").ok();
    s
}

fn film(s: &Studio, who: &str) -> Option<Vec<u8>> {
    fs::read(s.path(&format!("{who}/film.mov"))).ok()
}

#[test]
fn a_remote_without_the_content_is_not_enough() {
    let s = two();
    s.dits(".", "clone -q --filter=none server part").ok();
    s.dits("ada", "remote add part ../part").ok();
    for line in ["drop --from part film.mov", "drop --from part --dry-run film.mov"] {
        s.dits("ada", line).exits(3).warns("the remote itself lacks content on purpose; nothing was dropped");
    }
    // Lost there, though branches name it.
    let pack = s.path("server/objects");
    fs::rename(&pack, s.path("aside")).unwrap();
    for line in ["drop film.mov", "drop --dry-run film.mov"] {
        s.dits("ada", line).exits(3).warns("the remote names this content and does not have it").warns("film.mov");
    }
    assert_eq!(film(&s, "ada"), Some(bytes(1, 3_000_000)));
    s.dits("ada", "fsck").ok();
    assert!(!s.path("ada/.dits/promised").exists(), "nothing was promised");
    fs::remove_dir_all(&pack).ok();
    fs::rename(s.path("aside"), &pack).unwrap();
    assert_eq!(json(s.dits("ada", "drop --json film.mov").ok())["files"][0], "film.mov");
    assert_eq!(film(&s, "ada"), None);
}

#[test]
fn a_repository_cannot_hold_what_it_drops() {
    let s = two();
    s.dits("ada", "remote add self .").ok();
    s.dits("ada", "remote add again ../ada/.dits").ok();
    for name in ["self", "again"] {
        s.dits("ada", &format!("drop --from {name} film.mov")).exits(3).warns("this repository itself");
    }
    assert_eq!(film(&s, "ada"), Some(bytes(1, 3_000_000)));
}

#[test]
fn two_cannot_drop_on_the_word_of_each_other() {
    let s = two();
    s.dits("ada", "drop --from bob film.mov").ok();
    s.dits("bob", "drop --from ada film.mov").exits(3).warns("lacks content on purpose");
    s.dits("bob", "drop --from ada notes.txt").exits(3);
    assert_eq!(film(&s, "bob"), Some(bytes(1, 3_000_000)));
    s.dits("ada", "fetch film.mov").ok();
    assert_eq!(film(&s, "ada"), Some(bytes(1, 3_000_000)));
}

#[test]
fn not_even_at_the_same_time() {
    let s = two();
    let environment = Environment { threads: 2, ..Environment::default() };
    let ada = Repository::open(Layout::discover(&s.path("ada")).unwrap(), &environment).unwrap();
    let meanwhile = RefCell::new(None);
    // Ada is about to hear that Bob has it, when Bob asks whether Ada has it.
    let lacking = |_: &[_]| {
        *meanwhile.borrow_mut() = Some(s.dits("bob", "drop --from ada film.mov"));
        Ok(Vec::new())
    };
    let options = DropOptions {
        remote: "bob",
        confirmed: &[ada.head_commit().unwrap().0],
        lacking: &lacking,
        pinned: &Exactly::new(&[]),
        dry_run: false,
        wait: Duration::ZERO,
        now: 0,
    };
    let film_mov = Exactly::new(&[RepoPath::parse(b"film.mov").unwrap()]);
    let dropped: Result<_, RepoError> = ada.drop_content(&film_mov, &options, &Silent);
    assert_eq!(dropped.unwrap().files.len(), 1);
    meanwhile.take().unwrap().exits(3).warns("the remote names this content and does not have it");
    assert_eq!(film(&s, "bob"), Some(bytes(1, 3_000_000)));
}

#[test]
fn a_partial_remote_promises_nothing() {
    let s = two();
    s.dits(".", "clone -q --filter=none server part").ok();
    s.dits(".", "clone -q --filter=none part worse").exits(3).warns("lacks content on purpose");
}
