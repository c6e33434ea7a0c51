//! `cargo run -p dits-fuzz -- [--count N] [--seconds S] [--seed N] [TARGET…]`: replays each target's corpus, then runs N
//! seeded mutations of it, S seconds at most. `--input FILE TARGET` runs one input, to look at a finding.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for the terminal")]

use std::fs;
use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use dits_fuzz::{TARGETS, Target, mutate, target};
use dits_testkit::SplitMix64;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Address space of the run: an input that makes a decoder allocate without bound dies here.
const MEMORY: u64 = 2 << 30;

/// One input may take this long.
const SLOW: Duration = Duration::from_secs(2);

struct Options {
    count: u64,
    time: Duration,
    seed: u64,
    input: Option<PathBuf>,
    targets: Vec<Target>,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("dits-fuzz: {why}");
            return ExitCode::from(2);
        }
    };
    if let Err(e) = setrlimit(Resource::As, Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) }) {
        eprintln!("dits-fuzz: the memory limit could not be set: {e}");
    }
    let failed = options.targets.iter().filter(|target| !passes(**target, &options)).count();
    ExitCode::from(u8::from(failed > 0))
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options =
        Options { count: 20_000, time: Duration::from_secs(5), seed: 1, input: None, targets: Vec::new() };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|e| format!("{text}: {e}"));
        match arg.as_str() {
            "--count" => options.count = number(value()?)?,
            "--seconds" => options.time = Duration::from_secs(number(value()?)?),
            "--seed" => options.seed = number(value()?)?,
            "--input" => options.input = Some(PathBuf::from(value()?)),
            name => match TARGETS.iter().find(|(known, _)| *known == name) {
                Some(target) => options.targets.push(*target),
                None => return Err(format!("no target {name}; there are: {}", names())),
            },
        }
    }
    if options.targets.is_empty() {
        options.targets = TARGETS.to_vec();
    }
    Ok(options)
}

fn names() -> String {
    TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Runs one target; says what was found.
fn passes((name, _): Target, options: &Options) -> bool {
    let read = match &options.input {
        Some(file) => fs::read(file).map(|data| vec![data]),
        None => corpus(&folder("corpus", name)),
    };
    let corpus = match read {
        Ok(corpus) => corpus,
        Err(e) => {
            eprintln!("fuzz {name}: its corpus cannot be read: {e}");
            return false;
        }
    };
    let begin = Instant::now();
    let mut random = SplitMix64::new(options.seed);
    let mut done = 0;
    let replay = corpus.iter().cloned();
    let count = if options.input.is_some() { 0 } else { options.count };
    let mutations = (0..count).map(|_| mutate::mutated(&mut random, &corpus));
    for data in replay.chain(mutations) {
        if begin.elapsed() >= options.time {
            break;
        }
        if !survives(name, &data) {
            return false;
        }
        done += 1;
    }
    println!("fuzz {name} ... ok. {done} inputs ({} of them corpus) in {:.1?}", corpus.len(), begin.elapsed());
    true
}

fn survives(name: &str, data: &[u8]) -> bool {
    let Some(run) = target(name) else { return false };
    let begin = Instant::now();
    let panicked = catch_unwind(|| run(data)).is_err();
    let slow = begin.elapsed() > SLOW;
    if panicked || slow {
        let kept = keep(name, data).unwrap_or_else(|e| format!("(not kept: {e})"));
        println!("fuzz {name} ... FAILED ({}): {kept}", if panicked { "panic" } else { "too slow" });
        println!("again: cargo run -p dits-fuzz -- --input {kept} {name}");
    }
    !panicked && !slow
}

fn keep(name: &str, data: &[u8]) -> io::Result<String> {
    let folder = folder("artifacts", name);
    fs::create_dir_all(&folder)?;
    let sum = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    let path = folder.join(format!("{sum:016x}"));
    fs::write(&path, data)?;
    Ok(path.display().to_string())
}

fn folder(kind: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(name)
}

/// The corpus in the order of its names, so that a run can be repeated; a target may have none.
fn corpus(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?,
    };
    paths.sort();
    paths.iter().map(fs::read).collect()
}
