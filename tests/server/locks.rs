//! Locks that several servers keep in Redis.

use dits_core::lock::{CloneId, FileVersion, LockKind, Release};
use dits_core::path::RepoPath;
use dits_core::progress::Silent;
use dits_core::refs::RefName;
use dits_sync::SyncError;
use dits_sync::client::{Ask, Client, LockOutcome, LockRefusal, LockRequest, Place};
use dits_sync::link::Carrier;
use dits_testkit::{Background, Redis};

use crate::rig::{Rig, SOON};
use crate::sharing::{address, introduction, own, try_dial};

/// Talks to a server as the bearer of a token.
fn talk<T>(rig: &Rig, server: &mut Background, token: &str, talk: impl FnOnce(&mut Client<'_>) -> T) -> T {
    let link = try_dial(rig, &address(server), Carrier::Tcp).unwrap();
    talk(&mut Client::new(&*link, &introduction("film", Some(token))).unwrap())
}

fn lock(client: &mut Client<'_>, clone: u8, path: &str) -> Result<LockOutcome, SyncError> {
    let versions = Vec::<Option<FileVersion>>::from([None]);
    let ask = Ask { path: RepoPath::parse(path.as_bytes()).unwrap(), versions, release: Release::Push };
    let request = LockRequest {
        place: Place { clone: CloneId([clone; 16]), host: "ws".to_owned(), folder: "/film".to_owned() },
        paths: vec![ask],
        kind: LockKind::Exclusive,
        only: None,
        upstream: Some(RefName::branch("main").unwrap()),
        reason: String::new(),
        lease: None,
        all: true,
    };
    Ok(client.lock(request, &Silent)?.remove(0))
}

#[test]
fn two_servers_share_a_folder_and_its_locks() {
    let mut redis = Redis::start("--requirepass geheim");
    let rig = Rig::new();
    rig.run("repo create film").ok();
    let [ada, bob] = ["ada", "bob"].map(|name| rig.token(name, "--repository film --allow read,write,lock"));
    std::fs::write(rig.root("password"), "geheim\n").unwrap();
    let settings = format!("[locks]\nstore = '{}'\npasswordFile = '{}'\n", redis.url(), rig.root("password").display());
    std::fs::write(rig.root("server.toml"), settings).unwrap();
    let mut servers = [(); 2].map(|()| rig.serve(""));
    servers.iter_mut().for_each(|server| drop(server.wait_for("serving on ", SOON)));
    rig.run("serve --locks embedded --listen 127.0.0.1:0").exits(4).warns("is being served already");

    let [one, other] = &mut servers;
    let seen = talk(&rig, other, &bob, |bob| bob.locks(None, 0, &Silent).unwrap());
    std::thread::scope(|scope| {
        let (rig, bob) = (&rig, &bob);
        let heard = scope.spawn(move || {
            let table = talk(rig, other, bob, |bob| bob.locks(Some(&seen.stamp), 60, &Silent).unwrap());
            (table, talk(rig, other, bob, |bob| lock(bob, 2, "take.MOV")))
        });
        assert!(matches!(talk(rig, one, &ada, |ada| lock(ada, 1, "Take.mov")), Ok(LockOutcome::Locked(_))));
        let (table, refused) = heard.join().unwrap();
        assert_eq!(table.locks.iter().map(|lock| &*lock.holder.name).collect::<Vec<_>>(), ["ada"]);
        assert!(matches!(refused, Ok(LockOutcome::Refused(LockRefusal::Held(lock))) if lock.holder.name == "ada"));
    });

    // Both push, and what nobody has to lock goes on without Redis.
    let [one, other] = &mut servers;
    let work = own();
    let first = work.commit("notes.txt", b"1");
    talk(&rig, one, &ada, |ada| work.push_to(ada, "main", first).unwrap());
    redis.kill();
    let second = work.commit("notes.txt", b"2");
    talk(&rig, other, &bob, |bob| work.push_to(bob, "main", second).unwrap());
    let refused = talk(&rig, other, &bob, |bob| lock(bob, 2, "other.mov").unwrap_err().to_string());
    assert!(refused.contains("the lock store of the server cannot be used"), "{refused}");
    rig.run("repo rm film --yes").exits(5).warns("its locks cannot be forgotten");
    redis.begin();
    // It has forgotten everything, and ada's token is worth nothing any more.
    let begin = std::time::Instant::now();
    while !matches!(talk(&rig, other, &bob, |bob| lock(bob, 2, "take.mov")), Ok(LockOutcome::Locked(fence)) if fence.epoch > 1)
    {
        assert!(begin.elapsed() < SOON);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for server in servers {
        let log = server.terminate(SOON).ok().err();
        assert!(log.contains("redis://127.0.0.1") && !log.contains("geheim"), "{log}");
    }
    assert_eq!(rig.json("audit verify")["intact"], true);
    rig.run("repo rm film --yes").ok();
    assert_eq!(redis.command("-a geheim --no-auth-warning DBSIZE"), "0");
}

#[test]
fn a_lock_store_that_is_none_is_told_without_the_password() {
    let rig = Rig::new();
    for (store, why) in [("redis://:geheim@", "has no host"), ("mysql://ada:geheim@host", "another scheme")] {
        let refused = rig.run(&format!("serve --listen 127.0.0.1:0 --locks {store}")).exits(2).warns(why);
        assert!(!refused.err().contains("geheim"), "{refused}");
    }
}
