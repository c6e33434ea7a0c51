//! The tools compared, each by the commands a user would type.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dits_testkit::{Node, Snapshot, edit};

use super::measure::{self, Cost};
use crate::Failure;

/// What is measured, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// The first version, committed.
    Add,
    /// What has changed? Nothing.
    Status,
    /// The same again, unchanged.
    AddAgain,
    /// Everything into an empty folder.
    Checkout,
    /// One byte put in front of the largest file, committed.
    Insert,
}

impl Operation {
    pub const ALL: [Self; 5] = [Self::Add, Self::Status, Self::AddAgain, Self::Checkout, Self::Insert];

    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Status => "status",
            Self::AddAgain => "re-add",
            Self::Checkout => "checkout",
            Self::Insert => "insert",
        }
    }
}

/// A tool that is installed.
pub struct Tool {
    pub name: &'static str,
    program: PathBuf,
    pub version: String,
}

/// The tools that are here, or the chosen ones of them; says which are not.
pub fn present(dits: &Path, wanted: impl Fn(&str) -> bool) -> Vec<Tool> {
    let mut found = Vec::new();
    for (name, program) in [("dits", dits), ("git", "git".as_ref()), ("git-lfs", "git-lfs".as_ref())]
        .into_iter()
        .chain([("restic", Path::new("restic")), ("borg", "borg".as_ref())])
    {
        if !wanted(name) {
            continue;
        }
        let argument = if matches!(name, "restic" | "git-lfs") { "version" } else { "--version" };
        match Command::new(program).arg(argument).output() {
            Ok(said) => {
                let version = String::from_utf8_lossy(&said.stdout).lines().next().unwrap_or_default().to_owned();
                let program = if name == "git-lfs" { "git".into() } else { program.to_owned() };
                found.push(Tool { name, program, version });
            }
            Err(_) => println!("{name}: skipped, not installed"),
        }
    }
    found
}

/// The user whom every tool works for: nobody's settings, a name, a home below `place`.
pub fn environment(command: &mut Command, place: &Path) {
    command.env("HOME", place.join("home"));
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for (system, role) in [("DITS", "AUTHOR"), ("DITS", "COMMITTER"), ("GIT", "AUTHOR"), ("GIT", "COMMITTER")] {
        command.env(format!("{system}_{role}_NAME"), "Bench");
        command.env(format!("{system}_{role}_EMAIL"), "bench@example.org");
    }
}

/// git would pack what it has in a process of its own, beside what is measured next.
const NO_GC: &[&str] = &["config", "gc.auto", "0"];
const NO_MAINTENANCE: &[&str] = &["config", "maintenance.auto", "false"];

/// Every file goes through git-lfs, except this one.
pub const LFS_ATTRIBUTES: &str = "* filter=lfs diff=lfs merge=lfs -text\n.gitattributes !filter !diff !merge text\n";

/// One tool's turn on one set of files.
pub struct Trial<'a> {
    tool: &'a Tool,
    folder: &'a Path,
    place: PathBuf,
    edited: Option<PathBuf>,
}

impl<'a> Trial<'a> {
    /// Makes an empty repository.
    pub fn begin(tool: &'a Tool, folder: &'a Path, place: &Path) -> Result<Self, Failure> {
        let trial = Self { tool, folder, place: place.join("trial"), edited: None };
        trial.clear()?;
        fs::create_dir_all(trial.place.join("home"))?;
        let repo = trial.repository().display().to_string();
        let commands: &[&[&str]] = match tool.name {
            "git" => &[&["init", "-q"], NO_GC, NO_MAINTENANCE],
            "git-lfs" => &[&["init", "-q"], NO_GC, NO_MAINTENANCE, &["lfs", "install", "--local"]],
            "restic" => &[&["-q", "-r", &repo, "init"]],
            "borg" => &[&["init", "-e", "none", &repo]],
            _ => &[&["init"]],
        };
        for args in commands {
            measure::run(&mut trial.command(args, folder)).map_err(Failure::Failed)?;
        }
        if tool.name == "git-lfs" {
            fs::write(folder.join(".gitattributes"), LFS_ATTRIBUTES)?;
        }
        Ok(trial)
    }

    /// Takes everything of this turn away: the repository, the checkout, the edit.
    pub fn end(mut self) -> Result<(), Failure> {
        if let Some(path) = self.edited.take() {
            edit::remove(&path, 0, 1)?;
        }
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

    /// Runs one operation; `None` when the tool has no such thing.
    pub fn measure(&mut self, operation: Operation) -> Result<Option<Cost>, String> {
        let out = self.place.join("out");
        if operation == Operation::Insert {
            self.insert().map_err(|e| e.to_string())?;
        }
        if operation == Operation::Checkout && matches!(self.tool.name, "restic" | "borg") {
            fs::create_dir(&out).map_err(|e| e.to_string())?;
        }
        let folder = if operation == Operation::Checkout && self.tool.name == "borg" { &out } else { self.folder };
        let before = self.stored()?;
        measure::settle().map_err(|e| e.to_string())?;
        let mut cost = None;
        for args in self.commands(operation, &out) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let more = measure::run(&mut self.command(&args, folder))?;
            cost = Some(cost.map_or(more, |so_far: Cost| so_far.then(more)));
        }
        if operation == Operation::Checkout {
            same(self.folder, &out)?;
            fs::remove_dir_all(&out).map_err(|e| e.to_string())?;
        }
        let added = self.stored()?.saturating_sub(before);
        if operation == Operation::Add && added == 0 {
            return Err("nothing was stored".to_owned());
        }
        Ok(cost.map(|cost| Cost { added, ..cost }))
    }

    fn commands(&self, operation: Operation, out: &Path) -> Vec<Vec<String>> {
        let (out, repo) = (out.display().to_string(), self.repository().display().to_string());
        let archive = |name: &str| format!("{repo}::{name}");
        let words = |lines: &[&[&str]]| {
            lines.iter().map(|line| line.iter().map(|word| (*word).to_owned()).collect()).collect::<Vec<Vec<String>>>()
        };
        use Operation::{Add, AddAgain, Checkout, Insert, Status};
        match (self.tool.name, operation) {
            ("restic", Add | AddAgain | Insert) => words(&[&["-q", "-r", &repo, "backup", "."]]),
            ("restic", Checkout) => words(&[&["-q", "-r", &repo, "restore", "latest", "--target", &out]]),
            ("borg", Add | AddAgain | Insert) => words(&[&["create", &archive(operation.name()), "."]]),
            ("borg", Checkout) => words(&[&["extract", &archive("add")]]),
            ("restic" | "borg", Status) => Vec::new(),
            ("dits", Checkout) => words(&[&["worktree", "add", &out]]),
            (_, Checkout) => words(&[&["worktree", "add", "-q", "--detach", &out]]),
            (_, Status) => words(&[&["status"]]),
            (_, AddAgain) => words(&[&["add", "-A"]]),
            ("dits", Add | Insert) => words(&[&["add", "-A"], &["commit", "-m", "A version"]]),
            (_, Add | Insert) => words(&[&["add", "-A"], &["commit", "-q", "-m", "A version"]]),
        }
    }

    fn command(&self, args: &[&str], folder: &Path) -> Command {
        let mut command = Command::new(&self.tool.program);
        command.args(args).current_dir(folder);
        environment(&mut command, &self.place);
        command.env("RESTIC_PASSWORD", "bench").env("RESTIC_CACHE_DIR", self.place.join("cache"));
        command.env("BORG_BASE_DIR", self.place.join("borg"));
        command.env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes");
        command
    }

    fn repository(&self) -> PathBuf {
        match self.tool.name {
            "dits" => self.folder.join(".dits"),
            "git" | "git-lfs" => self.folder.join(".git"),
            _ => self.place.join("repo"),
        }
    }

    fn stored(&self) -> Result<u64, String> {
        edit::folder_size(&self.repository()).map_err(|e| e.to_string())
    }

    fn insert(&mut self) -> std::io::Result<()> {
        let path = largest(self.folder)?;
        edit::insert(&path, 0, b"x")?;
        self.edited = Some(path);
        Ok(())
    }
}

/// The largest file below a folder.
pub fn largest(folder: &Path) -> std::io::Result<PathBuf> {
    let size = |node: &Node| if let Node::File { size, .. } = node { *size } else { 0 };
    let all = Snapshot::of(folder)?.nodes;
    let found = all.iter().max_by_key(|(_, node)| size(node));
    found.map(|(path, _)| folder.join(path)).ok_or_else(|| std::io::Error::other("the folder is empty"))
}

/// A copy that is not whole is no result.
pub fn same(folder: &Path, copy: &Path) -> Result<(), String> {
    let of = |folder: &Path| Snapshot::of(folder).map_err(|e| format!("{}: {e}", folder.display()));
    let found = of(folder)?.differences(&of(copy)?).map_err(|e| e.to_string())?;
    found.first().map_or(Ok(()), |first| Err(format!("the copy differs: {first}")))
}
