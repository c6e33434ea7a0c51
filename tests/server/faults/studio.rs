//! A server and its clients as users have them: two programs, on this machine or with a network between them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use dits_testkit::mount::Mounted;
use dits_testkit::net::{Net, Port, Side};
use dits_testkit::{Background, Finished, Snapshot, random};

use crate::rig::{Rig, SOON};

/// Longer than any transfer takes, also one that waits for a dead connection to be given up.
pub const LONG: Duration = Duration::from_secs(180);

/// A server's folder, a place for clients, and what is between them.
pub struct Studio {
    pub rig: Rig,
    pub net: Option<Net>,
    port: Port,
    token: String,
}

impl Studio {
    /// On this machine.
    pub fn new() -> Self {
        Self::with(None)
    }

    /// The clients on one side of a network, the server on the other.
    pub fn across(net: Net) -> Self {
        Self::with(Some(net))
    }

    /// On this machine, the server's folder on a file system of its own.
    pub fn on_disk(disk: &Mounted) -> Self {
        let rig = Rig::new();
        std::os::unix::fs::symlink(disk.path(), rig.sandbox.beside("root")).unwrap();
        Self::of(rig, None)
    }

    fn with(net: Option<Net>) -> Self {
        Self::of(Rig::new(), net)
    }

    fn of(rig: Rig, net: Option<Net>) -> Self {
        let token = rig.token("ada", "--repository ** --allow read,write");
        Self { rig, net, port: Port::reserve(), token }
    }

    /// The network, in a studio that has one.
    pub fn network(&self) -> &Net {
        self.net.as_ref().expect("a studio with a network")
    }

    fn address(&self) -> SocketAddr {
        let host = self.net.as_ref().map_or(Ipv4Addr::LOCALHOST, |net| net.address(Side::B));
        SocketAddr::new(host.into(), self.port.number())
    }

    /// Starts the server, always at the same address.
    #[track_caller]
    pub fn serve(&self) -> Background {
        let mut command = self.rig.sandbox.dits_command(["serve", "--listen", &self.address().to_string(), "--root"]);
        command.arg(self.rig.root(""));
        let mut server = self.rig.sandbox.spawn(self.at(Side::B, command));
        server.wait_for("serving on ", SOON);
        server
    }

    /// Where a repository of the server is.
    pub fn url(&self, repository: &str) -> String {
        format!("dits://{}/{repository}", self.address())
    }

    /// Something in the folder of the clients.
    pub fn path(&self, name: &str) -> PathBuf {
        self.rig.sandbox.path(name)
    }

    /// A command of a client in its folder.
    pub fn command(&self, at: &str, line: &str) -> Command {
        let mut command = self.rig.sandbox.command(dits());
        command.args(line.split(' ')).current_dir(self.path(at)).env("DITS_TOKEN", &self.token);
        self.at(Side::A, command)
    }

    fn at(&self, side: Side, command: Command) -> Command {
        match &self.net {
            Some(net) => net.within(side, &command),
            None => command,
        }
    }

    #[track_caller]
    pub fn spawn(&self, at: &str, line: &str) -> Background {
        self.rig.sandbox.spawn(self.command(at, line))
    }

    #[track_caller]
    pub fn dits(&self, at: &str, line: &str) -> Finished {
        self.spawn(at, line).wait(LONG)
    }

    /// What a revision is called there.
    #[track_caller]
    pub fn id(&self, at: &str, revision: &str) -> String {
        self.dits(at, &format!("rev-parse {revision}")).ok().out().trim().to_owned()
    }

    /// What a branch of the server's repository is, as the server has it on disk.
    #[track_caller]
    pub fn id_there(&self, repository: &str, branch: &str) -> Option<String> {
        let mut command = self.rig.sandbox.command(dits());
        command.current_dir(self.there(repository)).args(["rev-parse", "--verify", "-q", branch]);
        let done = self.rig.sandbox.run(command);
        assert!([Some(0), Some(1)].contains(&done.code), "{done}");
        (done.code == Some(0)).then(|| done.out().trim().to_owned())
    }

    /// The folder of a repository of the server.
    pub fn there(&self, repository: &str) -> PathBuf {
        self.rig.root(&format!("repos/{repository}.dits"))
    }

    /// A project of one client: a small first commit, and a second one of some 14 MB.
    #[track_caller]
    pub fn project(&self, at: &str) {
        self.dits(".", &format!("init -q {at}")).ok();
        self.write(&format!("{at}/notes"), b"one");
        self.commit(at, "one");
        self.dits(at, "branch first").ok();
        self.write(&format!("{at}/film.mov"), &random::bytes(1, 12 << 20));
        for i in 0..150 {
            self.write(&format!("{at}/frames/{i:04}.dpx"), &random::bytes(100 + i, 9_000));
        }
        self.commit(at, "two");
    }

    /// With a running server: makes a repository there, the project's remote, and pushes its first commit to it.
    #[track_caller]
    pub fn publish(&self, at: &str, repository: &str) {
        self.rig.run(&format!("repo create {repository}")).ok();
        self.dits(at, &format!("remote add origin {}", self.url(repository))).ok();
        self.dits(at, "push -q origin first:main").ok();
    }

    /// Two worktrees have the same files.
    #[track_caller]
    pub fn same_files(&self, one: &str, other: &str) {
        let [one, other] = [one, other].map(|name| Snapshot::of(&self.path(name)).unwrap());
        assert_eq!(one.differences(&other).unwrap(), [""; 0]);
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        self.rig.sandbox.write(name, bytes);
    }

    #[track_caller]
    pub fn commit(&self, at: &str, message: &str) {
        self.dits(at, "add -A -q").ok();
        self.dits(at, &format!("commit -q -m {message}")).ok();
    }
}

/// The `dits` that was built beside the server: cargo promises a package's tests its own programs only.
fn dits() -> PathBuf {
    static CHECKED: OnceLock<PathBuf> = OnceLock::new();
    let checked = CHECKED.get_or_init(|| {
        let path = Path::new(env!("CARGO_BIN_EXE_dits-server")).with_file_name("dits");
        let built = path.metadata().and_then(|meta| meta.modified()).ok();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let written = ["dits-core", "dits-sync", "dits-cli"].map(|name| newest(&workspace.join(name).join("src")));
        let is_new = built.is_some_and(|built| written.iter().all(|written| *written <= built));
        assert!(is_new, "{} is older than its source, or not there: `cargo build -p dits-cli`", path.display());
        path
    });
    checked.clone()
}

/// When something below a folder was last written.
fn newest(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let times = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => newest(&entry.path()),
        false => entry.metadata().unwrap().modified().unwrap(),
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}
