//! Repositories and tokens.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::rig::{Rig, complaint};

#[test]
fn repositories_are_made_listed_checked_and_removed() {
    let rig = Rig::new();
    let made = rig.json("repo create studio/film -b trunk");
    assert_eq!((&made["name"], &made["created"]), (&"studio/film".into(), &true.into()));
    assert_eq!(rig.json("repo create studio/film")["created"], false);
    rig.run("repo create b.dits").ok().says("Empty repository b made in");
    let listed = rig.json("repo list");
    let names: Vec<_> = listed["repositories"].as_array().unwrap().iter().map(|line| &line["name"]).collect();
    assert_eq!(names, ["b", "studio/film"]);
    rig.run("repo list").ok().says("studio/film");
    let head = fs::read(rig.root("repos/studio/film.dits/refs/HEAD")).unwrap();
    assert!(String::from_utf8_lossy(&head).contains("refs/branches/trunk"));
    rig.run("fsck --all --full").ok().says("b: nothing is damaged");
    assert_eq!(rig.json("gc studio/film")["repositories"][0]["removed"], 0);
    rig.run("gc --all --dry-run").ok().says("b: 0 objects in use");
    rig.run("repo rm b").exits(2).warns("gone for ever").warns("--yes");
    rig.run("repo rm b --yes").ok().says("b removed");
    rig.run("repo rm b --yes").exits(1).warns("there is no repository `b`");
    rig.run("repo create ../evil").exits(2).warns("not a name for a repository");
    rig.run("fsck nothing").exits(1);
    rig.run("gc --all --prune=soon").exits(2).warns("is no time");
    fs::write(rig.root("repos/studio/film.dits/refs/HEAD"), "rubbish").unwrap();
    rig.run("repo create good").ok();
    rig.run("fsck --all").exits(6).says("studio/film: damaged").says("good: nothing is damaged");
    rig.run("gc --all").exits(6).warns("studio/film: ").says("good: ");
}

#[test]
fn a_token_is_shown_once_and_kept_as_a_hash() {
    let rig = Rig::new();
    let token = rig.token("ada", "--repository film --repository studio/* --allow read,write --ref main --path a/**");
    assert!(token.starts_with("dits_") && token.len() == 69, "{token}");
    let made = rig.json("token create ci --repository ** --expires 12h");
    let other = made["token"].as_str().unwrap().to_owned();
    assert!(other != token && made["expires"].is_i64());
    let listed = rig.json("token list");
    assert_eq!(listed["tokens"][0]["allow"], serde_json::json!(["read", "write"]));
    assert_eq!(listed["tokens"][0]["repositories"], serde_json::json!(["film", "studio/*"]));
    assert_eq!(listed["tokens"][1]["allow"], serde_json::json!(["read"]));
    let shown = rig.run("token list").ok();
    shown.says("paths: a/**").says("until 20");
    rig.run("token create ada --repository film").exits(3).warns("there is a token `ada` already");
    rig.run("token revoke ada").ok();
    rig.run("token revoke ada").exits(1).warns("no valid token `ada`");
    rig.token("ada", "--repository film");
    assert_eq!(rig.json("token list --all")["tokens"][0]["state"], "revoked");
    assert_eq!(rig.json("token list")["tokens"].as_array().unwrap().len(), 2);
    for file in files_below(&rig.root("")) {
        let bytes = fs::read(&file).unwrap();
        let secret = &token.as_bytes()[5..];
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", file.display());
    }
}

#[test]
fn what_a_token_cannot_be() {
    let rig = Rig::new();
    rig.run("token create ada").exits(2).warns("--repository");
    rig.run("token create ada --repository film --allow everything").exits(2).warns("use read, write, lock, admin");
    rig.run("token create -- a:b --repository film").exits(2);
    rig.run("token create a:b --repository film").exits(2).warns("is no name for a token");
    rig.run("token create ada --repository film --expires soon").exits(2).warns("is no time");
    rig.run("token create ada --repository film --expires now").exits(2);
    rig.run("token create ada --repository /").exits(2).warns("matches nothing");
}

#[test]
fn an_expired_token_is_listed_as_such() {
    let rig = Rig::new();
    rig.token("brief", "--repository film --expires 1s");
    let expired = || rig.json("token list --all")["tokens"][0]["state"] == "expired";
    assert!((0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        expired()
    }));
    assert_eq!(rig.json("token list")["tokens"], serde_json::json!([]));
}

#[test]
fn secrets_are_their_owners_alone() {
    let rig = Rig::new();
    rig.token("ada", "--repository film");
    let mode = |name: &str| fs::metadata(rig.root(name)).unwrap().permissions().mode() & 0o777;
    for (name, expected) in
        [("tokens", 0o600), ("identity", 0o700), ("audit", 0o700), ("audit/log", 0o600), ("audit/head", 0o600)]
    {
        assert_eq!(mode(name), expected, "{name}");
    }
}

#[test]
fn damaged_tokens_are_corruption_and_not_no_tokens() {
    let rig = Rig::new();
    rig.token("ada", "--repository film");
    let file = rig.root("tokens");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    rig.run("token list").exits(6).warns("checksum");
    rig.run("token create bob --repository film").exits(6);
}

#[test]
fn the_folder_has_to_be_a_servers() {
    let rig = Rig::new();
    rig.sandbox.dits(["repo", "list"]).exits(2).warns("--root DIR");
    rig.run("repo list").exits(2).warns("is not the folder of a dits-server");
    let done = rig.run("repo list --json").exits(2);
    assert_eq!(complaint(&done)["error"]["kind"], "usage");
    fs::create_dir(rig.root("")).unwrap();
    fs::write(rig.root("film.mov"), "mine").unwrap();
    rig.run("repo create film").exits(2).warns("is not the folder of a dits-server");
    assert_eq!(fs::read_dir(rig.root("")).unwrap().count(), 1);
    let mut command = rig.sandbox.dits_command(["repo", "create", "film"]);
    command.env("DITS_SERVER_ROOT", rig.sandbox.beside("other"));
    rig.sandbox.run(command).ok();
    assert!(rig.sandbox.beside("other/repos/film.dits/format").exists());
    rig.sandbox.dits(["--help"]).ok().says("dits-server serve");
    rig.sandbox.dits(["--version"]).ok().says("dits-server ");
    rig.run("frobnicate").exits(2);
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
