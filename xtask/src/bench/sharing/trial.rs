//! One peer's turn on one set of files: a server, a client, a copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dits_testkit::edit;
use serde_json::Value;

use super::{Change, Peer, Road, server::Server};
use crate::bench::measure::{self, Cost};
use crate::bench::tools::{self, LFS_ATTRIBUTES, same};
use crate::{Failure, place};

/// What is measured. The commit before a push is not: the local benchmark has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Everything, to a server that has nothing.
    Push,
    /// Everything, into a new folder.
    Clone,
    /// Is there anything new? No.
    PullNothing,
    /// What the change has made.
    PushChange(Change),
    /// The same, into the copy that has the version before.
    PullChange(Change),
}

impl Step {
    pub fn name(self) -> String {
        match self {
            Self::Push => "push".to_owned(),
            Self::Clone => "clone".to_owned(),
            Self::PullNothing => "pull: nothing".to_owned(),
            Self::PushChange(change) => format!("push: {}", change.name()),
            Self::PullChange(change) => format!("pull: {}", change.name()),
        }
    }

    fn is_push(self) -> bool {
        matches!(self, Self::Push | Self::PushChange(_))
    }
}

pub struct Trial<'a> {
    peer: Peer,
    road: &'a Road,
    /// The files, and the client's repository where there is one.
    folder: &'a Path,
    /// All else: the server's folder, the copy, a home.
    place: PathBuf,
    server: Option<Server>,
    /// What the client calls the server's repository or folder.
    remote: String,
    /// `DITS_TOKEN`.
    token: String,
    /// What was done to the files, and what they held there.
    made: Vec<(Change, Vec<u8>)>,
}

impl<'a> Trial<'a> {
    /// Nothing is there yet.
    pub fn new(peer: Peer, road: &'a Road, folder: &'a Path, place: &Path) -> Result<Self, Failure> {
        let (server, remote, token, made) = (None, String::new(), String::new(), Vec::new());
        let trial = Self { peer, road, folder, place: place.join("trial"), server, remote, token, made };
        trial.clear()?;
        fs::create_dir_all(trial.place.join("home"))?;
        fs::create_dir_all(trial.there())?;
        Ok(trial)
    }

    /// Starts an empty server, and commits the files where that is usual.
    pub fn begin(&mut self) -> Result<(), String> {
        self.serve()?;
        self.commit_first()
    }

    /// Takes everything of this turn away, and the changes back.
    pub fn end(mut self) -> Result<(), Failure> {
        while let Some((change, original)) = self.made.pop() {
            change.take_back(self.folder, &original)?;
        }
        self.server = None;
        self.clear()
    }

    fn clear(&self) -> Result<(), Failure> {
        for path in [self.place.clone(), self.folder.join(".dits"), self.folder.join(".git")] {
            if path.exists() {
                fs::remove_dir_all(path)?;
            }
        }
        let attributes = self.folder.join(".gitattributes");
        if attributes.exists() { Ok(fs::remove_file(attributes)?) } else { Ok(()) }
    }

    fn there(&self) -> PathBuf {
        self.place.join("there")
    }

    fn copy(&self) -> PathBuf {
        self.place.join("copy")
    }

    fn serve(&mut self) -> Result<(), String> {
        let (there, address) = (self.there().display().to_string(), self.road.address());
        match self.peer {
            Peer::Dits | Peer::DitsTls => {
                let root = ["--root", &there];
                self.administer(&[&["repo", "create", "film"][..], &root].concat())?;
                let token = ["--json", "token", "create", "bench", "--repository", "film", "--allow", "read,write"];
                let said: Value = serde_json::from_str(&self.administer(&[&token[..], &root].concat())?)
                    .map_err(|e| e.to_string())?;
                said["token"].as_str().unwrap_or_default().clone_into(&mut self.token);
                let mut command = self.road.there(server_program());
                command.args(["serve", "--listen", &format!("{address}:0")]).args(root);
                self.start(command, "serving on", |address| format!("dits://{address}/film"))?;
            }
            Peer::GitLfs => {
                self.run("git", &["init", "-q", "--bare", "-b", "main", &there])?;
                self.remote = format!("file://{there}");
            }
            Peer::Rsync | Peer::RsyncFsync => {
                let settings = self.place.join("rsyncd.conf");
                let owner = if rustix::process::geteuid().is_root() { "uid = 0\ngid = 0\n" } else { "" };
                let text =
                    format!("use chroot = no\nreverse lookup = no\n{owner}[files]\npath = {there}\nread only = no\n");
                fs::write(&settings, text).map_err(|e| e.to_string())?;
                let mut command = self.road.there("rsync");
                command.args(["--daemon", "--no-detach", "--port=8730", "--log-file=/dev/stderr"]);
                command.arg(format!("--address={address}")).arg(format!("--config={}", settings.display()));
                self.start(command, "listening on port", |_| format!("rsync://{address}:8730/files/"))?;
            }
            Peer::Rclone => {
                let password = self.run("rclone", &["obscure", "bench"])?;
                let mut command = self.road.there("rclone");
                command.args(["serve", "sftp", &there, "--user", "bench", "--pass", "bench", "-v"]);
                command.args(["--addr", &format!("{address}:2022")]);
                let login = format!("user=bench,pass={}", password.trim());
                self.start(command, "listening on", |_| format!(":sftp,host={address},port=2022,{login}:"))?;
            }
        }
        Ok(())
    }

    fn start(&mut self, mut command: Command, ready: &str, remote: impl FnOnce(&str) -> String) -> Result<(), String> {
        tools::environment(&mut command, &self.place);
        let server = Server::start(command, ready)?;
        self.remote = remote(server.address().unwrap_or_default());
        self.server = Some(server);
        Ok(())
    }

    fn administer(&self, args: &[&str]) -> Result<String, String> {
        self.run(&server_program(), args)
    }

    fn commit_first(&self) -> Result<(), String> {
        match self.peer {
            Peer::Dits | Peer::DitsTls => self.words(&[&["init"], &["remote", "add", "origin", &self.remote]])?,
            Peer::GitLfs => {
                fs::write(self.folder.join(".gitattributes"), LFS_ATTRIBUTES).map_err(|e| e.to_string())?;
                self.words(&[&["init", "-q", "-b", "main"], &["lfs", "install", "--local"]])?;
                self.words(&[&["remote", "add", "origin", &self.remote]])?;
            }
            _ => {}
        }
        self.commit()
    }

    fn commit(&self) -> Result<(), String> {
        if self.peer.commits() { self.words(&[&["add", "-A"], &["commit", "-m", "A version"]]) } else { Ok(()) }
    }

    fn words(&self, commands: &[&[&str]]) -> Result<(), String> {
        commands.iter().try_for_each(|words| self.run(&self.peer.program(), words).map(drop))
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<String, String> {
        measure::run_heard(self.command(program, self.folder).args(args)).map(|(_, said)| said)
    }

    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = self.road.here(program);
        command.current_dir(folder).env("DITS_TOKEN", &self.token);
        tools::environment(&mut command, &self.place);
        command
    }

    /// Measures a step and looks whether it did what it should.
    pub fn measure(&mut self, step: Step) -> Result<Cost, String> {
        if let Step::PushChange(change) = step {
            self.forget_old_version()?;
            let original = change.save(self.folder).map_err(|e| e.to_string())?;
            change.make(self.folder).map_err(|e| e.to_string())?;
            self.made.push((change, original));
            self.commit()?;
        }
        measure::settle().map_err(|e| e.to_string())?;
        let here = if step.is_push() || step == Step::Clone { self.folder.to_owned() } else { self.copy() };
        let mut command = self.command(&self.peer.program(), &here);
        command.args(self.arguments(step));
        let (stored, sent, busy) = (self.stored()?, self.road.bytes()?, self.busy()?);
        let (cost, said) = measure::run_heard(&mut command)?;
        let (wire, server_cpu) = (self.road.bytes()? - sent, self.busy()? - busy);
        if step.is_push() {
            self.check_pushed(step, &said)?;
        } else {
            same(self.folder, &self.copy())?;
        }
        let added = self.stored()?.saturating_sub(stored);
        Ok(Cost { added, wire, server_cpu, ..cost })
    }

    fn arguments(&self, step: Step) -> Vec<String> {
        let (copy, remote) = (self.copy().display().to_string(), self.remote.as_str());
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let lfs = ["process=git-lfs filter-process", "smudge=git-lfs smudge -- %f", "clean=git-lfs clean -- %f"];
        match (self.peer, step) {
            (Peer::Dits, _) => dits(step, remote, &copy, "quic"),
            (Peer::DitsTls, _) => dits(step, remote, &copy, "tcp"),
            (Peer::GitLfs, Step::Push) => words(&["push", "-q", "-u", "origin", "main"]),
            (Peer::GitLfs, Step::PushChange(_)) => words(&["push", "-q"]),
            (Peer::GitLfs, Step::Clone) => {
                let [process, smudge, clean] = lfs.map(|setting| format!("filter.lfs.{setting}"));
                words(&["clone", "-q", "-c", &process, "-c", &smudge, "-c", &clean, remote, &copy])
            }
            (Peer::GitLfs, _) => words(&["pull", "-q"]),
            (Peer::Rsync, _) if step.is_push() => words(&["-a", "--delete", "./", remote]),
            (Peer::RsyncFsync, _) if step.is_push() => words(&["-a", "--delete", "--fsync", "./", remote]),
            (Peer::Rsync, _) => words(&["-a", "--delete", remote, &copy]),
            (Peer::RsyncFsync, _) => words(&["-a", "--delete", "--fsync", remote, &copy]),
            (Peer::Rclone, _) if step.is_push() => words(&["-q", "sync", ".", remote]),
            (Peer::Rclone, _) => words(&["-q", "sync", remote, &copy]),
        }
    }

    /// A push says whether it worked by its exit code, and the copy made next shows it; what has moved no content
    /// must have sent none.
    fn check_pushed(&self, step: Step, said: &str) -> Result<(), String> {
        if !matches!(self.peer, Peer::Dits | Peer::DitsTls) {
            return Ok(());
        }
        let said: Value = serde_json::from_str(said).map_err(|e| e.to_string())?;
        if step == Step::Push {
            println!("{:>14} {} chunks, {} objects of metadata", self.peer.name(), said["chunks"], said["metadata"]);
        }
        match said["new"].as_u64() {
            Some(0) if step == Step::PushChange(Change::Rename) => Ok(()),
            Some(new) if step != Step::PushChange(Change::Rename) && new > 0 => Ok(()),
            new => Err(format!("{new:?} bytes of new content")),
        }
    }

    /// git-lfs keeps every version whole, here and there. Where files are so large that they are not cloned, the old
    /// ones are taken away before new ones come: they would only fill the disk.
    fn forget_old_version(&self) -> Result<(), String> {
        let first = self.made.is_empty() && self.peer == Peer::GitLfs && !self.copy().exists();
        for objects in [self.folder.join(".git/lfs/objects"), self.there().join("lfs/objects")] {
            if first && objects.exists() {
                fs::remove_dir_all(objects).map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    fn stored(&self) -> Result<u64, String> {
        edit::folder_size(&self.there()).map_err(|e| e.to_string())
    }

    /// Processor seconds of the server so far.
    fn busy(&self) -> Result<f64, String> {
        self.server.as_ref().map_or(Ok(0.0), Server::cpu)
    }
}

fn dits(step: Step, remote: &str, copy: &str, carrier: &str) -> Vec<String> {
    let carrier = format!("transfer.carrier={carrier}");
    let words: &[&str] = match step {
        Step::Push => &["push", "-u", "origin", "main"],
        Step::PushChange(_) => &["push"],
        Step::Clone => &["clone", remote, copy],
        Step::PullNothing | Step::PullChange(_) => &["pull"],
    };
    [&["--json", "-c", &carrier], words].concat().into_iter().map(str::to_owned).collect()
}

fn server_program() -> String {
    place::target().join("release/dits-server").display().to_string()
}
