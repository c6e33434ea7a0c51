//! The audit log, tampered with.

use std::fs;

use crate::rig::{Rig, answer};

/// A server's folder with a log of some lines.
fn rig() -> Rig {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    rig.token("ada", "--repository film --allow read,write");
    rig.run("token revoke ada").ok();
    rig.run("gc film").ok();
    rig.run("repo rm film --yes").ok();
    rig
}

fn lines(rig: &Rig) -> Vec<String> {
    fs::read_to_string(rig.root("audit/log")).unwrap().lines().map(|line| format!("{line}\n")).collect()
}

#[test]
fn everything_an_administrator_does_is_in_it() {
    let rig = rig();
    let events: Vec<String> = lines(&rig)
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(events, ["repo-create", "token-create", "token-revoke", "gc", "repo-remove"]);
    let verified = rig.json("audit verify");
    assert_eq!((&verified["intact"], &verified["lines"]), (&true.into(), &5.into()));
    let head = verified["head"].as_str().unwrap();
    assert_eq!(fs::read_to_string(rig.root("audit/head")).unwrap().trim(), head);
    rig.run("repo create more").ok();
    rig.run(&format!("audit verify --expect {head}")).ok().says("6 lines, all as they were written");
    rig.run(&format!("audit verify --expect 5:{}", "0".repeat(64))).exits(6).says("not the one");
    rig.run("audit verify --expect 5").exits(2);
}

#[test]
fn tampering_is_found_and_named() {
    let rig = rig();
    let whole = lines(&rig);
    let check = |lines: Vec<String>, line: u64, what: &str| {
        fs::write(rig.root("audit/log"), lines.concat()).unwrap();
        let verified = answer(&rig.run("audit verify --json").exits(6));
        let found = verified["findings"].as_array().unwrap();
        let is_it =
            |finding: &&serde_json::Value| finding["line"] == line && finding["what"].as_str().unwrap().contains(what);
        assert!(found.iter().any(|finding| is_it(&finding)), "{what}: {verified}");
    };
    let mut changed = whole.clone();
    changed[1] = changed[1].replace("write", "admin");
    check(changed, 2, "was changed");
    let mut removed = whole.clone();
    removed.remove(2);
    check(removed, 3, "record 3 is missing");
    let mut swapped = whole.clone();
    swapped.swap(1, 2);
    check(swapped, 2, "missing");
    let mut inserted = whole.clone();
    inserted.insert(3, whole[0].clone());
    check(inserted, 4, "does not belong here");
    check(whole[..4].to_vec(), 5, "its end is missing");
    check(Vec::new(), 1, "its end is missing");
    fs::write(rig.root("audit/log"), whole.concat()).unwrap();
    rig.run("audit verify").ok();
}

#[test]
fn a_torn_last_line_stops_nobody() {
    let rig = rig();
    let torn = format!("{}{}", lines(&rig).concat(), &lines(&rig)[4][..40]);
    fs::write(rig.root("audit/log"), torn).unwrap();
    rig.run("audit verify").ok().says("40 bytes of a half written line");
    rig.run("repo create film").ok();
    assert!(lines(&rig)[5].contains("recovered") && lines(&rig)[6].contains("repo-create"));
    rig.run("audit verify").ok().says("7 lines");
}

#[test]
fn a_log_that_was_changed_at_its_end_is_not_continued() {
    let rig = rig();
    let text = lines(&rig).concat().replace("repo-remove", "repo-forget");
    fs::write(rig.root("audit/log"), text).unwrap();
    rig.run("token create eve --repository film").exits(6).warns("audit verify");
}
