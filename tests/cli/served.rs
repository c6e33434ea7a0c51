//! `dits://`: a server in this process, with a token, and what users see of carriers, keys and limits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dits_core::repo::{Environment, Repository};
use dits_sync::identity::ServerIdentity;
use dits_sync::link::{Link, ListenOptions, Listener};
use dits_sync::server::{Access, Host, LocalHost, Visitor, serve};
use dits_sync::wire::{ErrorCode, Failure};
use dits_testkit::random::bytes;
use dits_testkit::{Background, Finished};
use rustix::process::Signal;

use crate::inspect::json;
use crate::sharing::Studio;

pub(crate) const TOKEN: &str = "dits-t0ken";

/// One repository, called `film`, for who has the token.
struct Film(PathBuf);

impl Host for Film {
    fn admit(&self, visitor: &Visitor) -> Result<Arc<dyn Access>, Failure> {
        if visitor.repository != "film" || visitor.token.as_deref() != Some(TOKEN) {
            let text = "there is no such repository, or it is not for you".to_owned();
            return Err(Failure { code: ErrorCode::NotFound, text });
        }
        let repository = Repository::discover(&self.0, &Environment { threads: 2, ..Environment::default() }).unwrap();
        LocalHost::new(repository, "server".into(), "server@example.org".into()).admit(visitor)
    }
}

/// A server that is gone with all its connections when it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(s: &Studio, port: u16, identity: &str) -> Self {
        let state = s.sandbox.beside(identity);
        fs::create_dir_all(&state).unwrap();
        let identity = ServerIdentity::load_or_create(&state).unwrap();
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        let listener = Listener::bind(address, &identity, &ListenOptions::default()).unwrap();
        let url = format!("dits://{}/film", listener.address());
        let (stop, path) = (Arc::new(AtomicBool::new(false)), s.path("server").canonicalize().unwrap());
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut links: Vec<Arc<dyn Link>> = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                if let Some(link) = listener.accept(Duration::from_millis(50)) {
                    let (host, link) = (Film(path.clone()), Arc::<dyn Link>::from(link));
                    links.push(Arc::clone(&link));
                    thread::spawn(move || serve(&*link, &host));
                }
            }
            links.iter().for_each(|link| link.close());
        });
        Self { url, stop, thread: Some(thread) }
    }

    pub(crate) fn port(&self) -> u16 {
        let host = self.url.split('/').nth(2).unwrap();
        host.rsplit(':').next().unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap();
    }
}

pub(crate) fn command(s: &Studio, at: &str, line: &str) -> Command {
    let mut command = s.sandbox.dits_command(line.split(' '));
    command.current_dir(s.path(at)).env("DITS_TOKEN", TOKEN);
    command
}

#[track_caller]
pub(crate) fn dits(s: &Studio, at: &str, line: &str) -> Finished {
    s.sandbox.run(command(s, at, line))
}

#[test]
fn a_server_is_met_remembered_and_used_over_each_carrier() {
    let s = Studio::with_a_project();
    let server = Server::start(&s, 0, "identity");
    let url = &server.url;
    s.dits(".", &format!("clone {url} no")).exits(5).warns("it is not for you").warns("dits login");
    assert!(!s.path("no").exists());
    let first = dits(&s, ".", &format!("ls-remote {url}")).ok();
    assert!(!first.err().contains("warning"), "it was remembered when it was met: {first}");
    for carrier in ["quic", "tcp", "auto"] {
        dits(&s, ".", &format!("-c transfer.carrier={carrier} clone -q {url} {carrier}")).ok();
        s.same_files("ada", carrier);
    }
    s.write("quic/new", &bytes(20, 100_000));
    s.commit("quic", "new");
    let pushed = json(dits(&s, "quic", "push --json").ok());
    assert!(pushed["sent"].as_u64().unwrap() < 110_000, "{pushed}");
    dits(&s, "tcp", "pull -q").ok();
    let again = json(dits(&s, "tcp", "fetch --json").ok());
    let carried = |key: &str| again["remotes"][0][key].as_u64().unwrap();
    assert!(carried("new") == 0 && carried("metadata") == 0, "{again}");
    for i in 0..200 {
        s.dits("server", &format!("branch many/{i} main")).ok();
    }
    dits(&s, "tcp", "fetch -q").ok();
    let quiet = json(dits(&s, "tcp", "fetch --json").ok());
    let bytes = quiet["remotes"][0]["received"].as_u64().unwrap() + quiet["remotes"][0]["sent"].as_u64().unwrap();
    // Without what was seen last it would be 11 KB more.
    assert!(bytes < carried("received") + carried("sent") + 3_000, "{quiet}");
    s.write("token", TOKEN.as_bytes());
    s.dits(".", &format!("login --token-file token {url}")).ok();
    s.dits("auto", "pull -q").ok();
    s.same_files("auto", "quic");
}

#[test]
fn a_server_with_another_key_is_refused_loudly() {
    let s = Studio::with_a_project();
    let server = Server::start(&s, 0, "identity");
    dits(&s, ".", &format!("clone -q {} one", server.url)).ok();
    let (url, port) = (server.url.clone(), server.port());
    drop(server);
    let begun = Instant::now();
    let _other = loop {
        // The port may take a moment to be free.
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Server::start(&s, port, "another"))) {
            Ok(server) => break server,
            Err(_) if begun.elapsed() < Duration::from_secs(10) => thread::sleep(Duration::from_millis(200)),
            Err(error) => std::panic::resume_unwind(error),
        }
    };
    let refused = dits(&s, "one", "fetch").exits(5);
    assert!(refused.err().contains("known_hosts"), "{refused}");
    let known = s.sandbox.home().join(".config/dits/known_hosts");
    fs::remove_file(known).unwrap();
    dits(&s, "one", "fetch").ok().warns("is new here; its key SHA256:");
    let _ = url;
}

#[test]
fn what_is_interrupted_goes_on_where_it_stopped() {
    let s = Studio::with_a_project();
    s.write("ada/large.mov", &bytes(30, 6_000_000));
    s.commit("ada", "large");
    let server = Server::start(&s, 0, "identity");
    dits(&s, "ada", &format!("remote set-url origin {}", server.url)).ok();
    let all = 6_000_000_u64;
    let server_repository = Repository::discover(&s.path("server"), &Environment::default()).unwrap();
    let there = server_repository.layout().common.join("objects/pack");
    stop_when(command(&s, "ada", "push --limit-rate 2M --json"), &there, 2_000_000).exits(130);
    settled(&there);
    let pushed = json(dits(&s, "ada", "push --json").ok());
    assert!(pushed["new"].as_u64().unwrap() < all - 500_000, "{pushed}");
    let url = &server.url;
    let clone = command(&s, ".", &format!("clone --limit-rate 2M {url} bob"));
    stop_when(clone, &s.path("bob/.dits/objects/pack"), 2_000_000).exits(130);
    dits(&s, ".", &format!("clone {url} other")).ok();
    let cloned = json(dits(&s, ".", &format!("clone --json {url} bob")).ok());
    assert!(cloned["new"].as_u64().unwrap() < all + 3_500_000 - 500_000, "{cloned}");
    s.same_files("ada", "bob");
    s.dits("bob", "fsck --full").ok();
}

/// Interrupts a command once so many bytes have come to lie in a folder of packs.
fn stop_when(mut command: Command, packs: &Path, bytes: u64) -> Finished {
    let size = || -> u64 {
        let entries = fs::read_dir(packs).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
    };
    let (before, began) = (size(), Instant::now());
    let mut running = Background::start(&mut command).unwrap();
    while size() < before + bytes && running.is_running() {
        assert!(began.elapsed() < Duration::from_secs(120), "nothing comes");
        thread::sleep(Duration::from_millis(10));
    }
    running.signal(Signal::INT);
    running.wait(Duration::from_secs(60))
}

/// Waits until nobody writes a pack in this folder any more: the other end has noticed.
fn settled(packs: &Path) {
    let began = Instant::now();
    let unfinished =
        || fs::read_dir(packs).unwrap().flatten().any(|e| e.file_name().to_string_lossy().starts_with("tmp-"));
    while unfinished() {
        assert!(began.elapsed() < Duration::from_secs(60), "somebody still writes");
        thread::sleep(Duration::from_millis(10));
    }
}
