//! Two artists and a server that keeps their locks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dits_core::commit::Commit;
use dits_core::lock::{CloneId, Fence, FileVersion, Holder, Lock, LockKind, Release};
use dits_core::object::{CommitId, Digest};
use dits_core::path::RepoPath;
use dits_core::progress::Silent;
use dits_core::refs::RefName;
use dits_core::signature::Signature;
use dits_core::tree::Tree;
use dits_sync::client::{
    Ask, Client, Introduction, LockOutcome, LockRefusal, LockRequest, LockTable, Place, PushRequest, Token,
    UnlockOutcome, UnlockRequest, Update, UpdateOutcome,
};
use dits_sync::locks::{EmbeddedLocks, LockStore, Locks};
use dits_sync::server::LocalHost;

use crate::rig::Rig;

/// Somebody with a clone.
struct Artist {
    name: &'static str,
    rig: Rig,
    clone: u8,
    tokens: RefCell<HashMap<&'static str, Fence>>,
    /// Whether locks stay when a change has been pushed.
    keeps: Cell<bool>,
}

impl Artist {
    fn new(name: &'static str, clone: u8) -> Self {
        Self { name, rig: Rig::new(), clone, tokens: RefCell::default(), keeps: Cell::new(false) }
    }

    fn place(&self) -> Place {
        let folder = self.rig.dir.path().display().to_string();
        Place { clone: CloneId([self.clone; 16]), host: "ws".to_owned(), folder }
    }

    fn host(&self, server: &Rig) -> LocalHost {
        LocalHost::new(server.reopen(), self.name.to_owned(), String::new())
    }

    fn talk<T>(&self, server: &Rig, talk: impl FnOnce(&mut Client<'_>) -> T) -> T {
        server.serve_as(&self.host(server), |link| talk(&mut Client::new(link, &Introduction::default()).unwrap()))
    }

    /// What a file is in the artist's branch, and was before the last commit there.
    fn versions(&self, branch: &str, path: &str) -> Vec<Option<FileVersion>> {
        let store = self.rig.repo.store();
        let tip = Commit::read(store, CommitId::from_digest(self.rig.branch(branch).unwrap())).unwrap();
        let before = tip.parents.iter().map(|parent| Commit::read(store, *parent).unwrap().tree);
        let entry = |tree| Tree::at_path(store, tree, &at(path)).unwrap();
        [tip.tree].into_iter().chain(before).map(|tree| entry(tree).as_ref().map(FileVersion::of)).collect()
    }

    fn request(&self, branch: &str, paths: &[&str]) -> LockRequest {
        let ask = |path: &&str| Ask { path: at(path), versions: self.versions(branch, path), release: Release::Push };
        LockRequest {
            place: self.place(),
            paths: paths.iter().map(ask).collect(),
            kind: LockKind::Exclusive,
            only: None,
            upstream: Some(RefName::branch(branch).unwrap()),
            reason: "light".to_owned(),
            lease: None,
            all: true,
        }
    }

    fn ask(&self, server: &Rig, request: LockRequest) -> Vec<LockOutcome> {
        self.talk(server, |client| client.lock(request, &Silent).unwrap())
    }

    /// Locks one file of `main`, and keeps the token.
    fn lock(&self, server: &Rig, path: &'static str) -> Result<Fence, LockRefusal> {
        self.lock_as(server, path, self.request("main", &[path]))
    }

    fn lock_as(&self, server: &Rig, path: &'static str, request: LockRequest) -> Result<Fence, LockRefusal> {
        match self.ask(server, request).remove(0) {
            LockOutcome::Locked(fence) => {
                self.tokens.borrow_mut().insert(path, fence);
                Ok(fence)
            }
            LockOutcome::Refused(refusal) => Err(refusal),
            LockOutcome::NotDone => panic!("only one was asked for"),
        }
    }

    fn unlock(&self, server: &Rig, path: &str, force: bool) -> UnlockOutcome {
        let request = UnlockRequest { place: self.place(), paths: vec![at(path)], force };
        self.talk(server, |client| client.unlock(request, &Silent).unwrap()).remove(0)
    }

    fn table(&self, server: &Rig) -> LockTable {
        self.talk(server, |client| client.locks(None, 0, &Silent).unwrap())
    }

    fn push(&self, server: &Rig, branch: &str) -> UpdateOutcome {
        self.push_all(server, branch, false).0
    }

    fn push_all(&self, server: &Rig, branch: &str, force: bool) -> (UpdateOutcome, String) {
        self.talk(server, |client| {
            let listing = client.listing(None, &Silent).unwrap();
            let keep = self.keeps.get();
            let token = |(path, fence): (&&str, &Fence)| Token { path: at(path), fence: *fence, keep };
            let tokens = self.tokens.borrow().iter().map(token).collect();
            let updates = vec![self.rig.update(&listing, branch, force)];
            let request = PushRequest { updates, tokens: Some((self.place(), tokens)), ..PushRequest::default() };
            let mut pushed = client.push(&self.rig.repo, &request, &listing, &Silent).unwrap();
            (pushed.outcomes.remove(0), pushed.text)
        })
    }

    /// Takes the server's `main` for its own.
    fn pull(&self, server: &Rig) -> &Self {
        self.rig.fetch(server).unwrap();
        let tip = self.rig.branch_of_origin();
        self.rig.set("refs/branches/main", tip);
        self.rig.check_out_main();
        self
    }
}

fn at(path: &str) -> RepoPath {
    RepoPath::parse(path.as_bytes()).unwrap()
}

/// Who holds what.
fn held(table: &LockTable) -> Vec<(String, String)> {
    let mut held: Vec<_> = table.locks.iter().map(|l| (l.path.to_string(), l.holder.name.clone())).collect();
    held.sort();
    held
}

fn against(outcome: UpdateOutcome) -> Vec<(RepoPath, LockRefusal)> {
    match outcome {
        UpdateOutcome::Locked(against) => against,
        other => panic!("{other:?}"),
    }
}

fn holder(refusal: LockRefusal) -> Lock {
    match refusal {
        LockRefusal::Held(lock) => *lock,
        other => panic!("{other:?}"),
    }
}

/// A server with a level, and Ada and Ben with clones of it.
fn studio() -> (Rig, Artist, Artist) {
    let (server, ada, ben) = (Rig::bare(), Artist::new("ada", 1), Artist::new("ben", 2));
    ada.rig.write("Level_01.umap", b"one").write("Level_02.umap", b"two").write("notes.txt", b"hello").commit("one");
    assert_eq!(ada.push(&server, "main"), UpdateOutcome::Done);
    ben.pull(&server);
    (server, ada, ben)
}

#[test]
fn of_two_artists_one_edits() {
    let (server, ada, ben) = studio();
    ada.lock(&server, "Level_01.umap").unwrap();
    let lock = holder(ben.lock(&server, "level_01.UMAP").unwrap_err());
    assert_eq!((&*lock.holder.name, &*lock.reason, &*lock.holder.host), ("ada", "light", "ws"));
    assert_eq!(lock.holder.folder, ada.place().folder);
    assert_eq!(held(&ben.table(&server)), [("Level_01.umap".to_owned(), "ada".to_owned())]);
    assert!(matches!(ben.unlock(&server, "Level_01.umap", false), UnlockOutcome::Held(_)));

    // Ben edits all the same, and another file.
    ben.rig.write("Level_01.umap", b"ben's").write("notes.txt", b"ben's").commit("mine");
    let refused = against(ben.push(&server, "main"));
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].0, at("Level_01.umap"));
    holder(refused[0].1.clone());
    ben.rig.set("refs/branches/topic", ben.rig.branch("main").unwrap());
    against(ben.push(&server, "topic"));
    assert_eq!(ben.push(&server, "main"), ben.push(&server, "main"), "nothing has changed");

    ada.rig.write("Level_01.umap", b"ada's").commit("light");
    assert_eq!(ada.push(&server, "main"), UpdateOutcome::Done);
    assert_eq!(held(&ada.table(&server)), [], "released by the push");
    assert_eq!(
        ben.lock(&server, "Level_01.umap").unwrap_err(),
        LockRefusal::Stale { branch: RefName::branch("main").unwrap() }
    );
    ben.pull(&server).lock(&server, "Level_01.umap").unwrap();
    ben.rig.write("Level_01.umap", b"ben's").commit("mine");
    assert_eq!(ben.push(&server, "main"), UpdateOutcome::Done);
    server.assert_sound();
}

#[test]
fn a_token_is_worth_something_once() {
    let (server, ada, ben) = studio();
    let old = ada.lock(&server, "Level_01.umap").unwrap();
    assert_eq!(ada.lock(&server, "Level_01.umap").unwrap(), old, "locking again is no other lock");
    ada.rig.write("Level_01.umap", b"ada's").commit("light");
    // Somebody who may everything takes it away.
    match ben.unlock(&server, "Level_01.umap", true) {
        UnlockOutcome::Unlocked(broken) => assert_eq!(broken[0].fence, old),
        other => panic!("{other:?}"),
    }
    assert_eq!(against(ada.push(&server, "main")), [(at("Level_01.umap"), LockRefusal::Token { own: None })]);
    let fence = ben.lock(&server, "Level_01.umap").unwrap();
    assert!(fence > old);
    holder(against(ada.push(&server, "main")).remove(0).1);
    assert_eq!(ben.unlock(&server, "Level_01.umap", false), UnlockOutcome::Unlocked(Vec::new()));
    assert_eq!(ben.unlock(&server, "Level_01.umap", false), UnlockOutcome::NotLocked);
    let new = ada.lock(&server, "Level_01.umap").unwrap();
    assert!(new > fence);
    ada.tokens.borrow_mut().insert("Level_01.umap", old);
    assert!(matches!(against(ada.push(&server, "main"))[0].1, LockRefusal::Token { own: Some(_) }));
    ada.tokens.borrow_mut().insert("Level_01.umap", new);
    assert_eq!(ada.push(&server, "main"), UpdateOutcome::Done);
}

#[test]
fn the_same_person_in_another_clone_is_another_holder() {
    let (server, ada, _) = studio();
    let home = Artist::new("ada", 3);
    home.pull(&server);
    ada.lock(&server, "Level_01.umap").unwrap();
    assert_eq!(holder(home.lock(&server, "Level_01.umap").unwrap_err()).holder.name, "ada");
    home.rig.write("Level_01.umap", b"at home").commit("home");
    holder(against(home.push(&server, "main")).remove(0).1);
    assert!(matches!(home.unlock(&server, "Level_01.umap", true), UnlockOutcome::Unlocked(_)));
    home.lock(&server, "Level_01.umap").unwrap();
    assert_eq!(home.push(&server, "main"), UpdateOutcome::Done);
}

#[test]
fn a_version_that_waits_for_the_main_line_is_retained() {
    let (server, ada, ben) = studio();
    let mut request = ada.request("main", &["Level_01.umap"]);
    request.paths[0].release = Release::Merge;
    ada.lock_as(&server, "Level_01.umap", request).unwrap();
    ada.rig.write("Level_01.umap", b"lit").commit("light");
    ada.rig.set("refs/branches/light", ada.rig.branch("main").unwrap());
    assert_eq!(ada.push(&server, "light"), UpdateOutcome::Done);
    let table = ada.table(&server);
    assert_eq!(table.locks[0].retained.as_ref().unwrap().branch, RefName::branch("light").unwrap());
    ada.tokens.borrow_mut().clear();

    // From the main line nobody may edit it; from the branch anybody may, one after the other.
    assert!(matches!(ben.lock(&server, "Level_01.umap").unwrap_err(), LockRefusal::Retained(_)));
    ben.rig.write("Level_01.umap", b"ben's").commit("mine");
    assert!(matches!(against(ben.push(&server, "main"))[0].1, LockRefusal::Retained(_)));
    let cy = Artist::new("cy", 4);
    cy.rig.fetch(&server).unwrap();
    cy.rig.set("refs/branches/main", ada.rig.branch("light").unwrap());
    cy.rig.check_out_main();
    let mut request = cy.request("main", &["Level_01.umap"]);
    (request.upstream, request.paths[0].release) = (Some(RefName::branch("light").unwrap()), Release::Merge);
    cy.lock_as(&server, "Level_01.umap", request).unwrap();
    cy.rig.write("Level_01.umap", b"lit again").commit("more light");
    cy.rig.set("refs/branches/light", cy.rig.branch("main").unwrap());
    assert_eq!(cy.push(&server, "light"), UpdateOutcome::Done);
    let table = cy.table(&server);
    assert_eq!((table.locks.len(), &*table.locks[0].holder.name), (1, "cy"), "the newer version stands for the older");

    // The change reaches the main line.
    assert_eq!(cy.push(&server, "main"), UpdateOutcome::Done);
    assert_eq!(held(&cy.table(&server)), []);
    ben.pull(&server).lock(&server, "Level_01.umap").unwrap();
}

#[test]
fn who_has_begun_another_change_keeps_the_lock() {
    let (server, ada, ben) = studio();
    let mut request = ada.request("main", &["Level_01.umap"]);
    request.paths[0].release = Release::Merge;
    let fence = ada.lock_as(&server, "Level_01.umap", request).unwrap();
    ada.rig.write("Level_01.umap", b"lit").commit("light");
    ada.rig.set("refs/branches/light", ada.rig.branch("main").unwrap());
    ada.keeps.set(true);
    assert_eq!(ada.push(&server, "light"), UpdateOutcome::Done);
    // It is retained for those who do not have it, and locked for those who do.
    let locks = ada.table(&server).locks;
    assert_eq!(locks.iter().filter(|lock| lock.retained.is_some()).count(), 1);
    assert_eq!(locks.iter().filter(|lock| lock.retained.is_none()).map(|lock| lock.fence).collect::<Vec<_>>(), [fence]);
    holder(ben.lock(&server, "Level_01.umap").unwrap_err());
    // What waits for the main line goes on waiting when the lock is given back.
    assert_eq!(ada.unlock(&server, "Level_01.umap", false), UnlockOutcome::Unlocked(Vec::new()));
    assert!(matches!(ben.lock(&server, "Level_01.umap").unwrap_err(), LockRefusal::Retained(_)));
    let mut request = ada.request("main", &["Level_01.umap"]);
    request.paths[0].release = Release::Merge;
    let fence = ada.lock_as(&server, "Level_01.umap", request).unwrap();
    ada.rig.write("Level_01.umap", b"lit more").commit("more light");
    assert_eq!(ada.push(&server, "main"), UpdateOutcome::Done);
    let locks = ada.table(&server).locks;
    assert_eq!(locks.iter().map(|lock| (lock.retained.clone(), lock.fence)).collect::<Vec<_>>(), [(None, fence)]);
    ada.rig.write("Level_01.umap", b"lit enough").commit("enough light");
    ada.keeps.set(false);
    assert_eq!(ada.push(&server, "main"), UpdateOutcome::Done);
    assert_eq!(held(&ada.table(&server)), []);
    ben.pull(&server).lock(&server, "Level_01.umap").unwrap();
}

#[test]
fn merging_what_others_have_pushed_is_no_change_of_theirs() {
    let (server, ada, ben) = studio();
    ada.rig.write("Level_01.umap", b"lit").commit("light");
    ada.rig.set("refs/branches/light", ada.rig.branch("main").unwrap());
    assert_eq!(ada.push(&server, "light"), UpdateOutcome::Done);
    ada.rig.set("refs/branches/main", ada.rig.branch("light").unwrap());
    ada.lock_as(&server, "Level_01.umap", LockRequest { upstream: None, ..ada.request("main", &["Level_01.umap"]) })
        .unwrap();
    // Ben brings Ada's branch to the main line while she goes on.
    ben.rig.fetch(&server).unwrap();
    ben.rig.set("refs/branches/main", ada.rig.branch("light").unwrap());
    assert_eq!(ben.push(&server, "main"), UpdateOutcome::Done);
    assert_eq!(held(&ben.table(&server)), [("Level_01.umap".to_owned(), "ada".to_owned())]);
    // But going back is one.
    ben.rig.set(
        "refs/branches/main",
        *Commit::read(ben.rig.repo.store(), CommitId::from_digest(ada.rig.branch("light").unwrap())).unwrap().parents
            [0]
        .digest(),
    );
    holder(against(ben.push_all(&server, "main", true).0).remove(0).1);
}

#[test]
fn scopes_and_kinds() {
    let (server, ada, ben) = studio();
    let (one, two) = (RefName::branch("one").unwrap(), RefName::branch("two").unwrap());
    let only = |artist: &Artist, branch: &RefName| LockRequest {
        only: Some(branch.clone()),
        upstream: None,
        ..artist.request("main", &["Level_01.umap"])
    };
    ada.lock_as(&server, "Level_01.umap", only(&ada, &one)).unwrap();
    holder(ben.lock_as(&server, "Level_01.umap", only(&ben, &one)).unwrap_err());
    holder(ben.lock(&server, "Level_01.umap").unwrap_err());
    ben.lock_as(&server, "Level_01.umap", only(&ben, &two)).unwrap();
    ben.rig.write("Level_01.umap", b"ben's").commit("mine");
    for branch in ["one", "two"] {
        ben.rig.set(&format!("refs/branches/{branch}"), ben.rig.branch("main").unwrap());
    }
    holder(against(ben.push(&server, "one")).remove(0).1);
    assert_eq!(ben.push(&server, "two"), UpdateOutcome::Done);
    assert_eq!(held(&ada.table(&server)), [("Level_01.umap".to_owned(), "ada".to_owned())]);

    let shared = |artist: &Artist| LockRequest { kind: LockKind::Shared, ..artist.request("main", &["Level_02.umap"]) };
    ada.lock_as(&server, "Level_02.umap", shared(&ada)).unwrap();
    ben.lock_as(&server, "Level_02.umap", shared(&ben)).unwrap();
    holder(ben.lock(&server, "Level_02.umap").unwrap_err());
    ben.rig.write("Level_02.umap", b"ben's").commit("mine");
    holder(against(ben.push(&server, "main")).remove(0).1);
    assert!(matches!(ada.unlock(&server, "Level_02.umap", false), UnlockOutcome::Unlocked(_)));
    ben.lock(&server, "Level_02.umap").unwrap();
}

#[test]
fn all_or_none_and_what_a_folder_has() {
    let (server, ada, ben) = studio();
    ada.lock(&server, "Level_01.umap").unwrap();
    let paths = ["Level_02.umap", "Level_01.umap", "new.umap"];
    let outcomes = ben.ask(&server, ben.request("main", &paths));
    assert!(matches!(
        &outcomes[..],
        [LockOutcome::NotDone, LockOutcome::Refused(LockRefusal::Held(_)), LockOutcome::NotDone]
    ));
    assert_eq!(held(&ben.table(&server)).len(), 1);
    let outcomes = ben.ask(&server, LockRequest { all: false, ..ben.request("main", &paths) });
    assert!(
        matches!(&outcomes[..], [LockOutcome::Locked(a), LockOutcome::Refused(_), LockOutcome::Locked(b)] if a == b)
    );
    assert_eq!(held(&ben.table(&server)).len(), 3);
}

#[test]
fn the_table_is_told_in_changes() {
    let (server, ada, ben) = studio();
    ada.lock(&server, "Level_01.umap").unwrap();
    let all = ben.table(&server);
    assert!(all.whole && all.you == "ben");
    let since = |stamp: &_, wait| ben.talk(&server, |client| client.locks(Some(stamp), wait, &Silent).unwrap());
    let same = since(&all.stamp, 0);
    assert!(!same.whole && same.changed.is_empty() && same.stamp == all.stamp);
    ada.lock(&server, "Level_02.umap").unwrap();
    ada.unlock(&server, "Level_01.umap", false);
    let news = since(&all.stamp, 60);
    assert!(!news.whole);
    assert_eq!((news.changed.len(), held(&news)), (2, vec![("Level_02.umap".to_owned(), "ada".to_owned())]));
    let waits = std::time::Instant::now();
    assert_eq!(since(&news.stamp, 1).stamp, news.stamp);
    assert!(waits.elapsed().as_millis() >= 900);
    let host = ben.host(&server);
    let news = server.serve_as(&host, |link| {
        let mut client = Client::new(link, &Introduction::default()).unwrap();
        client.welcome(&Silent).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(move || client.locks(Some(&news.stamp), 60, &Silent).unwrap());
            std::thread::sleep(std::time::Duration::from_millis(200));
            ada.lock(&server, "Level_01.umap").unwrap();
            waiter.join().unwrap()
        })
    });
    assert_eq!(held(&news), [("Level_01.umap".to_owned(), "ada".to_owned())]);
}

#[test]
fn a_store_that_forgot_makes_every_token_stale() {
    let (server, ada, ben) = studio();
    let old = ada.lock(&server, "Level_01.umap").unwrap();
    fs::remove_dir_all(server.repo.layout().common.join("locks")).unwrap();
    ben.lock(&server, "Level_02.umap").unwrap();
    ada.rig.write("Level_01.umap", b"ada's").commit("light");
    assert_eq!(against(ada.push(&server, "main")), [(at("Level_01.umap"), LockRefusal::Token { own: None })]);
    let new = ada.lock(&server, "Level_01.umap").unwrap();
    assert!(new.epoch > old.epoch, "{old} {new}");
    assert_eq!(ada.push(&server, "main"), UpdateOutcome::Done);
}

#[test]
fn lockable_files_want_a_lock() {
    let (server, ada, ben) = studio();
    ada.rig.write(".ditsattributes", b"*.umap lockable\n").commit("rules");
    assert_eq!(ada.push_all(&server, "main", false), (UpdateOutcome::Done, String::new()));
    ada.rig.write("Level_01.umap", b"ada's").write("notes.txt", b"ada's").commit("light");
    let (outcome, text) = ada.push_all(&server, "main", false);
    assert_eq!(outcome, UpdateOutcome::Done);
    assert_eq!(text, "warning: Level_01.umap is lockable, and was pushed without a lock");
    fs::write(server.repo.layout().config(), "lock.require = true\n").unwrap();
    ben.pull(&server).rig.write("Level_01.umap", b"ben's").write("new.umap", b"ben's").commit("mine");
    let refused = against(ben.push(&server, "main"));
    assert_eq!(refused, [(at("Level_01.umap"), LockRefusal::NotLocked)], "nobody waits for a file that is new");
    ben.lock(&server, "Level_01.umap").unwrap();
    assert_eq!(ben.push_all(&server, "main", false), (UpdateOutcome::Done, String::new()));
}

#[test]
fn a_move_takes_the_lock_with_it() {
    let (server, ada, ben) = studio();
    let mut request = ada.request("main", &["Level_01.umap"]);
    request.paths[0].release = Release::Manual;
    ada.lock_as(&server, "Level_01.umap", request).unwrap();
    fs::rename(ada.rig.path("Level_01.umap"), ada.rig.path("Moved.umap")).unwrap();
    ada.rig.commit("moved");
    assert_eq!(ada.push(&server, "main"), UpdateOutcome::Done);
    let both = [("Level_01.umap".to_owned(), "ada".to_owned()), ("Moved.umap".to_owned(), "ada".to_owned())];
    assert_eq!(held(&ben.table(&server)), both);
    holder(ben.pull(&server).lock(&server, "Moved.umap").unwrap_err());
}

#[test]
fn no_way_around_leads_past_a_lock() {
    let (server, ada, ben) = studio();
    ada.lock(&server, "Level_01.umap").unwrap();
    ben.rig.write("Level_01.umap", b"ben's").commit("mine");
    // A tag brings the commit to the server, but no branch has it by that.
    let mine = ben.rig.branch("main").unwrap();
    ben.talk(&server, |client| {
        let listing = client.listing(None, &Silent).unwrap();
        let tag = Update { name: RefName::parse("refs/tags/t").unwrap(), old: None, new: Some(mine), force: false };
        let request = PushRequest { updates: vec![tag], ..PushRequest::default() };
        assert_eq!(client.push(&ben.rig.repo, &request, &listing, &Silent).unwrap().outcomes, [UpdateOutcome::Done]);
    });
    holder(against(ben.push(&server, "main")).remove(0).1);

    // A lock of one branch is not passed by way of another.
    let main = RefName::branch("main").unwrap();
    ada.unlock(&server, "Level_01.umap", false);
    let only = LockRequest { only: Some(main), ..ada.request("main", &["Level_01.umap"]) };
    ada.lock_as(&server, "Level_01.umap", only).unwrap();
    ben.rig.set("refs/branches/topic", mine);
    assert_eq!(ben.push(&server, "topic"), UpdateOutcome::Done);
    holder(against(ben.push(&server, "main")).remove(0).1);
    assert!(matches!(ada.unlock(&server, "Level_01.umap", false), UnlockOutcome::Unlocked(_)));
    assert_eq!(ben.push(&server, "main"), UpdateOutcome::Done);
}

#[test]
fn what_waits_on_a_branch_that_is_deleted_is_free() {
    let (server, ada, ben) = studio();
    let mut request = ada.request("main", &["Level_01.umap"]);
    request.paths[0].release = Release::Merge;
    ada.lock_as(&server, "Level_01.umap", request).unwrap();
    ada.rig.write("Level_01.umap", b"lit").commit("light");
    ada.rig.set("refs/branches/light", ada.rig.branch("main").unwrap());
    assert_eq!(ada.push(&server, "light"), UpdateOutcome::Done);
    assert!(matches!(ben.lock(&server, "Level_01.umap").unwrap_err(), LockRefusal::Retained(_)));
    let light = RefName::branch("light").unwrap();
    ada.talk(&server, |client| {
        let listing = client.listing(None, &Silent).unwrap();
        let gone = Update { old: listing.get(&light), name: light.clone(), new: None, force: false };
        let request = PushRequest { updates: vec![gone], ..PushRequest::default() };
        assert_eq!(client.push(&ada.rig.repo, &request, &listing, &Silent).unwrap().outcomes, [UpdateOutcome::Done]);
    });
    ben.lock(&server, "Level_01.umap").unwrap();
}

/// A commit of a tree with these parents, on `main`.
fn commit_tree(rig: &Rig, parents: &[Digest], like: Digest, moves: Vec<(RepoPath, RepoPath)>) -> Digest {
    let who = Signature::new("B", "b@x", 5_000, 0).unwrap();
    let tree = Commit::read(rig.repo.store(), CommitId::from_digest(like)).unwrap().tree;
    let parents = parents.iter().map(|id| CommitId::from_digest(*id)).collect();
    let writer = rig.repo.writer().unwrap();
    let mut commit = Commit::new(parents, tree, who.clone(), who, "m\n".to_owned());
    commit.moves = moves;
    let id = commit.write(&writer).unwrap();
    let finished = writer.finish().unwrap();
    rig.set("refs/branches/main", *id.digest());
    drop(finished);
    *id.digest()
}

#[test]
fn a_merge_takes_nothing_back_past_a_lock() {
    let (server, ada, ben) = studio();
    let first = ada.rig.branch("main").unwrap();
    ada.rig.write("Level_01.umap", b"two").commit("two");
    assert_eq!(ada.push(&server, "main"), UpdateOutcome::Done);
    let second = ada.rig.branch("main").unwrap();
    ada.lock(&server, "Level_01.umap").unwrap();
    ben.pull(&server);
    // Both parents are on the server, and the level is as one of them has it: the older one.
    commit_tree(&ben.rig, &[second, first], first, Vec::new());
    holder(against(ben.push(&server, "main")).remove(0).1);
    commit_tree(&ben.rig, &[second, first], second, Vec::new());
    assert_eq!(ben.push(&server, "main"), UpdateOutcome::Done);
}

#[test]
fn a_move_that_is_none_gives_no_lock() {
    let (server, ada, ben) = studio();
    let mut request = ben.request("main", &["Level_02.umap"]);
    request.paths[0].release = Release::Manual;
    ben.lock_as(&server, "Level_02.umap", request).unwrap();
    ada.lock(&server, "Level_01.umap").unwrap();
    let tip = ben.rig.branch("main").unwrap();
    commit_tree(&ben.rig, &[tip], tip, vec![(at("Level_02.umap"), at("Level_01.umap"))]);
    assert_eq!(ben.push(&server, "main"), UpdateOutcome::Done);
    let both = [("Level_01.umap".to_owned(), "ada".to_owned()), ("Level_02.umap".to_owned(), "ben".to_owned())];
    assert_eq!(held(&ben.table(&server)), both);
}

#[test]
fn a_branch_that_goes_and_comes_again_is_no_way_around() {
    let (server, ada, ben) = studio();
    let first = ada.rig.branch("main").unwrap();
    let dev = RefName::branch("dev").unwrap();
    ada.rig.write("Level_01.umap", b"two").commit("two");
    ada.rig.set("refs/branches/dev", ada.rig.branch("main").unwrap());
    assert_eq!(ada.push(&server, "dev"), UpdateOutcome::Done);
    let only = LockRequest { only: Some(dev.clone()), upstream: None, ..ada.request("main", &["Level_01.umap"]) };
    ada.lock_as(&server, "Level_01.umap", only.clone()).unwrap();
    let push = |new: Option<Digest>| {
        ben.talk(&server, |client| {
            let listing = client.listing(None, &Silent).unwrap();
            let update = Update { old: listing.get(&dev), name: dev.clone(), new, force: true };
            let request = PushRequest { updates: vec![update], ..PushRequest::default() };
            client.push(&ben.rig.repo, &request, &listing, &Silent).unwrap().outcomes.remove(0)
        })
    };
    holder(against(push(None)).remove(0).1);
    ada.unlock(&server, "Level_01.umap", false);
    assert_eq!(push(None), UpdateOutcome::Done);
    // The main line has the first version; on a branch that Ada has locked it cannot be made as anything else.
    ada.lock_as(&server, "Level_01.umap", only).unwrap();
    ben.rig.fetch(&server).unwrap();
    ben.rig.write("Level_01.umap", b"ben's").commit("mine");
    holder(against(push(ben.rig.branch("main"))).remove(0).1);
    assert_eq!(push(Some(first)), UpdateOutcome::Done);
}

#[test]
fn a_store_that_cannot_be_asked_lets_nothing_by_that_may_be_locked() {
    let (server, ada, ben) = studio();
    let note = server.repo.layout().common.join("locks/elsewhere");
    ben.rig.write("notes.txt", b"ben's").commit("mine");
    fs::create_dir_all(note.parent().unwrap()).unwrap();
    fs::write(&note, "redis://gone\n").unwrap();
    assert_eq!(ben.push(&server, "main"), UpdateOutcome::Done, "there never was a lock");
    fs::remove_file(&note).unwrap();
    ada.pull(&server).lock(&server, "Level_01.umap").unwrap();
    fs::write(&note, "redis://gone\n").unwrap();
    ben.rig.write("notes.txt", b"more").write("new.txt", b"new").commit("more");
    assert_eq!(against(ben.push(&server, "main")), [(at("notes.txt"), LockRefusal::Unknown)]);
    fs::remove_file(&note).unwrap();
    assert_eq!(ben.push(&server, "main"), UpdateOutcome::Done);
}

#[test]
fn leases_that_have_ended_are_forgotten_also_while_others_lock() {
    let (server, ada, ben) = studio();
    let now = Arc::new(AtomicI64::new(1_000_000));
    let clock = Arc::clone(&now);
    let folder = server.repo.layout().common.clone();
    let locks = Locks::new(Box::new(EmbeddedLocks::new(&folder)), Arc::new(move || clock.load(Ordering::SeqCst)));
    let holder = |artist: &Artist| {
        let Place { clone, host, folder } = artist.place();
        Holder { name: artist.name.to_owned(), clone, host, folder }
    };
    let lease = LockRequest { lease: Some(5), ..ada.request("main", &["Level_01.umap"]) };
    locks.lock(&server.repo, holder(&ada), lease).unwrap();
    let stored = || EmbeddedLocks::new(&folder).read(None).unwrap().records.len();
    assert_eq!(stored(), 1);
    for _ in 0..8 {
        now.fetch_add(10, Ordering::SeqCst);
        locks.lock(&server.repo, holder(&ben), ben.request("main", &["Level_02.umap"])).unwrap();
        let request = UnlockRequest { place: ben.place(), paths: vec![at("Level_02.umap")], force: false };
        locks.unlock(&server.repo, holder(&ben), request, false).unwrap();
    }
    assert_eq!(stored(), 0);
}
