//! Space: what is counted, and what `gc` gives back.

use std::fs;
use std::path::Path;
use std::process::Child;

use dits_core::object::ObjectKind;
use dits_core::repo::{Environment, Repository};
use dits_testkit::Sandbox;

use crate::inspect::{json, noise, repository};

/// Bytes of all object files, the merged indexes not counted.
fn bytes_on_disk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    let len = |path: &Path| match path.is_dir() {
        true => bytes_on_disk(path),
        false if path.ends_with("merged.idx") => 0,
        false => fs::metadata(path).unwrap().len(),
    };
    entries.map(|entry| len(&entry.path())).sum()
}

fn store_bytes(sandbox: &Sandbox) -> u64 {
    bytes_on_disk(&sandbox.path(".dits/objects")) + bytes_on_disk(&sandbox.path(".dits/manifests"))
}

fn is_stored(sandbox: &Sandbox, content: &[u8]) -> bool {
    let id = ObjectKind::Chunk.digest(content).to_string();
    sandbox.dits(["cat-file", "-e", &id]).code == Some(0)
}

#[test]
fn du_counts_each_chunk_once() {
    let sandbox = repository();
    let du = json(sandbox.dits(["du", "--json"]));
    assert_eq!((du["files"].as_u64(), du["logical"].as_u64()), (Some(5), Some(600_015)));
    assert_eq!(du["chunks"]["plain"], 300_004);
    let count = json(sandbox.dits(["count-objects", "--json"]));
    let stored = count["loose"]["stored"].as_u64().unwrap() + count["packed"]["stored"].as_u64().unwrap();
    let store = &du["store"];
    assert_eq!(store["content"]["stored"].as_u64().unwrap() + store["metadata"]["stored"].as_u64().unwrap(), stored);
    assert_eq!(du["chunks"]["stored"], store["content"]["stored"], "there is one version");
    // The two copies share everything with each other, and later with the next version.
    let shots = json(sandbox.dits(["du", "--json", "HEAD", "shots"]));
    assert_eq!(shots["entries"][0]["unique"], 0);
    assert_eq!(shots["entries"][0]["shared_here"], shots["entries"][0]["stored"]);
    sandbox.write("new", noise(2, 5000));
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "Second"]).ok();
    let now = json(sandbox.dits(["du", "--json"]));
    let entry = |name: &str| now["entries"].as_array().unwrap().iter().find(|e| e["path"] == name).unwrap().clone();
    assert_eq!(entry("shots")["shared_elsewhere"], entry("shots")["stored"]);
    assert_eq!(entry("new")["unique"], entry("new")["stored"]);
    assert_eq!(json(sandbox.dits(["du", "--json", "--top", "2"]))["entries"].as_array().unwrap().len(), 2);
    sandbox.dits(["du"]).ok().says("this version: 6 files").says("all versions: ");
    sandbox.dits(["du", "HEAD", "nothing"]).exits(1);
    sandbox.dits(["count-objects", "-v"]).ok().says("commit").says("merged index");
}

#[test]
fn gc_gives_back_what_its_dry_run_says() {
    let sandbox = repository();
    // Garbage in packs beside live objects, in packs of its own, and loose.
    sandbox.write("dead.bin", noise(3, 4_000_000));
    sandbox.dits(["add", "."]).ok();
    fs::remove_file(sandbox.path("dead.bin")).unwrap();
    sandbox.write("live.bin", noise(4, 700_000));
    sandbox.dits(["add", "-A"]).ok();
    sandbox.write("x", "loose garbage");
    sandbox.dits(["hash-object", "-w", "x"]).ok();
    fs::remove_file(sandbox.path("x")).unwrap();
    sandbox.dits(["commit", "-m", "Second"]).ok();
    sandbox.dits(["gc", "--no-prune"]).ok().says("they are kept for ever");
    sandbox.write("x", "more garbage");
    sandbox.dits(["hash-object", "-w", "x"]).ok();
    let before = store_bytes(&sandbox);
    let planned = json(sandbox.dits(["gc", "-n", "--prune=now", "--json"]));
    assert_eq!(store_bytes(&sandbox), before, "a dry run does nothing");
    let done = json(sandbox.dits(["gc", "--prune=now", "--json"]));
    for field in ["removed", "removed_bytes", "reachable"] {
        assert_eq!(planned[field], done[field], "{field}");
    }
    assert!(done["removed_bytes"].as_u64().unwrap() > 4_000_000);
    assert_eq!(before - store_bytes(&sandbox), done["removed_bytes"].as_u64().unwrap());
    assert!(!is_stored(&sandbox, b"loose garbage") && !is_stored(&sandbox, b"more garbage"));
    sandbox.dits(["fsck", "--full"]).ok().says("nothing is damaged");
    assert_eq!(json(sandbox.dits(["gc", "-n", "--prune=now", "--json"]))["removed"], 0);
}

#[test]
fn what_is_condemned_waits_and_is_stored_again_when_needed() {
    let sandbox = repository();
    let gc_at = |date: &str, args: &[&str]| {
        let mut command = sandbox.dits_command(args);
        command.env("DITS_NOW", date);
        json(sandbox.run(command))
    };
    let gc = ["gc", "--json", "--prune=1d"];
    for content in ["first", "second"] {
        sandbox.write("x", content);
        sandbox.dits(["hash-object", "-w", "x"]).ok();
    }
    let first = gc_at("2026-03-01T00:00:00Z", &gc);
    assert_eq!((&first["removed"], &first["waiting"]), (&0.into(), &2.into()));
    // Gathering moved them; they still wait from the same moment.
    assert!(first["loose_packed"].as_u64().unwrap() > 2);
    assert_eq!(gc_at("2026-03-01T12:00:00Z", &gc)["waiting"], 2);
    // The staging area needs one of them now: a copy of its own is stored.
    sandbox.write("x", "first");
    sandbox.dits(["add", "x"]).ok();
    let last = gc_at("2026-03-02T00:00:01Z", &gc);
    assert!(last["removed"].as_u64().unwrap() >= 1, "{last}");
    assert!(is_stored(&sandbox, b"first") && !is_stored(&sandbox, b"second"));
    sandbox.dits(["fsck", "--full"]).ok();
}

#[test]
fn what_a_ref_is_about_to_name_is_kept_from_gc() {
    let sandbox = repository();
    sandbox.dits(["switch", "-c", "lost"]).ok();
    sandbox.dits(["commit", "--allow-empty", "-m", "Lost"]).ok();
    let lost = sandbox.dits(["rev-parse", "HEAD"]).ok().out().trim().to_owned();
    sandbox.dits(["switch", "main"]).ok();
    sandbox.dits(["branch", "-D", "lost"]).ok();
    let forget = ["-c", "gc.reflogExpire=now", "gc"];
    let gc = |more: &'static str| sandbox.dits([&forget[..], &[more]].concat());
    let top = sandbox.path("").canonicalize().unwrap();
    let repo = Repository::discover(&top, &Environment::default()).unwrap();
    let object = [(ObjectKind::Commit, lost.parse().unwrap())];
    // It was held before anybody condemned it: gc waits for whoever holds it.
    let held = repo.hold(&object).unwrap();
    let patient = ["-c", "gc.pruneExpire=now", "-c", "gc.auto=1"];
    sandbox.dits([&patient[..], &forget, &["--auto"]].concat()).ok().says("still writing");
    drop(held);
    // It is condemned already: gc is kept out.
    let held = repo.hold(&object).unwrap();
    gc("--prune=now").exits(4).warns("gc.lock");
    drop(held);
    sandbox.dits(["branch", "found", &lost]).ok();
    gc("--prune=now").ok();
    sandbox.dits(["show", "found"]).ok().says("Lost");
    sandbox.dits(["branch", "-D", "found"]).ok();
    gc("--prune=now").ok();
    assert!(repo.hold(&object).unwrap_err().to_string().contains("missing"));
    sandbox.dits(["branch", "late", &lost]).exits(1);
}

#[test]
fn auto_and_wrong_times() {
    let sandbox = repository();
    assert_eq!(json(sandbox.dits(["gc", "--auto", "--json"]))["ran"], false);
    assert_eq!(json(sandbox.dits(["-c", "gc.auto=1", "gc", "--auto", "--json"]))["ran"], true);
    sandbox.dits(["gc", "--prune=soon"]).exits(2).warns("`--prune=soon` is no time");
}

#[test]
fn nothing_is_lost_beside_running_commands() {
    let sandbox = repository();
    let sandboxes: Vec<&str> = vec!["a", "b"];
    let start =
        |args: &[&str]| -> Child { sandbox.dits_command(args).stdout(std::process::Stdio::null()).spawn().unwrap() };
    for round in 0..8_u64 {
        // The same content again and again: most of it was condemned by the collection before.
        for name in &sandboxes {
            sandbox.write(format!("{name}/file"), noise(round % 2, 150_000));
            sandbox.write(format!("{name}/small"), format!("{}", round % 3));
        }
        let mut children = vec![start(&["add", "."]), start(&["gc", "--prune=now", "-q"]), start(&["add", "a"])];
        if round % 2 == 1 {
            children.push(start(&["commit", "-qm", "round"]));
            children.push(start(&["gc", "--prune=now", "-q"]));
        }
        for mut child in children {
            // A second collection is refused, and a commit may have nothing to do.
            let code = child.wait().unwrap().code().unwrap();
            assert!([0, 1, 4].contains(&code), "exit code {code}");
        }
        sandbox.dits(["fsck", "--full"]).ok();
    }
}

#[test]
fn what_only_worktrees_stashes_logs_and_merges_name_is_kept() {
    let sandbox = repository();
    let ok = |args: &[&str]| drop(sandbox.dits(args).ok());
    // A stash; and a commit that only the log knows.
    sandbox.write("tone.wav", "stashed");
    ok(&["stash"]);
    sandbox.write("tone.wav", "undone");
    ok(&["commit", "-qam", "Undone"]);
    ok(&["reset", "-q", "--hard", "HEAD~1"]);
    // So that ORIG_HEAD does not name it either.
    ok(&["reset", "-q", "--hard", "HEAD"]);
    // The staging area and a detached commit of another worktree.
    ok(&["worktree", "add", "--detach", "../other"]);
    let other = sandbox.beside("other");
    fs::write(other.join("tone.wav"), "detached").unwrap();
    sandbox.dits_in(&other, ["commit", "-qam", "Detached"]).ok();
    fs::write(other.join("tone.wav"), "staged there").unwrap();
    sandbox.dits_in(&other, ["add", "tone.wav"]).ok();
    // A merge with a conflict, whose other branch is gone.
    ok(&["switch", "-qc", "side"]);
    sandbox.write("tone.wav", "theirs");
    ok(&["commit", "-qam", "Theirs"]);
    ok(&["switch", "-q", "main"]);
    sandbox.write("tone.wav", "ours");
    ok(&["commit", "-qam", "Ours"]);
    sandbox.dits(["merge", "side"]).exits(3);
    ok(&["branch", "-D", "side"]);
    sandbox.write("new", "staged here");
    ok(&["add", "new"]);
    ok(&["-c", "gc.reflogExpire=never", "gc", "--prune=now"]);
    let all = ["stashed", "detached", "staged there", "theirs", "ours", "staged here"];
    for content in all.iter().chain(&["undone"]) {
        assert!(is_stored(&sandbox, content.as_bytes()), "{content}");
    }
    sandbox.dits(["fsck", "--full"]).ok();
    // Without the logs only what they alone named goes.
    ok(&["-c", "gc.reflogExpire=now", "gc", "--prune=now"]);
    for content in all {
        assert!(is_stored(&sandbox, content.as_bytes()), "{content}");
    }
    assert!(!is_stored(&sandbox, b"undone"));
    sandbox.dits(["fsck", "--full"]).ok();
    sandbox.dits(["merge", "--abort"]).ok();
    assert_eq!(sandbox.dits(["cat-file", "-p", "stash:tone.wav"]).ok().out(), "stashed");
}
