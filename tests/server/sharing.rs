//! Pushing and fetching with a running server, over each carrier.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dits_core::object::CommitId;
use dits_core::progress::Silent;
use dits_core::refs::{RefName, RefStore, Target};
use dits_core::repo::{CommitOptions, Environment, InitOptions, Repository};
use dits_core::signature::Signature;
use dits_core::worktree::{AddOptions, Everything};
use dits_sync::SyncError;
use dits_sync::client::{Client, FetchRequest, Introduction, PushRequest, PushedRefs, Update, UpdateOutcome};
use dits_sync::identity::{NewHost, Trust};
use dits_sync::link::{Carrier, DialOptions, Link, LinkError, dialer, over};
use dits_sync::wire::ErrorCode;
use dits_testkit::Background;
use dits_testkit::random::bytes;
use rustix::process::Signal;

use crate::rig::{Rig, SOON};
use crate::serving::page;

const CARRIERS: [Carrier; 2] = [Carrier::Quic, Carrier::Tcp];

/// Somebody's repository.
pub struct Own {
    dir: tempfile::TempDir,
    repo: Repository,
}

pub fn own() -> Own {
    let dir = tempfile::tempdir().unwrap();
    let options = InitOptions { branch: "main".into(), bare: false };
    let environment = Environment { threads: 2, ..Environment::default() };
    let (repo, _) = Repository::init(dir.path(), &options, &environment).unwrap();
    Own { dir, repo }
}

impl Own {
    pub fn commit(&self, name: &str, bytes: &[u8]) -> CommitId {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self.repo.add(&Everything, AddOptions::default(), &Silent).unwrap();
        let who = Signature { name: "Ada".into(), email: "a@x".into(), time: 1_000, offset: 0 };
        let options = CommitOptions {
            author: who.clone(),
            committer: who,
            message: "a commit".into(),
            amend: false,
            allow_empty: true,
        };
        self.repo.commit(&options).unwrap().id
    }

    fn push(&self, link: &dyn Link, who: &Introduction, commit: CommitId) -> Result<PushedRefs, SyncError> {
        self.push_to(&mut Client::new(link, who)?, "main", commit)
    }

    pub fn push_to(&self, client: &mut Client<'_>, branch: &str, commit: CommitId) -> Result<PushedRefs, SyncError> {
        let listing = client.listing(None, &Silent)?;
        let name = RefName::branch(branch).unwrap();
        let old = listing.refs.iter().find(|(other, _)| *other == name).map(|(_, id)| *id);
        let update = Update { name, old, new: Some(*commit.digest()), force: false };
        client.push(&self.repo, &PushRequest { updates: vec![update], ..PushRequest::default() }, &listing, &Silent)
    }

    fn fetch(&self, link: &dyn Link, who: &Introduction) -> Result<(), SyncError> {
        self.fetch_from(&mut Client::new(link, who)?)
    }

    pub fn fetch_from(&self, client: &mut Client<'_>) -> Result<(), SyncError> {
        let listing = client.listing(None, &Silent)?;
        let wants = listing.refs.iter().map(|(_, id)| *id).collect();
        client.fetch(&self.repo, FetchRequest { wants, ..FetchRequest::default() }, &Silent).map(drop)
    }
}

pub fn introduction(repository: &str, token: Option<&str>) -> Introduction {
    Introduction { repository: repository.into(), token: token.map(ToOwned::to_owned) }
}

/// Where a server listens.
pub fn address(server: &mut Background) -> String {
    let line = server.wait_for("serving on ", SOON);
    line["serving on ".len()..].split(',').next().unwrap().to_owned()
}

fn dial(rig: &Rig, address: &str, carrier: Carrier) -> Box<dyn Link> {
    try_dial(rig, address, carrier).unwrap()
}

pub fn try_dial(rig: &Rig, address: &str, carrier: Carrier) -> Result<Box<dyn Link>, LinkError> {
    let new_host = NewHost::Accept(std::sync::Arc::new(|_, _| {}));
    let trust = Trust::Pinned { known_hosts: rig.sandbox.beside("known_hosts"), new_host };
    let options = DialOptions { carrier, ..DialOptions::new(trust) };
    dialer(&format!("dits://{address}/film").parse().unwrap(), options).unwrap().dial()
}

fn code(result: Result<impl Sized, SyncError>) -> ErrorCode {
    match result {
        Err(SyncError::Peer(failure)) => failure.code,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("was not refused"),
    }
}

#[test]
fn over_each_carrier() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    let token = rig.token("ada", "--repository film --allow read,write");
    let mut server = rig.serve("");
    let address = address(&mut server);
    let (ada, who) = (own(), introduction("film", Some(&token)));
    for (round, carrier) in CARRIERS.into_iter().enumerate() {
        let commit = ada.commit("take.mov", &bytes(round as u64, 3_000_000));
        let pushed = ada.push(&*dial(&rig, &address, carrier), &who, commit).unwrap();
        assert_eq!(pushed.outcomes, [UpdateOutcome::Done], "{carrier:?}");
        let bob = own();
        bob.fetch(&*dial(&rig, &address, carrier), &who).unwrap();
        assert!(dits_core::commit::Commit::read(bob.repo.store(), commit).is_ok());
    }
    rig.run("fsck film --full").ok();
    let log = server.terminate(SOON).ok().err();
    assert!(!log.contains("dits_"), "{log}");
    assert_eq!(log.lines().filter(|line| line.contains("push")).count(), 2, "{log}");
    let verified = rig.json("audit verify");
    assert_eq!((&verified["intact"], &verified["lines"]), (&true.into(), &8.into()));
}

#[test]
fn strangers_learn_nothing_and_wait_as_long() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    rig.run("repo create open").ok();
    std::fs::write(rig.root("repos/open.dits/config"), "server.anonymousRead = true\n").unwrap();
    let bob = rig.token("bob", "--repository other --allow read");
    let gone = rig.token("gone", "--repository ** --allow read,write,admin");
    rig.run("token revoke gone").ok();
    let mut server = rig.serve("");
    let address = address(&mut server);
    let nobody = own();
    let mut told = Vec::new();
    for (repository, token) in
        [("film", None), ("missing", None), ("film", Some(&bob)), ("missing", Some(&bob)), ("film", Some(&gone))]
    {
        let link = dial(&rig, &address, Carrier::Tcp);
        let begin = Instant::now();
        let error = nobody.fetch(&*link, &introduction(repository, token.map(String::as_str))).unwrap_err();
        assert!(begin.elapsed() >= Duration::from_millis(200));
        told.push(error.to_string());
    }
    assert!(told.iter().all(|text| *text == told[0]), "{told:?}");
    let forged = "film\n2026-01-01T00:00:00.000000Z ERROR made up";
    nobody.fetch(&*dial(&rig, &address, Carrier::Tcp), &introduction(forged, None)).unwrap_err();
    nobody.fetch(&*dial(&rig, &address, Carrier::Quic), &introduction("open", None)).unwrap();
    let commit = nobody.commit("a", b"a");
    let pushed = nobody.push(&*dial(&rig, &address, Carrier::Quic), &introduction("open", None), commit);
    assert_eq!(code(pushed), ErrorCode::Denied);
    let log = server.terminate(SOON).ok().err();
    assert!(log.contains("made up") && !log.lines().any(|line| line.starts_with("2026-01-01")), "{log}");
}

#[test]
fn one_connection_too_many_is_told_so() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    std::fs::write(rig.root("config"), "server.anonymousRead = true\n").unwrap();
    std::fs::write(rig.root("server.toml"), "version = 1\n[limits]\nconnectionsPerAddress = 1\n").unwrap();
    let mut server = rig.serve("");
    let address = address(&mut server);
    for carrier in CARRIERS {
        let first = dial(&rig, &address, carrier);
        let mut client = Client::new(&*first, &introduction("film", None)).unwrap();
        // The connection before may still be ending.
        client.listing(None, &Silent).unwrap();
        let refused = own().fetch(&*dial(&rig, &address, carrier), &introduction("film", None));
        assert_eq!(code(refused), ErrorCode::Busy, "{carrier:?}");
        first.close();
        drop(first);
        std::thread::sleep(Duration::from_millis(500));
    }
    server.terminate(SOON).ok();
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let rig = Rig::new();
    let mut server = rig.serve("");
    let address = address(&mut server);
    let silent: Vec<_> = CARRIERS.into_iter().map(|carrier| dial(&rig, &address, carrier)).collect();
    let begin = Instant::now();
    for link in silent {
        let ended = (0..60).any(|_| match link.recv(Duration::from_millis(500)) {
            Err(error) => !matches!(error, LinkError::TimedOut(_)),
            Ok(_) => false,
        });
        assert!(ended && begin.elapsed() >= Duration::from_secs(5), "{:?}", begin.elapsed());
    }
    server.terminate(SOON).ok();
}

#[test]
fn a_push_in_progress_ends_before_the_server_does() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    let token = rig.token("ada", "--repository film --allow read,write");
    rig.hook("film", "pre-receive", "touch begun; sleep 1");
    let mut server = rig.serve("--http 127.0.0.1:0");
    let address = address(&mut server);
    let http = server.wait_for("http=", SOON).split("http=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let ada = own();
    let commit = ada.commit("a", b"a");
    let link = dial(&rig, &address, Carrier::Auto);
    std::thread::scope(|scope| {
        let pushing = scope.spawn(|| ada.push(&*link, &introduction("film", Some(&token)), commit));
        rig.wait_for_file("repos/film.dits/begun");
        assert_eq!(page(&http, "/readyz").0, 200);
        server.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(page(&http, "/readyz").0, 503);
        assert_eq!(pushing.join().unwrap().unwrap().outcomes, [UpdateOutcome::Done]);
    });
    server.wait(SOON).ok();
    assert_eq!(branch(&rig), Some(Target::Id(*commit.digest())));
}

#[test]
fn a_second_signal_does_not_wait() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    let token = rig.token("ada", "--repository film --allow read,write");
    rig.hook("film", "pre-receive", "touch begun; exec sleep 5");
    let mut server = rig.serve("");
    let address = address(&mut server);
    let ada = own();
    let commit = ada.commit("a", b"a");
    let link = dial(&rig, &address, Carrier::Tcp);
    std::thread::scope(|scope| {
        let pushing = scope.spawn(|| ada.push(&*link, &introduction("film", Some(&token)), commit));
        rig.wait_for_file("repos/film.dits/begun");
        server.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(300));
        assert!(server.is_running());
        let begin = Instant::now();
        server.signal(Signal::INT);
        while server.is_running() {
            assert!(begin.elapsed() < Duration::from_secs(2), "it waits");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(pushing.join().unwrap().is_err());
    });
    assert_eq!(server.kill().code, Some(130));
    assert_eq!(branch(&rig), None);
}

#[test]
fn over_standard_input_and_output() {
    let rig = Rig::new();
    rig.run("repo create film").ok();
    std::fs::write(rig.root("repos/film.dits/config"), "receive.protect = ['main: ada']\n").unwrap();
    rig.hook("film", "pre-receive", "ls /proc/$$/fd >open; cat >told; echo welcome");
    let ada = own();
    let commit = ada.commit("take.mov", &bytes(7, 2_000_000));
    for (user, expected) in [("eve", false), ("ada", true)] {
        let (link, child) = stdio(&rig, &rig.root("repos/film.dits"), user);
        let pushed = ada.push(&*link, &Introduction::default(), commit).unwrap();
        assert_eq!(pushed.outcomes == [UpdateOutcome::Done], expected, "{pushed:?}");
        assert_eq!(pushed.text.trim_end(), if expected { "welcome" } else { "" });
        drop(link);
        ended(child);
    }
    let told = std::fs::read_to_string(rig.root("repos/film.dits/told")).unwrap();
    assert!(told.contains(r#""who":{"kind":"user","name":"ada"}"#), "{told}");
    // What a hook has open of the conversation is nothing. That would have one of the first descriptors: those of the shell
    // itself begin at 10, and what whoever runs this test leaves open is open in any shell.
    let open = std::fs::read_to_string(rig.root("repos/film.dits/open")).unwrap();
    let anywhere = std::process::Command::new("sh").args(["-c", "ls /proc/$$/fd"]).output().unwrap().stdout;
    let anywhere = String::from_utf8(anywhere).unwrap();
    let strange = |fd: &&str| matches!(fd.parse(), Ok(3..10)) && anywhere.split_whitespace().all(|open| open != *fd);
    let more: Vec<&str> = open.split_whitespace().filter(strange).collect();
    assert!(more.is_empty(), "{open} beside {anywhere}");
    let bob = own();
    let (link, child) = stdio(&rig, &rig.root("repos/film.dits"), "bob");
    bob.fetch(&*link, &Introduction::default()).unwrap();
    drop(link);
    ended(child);
    assert!(dits_core::commit::Commit::read(bob.repo.store(), commit).is_ok());
    rig.sandbox.dits(["--stdio", "nowhere"]).exits(1).warns("is not a dits repository");
}

#[test]
fn a_branch_that_is_checked_out_is_not_moved_beneath_its_worktree() {
    let rig = Rig::new();
    let (theirs, ada) = (own(), own());
    let commit = ada.commit("a", b"a");
    let (link, child) = stdio(&rig, theirs.dir.path(), "ada");
    let pushed = ada.push(&*link, &Introduction::default(), commit).unwrap();
    assert!(matches!(&pushed.outcomes[..], [UpdateOutcome::Refused(why)] if why.contains("checked out")), "{pushed:?}");
    drop(link);
    ended(child);
}

fn branch(rig: &Rig) -> Option<Target> {
    let layout = dits_core::repo::Layout::main(&rig.root("repos/film.dits"));
    let repo = Repository::open(layout, &Environment::default()).unwrap();
    repo.refs().read(&RefName::branch("main").unwrap()).unwrap()
}

fn stdio(rig: &Rig, path: &std::path::Path, user: &str) -> (Box<dyn Link>, std::process::Child) {
    let mut command: Command = rig.sandbox.dits_command(["--stdio".as_ref(), path.as_os_str()]);
    command.env("USER", user).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().unwrap();
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (over(stdout, stdin, "the server", true).unwrap(), child)
}

#[track_caller]
fn ended(mut child: std::process::Child) {
    let (status, timed_out) = dits_testkit::bounded::wait(&mut child, SOON).unwrap();
    assert!(!timed_out && status.success(), "{status}");
}
