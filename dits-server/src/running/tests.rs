//! Whole conversations, over links inside the process.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dits_core::object::CommitId;
use dits_core::progress::Silent;
use dits_core::refs::{RefName, RefStore, Target};
use dits_core::repo::{Environment, InitOptions, Repository};
use dits_sync::SyncError;
use dits_sync::client::{Client, FetchRequest, Introduction, PushRequest, PushedRefs, Update, UpdateOutcome};
use dits_sync::link::{Link, pair};
use dits_sync::wire::ErrorCode;

use super::{Door, run};
use crate::audit::{AuditLog, verify};
use crate::forge;
use crate::limits::Doors;
use crate::rig::{Rig, rig};
use crate::token::Secret;

mod meanwhile;

type Arrivals = Receiver<Box<dyn Link>>;

struct Arriving(Mutex<Arrivals>);

impl Door for Arriving {
    fn accept(&self, patience: Duration) -> Option<Box<dyn Link>> {
        self.0.lock().unwrap().recv_timeout(patience).ok()
    }

    fn stop(&self) {}
}

/// A server that runs, and the repository of somebody who uses it.
struct Served {
    rig: Rig,
    arrive: Sender<Box<dyn Link>>,
    running: Option<JoinHandle<usize>>,
    own: Repository,
    _dir: tempfile::TempDir,
}

fn served(connections: usize, patience: Duration) -> Served {
    serve(rig(), connections, patience)
}

fn serve(rig: Rig, connections: usize, patience: Duration) -> Served {
    let (arrive, arrivals) = channel();
    let host = Arc::clone(&rig.host);
    let running = std::thread::spawn(move || {
        run(&Arriving(Mutex::new(arrivals)), &host, &Doors::new(connections, connections), patience)
    });
    let dir = tempfile::tempdir().unwrap();
    let options = InitOptions { branch: "main".into(), bare: true };
    let (own, _) = Repository::init(dir.path(), &options, &Environment::default()).unwrap();
    Served { rig, arrive, running: Some(running), own, _dir: dir }
}

impl Served {
    fn dial(&self) -> Box<dyn Link> {
        let (near, far) = pair("192.0.2.1:5");
        self.arrive.send(Box::new(far)).unwrap();
        Box::new(near)
    }

    fn push(&self, token: &Secret, branch: &str, commit: CommitId, force: bool) -> Result<PushedRefs, SyncError> {
        self.push_over(&*self.dial(), token, branch, commit, force)
    }

    fn push_over(
        &self,
        link: &dyn Link,
        token: &Secret,
        branch: &str,
        commit: CommitId,
        force: bool,
    ) -> Result<PushedRefs, SyncError> {
        let mut client = Client::new(link, &introduction("film", Some(token)))?;
        let listing = client.listing(None, &Silent)?;
        let name = RefName::branch(branch).unwrap();
        let old = listing.refs.iter().find(|(other, _)| *other == name).map(|(_, id)| *id);
        let update = Update { name, old, new: Some(*commit.digest()), force };
        client.push(&self.own, &PushRequest { updates: vec![update], ..PushRequest::default() }, &listing, &Silent)
    }

    fn branch(&self, name: &str) -> Option<Target> {
        let film = self.rig.host.repositories.open(&crate::repo_name::RepoName::parse("film").unwrap()).unwrap();
        film.refs().read(&RefName::branch(name).unwrap()).unwrap()
    }

    fn configure(&self, text: &str) {
        std::fs::write(self.rig.root.repositories().join("film.dits/config"), text).unwrap();
    }

    /// Asks the server to stop, and says how many connections were left.
    fn stop(&mut self) -> usize {
        self.rig.host.services.stopping.store(true, Ordering::Relaxed);
        self.running.take().unwrap().join().unwrap()
    }
}

fn introduction(repository: &str, token: Option<&Secret>) -> Introduction {
    Introduction { repository: repository.into(), token: token.map(|secret| secret.reveal().to_owned()) }
}

#[track_caller]
fn refused(pushed: Result<PushedRefs, SyncError>, expected: &str) {
    match &pushed.unwrap().outcomes[..] {
        [UpdateOutcome::Refused(why)] if why.contains(expected) => {}
        other => panic!("{other:?}, expected a refusal with {expected:?}"),
    }
}

#[test]
fn a_push_goes_through_rules_hooks_and_the_audit_log() {
    let mut served = served(8, Duration::from_secs(20));
    let ada = served.rig.token("ada", &["film"], 3, &["a"]);
    served.configure("receive.protect = ['main: ada']\n");
    served.rig.hook("pre-receive", "cat >../../../told; echo checked");
    served.rig.hook("post-receive", "echo told everybody");
    let first = forge::commit(&served.own, &[], &[("a/x", 1)]);
    let pushed = served.push(&ada, "main", first, false).unwrap();
    assert_eq!(pushed.outcomes, [UpdateOutcome::Done]);
    assert_eq!(pushed.text.trim_end(), "checked\ntold everybody");
    assert_eq!(served.branch("main"), Some(Target::Id(*first.digest())));
    // The audit log knew before the client did.
    let log = std::fs::read_to_string(AuditLog::file(&served.rig.root.audit())).unwrap();
    assert!(log.contains("\"event\":\"push\"") && log.contains(&first.to_string()), "{log}");

    let outside = forge::commit(&served.own, &[first], &[("a/x", 1), ("b", 1)]);
    refused(served.push(&ada, "main", outside, false), "`b` may not be changed");
    let rehearsed = |commit| {
        let link = served.dial();
        let mut client = Client::new(&*link, &introduction("film", Some(&ada))).unwrap();
        let listing = client.listing(None, &Silent).unwrap();
        let name = RefName::branch("main").unwrap();
        let new = Some(*CommitId::digest(&commit));
        let update = Update { name, old: Some(*first.digest()), new, force: false };
        let request = PushRequest { updates: vec![update], dry_run: true, ..PushRequest::default() };
        client.push(&served.own, &request, &listing, &Silent)
    };
    refused(rehearsed(outside), "`b` may not be changed");
    assert_eq!(rehearsed(forge::commit(&served.own, &[first], &[("a/x", 9)])).unwrap().outcomes, [UpdateOutcome::Done]);
    let other = forge::commit(&served.own, &[], &[("a/x", 3)]);
    refused(served.push(&ada, "main", other, true), "takes no forced pushes");
    let bob = served.rig.token("bob", &["**"], 3, &[]);
    let second = forge::commit(&served.own, &[first], &[("a/x", 2)]);
    refused(served.push(&bob, "main", second, false), "protected");
    served.rig.hook("pre-receive", "echo not on Fridays; exit 1");
    refused(served.push(&ada, "main", second, false), "not on Fridays");
    served.rig.hook("pre-receive", "sleep 30");
    refused(served.push(&ada, "main", second, false), "took longer");
    let reader = served.rig.token("reader", &["film"], 1, &[]);
    let denied = served.push(&reader, "main", second, false).unwrap_err();
    assert!(matches!(&denied, SyncError::Peer(failure) if failure.code == ErrorCode::Denied), "{denied}");
    assert_eq!(served.branch("main"), Some(Target::Id(*first.digest())));
    assert_eq!(served.stop(), 0);
    assert_eq!(verify(&served.rig.root.audit(), None).unwrap().findings, []);
}

#[test]
fn a_quota_stops_a_push_that_would_not_fit() {
    let mut served = served(8, Duration::from_secs(20));
    let ada = served.rig.token("ada", &["film"], 3, &[]);
    served.configure("receive.maxSize = 300\n");
    let names: Vec<String> = (0..200).map(|i| format!("f{i:03}")).collect();
    let files: Vec<(&str, u8)> = names.iter().enumerate().map(|(i, name)| (name.as_str(), i as u8)).collect();
    let commit = forge::commit(&served.own, &[], &files);
    let error = served.push(&ada, "main", commit, false).unwrap_err();
    assert!(matches!(&error, SyncError::Peer(failure) if failure.code == ErrorCode::Limit), "{error}");
    assert_eq!(served.branch("main"), None);
    served.configure("receive.maxSize = '1M'\n");
    served.push(&ada, "main", commit, false).unwrap();
    assert_eq!(served.stop(), 0);
}

#[test]
fn a_token_revoked_during_a_push_moves_nothing() {
    let mut served = served(8, Duration::from_secs(20));
    let ada = served.rig.token("ada", &["film"], 3, &[]);
    let commit = forge::commit(&served.own, &[], &[("a", 1)]);
    let link = served.dial();
    let mut client = Client::new(&*link, &introduction("film", Some(&ada))).unwrap();
    let listing = client.listing(None, &Silent).unwrap();
    served.rig.tokens().revoke("ada", 1).unwrap_or_else(|_| panic!("was valid"));
    let update =
        Update { name: RefName::branch("main").unwrap(), old: None, new: Some(*commit.digest()), force: false };
    let request = PushRequest { updates: vec![update], ..PushRequest::default() };
    refused(client.push(&served.own, &request, &listing, &Silent), "revoked");
    assert_eq!(served.branch("main"), None);
    drop(link);
    assert_eq!(served.stop(), 0);
}

#[test]
fn one_connection_too_many_is_told_so() {
    let mut served = served(1, Duration::from_secs(20));
    let first = served.dial();
    let mut client = Client::new(&*first, &introduction("open", None)).unwrap();
    client.listing(None, &Silent).unwrap();
    let attempt = || {
        let link = served.dial();
        Client::new(&*link, &introduction("open", None))?.listing(None, &Silent).map(drop)
    };
    // Inside a process the refusal can be there, and the link closed, before the client has said a word.
    let told = (0..100).find_map(|_| attempt().err().filter(|error| matches!(error, SyncError::Peer(_)))).unwrap();
    assert!(matches!(&told, SyncError::Peer(failure) if failure.code == ErrorCode::Busy), "{told}");
    assert!(told.to_string().contains("its limit"), "{told}");
    drop(first);
    let next = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        attempt().is_ok()
    });
    assert!(next);
    assert_eq!(served.stop(), 0);
}

#[test]
fn idle_clients_leave_at_once_and_transfers_may_end() {
    let mut served = served(8, Duration::from_secs(20));
    let ada = served.rig.token("ada", &["film"], 3, &[]);
    let commit = forge::commit(&served.own, &[], &[("a", 1)]);
    // A hook stands for a transfer that takes its time.
    served.rig.hook("pre-receive", "touch ../../../begun; sleep 0.5");
    let begun = served.rig.root.path().join("../begun");
    let idle = served.dial();
    let mut client = Client::new(&*idle, &introduction("film", Some(&ada))).unwrap();
    client.listing(None, &Silent).unwrap();
    let begin = Instant::now();
    let left = std::thread::scope(|scope| {
        let link = served.dial();
        let (own, secret) = (&served.own, &ada);
        let pushing = scope.spawn(move || {
            let mut client = Client::new(&*link, &introduction("film", Some(secret))).unwrap();
            let listing = client.listing(None, &Silent).unwrap();
            let name = RefName::branch("main").unwrap();
            let update = Update { name, old: None, new: Some(*commit.digest()), force: false };
            let request = PushRequest { updates: vec![update], ..PushRequest::default() };
            client.push(own, &request, &listing, &Silent)
        });
        while !begun.exists() {
            assert!(begin.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        served.rig.host.services.stopping.store(true, Ordering::Relaxed);
        let outcome = pushing.join().unwrap().unwrap();
        assert_eq!(outcome.outcomes, [UpdateOutcome::Done]);
        served.running.take().unwrap().join().unwrap()
    });
    assert_eq!(left, 0);
    assert!(begin.elapsed() < Duration::from_secs(15));
    assert!(client.listing(None, &Silent).is_err());
    assert_eq!(served.branch("main"), Some(Target::Id(*commit.digest())));
}

#[test]
fn a_clone_reads_what_was_pushed() {
    let mut served = served(8, Duration::from_secs(20));
    let ada = served.rig.token("ada", &["film"], 3, &[]);
    let commit = forge::commit(&served.own, &[], &[("a", 1), ("b/c", 2)]);
    served.push(&ada, "main", commit, false).unwrap();
    served.configure("server.anonymousRead = true\n");
    let dir = tempfile::tempdir().unwrap();
    let options = InitOptions { branch: "main".into(), bare: true };
    let (copy, _) = Repository::init(dir.path(), &options, &Environment::default()).unwrap();
    let link = served.dial();
    let mut client = Client::new(&*link, &introduction("film", None)).unwrap();
    let listing = client.listing(None, &Silent).unwrap();
    let wants = listing.refs.iter().map(|(_, id)| *id).collect();
    client.fetch(&copy, FetchRequest { wants, ..FetchRequest::default() }, &Silent).unwrap();
    assert!(dits_core::commit::Commit::read(copy.store(), commit).is_ok());
    drop(link);
    assert_eq!(served.stop(), 0);
    let text = served.rig.host.services.metrics.text();
    assert!(text.contains("dits_requests_total{request=\"fetch\"} 1"), "{text}");
    let log = std::fs::read_to_string(AuditLog::file(&served.rig.root.audit())).unwrap();
    assert!(log.contains("\"event\":\"fetch\"") && log.contains("\"who\":\"anonymous\""), "{log}");
}
