//! How many lock operations a server takes, and how long one is.
//!
//!     lock_load server dits://127.0.0.1:5557/film tcp 64 10   # 64 clients for 10 s; DITS_TOKEN names them
//!     lock_load embedded /tmp/film.dits 64 10                 # the embedded store alone, in this process

#![allow(clippy::print_stdout, missing_docs)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dits_core::lock::{CloneId, Holder, LockKind, Release};
use dits_core::path::RepoPath;
use dits_core::progress::Silent;
use dits_core::repo::{Environment, InitOptions, Repository};
use dits_sync::client::{Ask, Client, Introduction, LockOutcome, LockRequest, Place, UnlockOutcome, UnlockRequest};
use dits_sync::identity::{NewHost, Trust};
use dits_sync::link::{Carrier, DialOptions, dialer};
use dits_sync::locks::{EmbeddedLocks, Locks, system_clock};
use dits_sync::url::RemoteUrl;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How many paths are locked in one call to compare with one.
const MANY: usize = 1000;
/// How often single calls are timed.
const TIMES: u32 = 50;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server", url, carrier, clients, seconds] => server(url, carrier, clients.parse()?, seconds.parse()?),
        ["embedded", folder, clients, seconds] => embedded(folder, clients.parse()?, seconds.parse()?),
        _ => Err("lock_load [server URL quic|tcp CLIENTS SECONDS | embedded FOLDER CLIENTS SECONDS]".into()),
    }
}

fn place(client: usize) -> Place {
    Place {
        clone: CloneId((client as u128).to_le_bytes()),
        host: "load".to_owned(),
        folder: format!("/home/artist/{client}"),
    }
}

fn paths(client: usize, count: usize) -> Outcome<Vec<RepoPath>> {
    (0..count).map(|i| Ok(RepoPath::parse(format!("Maps/{client:03}/Level_{i:04}.umap").as_bytes())?)).collect()
}

fn lock(client: usize, paths: &[RepoPath]) -> LockRequest {
    let ask = |path: &RepoPath| Ask { path: path.clone(), versions: vec![None], release: Release::Manual };
    LockRequest {
        place: place(client),
        paths: paths.iter().map(ask).collect(),
        kind: LockKind::Exclusive,
        only: None,
        upstream: None,
        reason: "lighting".to_owned(),
        lease: None,
        all: true,
    }
}

fn unlock(client: usize, paths: &[RepoPath]) -> UnlockRequest {
    UnlockRequest { place: place(client), paths: paths.to_vec(), force: false }
}

/// Runs clients at once until the time is over; each `work` is two operations.
fn load<W: FnMut() -> Outcome<()>>(
    clients: usize,
    seconds: u64,
    begin: impl Fn(usize) -> Outcome<W> + Sync,
) -> Outcome<()> {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let ready = std::sync::Barrier::new(clients + 1);
    let took = thread::scope(|scope| -> Outcome<f64> {
        let workers: Vec<_> = (0..clients)
            .map(|client| {
                let (stop, done, ready, begin) = (&stop, &done, &ready, &begin);
                scope.spawn(move || -> Outcome<()> {
                    let begun = begin(client);
                    ready.wait();
                    let mut work = begun?;
                    while !stop.load(Ordering::Relaxed) {
                        work()?;
                        done.fetch_add(2, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        ready.wait();
        let start = Instant::now();
        thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().map_err(|_| "a client panicked")??;
        }
        Ok(start.elapsed().as_secs_f64())
    })?;
    println!("{clients} clients: {:.0} durable operations a second", done.into_inner() as f64 / took);
    Ok(())
}

fn server(url: &str, carrier: &str, clients: usize, seconds: u64) -> Outcome<()> {
    let state = tempfile::tempdir()?;
    let known_hosts = state.path().join("known_hosts");
    let trust = Trust::Pinned { known_hosts, new_host: NewHost::Accept(Arc::new(|_, _| {})) };
    let carrier = if carrier == "quic" { Carrier::Quic } else { Carrier::Tcp };
    let options = DialOptions { carrier, ..DialOptions::new(trust) };
    let url = RemoteUrl::parse(url)?;
    let dial = dialer(&url, options)?;
    let (_, repository) =
        url.to_string().rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap_or_default();
    let introduction = Introduction { repository, token: std::env::var("DITS_TOKEN").ok() };
    let link = dial.dial()?;
    let mut talk = Client::new(&*link, &introduction)?;
    talk.welcome(&Silent)?;
    single(|paths| {
        let start = Instant::now();
        let locked = talk.lock(lock(999, paths), &Silent)?;
        let took = start.elapsed();
        expect(&locked, &talk.unlock(unlock(999, paths), &Silent)?)?;
        Ok(took)
    })?;
    load(clients, seconds, |client| {
        let (link, introduction) = (dial.dial()?, &introduction);
        let paths = paths(client, 1)?;
        // The link lives as long as the client; both end with the process.
        let link = Box::leak(link);
        let mut talk = Client::new(&*link, introduction)?;
        talk.welcome(&Silent)?;
        Ok(move || -> Outcome<()> {
            let locked = talk.lock(lock(client, &paths), &Silent)?;
            let unlocked = talk.unlock(unlock(client, &paths), &Silent)?;
            expect(&locked, &unlocked)
        })
    })
}

/// One client: how long one call is, for one path and for many.
fn single(mut call: impl FnMut(&[RepoPath]) -> Outcome<Duration>) -> Outcome<()> {
    for count in [1, MANY] {
        let paths = paths(999, count)?;
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..TIMES {
            times.push(call(&paths)?);
        }
        times.sort_unstable();
        println!("{count} paths in one call: {:.2} ms (median of {TIMES})", times[times.len() / 2].as_secs_f64() * 1e3);
    }
    Ok(())
}

fn embedded(folder: &str, clients: usize, seconds: u64) -> Outcome<()> {
    let options = InitOptions { branch: "main".to_owned(), bare: true };
    let (repository, _) = Repository::init(Path::new(folder), &options, &Environment::default())?;
    let locks = Locks::new(Box::new(EmbeddedLocks::new(&repository.layout().common)), system_clock());
    let holder = |client| {
        let Place { clone, host, folder } = place(client);
        Holder { name: "artist".to_owned(), clone, host, folder }
    };
    single(|paths| {
        let start = Instant::now();
        let locked = locks.lock(&repository, holder(999), lock(999, paths))?;
        let took = start.elapsed();
        expect(&locked, &locks.unlock(&repository, holder(999), unlock(999, paths), false)?)?;
        Ok(took)
    })?;
    load(clients, seconds, |client| {
        let (paths, locks, repository) = (paths(client, 1)?, &locks, &repository);
        let holder = holder(client);
        Ok(move || -> Outcome<()> {
            let locked = locks.lock(repository, holder.clone(), lock(client, &paths))?;
            let unlocked = locks.unlock(repository, holder.clone(), unlock(client, &paths), false)?;
            expect(&locked, &unlocked)
        })
    })
}

fn expect(locked: &[LockOutcome], unlocked: &[UnlockOutcome]) -> Outcome<()> {
    let locked = locked.iter().all(|outcome| matches!(outcome, LockOutcome::Locked(_)));
    let unlocked = unlocked.iter().all(|outcome| matches!(outcome, UnlockOutcome::Unlocked(_)));
    if locked && unlocked { Ok(()) } else { Err("a lock was refused that nobody else asks for".into()) }
}
