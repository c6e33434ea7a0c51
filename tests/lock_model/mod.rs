//! Locks against a model: eight clients lock, renew, release, steal and push through two servers while leases end. What
//! each request must answer follows from a few lines of bookkeeping.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::thread;

use dits_core::commit::Commit;
use dits_core::lock::{CloneId, Fence, FileVersion, LockKind, Release};
use dits_core::object::{CommitId, Digest};
use dits_core::path::RepoPath;
use dits_core::progress::Silent;
use dits_core::refs::{Expected, RefEdit, RefName, RefStore, Target};
use dits_core::repo::{CommitOptions, Environment, InitOptions, Repository};
use dits_core::signature::Signature;
use dits_core::tree::Tree;
use dits_core::worktree::{AddOptions, Everything};
use dits_sync::client::{
    Ask, Client, Introduction, LockOutcome, LockRefusal, LockRequest, Place, PushRequest, Token, UnlockOutcome,
    UnlockRequest, Update, UpdateOutcome,
};
use dits_sync::link::pair;
use dits_sync::locks::{Clock, LockStore, Locks};
use dits_sync::server::{LocalHost, serve};
use dits_testkit::random::SplitMix64;

/// How many work at once.
const CLIENTS: usize = 8;
/// The files they work on.
const FILES: [&str; 4] = ["a.umap", "b.umap", "c.psd", "d.psd"];

/// Two servers of one repository, and a clone that makes commits.
struct World {
    _dir: tempfile::TempDir,
    servers: [Arc<Locks>; 2],
    bare: Repository,
    clone: Repository,
    now: Arc<AtomicI64>,
    /// How many commits there are.
    made: AtomicI64,
}

/// A request must have been answered with this.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Granted,
    Held,
    Stale,
    Token,
    NotLocked,
    Moved,
}

/// A lock as the model has it.
#[derive(Clone, Debug)]
struct Held {
    client: usize,
    shared: bool,
    expires: Option<i64>,
    fence: Fence,
}

/// What is true, and what clients believe.
#[derive(Default)]
struct Model {
    locks: BTreeMap<&'static str, Vec<Held>>,
    /// The token that a client last got for a file.
    tokens: BTreeMap<(usize, &'static str), Fence>,
    /// The newest token that anybody got for a file.
    newest: BTreeMap<&'static str, Fence>,
    /// The version of the project that a client works on.
    base: [Option<CommitId>; CLIENTS],
}

impl Model {
    fn live(&mut self, file: &'static str, now: i64) -> &mut Vec<Held> {
        let locks = self.locks.entry(file).or_default();
        locks.retain(|lock| lock.expires.is_none_or(|expires| expires > now));
        locks
    }
}

impl World {
    /// `store` opens the lock store of the repository in this folder; both servers open it.
    fn new(store: &dyn Fn(&Path) -> Box<dyn LockStore>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let environment = Environment { threads: 1, ..Environment::default() };
        let init = |name: &str, bare| {
            let options = InitOptions { branch: "main".into(), bare };
            Repository::init(&dir.path().join(name), &options, &environment).unwrap().0
        };
        let (bare, clone) = (init("bare", true), init("clone", false));
        let now = Arc::new(AtomicI64::new(1_000_000));
        let server = || {
            let now = Arc::clone(&now);
            let clock: Clock = Arc::new(move || now.load(Ordering::SeqCst));
            Arc::new(Locks::new(store(&bare.layout().common), clock))
        };
        let world = Self {
            servers: [server(), server()],
            bare,
            clone,
            now: Arc::clone(&now),
            made: AtomicI64::new(1),
            _dir: dir,
        };
        let first = world.commit(None, "a.umap", Some(b"0"));
        assert_eq!(world.push(0, 0, None, first, &BTreeMap::new()), UpdateOutcome::Done);
        world
    }

    fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    fn tip(&self) -> CommitId {
        match self.bare.refs().read(&RefName::branch("main").unwrap()).unwrap() {
            Some(Target::Id(id)) => CommitId::from_digest(id),
            other => panic!("{other:?}"),
        }
    }

    /// A version on `parent` in which one file is another, or gone.
    fn commit(&self, parent: Option<CommitId>, file: &str, content: Option<&[u8]>) -> CommitId {
        if let Some(parent) = parent {
            let edit = RefEdit::set(RefName::branch("main").unwrap(), Expected::Any, Target::Id(*parent.digest()));
            self.clone.refs().transaction(vec![edit]).unwrap();
            let tree = Commit::read(self.clone.store(), parent).unwrap().tree;
            self.clone.reset_hard(Some(tree), &Silent).unwrap();
        }
        let path = self.clone.layout().worktree.as_ref().unwrap().join(file);
        match content {
            Some(content) => std::fs::write(path, content).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
        self.clone.add(&Everything, AddOptions::default(), &Silent).unwrap();
        // No two commits are one, also where they do the same.
        let who = Signature::new("A", "a@b", self.made.fetch_add(1, Ordering::SeqCst), 0).unwrap();
        let (author, committer) = (who.clone(), who);
        let options = CommitOptions { author, committer, message: "m".into(), amend: false, allow_empty: true };
        self.clone.commit(&options).unwrap().id
    }

    /// The same as a merge of what was made on `base`.
    fn merge(&self, parent: CommitId, base: CommitId, file: &str, content: Option<&[u8]>) -> CommitId {
        let made = self.commit(Some(parent), file, content);
        let side = self.commit(Some(base), "side", Some(made.to_string().as_bytes()));
        let merged = Commit { parents: vec![parent, side], ..Commit::read(self.clone.store(), made).unwrap() };
        let writer = self.clone.writer().unwrap();
        let id = merged.write(&writer).unwrap();
        writer.finish().unwrap();
        id
    }

    fn version(&self, commit: CommitId, file: &str) -> Option<FileVersion> {
        let tree = Commit::read(self.clone.store(), commit).unwrap().tree;
        Tree::at_path(self.clone.store(), tree, &at(file)).unwrap().as_ref().map(FileVersion::of)
    }

    fn talk<T>(&self, server: usize, client: usize, talk: impl FnOnce(&mut Client<'_>) -> T) -> T {
        let environment = Environment { threads: 1, ..Environment::default() };
        let repository = Repository::open(self.bare.layout().clone(), &environment).unwrap();
        let locks = Arc::clone(&self.servers[server]);
        let host = LocalHost::with_locks(repository, locks, format!("client{client}"), String::new());
        let (near, far) = pair("model");
        thread::scope(|scope| {
            scope.spawn(move || serve(&far, &host));
            let result = talk(&mut Client::new(&near, &Introduction::default()).unwrap());
            drop(near);
            result
        })
    }

    fn push(
        &self,
        server: usize,
        client: usize,
        old: Option<CommitId>,
        new: CommitId,
        tokens: &BTreeMap<&'static str, Fence>,
    ) -> UpdateOutcome {
        let id = |commit: CommitId| -> Digest { *commit.digest() };
        let update =
            Update { name: RefName::branch("main").unwrap(), old: old.map(id), new: Some(id(new)), force: false };
        let tokens = tokens.iter().map(|(file, fence)| Token { path: at(file), fence: *fence, keep: false }).collect();
        let request =
            PushRequest { updates: vec![update], tokens: Some((place(client), tokens)), ..PushRequest::default() };
        self.talk(server, client, |talk| {
            let listing = talk.listing(None, &Silent).unwrap();
            talk.push(&self.clone, &request, &listing, &Silent).unwrap().outcomes.remove(0)
        })
    }

    fn lock(
        &self,
        server: usize,
        client: usize,
        base: CommitId,
        file: &str,
        shared: bool,
        lease: Option<u32>,
    ) -> LockOutcome {
        let ask = Ask { path: at(file), versions: vec![self.version(base, file)], release: Release::Manual };
        let request = LockRequest {
            place: place(client),
            paths: vec![ask],
            kind: if shared { LockKind::Shared } else { LockKind::Exclusive },
            only: None,
            upstream: Some(RefName::branch("main").unwrap()),
            reason: String::new(),
            lease,
            all: true,
        };
        self.talk(server, client, |talk| talk.lock(request, &Silent).unwrap().remove(0))
    }

    fn unlock(&self, server: usize, client: usize, file: &str, force: bool) -> UnlockOutcome {
        let request = UnlockRequest { place: place(client), paths: vec![at(file)], force };
        self.talk(server, client, |talk| talk.unlock(request, &Silent).unwrap().remove(0))
    }
}

fn place(client: usize) -> Place {
    Place { clone: CloneId([client as u8; 16]), host: "m".into(), folder: "f".into() }
}

fn at(file: &str) -> RepoPath {
    RepoPath::parse(file.as_bytes()).unwrap()
}

/// One request after the other, each answered as the model says.
pub fn in_order(store: &dyn Fn(&Path) -> Box<dyn LockStore>, seed: u64, requests: usize) {
    let (world, mut model, mut random) = (World::new(store), Model::default(), SplitMix64::new(seed));
    model.base = [Some(world.tip()); CLIENTS];
    let mut counts = BTreeMap::new();
    for step in 0..requests {
        let (server, client) = (random.below(2) as usize, random.below(CLIENTS as u64) as usize);
        let file = FILES[random.below(FILES.len() as u64) as usize];
        let (what, (expected, found)) = match random.below(100) {
            0..45 => ("lock", lock(&world, &mut model, &mut random, server, client, file)),
            45..60 => ("unlock", unlock(&world, &mut model, server, client, file, false)),
            60..65 => ("steal", unlock(&world, &mut model, server, client, file, true)),
            65..75 => {
                let how =
                    [How::Change, How::Change, How::Delete, How::Merge, How::MergeDelete][random.below(5) as usize];
                (how.name(), push(&world, &mut model, server, client, file, (how, step)))
            }
            75..90 => {
                model.base[client] = Some(world.tip());
                continue;
            }
            _ => {
                world.now.fetch_add(random.below(20) as i64, Ordering::SeqCst);
                continue;
            }
        };
        assert_eq!(found, expected, "seed {seed}, step {step}: {what} of {file} by {client} at server {server}");
        *counts.entry(format!("{what} {found:?}")).or_insert(0) += 1;
    }
    if requests >= 1000 {
        for seen in
            ["lock Granted", "lock Held", "lock Stale", "push Granted", "push Held", "push Token", "unlock Held"]
                .into_iter()
                .chain(["push of a merge Granted", "push of a merge Held", "deletion Granted", "deletion Held"])
        {
            assert!(counts.contains_key(seen), "never saw {seen}: {counts:?}");
        }
    }
}

fn lock(
    world: &World,
    model: &mut Model,
    random: &mut SplitMix64,
    server: usize,
    client: usize,
    file: &'static str,
) -> (Answer, Answer) {
    let (shared, lease) = (random.below(4) == 0, (random.below(2) == 0).then(|| 5 + random.below(30) as u32));
    let base = model.base[client].unwrap();
    let stale = world.version(base, file) != world.version(world.tip(), file);
    let now = world.now();
    let held = model.live(file, now).clone();
    let excluded = held.iter().any(|lock| lock.client != client && (!lock.shared || !shared));
    let expected = match (excluded, stale) {
        (true, _) => Answer::Held,
        (false, true) => Answer::Stale,
        (false, false) => Answer::Granted,
    };
    let found = match world.lock(server, client, base, file, shared, lease) {
        LockOutcome::Locked(fence) => {
            let before = held.iter().find(|lock| lock.client == client && lock.shared == shared).map(|lock| lock.fence);
            let newest = model.newest.insert(file, fence);
            match before {
                Some(before) => assert_eq!(fence, before, "renewing changes no token"),
                None => assert!(newest.is_none_or(|newest| fence > newest), "{fence} after {newest:?}"),
            }
            let held = model.live(file, now);
            held.retain(|lock| lock.client != client);
            held.push(Held { client, shared, expires: lease.map(|lease| now + i64::from(lease)), fence });
            model.tokens.insert((client, file), fence);
            Answer::Granted
        }
        LockOutcome::Refused(LockRefusal::Held(_)) => Answer::Held,
        LockOutcome::Refused(LockRefusal::Stale { .. }) => Answer::Stale,
        other => panic!("{other:?}"),
    };
    (expected, found)
}

fn unlock(
    world: &World,
    model: &mut Model,
    server: usize,
    client: usize,
    file: &'static str,
    force: bool,
) -> (Answer, Answer) {
    let held = model.live(file, world.now());
    let own = held.iter().any(|lock| lock.client == client);
    let expected = match (own, held.is_empty()) {
        (_, true) => Answer::NotLocked,
        (true, _) => Answer::Granted,
        (false, _) if force => Answer::Granted,
        (false, _) => Answer::Held,
    };
    if force {
        held.clear();
    } else {
        held.retain(|lock| lock.client != client);
    }
    let found = match world.unlock(server, client, file, force) {
        UnlockOutcome::Unlocked(_) => Answer::Granted,
        UnlockOutcome::NotLocked => Answer::NotLocked,
        UnlockOutcome::Held(_) => Answer::Held,
        other => panic!("{other:?}"),
    };
    (expected, found)
}

/// What a push does with a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Change,
    Delete,
    /// The client merges its version of the project with the newest one, and changes the file.
    Merge,
    MergeDelete,
}

impl How {
    fn name(self) -> &'static str {
        match self {
            Self::Change => "push",
            Self::Delete => "deletion",
            Self::Merge => "push of a merge",
            Self::MergeDelete => "deletion by a merge",
        }
    }
}

/// Pushes a change of one file with every token that the client ever got and believes in.
fn push(
    world: &World,
    model: &mut Model,
    server: usize,
    client: usize,
    file: &'static str,
    (how, step): (How, usize),
) -> (Answer, Answer) {
    let (tip, own_base) = (world.tip(), model.base[client].unwrap());
    let merges = matches!(how, How::Merge | How::MergeDelete);
    let base = if merges { tip } else { own_base };
    // What is not there cannot be deleted.
    let deletes = matches!(how, How::Delete | How::MergeDelete) && world.version(base, file).is_some();
    let held = model.live(file, world.now()).clone();
    let others = held.iter().any(|lock| lock.client != client);
    let token = model.tokens.get(&(client, file)).copied();
    let own = held.iter().find(|lock| lock.client == client).map(|lock| lock.fence);
    let expected = match () {
        () if base != tip => Answer::Moved,
        () if others => Answer::Held,
        () if own == token => Answer::Granted,
        () => Answer::Token,
    };
    let content = format!("{step}");
    let content = (!deletes).then_some(content.as_bytes());
    let new = match merges {
        true => world.merge(tip, own_base, file, content),
        false => world.commit(Some(base), file, content),
    };
    let tokens = model.tokens.iter().filter(|((whose, _), _)| *whose == client);
    let tokens = tokens.map(|((_, file), fence)| (*file, *fence)).collect();
    let found = match world.push(server, client, Some(base), new, &tokens) {
        UpdateOutcome::Done => Answer::Granted,
        UpdateOutcome::Changed => Answer::Moved,
        UpdateOutcome::Locked(against) => match &against[..] {
            [(path, refusal)] if *path == at(file) => match refusal {
                LockRefusal::Held(_) => Answer::Held,
                LockRefusal::Token { own: None } => Answer::Token,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    match found {
        Answer::Granted => model.base[client] = Some(new),
        // Whoever learns that a token is worth nothing forgets it.
        Answer::Token => drop(model.tokens.remove(&(client, file))),
        _ => {}
    }
    (expected, found)
}

/// All clients at once, each locking and unlocking: never two holders, and tokens that rise.
pub fn at_once(store: &dyn Fn(&Path) -> Box<dyn LockStore>, rounds: usize) {
    let world = World::new(store);
    let tip = world.tip();
    let versions: Vec<Option<FileVersion>> = FILES.iter().map(|file| world.version(tip, file)).collect();
    let inside: [AtomicU32; FILES.len()] = Default::default();
    let newest: [std::sync::Mutex<Fence>; FILES.len()] =
        std::array::from_fn(|_| std::sync::Mutex::new(Fence { epoch: 0, counter: 0 }));
    let (servers, bare) = (&world.servers, &world.bare);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (versions, inside, newest) = (&versions, &inside, &newest);
            scope.spawn(move || {
                let environment = Environment { threads: 1, ..Environment::default() };
                let repository = Repository::open(bare.layout().clone(), &environment).unwrap();
                let locks = &servers[client % 2];
                let mut random = SplitMix64::new(client as u64);
                let holder = |place: Place| dits_core::lock::Holder {
                    name: format!("client{client}"),
                    clone: place.clone,
                    host: place.host,
                    folder: place.folder,
                };
                for _ in 0..rounds {
                    let file = random.below(FILES.len() as u64) as usize;
                    let paths =
                        vec![Ask { path: at(FILES[file]), versions: vec![versions[file]], release: Release::Manual }];
                    let request = LockRequest {
                        place: place(client),
                        paths,
                        kind: LockKind::Exclusive,
                        only: None,
                        upstream: Some(RefName::branch("main").unwrap()),
                        reason: String::new(),
                        lease: None,
                        all: true,
                    };
                    match locks.lock(&repository, holder(place(client)), request).unwrap().remove(0) {
                        LockOutcome::Locked(fence) => {
                            assert_eq!(inside[file].fetch_add(1, Ordering::SeqCst), 0, "two hold {}", FILES[file]);
                            let mut newest = newest[file].lock().unwrap();
                            assert!(fence > *newest, "{fence} after {newest}");
                            *newest = fence;
                            drop(newest);
                            inside[file].fetch_sub(1, Ordering::SeqCst);
                            let request =
                                UnlockRequest { place: place(client), paths: vec![at(FILES[file])], force: false };
                            let unlocked = locks.unlock(&repository, holder(place(client)), request, false).unwrap();
                            assert_eq!(unlocked, [UnlockOutcome::Unlocked(Vec::new())]);
                        }
                        LockOutcome::Refused(LockRefusal::Held(_)) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
}
