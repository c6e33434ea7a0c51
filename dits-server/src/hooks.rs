//! Hooks: programs of the repository that hear of a push, and may refuse it.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use dits_sync::server::RefUpdate;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;

use crate::env;

/// How much a hook can say.
const MAX_OUTPUT: usize = 32 << 10;
/// How long the output may stay open after the hook has ended, by something it left running.
const GRACE: Duration = Duration::from_millis(500);
/// The version of what hooks are told.
const SCHEMA: u32 = 1;

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Just before refs move.
    PreReceive,
    /// After they have moved.
    PostReceive,
}

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Self::PreReceive => "pre-receive",
            Self::PostReceive => "post-receive",
        }
    }
}

/// What a hook is told besides the updates.
#[derive(Clone, Debug)]
pub struct Occasion<'a> {
    /// The repository's name.
    pub repository: &'a str,
    /// Its folder.
    pub folder: &'a Path,
    /// `token` or `user`.
    pub kind: &'static str,
    /// Who pushes.
    pub name: &'a str,
    /// From where.
    pub peer: &'a str,
    /// How long a hook may run.
    pub timeout: Duration,
}

/// How a hook ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is none.
    Absent,
    /// It ended well, and said this.
    Agreed(String),
    /// It did not, and said this.
    Refused(String),
    /// It could not be run to its end.
    Failed(String),
}

impl Outcome {
    /// Its name in metrics; `None` where nothing ran.
    #[must_use]
    pub fn label(&self) -> Option<&'static str> {
        match self {
            Self::Absent => None,
            Self::Agreed(_) => Some("ok"),
            Self::Refused(_) => Some("refused"),
            Self::Failed(_) => Some("failed"),
        }
    }
}

#[derive(Serialize)]
struct Told<'a> {
    schema: u32,
    hook: &'static str,
    repository: &'a str,
    path: PathBuf,
    who: Who<'a>,
    peer: &'a str,
    updates: Vec<Update>,
}

#[derive(Serialize)]
struct Who<'a> {
    kind: &'static str,
    name: &'a str,
}

#[derive(Serialize)]
struct Update {
    #[serde(rename = "ref")]
    name: String,
    old: Option<String>,
    new: Option<String>,
    force: bool,
}

/// Runs a hook, if there is one. When `cut_off` says so, it is ended with what it started.
#[must_use]
pub fn run(hook: Hook, occasion: &Occasion<'_>, updates: &[RefUpdate], cut_off: &dyn Fn() -> bool) -> Outcome {
    let program = occasion.folder.join("hooks").join(hook.name());
    if let Err(e) = program.symlink_metadata()
        && e.kind() == io::ErrorKind::NotFound
    {
        return Outcome::Absent;
    }
    match run_program(&program, &told(hook, occasion, updates), occasion, cut_off) {
        Ok(outcome) => outcome,
        Err(e) => Outcome::Failed(format!("the server's hook {} cannot be run: {e}", hook.name())),
    }
}

fn told(hook: Hook, occasion: &Occasion<'_>, updates: &[RefUpdate]) -> Vec<u8> {
    let id = |digest: &Option<dits_core::object::Digest>| digest.map(|digest| digest.to_string());
    let update = |update: &RefUpdate| Update {
        name: update.name.to_string(),
        old: id(&update.old),
        new: id(&update.new),
        force: update.force,
    };
    let told = Told {
        schema: SCHEMA,
        hook: hook.name(),
        repository: occasion.repository,
        path: occasion.folder.to_owned(),
        who: Who { kind: occasion.kind, name: occasion.name },
        peer: occasion.peer,
        updates: updates.iter().map(update).collect(),
    };
    let mut line = serde_json::to_vec(&told).unwrap_or_default();
    line.push(b'\n');
    line
}

fn run_program(
    program: &Path,
    input: &[u8],
    occasion: &Occasion<'_>,
    cut_off: &dyn Fn() -> bool,
) -> io::Result<Outcome> {
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command.current_dir(occasion.folder).env_clear().process_group(0);
    command.envs(env::of_hooks());
    command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // The command holds ends of the pipe that would keep it open.
    drop(command);
    let stdin = child.stdin.take();
    let input = input.to_vec();
    // A hook that does not read its input is free to; a thread per stream, so that none waits for another.
    std::thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(&input)));
    let output = collect(reader);
    let ended = wait(&mut child, occasion.timeout, cut_off);
    let text = said(&output, &child);
    Ok(match ended? {
        Ended::Late => {
            let seconds = occasion.timeout.as_secs_f32();
            Outcome::Failed(format!("{text}the server's hook took longer than {seconds} s and was ended\n"))
        }
        Ended::CutOff => Outcome::Failed(format!("{text}the server is shutting down, and its hook was ended\n")),
        Ended::Well => Outcome::Agreed(text),
        Ended::Badly => Outcome::Refused(text),
    })
}

enum Ended {
    Well,
    Badly,
    /// It had to be ended: it took too long,
    Late,
    /// or the server cannot wait any more.
    CutOff,
}

fn wait(child: &mut Child, timeout: Duration, cut_off: &dyn Fn() -> bool) -> io::Result<Ended> {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { Ended::Well } else { Ended::Badly });
        }
        let cut_off = cut_off();
        if cut_off || begin.elapsed() >= timeout {
            kill_group(child);
            child.wait()?;
            return Ok(if cut_off { Ended::CutOff } else { Ended::Late });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn kill_group(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Reads everything and keeps what fits.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let (mut block, mut room) = ([0; 4096], MAX_OUTPUT);
        while let Ok(length @ 1..) = pipe.read(&mut block) {
            let kept = length.min(room);
            room -= kept;
            // Also what is too much has to be read, or the hook would wait for ever.
            if kept > 0 && send.send(block[..kept].to_vec()).is_err() {
                return;
            }
        }
    });
    receive
}

fn said(output: &Receiver<Vec<u8>>, child: &Child) -> String {
    let mut bytes = Vec::new();
    let begin = Instant::now();
    loop {
        match output.recv_timeout(GRACE.saturating_sub(begin.elapsed())) {
            Ok(block) => bytes.extend_from_slice(&block),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                // What the hook left running has no business with this push any more.
                kill_group(child);
                break;
            }
        }
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}
