//! Commands that look inside: files, folders, objects, ignore rules and attributes.

use std::fs;

use dits_testkit::{Finished, Sandbox};
use serde_json::Value;

/// A repository with one commit of a few files of every kind.
pub fn repository() -> Sandbox {
    let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
    sandbox.write("shots/a.mov", noise(1, 300_000));
    sandbox.write("shots/copy.mov", noise(1, 300_000));
    sandbox.write("tone.wav", "RIFF");
    sandbox.write("empty", "");
    std::os::unix::fs::symlink("shots/a.mov", sandbox.path("link")).unwrap();
    sandbox.dits(["add", "."]).ok();
    sandbox.dits(["commit", "-m", "First"]).ok();
    sandbox
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = dits_testkit::SplitMix64::new(seed);
    (0..len.div_ceil(8)).flat_map(|_| random.word().to_le_bytes()).take(len).collect()
}

pub fn json(done: Finished) -> Value {
    let done = done.ok();
    serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {done}"))
}

fn out<const N: usize>(sandbox: &Sandbox, args: [&str; N]) -> String {
    sandbox.dits(args).ok().out()
}

#[test]
fn ls_files_lists_what_git_would() {
    let sandbox = repository();
    assert_eq!(out(&sandbox, ["ls-files"]), "empty\nlink\nshots/a.mov\nshots/copy.mov\ntone.wav\n");
    assert_eq!(out(&sandbox, ["ls-files", "-z", "shots"]), "shots/a.mov\0shots/copy.mov\0");
    let empty = blake3_hex(b"");
    assert_eq!(out(&sandbox, ["ls-files", "-s", "empty"]), format!("100644 {empty} 0\tempty\n"));
    assert_eq!(sandbox.dits_in(&sandbox.path("shots"), ["ls-files"]).ok().out(), "a.mov\ncopy.mov\n");
    sandbox.write("tone.wav", "RIFX");
    fs::remove_file(sandbox.path("empty")).unwrap();
    sandbox.write(".ditsignore", "*.tmp\n");
    sandbox.write("x.tmp", "");
    assert_eq!(out(&sandbox, ["ls-files", "-m", "-t"]), "R empty\nC tone.wav\n");
    assert_eq!(out(&sandbox, ["ls-files", "-d"]), "empty\n");
    assert_eq!(out(&sandbox, ["ls-files", "-o"]), ".ditsignore\nx.tmp\n");
    assert_eq!(out(&sandbox, ["ls-files", "-o", "--exclude-standard"]), ".ditsignore\n");
    assert_eq!(out(&sandbox, ["ls-files", "-o", "-i"]), "x.tmp\n");
    assert_eq!(out(&sandbox, ["ls-files", "-u"]), "");
    sandbox.dits(["ls-files", "--error-unmatch", "nothing"]).exits(1).warns("`nothing` matches no file");
    let listed = json(sandbox.dits(["ls-files", "--json"]));
    assert_eq!(listed["files"][2]["path"], "shots/a.mov");
    assert_eq!(listed["files"][2]["kind"], "manifest");
    assert_eq!(listed["files"][2]["id"], listed["files"][3]["id"]);
}

fn blake3_hex(bytes: &[u8]) -> String {
    dits_core::object::ObjectKind::Chunk.digest(bytes).to_string()
}

#[test]
fn ls_tree_lists_a_version() {
    let sandbox = repository();
    let chunk = blake3_hex(b"RIFF");
    assert_eq!(out(&sandbox, ["ls-tree", "HEAD", "tone.wav"]), format!("100644 chunk {chunk}\ttone.wav\n"));
    assert_eq!(out(&sandbox, ["ls-tree", "--name-only", "HEAD"]), "empty\nlink\nshots\ntone.wav\n");
    assert_eq!(out(&sandbox, ["ls-tree", "-d", "--name-only", "HEAD"]), "shots\n");
    let all = "empty\nlink\nshots/a.mov\nshots/copy.mov\ntone.wav\n";
    assert_eq!(out(&sandbox, ["ls-tree", "-r", "--name-only", "HEAD"]), all);
    assert_eq!(out(&sandbox, ["ls-tree", "--name-only", "HEAD", "shots/"]), "shots/a.mov\nshots/copy.mov\n");
    assert_eq!(out(&sandbox, ["ls-tree", "--name-only", "HEAD:shots"]), "a.mov\ncopy.mov\n");
    assert!(out(&sandbox, ["ls-tree", "-l", "HEAD", "shots"]).contains("       600000\tshots"));
    assert_eq!(json(sandbox.dits(["ls-tree", "--json", "-r", "HEAD"]))["entries"][2]["size"], 300_000);
    sandbox.dits(["ls-tree", "nowhere"]).exits(1).warns("`nowhere` is not a branch");
}

#[test]
fn cat_file_shows_objects_and_files() {
    let sandbox = repository();
    assert_eq!(out(&sandbox, ["cat-file", "-t", "HEAD"]), "commit\n");
    assert_eq!(out(&sandbox, ["cat-file", "-t", "HEAD:shots"]), "tree\n");
    assert_eq!(out(&sandbox, ["cat-file", "-t", "HEAD:shots/a.mov"]), "manifest\n");
    assert_eq!(out(&sandbox, ["cat-file", "-s", "HEAD:shots/a.mov"]), "300000\n");
    assert_eq!(sandbox.dits(["cat-file", "-p", "HEAD:shots/a.mov"]).ok().stdout, noise(1, 300_000));
    assert_eq!(out(&sandbox, ["cat-file", "-p", &blake3_hex(b"RIFF")]), "RIFF");
    let commit = out(&sandbox, ["cat-file", "-p", "HEAD"]);
    let person = "Ada Author <ada@example.org> 1767323045 +0000";
    assert!(commit.starts_with("tree ") && commit.contains(&format!("\nauthor {person}\n")), "{commit}");
    assert!(commit.ends_with("\n\nFirst\n"), "{commit}");
    let manifest = json(sandbox.dits(["cat-file", "-p", "--json", "HEAD:shots/a.mov"]));
    let chunks = manifest["chunks"].as_array().unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk["length"].as_u64().unwrap()).sum::<u64>(), 300_000);
    sandbox.dits(["cat-file", "-p", chunks[0]["id"].as_str().unwrap()]).ok();
    sandbox.dits(["cat-file", "-e", "HEAD"]).ok();
    sandbox.dits(["cat-file", "-e", "123456789"]).exits(1);
    sandbox.dits(["cat-file", "HEAD"]).exits(2);
}

#[test]
fn the_users_own_rules_may_lie_in_the_home_folder() {
    let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
    fs::write(sandbox.home().join("ignored-everywhere"), "*.cache\n").unwrap();
    sandbox.dits(["config", "core.excludesFile", "~/ignored-everywhere"]).ok();
    sandbox.dits(["check-ignore", "a.cache"]).ok();
    sandbox.dits(["check-ignore", "a.mov"]).exits(1);
}

#[test]
fn check_ignore_names_the_rule() {
    let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
    sandbox.write(".ditsignore", "*.tmp\ncache/\n!keep.tmp\n");
    sandbox.write("cache/x", "");
    let done = sandbox.dits(["check-ignore", "a.tmp", "keep.tmp", "cache/x", "cache", "b"]).ok();
    assert_eq!(done.out(), "a.tmp\ncache/x\ncache\n");
    let done = sandbox.dits(["check-ignore", "-v", "-n", "a.tmp", "keep.tmp", "b"]).ok();
    assert_eq!(done.out(), ".ditsignore:1:*.tmp\ta.tmp\n.ditsignore:3:!keep.tmp\tkeep.tmp\n::\tb\n");
    sandbox.dits(["check-ignore", "b", "keep.tmp"]).exits(1);
    assert_eq!(sandbox.dits(["check-ignore", "-q", "a.tmp"]).ok().out(), "");
    sandbox.dits(["check-ignore"]).exits(2);
    assert_eq!(json(sandbox.dits(["check-ignore", "--json", "a.tmp"]))["paths"][0]["rule"]["line"], 1);
    // What is tracked is not ignored.
    sandbox.write("b.tmp", "x");
    sandbox.dits(["add", "-f", "b.tmp"]).ok();
    sandbox.dits(["check-ignore", "b.tmp"]).exits(1);
    sandbox.dits(["check-ignore", "--no-index", "b.tmp"]).ok();
}

#[test]
fn check_attr_has_gits_words() {
    let sandbox = Sandbox::with_repository(env!("CARGO_BIN_EXE_dits"));
    sandbox.write(".ditsattributes", "*.mov preset=video lockable -diff\n");
    let done = sandbox.dits(["check-attr", "preset", "lockable", "diff", "x", "--", "a.mov"]).ok();
    assert_eq!(done.out(), "a.mov: preset: video\na.mov: lockable: set\na.mov: diff: unset\na.mov: x: unspecified\n");
    let all = "a.mov: diff: unset\na.mov: lockable: set\na.mov: preset: video\n";
    assert_eq!(out(&sandbox, ["check-attr", "-a", "a.mov", "b"]), all);
    assert_eq!(out(&sandbox, ["check-attr", "-z", "preset", "a.mov"]), "a.mov\0preset\0video\0");
    assert_eq!(json(sandbox.dits(["check-attr", "--json", "-a", "a.mov"]))["attributes"][2]["value"], "video");
    sandbox.dits(["check-attr", "-a"]).exits(2);
}

#[test]
fn hash_object_agrees_with_add() {
    let sandbox = repository();
    let staged = json(sandbox.dits(["ls-files", "--json"]));
    let named = json(sandbox.dits(["hash-object", "--json", "shots/a.mov", "tone.wav", "empty"]));
    assert_eq!(named["objects"][0]["id"], staged["files"][2]["id"]);
    assert_eq!(named["objects"][0]["blake3"], blake3_hex(&noise(1, 300_000)));
    assert_eq!(named["objects"][1]["id"], named["objects"][1]["blake3"]);
    assert_eq!(named["objects"][2]["kind"], "empty");
    // Also outside of a repository.
    fs::write(sandbox.beside("x"), "RIFF").unwrap();
    let done = sandbox.dits_in(&sandbox.beside(""), ["hash-object", "-q", "x"]).ok();
    assert_eq!(done.out().trim(), blake3_hex(b"RIFF"));
    sandbox.dits(["hash-object", "nothing"]).exits(1).warns("there is no file `nothing`");
    sandbox.write("new", "new content");
    sandbox.dits(["cat-file", "-e", &blake3_hex(b"new content")]).exits(1);
    sandbox.dits(["hash-object", "-w", "new"]).ok();
    sandbox.dits(["cat-file", "-e", &blake3_hex(b"new content")]).ok();
}
