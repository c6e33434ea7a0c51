//! Files whose content is not here. Until there are remotes, the engine is asked to drop it.

use std::fs;
use std::time::Duration;

use dits_core::partial::DropOptions;
use dits_core::path::RepoPath;
use dits_core::progress::Silent;
use dits_core::repo::{Environment, Layout, Repository};
use dits_core::worktree::Exactly;
use dits_testkit::Sandbox;

use crate::inspect::{json, noise, repository};

/// Drops files that are in HEAD, as if a remote had confirmed that it has HEAD.
fn drop_content(sandbox: &Sandbox, files: &[&str]) {
    let environment = Environment { threads: 2, ..Environment::default() };
    let repo = Repository::open(Layout::discover(&sandbox.path("")).unwrap(), &environment).unwrap();
    let paths: Vec<RepoPath> = files.iter().map(|file| RepoPath::parse(file.as_bytes()).unwrap()).collect();
    let (selection, confirmed) = (Exactly::new(&paths), [repo.head_commit().unwrap().0]);
    let options = DropOptions {
        remote: "origin",
        confirmed: &confirmed,
        lacking: &|_| Ok(Vec::new()),
        pinned: &Exactly::new(&[]),
        dry_run: false,
        wait: Duration::ZERO,
        now: 0,
    };
    assert_eq!(repo.drop_content(&selection, &options, &Silent).unwrap().files.len(), files.len());
}

/// A committed project in which `big.mov` and `notes.txt` are ghosts.
fn project() -> Sandbox {
    let sandbox = repository();
    sandbox.write("big.mov", noise(7, 700_000));
    sandbox.write("notes.txt", "one\ntwo\n");
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "Ghosts to be"]).ok();
    drop_content(&sandbox, &["big.mov", "notes.txt"]);
    sandbox
}

#[test]
fn status_and_listings_tell_of_ghosts() {
    let sandbox = project();
    sandbox
        .dits(["status"])
        .ok()
        .says("2 files are not here (`dits fetch PATH` brings content")
        .says("working tree clean");
    assert_eq!(sandbox.dits(["status", "-s"]).ok().out(), "");
    let status = json(sandbox.dits(["status", "--json"]));
    assert_eq!((&status["ghosts"], &status["clean"]), (&2.into(), &true.into()));
    assert_eq!(sandbox.dits(["ls-files", "--ghosts"]).ok().out(), "big.mov\nnotes.txt\n");
    let listed = json(sandbox.dits(["ls-files", "--json", "big.mov", "shots"]));
    let ghosts: Vec<bool> = listed["files"].as_array().unwrap().iter().map(|f| f["ghost"].as_bool().unwrap()).collect();
    assert_eq!((ghosts[0], ghosts[1]), (true, false));
    sandbox.dits(["fsck"]).ok().says("nothing is damaged").says("are not here, as remotes hold them");
    let du = json(sandbox.dits(["du", "--json"]));
    assert_eq!(du["absent"]["plain"], 700_008);
    sandbox.dits(["du"]).ok().says("not here: ");
    sandbox.dits(["gc", "--prune=now"]).ok();
    sandbox.dits(["fsck"]).ok();
}

#[test]
fn content_that_is_not_here_is_said_to_be_so() {
    let sandbox = project();
    sandbox
        .dits(["show", "HEAD:notes.txt"])
        .exits(2)
        .warns("the content of `notes.txt` is not here")
        .warns("dits fetch notes.txt");
    sandbox.dits(["cat-file", "-p", "HEAD:big.mov"]).exits(2).warns("dits fetch");
    sandbox.dits(["cat-file", "-e", "HEAD:big.mov"]).exits(1);
    assert_eq!(sandbox.dits(["cat-file", "-s", "HEAD:big.mov"]).ok().out(), "700000\n");
    sandbox.dits(["hash-object", "big.mov"]).exits(2).warns("is not here").warns("dits fetch");
    for file in ["big.mov", "HEAD:big.mov"] {
        let report = json(sandbox.dits(["inspect", "--json", file]));
        let file = &report["files"][0];
        assert_eq!(
            (&file["size"], &file["type"], &file["in_store"]["chunks"]),
            (&700_000.into(), &().into(), &0.into())
        );
    }
    sandbox.dits(["inspect", "big.mov"]).ok().says("not here").says("nothing of it");
    // What a log shows needs no content.
    sandbox.dits(["log", "--stat", "-1"]).ok().says("Bin 0 B -> 684 KiB");
    sandbox.dits(["log", "-p", "-1"]).ok().says("content not here, 684 KiB").says("content not here, 8 B");
    let shown = json(sandbox.dits(["show", "--json", "HEAD"]));
    assert!(shown["objects"][0]["changes"].as_array().unwrap().iter().any(|change| change["path"] == "notes.txt"));
    assert_eq!(json(sandbox.dits(["show", "--json", "HEAD:big.mov"]))["objects"][0]["type"], serde_json::Value::Null);
}

#[test]
fn changes_beside_and_in_place_of_ghosts() {
    let sandbox = project();
    // A ghost moved by hand, one by dits, one replaced.
    fs::create_dir(sandbox.path("archive")).unwrap();
    fs::rename(sandbox.path("big.mov"), sandbox.path("archive/big.mov")).unwrap();
    assert_eq!(sandbox.dits(["status", "-s"]).ok().out(), " D big.mov\n?? archive/\n");
    sandbox.dits(["add", "-A"]).ok();
    assert_eq!(sandbox.dits(["status", "-s"]).ok().out(), "R  big.mov -> archive/big.mov\n");
    sandbox.dits(["diff", "--staged"]).ok().says("similarity index 100%");
    sandbox.dits(["mv", "archive/big.mov", "large.mov"]).ok();
    fs::remove_file(sandbox.path("notes.txt")).unwrap();
    sandbox.write("notes.txt", "mine\n");
    assert_eq!(sandbox.dits(["status", "-s"]).ok().out(), "R  big.mov -> large.mov\n M notes.txt\n");
    sandbox.dits(["diff"]).ok().says("content not here");
    sandbox.dits(["diff", "--stat", "HEAD"]).ok().says("notes.txt");
    sandbox.dits(["commit", "-a", "-m", "Moved and replaced"]).ok();
    assert_eq!(sandbox.dits(["status", "-s"]).ok().out(), "");
    assert_eq!(sandbox.dits(["ls-files", "--ghosts"]).ok().out(), "large.mov\n");
    // Back to where both were ghosts, and forth.
    sandbox.dits(["switch", "--detach", "HEAD~1"]).ok();
    assert_eq!(sandbox.dits(["ls-files", "--ghosts"]).ok().out(), "big.mov\nnotes.txt\n");
    sandbox.dits(["switch", "main"]).ok();
    assert_eq!(sandbox.read("notes.txt"), b"mine\n");
    sandbox.dits(["rm", "large.mov"]).ok();
    sandbox.dits(["restore", "--staged", "--worktree", "large.mov"]).ok();
    assert!(fs::symlink_metadata(sandbox.path("large.mov")).unwrap().is_symlink());
    sandbox.dits(["fsck"]).ok();
}

#[test]
fn a_link_into_the_ghosts_that_nobody_knows_is_refused() {
    let sandbox = project();
    let target = format!("{}/.DITS/ghost/{}", sandbox.path("").display(), "ab".repeat(32));
    std::os::unix::fs::symlink(target, sandbox.path("unknown")).unwrap();
    sandbox.dits(["add", "."]).exits(2).warns("`unknown` stands for content that is not known here");
    assert_eq!(sandbox.dits(["status", "-s"]).ok().out(), "?? unknown\n");
}
