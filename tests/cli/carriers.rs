//! `ssh://` and `https://` as users reach them: with a program in ssh's place, and with `dits-server` behind a port that
//! only TCP gets through.

use std::fs;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use dits_testkit::random::bytes;
use dits_testkit::{Background, Finished, built};

use crate::inspect::json;
use crate::sharing::Studio;

const SOON: Duration = Duration::from_secs(30);

/// A machine that ssh reaches: this one. What ssh was told of its port is written down.
struct Ssh {
    s: Studio,
    program: PathBuf,
    server: PathBuf,
}

impl Ssh {
    fn new() -> Self {
        let s = Studio::with_a_project();
        let program = s.sandbox.beside("my ssh");
        let script = "#!/bin/sh\necho \"$1\" \"$2\" >> \"$HOME/dialled\"\nwhile [ \"$1\" != -- ]; do shift; done\nexec sh -c \"$2\"\n";
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { s, program, server: built("dits-server") }
    }

    fn url(&self, name: &str) -> String {
        format!("ssh://me@studio:2222{}", self.s.path(name).display())
    }

    fn command(&self, at: &str, line: &str) -> Command {
        let mut command = self.s.sandbox.dits_command(line.split(' '));
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.server.parent().unwrap().display()));
        command.env("DITS_SSH_COMMAND", format!("'{}'", self.program.display()));
        command.current_dir(self.s.path(at));
        command
    }

    #[track_caller]
    fn dits(&self, at: &str, line: &str) -> Finished {
        self.s.sandbox.run(self.command(at, line))
    }
}

#[test]
fn ssh_reaches_a_repository_on_another_machine() {
    let ssh = Ssh::new();
    let (s, url) = (&ssh.s, ssh.url("server"));
    ssh.dits(".", &format!("ls-remote {url}")).ok().says("refs/branches/main");
    ssh.dits(".", &format!("clone {url} bob")).ok().warns("Cloning into 'bob'...").warns("transferred");
    s.same_files("ada", "bob");
    assert!(fs::read_to_string(s.sandbox.home().join("dialled")).unwrap().lines().all(|line| line == "-p 2222"));
    s.write("bob/new.mov", &bytes(40, 400_000));
    s.commit("bob", "new");
    let pushed = json(ssh.dits("bob", "push --json").ok());
    assert!(pushed["sent"].as_u64().unwrap() < 450_000, "{pushed}");
    s.dits("ada", "remote set-url origin").exits(2);
    s.dits("ada", &format!("remote set-url origin me@studio:{}", s.path("server").display())).ok();
    ssh.dits("ada", "pull -q").ok();
    s.same_files("ada", "bob");
    ssh.dits(".", &format!("clone -q --filter=none {url} part")).ok();
    ssh.dits("part", "fetch new.mov").ok();
    assert_eq!(fs::read(s.path("part/new.mov")).unwrap(), bytes(40, 400_000));
    s.write("bob/notes.txt", b"mine");
    s.commit("bob", "mine");
    s.write("ada/notes.txt", b"other");
    s.commit("ada", "other");
    ssh.dits("ada", "push -q").ok();
    ssh.dits("bob", "push").exits(3).warns("(fetch first)");
    s.dits("server", "fsck --full").ok();
}

#[test]
fn ssh_says_what_is_wrong_over_there() {
    let ssh = Ssh::new();
    let s = &ssh.s;
    let url = ssh.url("nowhere");
    ssh.dits(".", &format!("clone {url} no")).exits(5).warns("nowhere is not a dits repository");
    assert!(!s.path("no").exists());
    let url = ssh.url("server");
    let mut without = ssh.command(".", &format!("clone {url} no"));
    without.env("PATH", "/usr/bin:/bin");
    s.sandbox.run(without).exits(5).warns("dits-server cannot be run on studio");
    // The setting counts where the environment says nothing.
    let mut configured = ssh.command(".", "-c core.sshCommand=/nowhere/ssh ls-remote");
    configured.env_remove("DITS_SSH_COMMAND").arg(&url);
    s.sandbox.run(configured).exits(5).warns("/nowhere/ssh");
    // A branch that is checked out there is not pulled from under somebody's feet.
    let url = ssh.url("ada");
    ssh.dits(".", &format!("clone -q {url} bob")).ok();
    s.write("bob/a", b"a");
    s.commit("bob", "a");
    ssh.dits("bob", "push").exits(5).warns("it is checked out in");
    ssh.dits("bob", "push -q origin main:review").ok();
    assert_eq!(s.id("ada", "review"), s.id("bob", "main"));
}

/// A server for one repository, `film`.
struct Https {
    s: Studio,
    server: Option<Background>,
    token: String,
    port: u16,
}

impl Https {
    fn new() -> Self {
        let s = Studio::with_a_project();
        let run = |words: &str| -> Command {
            let mut command = s.sandbox.command(built("dits-server"));
            command.args(words.split(' ')).arg("--root").arg(s.sandbox.beside("root"));
            command
        };
        s.sandbox.run(run("repo create film")).ok();
        let token = s.sandbox.run(run("token create ada --repository film --allow read,write")).ok();
        let token = token.out().trim().to_owned();
        let mut server = s.sandbox.spawn(run("serve --listen 127.0.0.1:0"));
        let line = server.wait_for("serving on ", SOON);
        let address = line["serving on ".len()..].split(',').next().unwrap().to_owned();
        let port = only_tcp(address);
        Self { s, server: Some(server), token, port }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/film", self.port)
    }

    #[track_caller]
    fn dits(&self, at: &str, line: &str) -> Finished {
        let mut command = self.s.sandbox.dits_command(line.split(' '));
        command.current_dir(self.s.path(at)).env("DITS_TOKEN", &self.token);
        self.s.sandbox.run(command)
    }
}

/// A port through which a server is reached, but not over UDP. It goes with the process.
fn only_tcp(server: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(&server) else { continue };
            for (mut from, mut to) in
                [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far.try_clone().unwrap(), near)]
            {
                thread::spawn(move || {
                    // Whoever is cut off notices.
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    port
}

#[test]
fn https_reaches_a_server_where_only_tcp_gets_through() {
    let mut https = Https::new();
    let (s, url) = (&https.s, https.url());
    s.dits(".", &format!("ls-remote {url}")).exits(5).warns("or it is not for you").warns("dits login");
    s.dits("ada", &format!("remote set-url origin {url}")).ok();
    let first = https.dits("ada", "push").ok();
    first.warns("main -> main").warns("transferred");
    https.dits(".", &format!("clone {url} bob")).ok().warns("Cloning into 'bob'...");
    s.same_files("ada", "bob");
    s.write("bob/new.mov", &bytes(41, 400_000));
    s.commit("bob", "new");
    let pushed = json(https.dits("bob", "push --json").ok());
    assert!(pushed["sent"].as_u64().unwrap() < 450_000, "{pushed}");
    https.dits("ada", "pull -q").ok();
    s.same_files("ada", "bob");
    https.dits(".", &format!("clone -q --filter=none {url} part")).ok();
    https.dits("part", "fetch new.mov").ok();
    https.dits("part", "drop new.mov").ok();
    // A token that is kept serves the same address, whatever the carrier is called.
    s.write("token", https.token.as_bytes());
    s.dits(".", &format!("login --token-file token {url}")).ok();
    s.dits("bob", "fetch").ok();
    s.dits("bob", "ls-remote").ok().says("refs/branches/main");
    // Who pretends to be that server is noticed.
    https.server.take().unwrap().terminate(SOON).ok();
    let s = &https.s;
    https.dits("bob", "fetch").exits(5);
    let mut command = s.sandbox.command(built("dits-server"));
    command.args(["fsck", "film", "--full", "--root"]).arg(s.sandbox.beside("root"));
    s.sandbox.run(command).ok();
}
