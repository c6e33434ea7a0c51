//! What happens while a push or a fetch goes on: hooks, worktrees, clients that leave, the end of the server.

use dits_core::refs::{Expected, RefEdit};
use dits_sync::link::Lane;
use dits_sync::wire::{Features, Fetch, Hello, Limits, Message, PROTOCOL, Push};

use super::*;
use crate::rig::rig_with;

/// A server whose hooks and pushes have all the time they need.
fn patient(connections: usize, patience: Duration) -> Served {
    let long = Duration::from_secs(60);
    serve(rig_with(long, long), connections, patience)
}

#[test]
fn what_moved_is_in_the_books_before_anybody_hears_of_it() {
    let mut served = patient(8, Duration::from_secs(20));
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
    std::fs::write(&log, text.replace("token ada", "token evelyn")).unwrap();
    let second = forge::commit(&served.own, &[first], &[("a", 2)]);
    let error = served.push(&ada, "main", second, false).unwrap_err();
    assert!(error.to_string().contains("cannot continue its audit log"), "{error}");
    assert_eq!(served.branch("main"), Some(Target::Id(*first.digest())));
    served.stop();
}

#[test]
fn a_fetch_that_the_client_never_confirms_was_a_read() {
    let mut served = patient(8, Duration::from_secs(20));
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
    let mut served = patient(8, Duration::ZERO);
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
    let mut served = patient(8, Duration::from_secs(20));
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
    let mut served = patient(8, Duration::from_secs(20));
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
