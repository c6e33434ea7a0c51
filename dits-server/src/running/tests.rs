//! Whole conversations, over links inside the process.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dits_core::object::CommitId;
use dits_core::progress::Silent;
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::repo::{Environment, InitOptions, Repository};
use dits_sync::SyncError;
use dits_sync::client::{Client, FetchRequest, Introduction, PushRequest, PushedRefs, Update, UpdateOutcome};
use dits_sync::link::{Lane, Link, pair};
use dits_sync::wire::{ErrorCode, Features, Fetch, Hello, Limits, Message, PROTOCOL, Push};

use super::{Door, run};
use crate::audit::{AuditLog, verify};
use crate::forge;
use crate::limits::Doors;
use crate::rig::{Rig, rig_with};
use crate::token::Secret;

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
    let rig = rig_with(Duration::from_secs(60), Duration::from_secs(60));
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

#[test]
fn what_moved_is_in_the_books_before_anybody_hears_of_it() {
    let mut served = served(8, Duration::from_secs(20));
    let ada = served.rig.token("ada", &["film"], 3, &[]);
    let log = AuditLog::file(&served.rig.root.audit());
    served.rig.hook("post-receive", "cat ../../audit/log");
    let first = forge::commit(&served.own, &[], &[("a", 1)]);
    let pushed = served.push(&ada, "main", first, false).unwrap();
    assert!(pushed.text.contains("\"event\":\"push\"") && pushed.text.contains(&first.to_string()), "{}", pushed.text);

    // An error stops one ref, and what moved besides it is in the books.
    served.rig.hook("pre-receive", "echo no ref >refs/branches/b");
    let link = served.dial();
    let mut client = Client::new(&*link, &introduction("film", Some(&ada))).unwrap();
    let listing = client.listing(None, &Silent).unwrap();
    let new = |name: &str| {
        let (name, new) = (RefName::branch(name).unwrap(), Some(*first.digest()));
        Update { name, old: None, new, force: false }
    };
    let request = PushRequest { updates: vec![new("b"), new("c")], ..PushRequest::default() };
    let pushed = client.push(&served.own, &request, &listing, &Silent).unwrap();
    assert!(matches!(&pushed.outcomes[..], [UpdateOutcome::Refused(_), UpdateOutcome::Done]), "{:?}", pushed.outcomes);
    let last = std::fs::read_to_string(&log).unwrap().lines().last().unwrap().to_owned();
    assert!(last.contains("\"moved\":[{\"ref\":\"refs/branches/c\"") && last.contains("\"refused\":[{"), "{last}");
    let film = served.rig.root.repositories().join("film.dits");
    std::fs::remove_file(film.join("refs/branches/b")).unwrap();
    std::fs::remove_file(film.join("hooks/pre-receive")).unwrap();

    // A log that was tampered with takes no more pushes.
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replace("token ada", "token eve")).unwrap();
    let second = forge::commit(&served.own, &[first], &[("a", 2)]);
    let error = served.push(&ada, "main", second, false).unwrap_err();
    assert!(error.to_string().contains("cannot continue its audit log"), "{error}");
    assert_eq!(served.branch("main"), Some(Target::Id(*first.digest())));
    served.stop();
}

#[test]
fn a_fetch_that_the_client_never_confirms_was_a_read() {
    let mut served = served(8, Duration::from_secs(20));
    let ada = served.rig.token("ada", &["film"], 3, &[]);
    let first = forge::commit(&served.own, &[], &[("a", 1)]);
    served.push(&ada, "main", first, false).unwrap();
    let link = served.dial();
    let mut client = Client::new(&*link, &introduction("film", Some(&ada))).unwrap();
    client.listing(None, &Silent).unwrap();
    let fetch = Fetch {
        wants: vec![*first.digest()],
        haves: Vec::new(),
        more: false,
        shallow: Vec::new(),
        depth: 0,
        held: None,
    };
    link.send(Lane::Control, Message::Fetch(fetch).encode()).unwrap();
    while !matches!(Message::decode(&link.recv(Duration::from_secs(20)).unwrap().1), Ok(Some(Message::Sent(_)))) {}
    drop(client);
    drop(link);
    served.stop();
    let log = std::fs::read_to_string(AuditLog::file(&served.rig.root.audit())).unwrap();
    assert!(log.contains("\"event\":\"fetch\"") && log.contains("broken off"), "{log}");
}

#[test]
fn a_hook_does_not_survive_the_server() {
    let mut served = served(8, Duration::ZERO);
    let ada = served.rig.token("ada", &["film"], 3, &[]);
    let film = served.rig.root.repositories().join("film.dits");
    served.rig.hook("pre-receive", "sleep 63.5 & echo $$ $! >pids; mv pids begun; wait");
    let first = forge::commit(&served.own, &[], &[("a", 1)]);
    let link = served.dial();
    let pushed = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| served.push_over(&*link, &ada, "main", first, false));
        while !film.join("begun").exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        served.rig.host.services.stopping.store(true, Ordering::Relaxed);
        pushing.join().unwrap()
    });
    refused(pushed, "its hook was ended");
    assert_eq!((served.branch("main"), served.stop()), (None, 0));
    let pids = std::fs::read_to_string(film.join("begun")).unwrap();
    assert_eq!(pids.split_whitespace().filter(|pid| lives(pid)).count(), 0);
}

/// Whether a process lives; a zombie does not.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_branch_that_a_worktree_switched_to_meanwhile_stays() {
    let mut served = served(8, Duration::from_secs(20));
    let ada = served.rig.token("ada", &["film"], 3, &[]);
    let first = forge::commit(&served.own, &[], &[("a", 1)]);
    served.push(&ada, "topic", first, false).unwrap();
    // What `switch topic` in a worktree beside it does, while the hook runs.
    let dir = tempfile::tempdir().unwrap();
    let name = RefName::branch("topic").unwrap();
    let film = served.rig.host.repositories.open(&crate::repo_name::RepoName::parse("film").unwrap()).unwrap();
    let head = Target::Id(*first.digest());
    let worktree = film.add_worktree(&dir.path().join("w"), head, &Environment::default()).unwrap();
    let repository = served.rig.root.repositories().join("film.dits");
    served.rig.hook("pre-receive", "touch begun; while [ ! -e go ]; do sleep 0.01; done");
    let second = forge::commit(&served.own, &[first], &[("a", 2)]);
    let pushed = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| served.push(&ada, "topic", second, false));
        while !repository.join("begun").exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let on_topic = RefEdit::set(RefName::head(), Expected::Any, Target::Symbolic(name));
        worktree.refs().transaction(vec![on_topic]).unwrap();
        std::fs::write(repository.join("go"), "").unwrap();
        pushing.join().unwrap()
    });
    refused(pushed, "it is checked out in");
    assert_eq!(served.branch("topic"), Some(Target::Id(*first.digest())));
    served.stop();
}

#[test]
fn who_has_left_does_not_wait_for_a_turn() {
    let mut served = served(8, Duration::from_secs(20));
    let ada = served.rig.token("ada", &["film"], 3, &[]);
    let _first = served.rig.host.services.turns.wait("film", &|| None).unwrap();
    let waiting = || served.rig.host.services.metrics.waiting.get();
    let link = served.dial();
    link.send(Lane::Control, Message::Hello(hello(&ada)).encode()).unwrap();
    let commit = forge::commit(&served.own, &[], &[("a", 1)]);
    let new = Some(*commit.digest());
    let update = Update { name: RefName::branch("main").unwrap(), old: None, new, force: false };
    let (haves, unrelated) = (Vec::new(), true);
    let push = Push { updates: vec![update], haves, unrelated, atomic: false, dry_run: false };
    link.send(Lane::Control, Message::Push(push).encode()).unwrap();
    for count in [1, 0] {
        let begin = Instant::now();
        while waiting() != count {
            assert!(begin.elapsed() < Duration::from_secs(60), "{} wait", waiting());
            std::thread::sleep(Duration::from_millis(1));
        }
        if count == 1 {
            link.close();
        }
    }
    assert_eq!(served.stop(), 0);
}

fn hello(token: &Secret) -> Hello {
    Hello {
        protocol: PROTOCOL,
        agent: "test".into(),
        features: Features::ALL,
        limits: Limits::default(),
        repository: "film".into(),
        token: Some(token.reveal().to_owned()),
    }
}
