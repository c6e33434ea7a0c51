use std::os::unix::fs::PermissionsExt;

use dits_core::object::CommitId;
use dits_core::refs::RefName;
use dits_sync::link::Traffic;
use dits_sync::server::{Event, RefUpdate};

use super::*;
use crate::audit::{AuditLog, verify};
use crate::forge;
use crate::rig::{Rig, rig, rig_with};
use crate::token::Secret;

impl Rig {
    fn admit(&self, repository: &str, token: Option<&Secret>) -> Result<Arc<dyn Access>, Failure> {
        self.host.admit(&Visitor {
            peer: "192.0.2.1:5".into(),
            agent: "test".into(),
            repository: repository.into(),
            token: token.map(|secret| secret.reveal().to_owned()),
        })
    }
}

fn update(branch: &str, old: Option<CommitId>, new: Option<CommitId>) -> RefUpdate {
    let id = |commit: CommitId| *commit.digest();
    RefUpdate { name: RefName::branch(branch).unwrap(), old: old.map(id), new: new.map(id), force: false }
}

#[test]
fn whoever_is_not_let_in_learns_nothing() {
    let rig = rig();
    let ada = rig.token("ada", &["film", "studio/*"], 3, &[]);
    let bob = rig.token("bob", &["other"], 3, &[]);
    let gone = rig.token("gone", &["**"], 15, &[]);
    rig.tokens().revoke("gone", env::now()).unwrap();
    let unknown = Secret::generate().unwrap();
    assert!(rig.admit("film", Some(&ada)).is_ok() && rig.admit("/studio/a.dits", Some(&ada)).is_ok());
    let anonymous = rig.admit("open", None).ok().unwrap();
    assert!(anonymous.methods().read && !anonymous.methods().write);
    let mut told = Vec::new();
    for (repository, token) in [
        ("film", None),
        ("missing", None),
        ("", None),
        ("../root/repos/film", None),
        ("film", Some(&bob)),
        ("missing", Some(&bob)),
        ("other", Some(&bob)),
        ("film", Some(&gone)),
        ("film", Some(&unknown)),
        ("missing", Some(&unknown)),
        ("open", Some(&unknown)),
        ("open", Some(&ada)),
    ] {
        let begin = Instant::now();
        let failure = rig.admit(repository, token).err().unwrap();
        assert!(begin.elapsed() >= REFUSAL, "{repository}");
        told.push(failure);
    }
    assert!(told.iter().all(|failure| *failure == told[0]), "{told:?}");
    let log = std::fs::read_to_string(AuditLog::file(&rig.root.audit())).unwrap();
    assert!(log.contains("the token `gone` is revoked") && !log.contains("dits_"));
}

#[test]
fn a_revoked_token_moves_nothing_any_more() {
    let rig = rig_with(Duration::from_secs(60), Duration::from_secs(60));
    let ada = rig.token("ada", &["film"], 3, &["a"]);
    let access = rig.admit("film", Some(&ada)).ok().unwrap();
    let repo = access.repository();
    let inside = forge::commit(repo, &[], &[("a/x", 1)]);
    let outside = forge::commit(repo, &[], &[("b", 1)]);
    let good = update("main", None, Some(inside));
    access.check_update(&good, None).unwrap();
    access.check_paths(&good, repo.store()).unwrap();
    access.pre_receive(std::slice::from_ref(&good)).unwrap();
    assert!(access.check_paths(&update("main", None, Some(outside)), repo.store()).unwrap_err().contains("`b`"));
    rig.tokens().revoke("ada", env::now()).unwrap();
    for refusal in [
        access.check_update(&good, Some(true)),
        access.check_paths(&good, repo.store()),
        access.pre_receive(std::slice::from_ref(&good)).map(drop),
    ] {
        assert!(refusal.unwrap_err().contains("revoked"));
    }
    // While a hook runs, too.
    let bob = rig.token("bob", &["film"], 3, &[]);
    let access_of_bob = rig.admit("film", Some(&bob)).ok().unwrap();
    rig.hook("pre-receive", "touch begun; while [ ! -e go ]; do sleep 0.01; done");
    let film = rig.root.repositories().join("film.dits");
    std::thread::scope(|scope| {
        let pushed = scope.spawn(|| access_of_bob.pre_receive(std::slice::from_ref(&good)));
        while !film.join("begun").exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        rig.tokens().revoke("bob", env::now()).unwrap();
        std::fs::write(film.join("go"), "").unwrap();
        assert!(pushed.join().unwrap().unwrap_err().contains("revoked"));
    });
    // A successor of the same name does not bring the old one back.
    rig.token("ada", &["film"], 3, &[]);
    assert!(access.check_update(&good, None).is_err());
}

#[test]
fn quotas_count_what_is_stored() {
    let rig = rig();
    let ada = rig.token("ada", &["film"], 3, &[]);
    let config = rig.root.repositories().join("film.dits/config");
    std::fs::write(&config, "server.quota = 4000\nreceive.maxSize = 3000\n").unwrap();
    let access = rig.admit("film", Some(&ada)).ok().unwrap();
    assert_eq!(access.quota_left(), Some(3000));
    std::fs::write(rig.root.repositories().join("film.dits/objects/upload"), [0; 3500]).unwrap();
    assert_eq!(access.quota_left(), Some(500));
    std::fs::write(rig.root.repositories().join("film.dits/objects/upload"), [0; 5000]).unwrap();
    assert_eq!(access.quota_left(), Some(0));
    assert!(access.pre_receive(&[]).unwrap_err().contains("quota of 4000"));
    std::fs::write(&config, "server.quota = 'much'\n").unwrap();
    assert_eq!(rig.admit("film", Some(&ada)).err().unwrap().code, ErrorCode::Damaged);
    assert_eq!(rig.admit("film", None).err().unwrap().code, ErrorCode::NotFound);
}

#[test]
fn hooks_are_told_and_their_word_counts() {
    let rig = rig();
    let ada = rig.token("ada", &["film"], 3, &[]);
    let access = rig.admit("film", Some(&ada)).ok().unwrap();
    let commit = forge::commit(access.repository(), &[], &[("a", 1)]);
    let updates = [update("main", None, Some(commit))];
    rig.hook("pre-receive", "cat; env >environment; echo seen >&2");
    let said = access.pre_receive(&updates).unwrap();
    let told: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(told["who"], serde_json::json!({"kind": "token", "name": "ada"}));
    assert_eq!(told["updates"][0]["ref"], "refs/branches/main");
    assert_eq!(told["updates"][0]["new"], commit.to_string());
    assert!(said.ends_with("seen\n"));
    let environment = std::fs::read_to_string(rig.root.repositories().join("film.dits/environment")).unwrap();
    assert!(
        environment.lines().all(|line| ["PATH=", "HOME=", "LANG=", "TZ=", "PWD=", "OLDPWD=", "SHLVL=", "_="]
            .iter()
            .any(|name| line.starts_with(name))),
        "{environment}"
    );

    rig.hook("pre-receive", "echo no film on Fridays; exit 1");
    assert_eq!(access.pre_receive(&updates).unwrap_err(), "no film on Fridays\n");
    rig.hook("pre-receive", "exit 1");
    assert!(access.pre_receive(&updates).unwrap_err().contains("pre-receive refuses"));
    rig.hook("pre-receive", "echo begun; sleep 61.3 & sleep 61.3");
    let begin = Instant::now();
    let error = access.pre_receive(&updates).unwrap_err();
    assert!(error.starts_with("begun\n") && error.contains("longer than 0.7 s"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(20));
    rig.hook("pre-receive", "yes | head -c 10000000; sleep 62.4 &");
    let begin = Instant::now();
    assert_eq!(access.pre_receive(&updates).unwrap().len(), 32 << 10);
    assert!(begin.elapsed() < Duration::from_secs(20));
    rig.hook("post-receive", "echo done; exit 3");
    assert_eq!(access.post_receive(&updates), "done\n");
    let file = rig.root.repositories().join("film.dits/hooks/pre-receive");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(access.pre_receive(&updates).unwrap_err().contains("cannot be run"));
    let text = rig.host.services.metrics.text();
    assert!(text.contains("dits_hook_runs_total{outcome=\"failed\"} 2"), "{text}");
}

#[test]
fn what_happens_is_counted_and_recorded() {
    let rig = rig();
    let ada = rig.token("ada", &["film"], 3, &[]);
    let access = rig.admit("film", Some(&ada)).ok().unwrap();
    let commit = forge::commit(access.repository(), &[], &[("a", 1)]);
    let traffic = Traffic { sent: 5, received: 7 };
    let moved = vec![update("main", None, Some(commit))];
    let refused = vec![(update("other", None, Some(commit)), "protected".to_owned())];
    access.observe(&Event::Pushed { moved, refused, objects: 3, traffic });
    access.observe(&Event::Fetched { wants: Vec::new(), common: Vec::new(), objects: 2, complete: true, traffic });
    access.observe(&Event::Fetched { wants: Vec::new(), common: Vec::new(), objects: 0, complete: false, traffic });
    for objects in [4, 5] {
        access.observe(&Event::Got { objects, missing: 1, traffic });
    }
    access.observe(&Event::Failed { what: "broken".into() });
    assert_eq!(access.signature().name, "ada");
    let verified = verify(&rig.root.audit(), None).unwrap();
    assert_eq!((verified.lines, verified.findings.len()), (3, 0));
    let log = std::fs::read_to_string(AuditLog::file(&rig.root.audit())).unwrap();
    assert!(log.contains("\"note\":\"broken off\""), "{log}");
    assert!(log.contains("\"who\":\"token ada\"") && log.contains("\"why\":\"protected\""));
    let text = rig.host.services.metrics.text();
    for line in [
        "dits_request_bytes_total{request=\"push\",direction=\"received\"} 7",
        "dits_refs_total{outcome=\"refused\"} 1",
        "dits_errors_total 1",
        "dits_open_connections 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let turn = access.begin_push(&|| false).ok().unwrap();
    assert_eq!(access.begin_push(&|| false).err().unwrap().code, ErrorCode::Busy);
    drop(turn);
    rig.host.services.stopping.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(access.begin_push(&|| false).err().unwrap().code, ErrorCode::GoingAway);
    assert_eq!(rig.admit("film", Some(&ada)).err().unwrap().code, ErrorCode::GoingAway);
    drop(access);
    assert!(rig.host.services.metrics.text().contains("dits_open_connections 0"));
    let log = std::fs::read_to_string(AuditLog::file(&rig.root.audit())).unwrap();
    assert!(log.lines().last().unwrap().contains("\"event\":\"get\"") && log.contains("\"objects\":9"), "{log}");
}
