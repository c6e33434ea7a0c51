//! A server that runs, watched from outside.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use dits_testkit::Background;
use rustix::process::Signal;
use serde_json::Value;

use crate::rig::{Rig, SOON};

/// What a page answers: the status and the body.
pub fn page(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn end(server: Background) -> String {
    server.terminate(SOON).ok().err()
}

#[test]
fn says_where_it_is_and_who_and_ends_on_request() {
    let rig = Rig::new();
    let mut server = rig.serve("");
    let line = server.wait_for("serving on 127.0.0.1:", SOON);
    let fingerprint = rig.run("fingerprint").ok().out();
    assert!(line.ends_with(&format!(", key fingerprint {}", fingerprint.trim())), "{line}");
    for entry in std::fs::read_dir(rig.root("identity")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
    rig.run("serve --listen 127.0.0.1:0").exits(4).warns("is being served already");
    let log = end(server);
    assert!(log.contains("serving") && log.contains("stopped"), "{log}");
    let mut again = rig.serve("--json");
    let line = again.wait_for("\"command\":\"serve\"", SOON);
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&ready["schema"], ready["fingerprint"].as_str()), (&1.into(), Some(fingerprint.trim())));
    assert!(ready["http"].is_null() && ready["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    end(again);
    let verified = rig.json("audit verify");
    assert_eq!((&verified["intact"], &verified["lines"]), (&true.into(), &4.into()));
}

#[test]
fn pages_for_machines() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    let mut server = rig.serve("--http 127.0.0.1:0 --json");
    let ready: Value = serde_json::from_str(&server.wait_for("\"serve\"", SOON)).unwrap();
    let http = ready["http"].as_str().unwrap();
    assert_eq!(page(http, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(page(http, "/readyz"), (200, "ready\n".to_owned()));
    let (status, metrics) = page(http, "/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("dits_repository_bytes{repository=\"film\"} 0"), "{metrics}");
    assert_eq!(page(http, "/tokens").0, 404);
    std::fs::rename(rig.root("tmp"), rig.root("elsewhere")).unwrap();
    assert_eq!(page(http, "/readyz").0, 503);
    std::fs::rename(rig.root("elsewhere"), rig.root("tmp")).unwrap();
    end(server);
}

#[test]
fn settings_that_make_no_sense_stop_it() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    std::fs::write(rig.root("server.toml"), "version = 1\n[limits]\nconection = 3\n").unwrap();
    rig.run("serve").exits(2).warns("server.toml").warns("conection").warns("docs/server.md");
    std::fs::write(rig.root("server.toml"), "version = 1\n[listen]\naddress = '192.0.2.1:1'\n").unwrap();
    rig.run("serve").exits(5).warns("cannot listen on 192.0.2.1:1");
    rig.run("serve --listen nonsense").exits(2);
    rig.run("serve --listen 127.0.0.1:0 --http 192.0.2.1:1").exits(5).warns("for HTTP");
}

#[test]
fn damaged_tokens_stop_it_before_the_first_client() {
    let rig = Rig::new();
    rig.token("ada", "--repository film");
    std::fs::write(rig.root("tokens"), "rubbish").unwrap();
    rig.run("serve --listen 127.0.0.1:0").exits(6).warns("tokens is damaged");
}

#[test]
fn log_lines_are_json_if_wanted() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    std::fs::write(rig.root("server.toml"), "version = 1\n[log]\nformat = 'json'\nlevel = 'debug'\n").unwrap();
    let mut server = rig.serve("");
    server.wait_for("serving on", SOON);
    let log = end(server);
    assert!(!log.is_empty());
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(event["level"].is_string() && event["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn tidies_by_its_schedule() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    std::fs::write(rig.root("server.toml"), "version = 1\n[gc]\ninterval = '1s'\n").unwrap();
    let mut server = rig.serve("");
    server.wait_for("tidied", SOON);
    end(server);
    assert!(std::fs::read_to_string(rig.root("audit/log")).unwrap().contains("\"who\":\"schedule\""));
}

#[test]
fn a_killed_server_leaves_nothing_in_the_way() {
    let rig = Rig::new();
    let mut server = rig.serve("");
    server.wait_for("serving on", SOON);
    assert_eq!(server.kill().signal, Some(9));
    let mut server = rig.serve("");
    server.wait_for("serving on", SOON);
    server.signal(Signal::INT);
    server.wait(Duration::from_secs(20)).ok();
    assert_eq!(rig.json("audit verify")["lines"], 3);
}
