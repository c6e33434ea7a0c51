//! Every file of a repository damaged in every simple way: found and named, or harmless.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dits_testkit::Sandbox;

use crate::inspect::{noise, repository};

/// Files that hold nothing which could be lost, by the end of their name and the injury. Settings and patterns are the
/// user's text; logs end where a crash left them; the merged index, the condemned list and locks are made anew.
const HARMLESS: [(&str, &str); 14] = [
    ("config", ""),
    ("info/exclude", ""),
    ("clock", ""),
    (".lock", ""),
    ("COMMIT_EDITMSG", ""),
    ("logs/HEAD", "cut"),
    ("logs/HEAD", "empty"),
    ("logs/HEAD", "delete"),
    ("logs/refs/branches/main", "cut"),
    ("logs/refs/branches/main", "empty"),
    ("logs/refs/branches/main", "delete"),
    ("merged.idx", "delete"),
    ("condemned", "delete"),
    // What was staged since the base was written is gone; files and commits are not.
    ("index.journal", "delete"),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn injuries(bytes: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let mut all = vec![("delete", None)];
    if !bytes.is_empty() {
        let mut flipped = bytes.to_vec();
        flipped[bytes.len() / 2] ^= 0x10;
        all.push(("flip", Some(flipped)));
        all.push(("cut", Some(bytes[..bytes.len() / 2].to_vec())));
        all.push(("empty", Some(Vec::new())));
    }
    all
}

/// A repository with packs under a merged index, loose objects, a condemned list and a journal of the index.
fn with_everything() -> Sandbox {
    let sandbox = repository();
    for seed in 0..3 {
        sandbox.write(format!("shots/{seed}.bin"), noise(10 + seed, 1_500_000));
        sandbox.dits(["add", "."]).ok();
    }
    sandbox.dits(["commit", "-m", "Second"]).ok();
    sandbox.write("x", "garbage");
    sandbox.dits(["hash-object", "-w", "x"]).ok();
    // Nothing is gathered, so that packs and loose objects stay.
    sandbox.dits(["-c", "gc.auto=1", "gc", "-n"]).ok();
    sandbox
}

#[test]
fn damage_anywhere_is_found_and_named() {
    let sandbox = with_everything();
    let mut all = Vec::new();
    files(&sandbox.path(".dits"), &mut all);
    all.sort();
    // Loose objects are alike: some are enough.
    let mut loose = 0;
    all.retain(|path| {
        let is_loose = path.parent().unwrap().file_name().unwrap().len() == 2;
        loose += usize::from(is_loose);
        !is_loose || loose % 5 == 1
    });
    let mut undetected = Vec::new();
    for path in all {
        let bytes = fs::read(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions();
        let name = path.strip_prefix(sandbox.path(".dits")).unwrap().to_str().unwrap().to_owned();
        for (injury, damaged) in injuries(&bytes) {
            fs::remove_file(&path).unwrap();
            if let Some(damaged) = &damaged {
                fs::write(&path, damaged).unwrap();
            }
            let done = sandbox.dits(["fsck", "--full"]);
            let said = format!("{}{}", done.out(), done.err());
            match done.code {
                Some(6) if damaged.is_some() => {
                    let file = path.file_name().unwrap().to_str().unwrap();
                    assert!(said.contains(file), "{injury} of {name} is not named: {said}");
                    assert!(said.contains('`'), "{injury} of {name} has no next command: {said}");
                }
                Some(6) => {}
                Some(0) => undetected.push((name.clone(), injury)),
                _ => panic!("{injury} of {name}: {done}"),
            }
            let status = sandbox.dits(["status"]);
            assert!(matches!(status.code, Some(0 | 6)), "{injury} of {name}: {status}");
            fs::write(&path, &bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode.mode())).unwrap();
        }
    }
    undetected.retain(|(name, injury)| {
        let harmless = |(end, how): &&(&str, &str)| name.ends_with(end) && (how.is_empty() || how == injury);
        !HARMLESS.iter().any(|known| harmless(&known))
    });
    assert_eq!(undetected, [], "damage that nobody notices");
    sandbox.dits(["fsck", "--full"]).ok();
}

/// The only pack of the content.
fn pack(sandbox: &Sandbox) -> PathBuf {
    let packs = fs::read_dir(sandbox.path(".dits/objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    packs.filter(|path| path.extension().is_some_and(|end| end == "pack")).max().unwrap()
}

#[test]
fn a_pack_without_its_footer_is_repaired() {
    let sandbox = repository();
    sandbox.write("big", noise(5, 2_000_000));
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "Second"]).ok();
    let pack = pack(&sandbox);
    let bytes = fs::read(&pack).unwrap();
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, &bytes[..bytes.len() - 5000]).unwrap();
    let name = pack.file_name().unwrap().to_str().unwrap();
    sandbox.dits(["fsck"]).exits(6).says(name).says("`dits fsck --repair`");
    sandbox.dits(["status"]).ok();
    sandbox.dits(["cat-file", "-p", "HEAD:big"]).exits(6).warns(name);
    sandbox.dits(["fsck", "--repair"]).ok().says("repaired: saved").says("nothing is damaged");
    assert!(sandbox.path(".dits/damaged").join(name).exists());
    assert_eq!(sandbox.dits(["cat-file", "-p", "HEAD:big"]).ok().stdout, noise(5, 2_000_000));
    sandbox.dits(["fsck", "--full"]).ok();
}

#[test]
fn a_lost_chunk_comes_back_from_the_file() {
    let sandbox = repository();
    sandbox.write("big", noise(5, 2_000_000));
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "Second"]).ok();
    let pack = pack(&sandbox);
    let mut bytes = fs::read(&pack).unwrap();
    bytes[500_000] ^= 1;
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, &bytes).unwrap();
    sandbox.dits(["fsck"]).ok();
    sandbox.dits(["fsck", "--full"]).exits(6);
    sandbox.dits(["fsck", "--full", "--repair"]).exits(6).says("repaired: saved").says("is missing");
    fs::remove_file(sandbox.path("big")).unwrap();
    sandbox.dits(["restore", "big"]).exits(6).warns("`big` cannot be written").warns("`dits fsck --full`");
    fs::remove_file(self::pack(&sandbox)).unwrap();
    let said = sandbox.dits(["fsck"]).exits(6).says("more like these").out();
    assert!(said.lines().filter(|line| line.contains("is missing")).count() == 20, "{said}");
    fs::write(sandbox.path("big"), noise(5, 2_000_000)).unwrap();
    sandbox.dits(["add", "big"]).ok();
    sandbox.dits(["fsck", "--full"]).ok().says("nothing is damaged");
}

#[test]
fn a_lost_branch_is_not_taken_for_a_new_one() {
    let sandbox = repository();
    let head = sandbox.dits(["cat-file", "-p", "--json", "HEAD"]).ok();
    let id = serde_json::from_slice::<serde_json::Value>(&head.stdout).unwrap()["id"].as_str().unwrap().to_owned();
    fs::remove_file(sandbox.path(".dits/refs/branches/main")).unwrap();
    let command = format!("dits branch main {id}");
    sandbox.dits(["fsck"]).exits(6).says(&command);
    sandbox.dits(["commit", "-m", "x", "--allow-empty"]).exits(6).warns(&command);
    sandbox.dits(["gc", "--prune=now"]).ok();
    sandbox.dits(["cat-file", "-e", &id]).ok();
    assert_eq!(sandbox.dits(["fsck", "--json"]).exits(6).out().lines().count(), 1);
}

#[test]
fn damaged_refs_come_back_from_their_logs() {
    let sandbox = repository();
    sandbox.dits(["tag", "v1"]).ok();
    sandbox.dits(["branch", "other", "HEAD"]).ok();
    sandbox.write("big", noise(5, 200_000));
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "Second"]).ok();
    sandbox.dits(["worktree", "add", "../elsewhere", "other"]).ok();
    sandbox.dits(["-C", "../elsewhere", "commit", "--allow-empty", "-m", "There"]).ok();
    let id = |name: &str| sandbox.dits(["rev-parse", name]).ok().out();
    let (main, other) = (id("main"), id("other"));
    let damage = |name: &str| fs::write(sandbox.path(".dits").join(name), "garbage").unwrap();
    for name in ["refs/branches/main", "refs/branches/other", "refs/HEAD", "worktrees/elsewhere/HEAD", "refs/tags/v1"] {
        damage(name);
    }
    let said = sandbox.dits(["fsck"]).exits(6).says("`dits fsck --repair`").out();
    assert_eq!(said.matches("is damaged").count(), 5, "each is named: {said}");
    sandbox.dits(["commit", "--allow-empty", "-m", "x"]).exits(6).warns("`dits fsck --repair`");
    let repaired = sandbox.dits(["fsck", "--repair"]).ok().says("HEAD is on the branch `main` again").out();
    assert!(repaired.contains("v1 aside") && repaired.contains("nothing is damaged"), "{repaired}");
    assert_eq!((id("main"), id("other")), (main, other));
    sandbox.dits(["status"]).ok().says("On branch main");
    sandbox.dits(["-C", "../elsewhere", "status"]).ok().says("On branch other");
    sandbox.dits(["tag", "v1", "HEAD~1"]).ok();
    fs::remove_file(sandbox.path(".dits/refs/branches/main")).unwrap();
    sandbox.dits(["fsck", "--repair"]).ok().says("`refs/branches/main` is at");
    sandbox.dits(["fsck"]).ok();
}

#[test]
fn head_comes_back_to_where_its_log_tells_and_nowhere_else() {
    let sandbox = repository();
    sandbox.dits(["branch", "other"]).ok();
    let repair = || {
        fs::write(sandbox.path(".dits/refs/HEAD"), "garbage").unwrap();
        sandbox.dits(["fsck", "--repair"]).ok().out()
    };
    let branch = || sandbox.dits(["branch", "--show-current"]).ok().out();
    repair();
    assert_eq!(branch(), "main\n", "another branch is at the same commit");
    sandbox.dits(["switch", "-q", "other"]).ok();
    repair();
    assert_eq!(branch(), "other\n");
    sandbox.dits(["switch", "-q", "--detach", "main"]).ok();
    assert!(repair().contains("it is detached at"), "it was on no branch");
    assert_eq!(branch(), "");
    sandbox.dits(["switch", "-q", "main"]).ok();
    sandbox.dits(["worktree", "add", "../elsewhere", "other"]).ok();
    fs::write(sandbox.path(".dits/worktrees/elsewhere/HEAD"), "garbage").unwrap();
    sandbox.dits(["fsck", "--repair"]).exits(6).says("`dits switch -f BRANCH`");
    sandbox.dits(["-C", "../elsewhere", "switch", "-qf", "other"]).ok();
    sandbox.dits(["fsck"]).ok();
    // A new repository has no log yet.
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_dits"));
    sandbox.dits(["init", "-q"]).ok();
    fs::write(sandbox.path(".dits/refs/HEAD"), "garbage").unwrap();
    sandbox.dits(["fsck", "--repair"]).ok();
    sandbox.dits(["status"]).ok().says("On branch main");
}

#[test]
fn a_branch_whose_commit_is_lost_goes_back_to_one_that_is_whole_and_says_so() {
    let sandbox = repository();
    let before = sandbox.dits(["rev-parse", "HEAD"]).ok().out();
    sandbox.dits(["commit", "--allow-empty", "-m", "Lost"]).ok();
    let lost = sandbox.dits(["rev-parse", "HEAD"]).ok().out();
    let id = lost.trim();
    fs::write(sandbox.path(".dits/manifests").join(&id[..2]).join(&id[2..]), "garbage").unwrap();
    fs::write(sandbox.path(".dits/refs/branches/main"), "garbage").unwrap();
    let said = sandbox.dits(["fsck", "--repair"]).exits(6).says("it is at an older commit now").out();
    assert!(said.contains(&format!("`refs/branches/main` was at {id}")), "{said}");
    assert_eq!(sandbox.dits(["rev-parse", "HEAD"]).ok().out(), before);
    sandbox.dits(["reflog", "main"]).ok().says("fsck: the newer commit is lost");
    sandbox.dits(["status"]).ok();
}

#[test]
fn damage_elsewhere_does_not_make_a_commit_look_as_if_it_failed() {
    let sandbox = repository();
    sandbox.write("large", noise(1, 400_000));
    sandbox.dits(["add", "large"]).ok();
    sandbox.dits(["commit", "-m", "large"]).ok();
    let id = sandbox.dits(["rev-parse", "HEAD:large"]).ok();
    let id = String::from_utf8_lossy(&id.stdout).trim().to_owned();
    let lost = sandbox.path(".dits/manifests").join(&id[..2]).join(&id[2..]);
    fs::remove_file(&lost).unwrap();
    sandbox.write("new", "n");
    sandbox.dits(["add", "new"]).ok();
    sandbox.dits(["commit", "-m", "new"]).ok().warns("the commit is made").says("1 file changed");
}

#[test]
fn a_lost_index_is_not_taken_for_an_empty_one() {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_dits"));
    sandbox.dits(["init", "-q"]).ok();
    sandbox.write("a.mov", b"a");
    sandbox.dits(["add", "a.mov"]).ok();
    sandbox.dits(["commit", "-q", "-m", "one"]).ok();
    for name in ["index", "index.journal"] {
        let _ = std::fs::remove_file(sandbox.path(".dits").join(name));
    }
    sandbox.write("b.mov", b"b");
    let lines = "commit -m two|commit -a -m two|add b.mov|rm a.mov|mv a.mov c.mov|restore --staged a.mov|stash|reset --soft HEAD|status|ls-files";
    for command in lines.split('|').map(|line| line.split(' ')) {
        sandbox.dits(command).exits(6).warns("the index is missing").warns("dits reset");
    }
    std::fs::remove_file(sandbox.path("b.mov")).unwrap();
    sandbox.dits(["reset", "-q"]).ok();
    sandbox.dits(["commit", "-m", "two"]).exits(1);
    assert_eq!(sandbox.dits(["ls-files"]).ok().out(), "a.mov\n");
}

#[test]
fn the_command_that_a_damaged_pack_leads_to_repairs_it() {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_dits"));
    sandbox.dits(["init", "-q"]).ok();
    sandbox.write("a.mov", dits_testkit::random::bytes(1, 3_000_000));
    sandbox.dits(["add", "a.mov"]).ok();
    sandbox.dits(["commit", "-q", "-m", "one"]).ok();
    let packs = sandbox.path(".dits/objects/pack");
    let packs = std::fs::read_dir(packs).unwrap().map(|entry| entry.unwrap().path());
    let pack = packs.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut permissions = pack.metadata().unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(false);
    std::fs::set_permissions(&pack, permissions).unwrap();
    std::fs::write(&pack, bytes).unwrap();
    sandbox.dits(["fsck", "--full"]).exits(6).says("dits fsck --repair");
    sandbox.dits(["fsck", "--repair"]).says("repaired");
    sandbox.dits(["fetch", "a.mov"]).ok();
    sandbox.dits(["fsck", "--full"]).ok();
}
