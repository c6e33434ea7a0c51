//! `dits mount`

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dits_core::config::parse_size;
use dits_core::durable::IoContext;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

mod daemon;
mod heap;
mod locks;
pub mod point;
mod served;
mod settings;
mod shown;
mod standing;

pub use served::{Served, serve_until_stopped};

/// Show a repository as a drive: files come when they are read, and can be changed and committed
///
/// Content that is not here comes from the remote when it is read, only as much as is read, and is kept in a cache on
/// disk. With an address in place of a repository, its history is cloned without content first. The drive is a worktree:
/// `dits status`, `commit`, `switch` and all others work in it. What is written stays until it is committed, also when
/// the drive is unmounted or the machine goes down: mount it on the same folder to go on.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits mount dits://studio.example/film ~/film   a project that is not here, to work in
  dits mount ~/film                              this repository, on another folder
  dits mount --read-only --ref v1.2 . /mnt/film  another version, only to look at
  dits mounts                                    what is mounted
  dits unmount ~/film")]
pub struct Args {
    /// A repository or its address, if not the one you are in; then the folder to mount on
    #[arg(value_name = "[REPO|URL] DIR", num_args = 1..=2, required = true, value_hint = clap::ValueHint::DirPath)]
    places: Vec<PathBuf>,
    /// The branch, tag or commit to show; without it HEAD
    #[arg(long = "ref", value_name = "REV")]
    reference: Option<String>,
    /// Refuse every change: the fastest way to read
    #[arg(long)]
    read_only: bool,
    /// How much disk to take for content that is read from remotes, such as 50G; 0 is none (`mount.cacheSize`)
    #[arg(long, value_name = "N", value_parser = size)]
    cache_size: Option<u64>,
    /// How much memory to take for content, such as 1G (`mount.ram`)
    #[arg(long, value_name = "N", value_parser = size)]
    ram: Option<u64>,
    /// Never ask a remote: what is not here cannot be read
    #[arg(long)]
    offline: bool,
    /// Let other users in too, as far as the files' permissions let them; if you are not root, /etc/fuse.conf must allow it
    #[arg(long)]
    allow_other: bool,
    /// Stay in the foreground, until Ctrl-C
    #[arg(long)]
    foreground: bool,
    /// What the command starts in the background
    #[arg(long, hide = true, conflicts_with = "foreground")]
    daemon: bool,
}

pub(super) fn size(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| "use a size such as 500M or 50G".to_owned())
}

/// What was mounted: the line by which the daemon says so, and the answer in JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    path: String,
    repository: String,
    #[serde(rename = "ref")]
    reference: String,
    commit: String,
    read_only: bool,
    pid: u32,
}

impl Args {
    fn point(&self) -> &Path {
        self.places.last().map_or(Path::new(""), PathBuf::as_path)
    }

    fn source(&self) -> Option<&Path> {
        if self.places.len() > 1 { self.places.first().map(PathBuf::as_path) } else { None }
    }
}

/// Mounts.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    if args.daemon || args.foreground {
        return daemon::run(&args, cx);
    }
    let answer = in_background(&args, cx)?;
    match answer {
        Ok(answer) => tell(cx, &answer)?,
        Err(exit) => return Ok(exit),
    }
    Ok(Exit::Ok)
}

fn tell(cx: &Context, answer: &Answer) -> Result<(), CliError> {
    if cx.json() {
        return cx.out().json("mount", answer);
    }
    let short = &answer.commit[..answer.commit.len().min(10)];
    cx.note(format!("Mounted {} ({short}) on {}", answer.reference, answer.path));
    Ok(())
}

/// Starts the daemon and waits until it has mounted; if it could not, it has said why, and this is how it ended.
fn in_background(args: &Args, cx: &Context) -> Result<Result<Answer, Exit>, CliError> {
    let itself = std::env::current_exe().at("find", Path::new("this program"))?;
    let mut command = Command::new(&itself);
    command.args(arguments(args, cx)).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().at("start", &itself)?;
    let mut line = String::new();
    if let Some(pipe) = child.stdout.take() {
        BufReader::new(pipe).read_line(&mut line).at("read from", Path::new("the daemon"))?;
    }
    if let Ok(answer) = serde_json::from_str(&line) {
        return Ok(Ok(answer));
    }
    let status = child.wait().at("wait for", &itself)?;
    let told = |exit: &Exit| status.code() == Some(exit.code().into());
    let known = [Exit::Difference, Exit::Usage, Exit::Conflict, Exit::Lock, Exit::Network, Exit::Corruption];
    match known.into_iter().chain([Exit::Interrupted]).find(told) {
        Some(exit) => Ok(Err(exit)),
        None => Err(CliError::usage(format!("the daemon ended before it had mounted anything: {status}"))),
    }
}

/// What was asked of this process, for the daemon.
fn arguments(args: &Args, cx: &Context) -> Vec<std::ffi::OsString> {
    let globals = &cx.globals;
    let mut words: Vec<std::ffi::OsString> = Vec::new();
    globals.overrides.iter().for_each(|setting| words.extend(["-c".into(), setting.into()]));
    for (option, folder) in [("--dits-dir", &globals.dits_dir), ("--work-tree", &globals.work_tree)] {
        folder.iter().for_each(|folder| words.extend([option.into(), folder.into()]));
    }
    words.extend(["mount".into(), "--daemon".into()]);
    for (given, option) in [
        (globals.json, "--json"),
        (globals.quiet, "--quiet"),
        (args.read_only, "--read-only"),
        (args.offline, "--offline"),
        (args.allow_other, "--allow-other"),
    ] {
        words.extend(given.then(|| option.into()));
    }
    for (option, size) in [("--cache-size", args.cache_size), ("--ram", args.ram)] {
        size.iter().for_each(|size| words.extend([option.into(), size.to_string().into()]));
    }
    args.reference.iter().for_each(|rev| words.push(format!("--ref={rev}").into()));
    words.push("--".into());
    words.extend(args.places.iter().map(Into::into));
    words
}
