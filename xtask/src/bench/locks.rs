//! Locks: how many durable operations a server takes, and how long a person waits for one.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use dits_testkit::{Redis, installed};
use serde_json::{Value, json};

use super::measure::{self, Cost};
use super::sharing::server::Server;
use super::{Args, report, tools};
use crate::{Failure, interrupt, place};

const HEAD: &str = "# Locks

Made by `cargo xtask bench locks`; the numbers for programs are in `locks.json`. Medians of interleaved rounds, everything on this machine, over loopback.

- **operations**: locks and unlocks a second, each durable before it is answered, of 64 clients with a connection each (TCP with TLS).
- **one path**, **1000 paths**: one call on an open connection.
- **`dits lock`**, **`git lfs lock`**: a whole process, with what it reads from disk, its connection and its end.
- **embedded** is the store of a server without options; **redis** one that writes its log through to disk (`appendfsync always`).
";

/// How many lock at once.
const CLIENTS: &str = "64";
/// How often a command is run in a round.
const TIMES: usize = 10;
/// What is locked.
const FILE: &str = "Level_01.umap";

/// What was measured, by round.
#[derive(Default)]
struct Column {
    name: &'static str,
    operations: Vec<f64>,
    one: Vec<f64>,
    many: Vec<f64>,
    command: Vec<f64>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let place = place::target().join("bench/locks");
    interrupt::watch()?;
    let names = ["embedded", "redis"].into_iter().filter(|name| match *name {
        "redis" if !installed("redis-server") => {
            println!("redis: skipped, redis-server is not installed");
            false
        }
        _ => true,
    });
    let mut columns: Vec<Column> = names.map(|name| Column { name, ..Column::default() }).collect();
    let mut lfs = Vec::new();
    let (rounds, seconds) =
        (args.rounds.unwrap_or(if args.quick { 1 } else { 3 }), if args.quick { "2" } else { "10" });
    for number in 1..=rounds {
        println!("== locks: round {number} of {rounds}");
        for column in &mut columns {
            empty(&place)?;
            dits(&place, column, seconds).map_err(Failure::Failed)?;
        }
        empty(&place)?;
        match git_lfs(&place).map_err(Failure::Failed)? {
            Some(times) => lfs.extend(times),
            None if number == 1 => println!("git-lfs: skipped, git-lfs or git-lfs-transfer is not installed"),
            None => {}
        }
    }
    fs::remove_dir_all(&place)?;
    let out = args.out.clone().unwrap_or_else(|| match args.quick {
        true => place::target().join("bench/quick"),
        false => place::workspace().join("docs/benchmarks"),
    });
    let numbers = numbers(&columns, &lfs, rounds);
    report::write(&out, ["locks.md", "locks.json"], HEAD, &table(&columns, &lfs, rounds), &numbers)
}

fn empty(place: &Path) -> Result<(), Failure> {
    if place.exists() {
        fs::remove_dir_all(place)?;
    }
    Ok(fs::create_dir_all(place.join("home"))?)
}

fn release(program: &str) -> String {
    place::target().join("release").join(program).display().to_string()
}

/// A server with one kind of store, and all measurements of it.
fn dits(place: &Path, column: &mut Column, seconds: &str) -> Result<(), String> {
    let root = place.join("root").display().to_string();
    let server = release("dits-server");
    said(place, &server, &["repo", "create", "film", "--root", &root])?;
    let allow = ["--repository", "film", "--allow", "read,write,lock", "--root", &root];
    let token = said(place, &server, &[&["--json", "token", "create", "ada"][..], &allow].concat())?;
    let token: Value = serde_json::from_str(&token).map_err(|e| e.to_string())?;
    let token = token["token"].as_str().unwrap_or_default().to_owned();
    let settings = place.join("root/server.toml");
    let text = fs::read_to_string(&settings).map_err(|e| e.to_string())?;
    let section = "[limits]\n";
    if !text.contains(section) {
        return Err(format!("{} has no limits", settings.display()));
    }
    fs::write(&settings, text.replace(section, "[limits]\nconnectionsPerAddress = 256\n"))
        .map_err(|e| e.to_string())?;

    let redis = (column.name == "redis").then(|| Redis::start("--appendonly yes --appendfsync always"));
    let mut command = Command::new(&server);
    command.args(["serve", "--listen", "127.0.0.1:0", "--root", &root]);
    if let Some(redis) = &redis {
        command.args(["--locks", &redis.url()]);
    }
    tools::environment(&mut command, place);
    let running = Server::start(command, "serving on")?;
    let url = format!("dits://{}/film", running.address().unwrap_or_default());

    let mut load = Command::new(place::target().join("release/examples/lock_load"));
    load.args(["server", &url, "tcp", CLIENTS, seconds]).env("DITS_TOKEN", &token);
    let (_, text) = measure::run_heard(&mut load)?;
    let numbers: Vec<f64> = text.lines().filter_map(number_after_colon).collect();
    let [one, many, operations] = numbers[..] else { return Err(format!("lock_load says: {text}")) };
    column.one.push(one);
    column.many.push(many);
    column.operations.push(operations);

    let folder = place.join("ada");
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    fs::write(folder.join(FILE), "a level").map_err(|e| e.to_string())?;
    let dits = release("dits");
    let run = |words: &[&str]| {
        let mut command = Command::new(&dits);
        command.args(words).current_dir(&folder).env("DITS_TOKEN", &token);
        tools::environment(&mut command, place);
        measure::run(&mut command)
    };
    for words in [&["init"][..], &["remote", "add", "origin", &url], &["add", "-A"], &["commit", "-m", "one"]] {
        run(words)?;
    }
    run(&["push", "-u", "origin", "main"])?;
    column.command.extend(locked(&run, &["lock", FILE], &["unlock", FILE])?);
    Ok(())
}

/// Locks and unlocks with whole processes; how long each lock took, in milliseconds.
fn locked(run: &dyn Fn(&[&str]) -> Result<Cost, String>, lock: &[&str], unlock: &[&str]) -> Result<Vec<f64>, String> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        times.push(run(lock)?.wall * 1e3);
        run(unlock)?;
    }
    Ok(times)
}

fn said(place: &Path, program: &str, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(words);
    tools::environment(&mut command, place);
    measure::run_heard(&mut command).map(|(_, said)| said)
}

fn number_after_colon(line: &str) -> Option<f64> {
    line.split_once(':')?.1.split_whitespace().next()?.parse().ok()
}

/// git-lfs and a server of its own protocol for ssh, which a script calls in place of ssh. `None` where one of them is lacking.
fn git_lfs(place: &Path) -> Result<Option<Vec<f64>>, String> {
    if !installed("git-lfs") || !installed("git-lfs-transfer") {
        return Ok(None);
    }
    let (there, folder) = (place.join("there.git"), place.join("git"));
    let ssh = place.join("ssh");
    // ssh [options] host command: the last word is the command.
    let script = "#!/bin/sh\nfor word; do last=$word; done\nexec sh -c \"$last\"\n";
    fs::write(&ssh, script).map_err(|e| e.to_string())?;
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).map_err(|e| e.to_string())?;
    fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    fs::write(folder.join(FILE), "a level").map_err(|e| e.to_string())?;
    fs::write(folder.join(".gitattributes"), "*.umap filter=lfs diff=lfs merge=lfs -text lockable\n")
        .map_err(|e| e.to_string())?;
    let run = |words: &[&str]| {
        let mut command = Command::new("git");
        command.args(words).current_dir(&folder).env("GIT_SSH", &ssh);
        tools::environment(&mut command, place);
        measure::run(&mut command)
    };
    let url = format!("ssh://localhost{}", there.display());
    let bare = there.display().to_string();
    for words in [
        &["init", "-q", "--bare", "-b", "main", &bare][..],
        &["init", "-q", "-b", "main"],
        &["lfs", "install", "--local"],
        &["remote", "add", "origin", &url],
        &["add", "-A"],
        &["commit", "-qm", "one"],
        &["push", "-q", "-u", "origin", "main"],
    ] {
        run(words)?;
    }
    locked(&run, &["lfs", "lock", FILE], &["lfs", "unlock", FILE]).map(Some)
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The row's name and its figures; how they are shown.
type Row<'a> = (&'static str, fn(&Column) -> &Vec<f64>, &'a str);

const ROWS: [Row<'static>; 4] = [
    ("operations a second, 64 clients", |column| &column.operations, "at least 5000"),
    ("one path, ms", |column| &column.one, ""),
    ("1000 paths, ms", |column| &column.many, "at most twice one"),
    ("`dits lock`, ms", |column| &column.command, "at most 17"),
];

fn table(columns: &[Column], lfs: &[f64], rounds: usize) -> String {
    let mut text = format!("\n{rounds} rounds.\n\n| |");
    columns.iter().for_each(|column| _ = write!(text, " {} |", column.name));
    text.push_str(" aim |\n|---|");
    columns.iter().for_each(|_| text.push_str("--:|"));
    text.push_str("---|\n");
    for (name, figures, aim) in ROWS {
        _ = write!(text, "| {name} |");
        for column in columns {
            let figure =
                median(figures(column)).map_or_else(String::new, |n| format!("{n:.*}", usize::from(n < 1000.0)));
            _ = write!(text, " {figure} |");
        }
        _ = writeln!(text, " {aim} |");
    }
    if let Some(time) = median(lfs) {
        _ = writeln!(text, "\n`git lfs lock` with git-lfs-transfer on the same machine: {time:.0} ms.");
    }
    text
}

fn numbers(columns: &[Column], lfs: &[f64], rounds: usize) -> Value {
    let column = |column: &Column| {
        json!({
            "store": column.name, "operations_per_s": column.operations, "one_path_ms": column.one,
            "thousand_paths_ms": column.many, "dits_lock_ms": column.command,
        })
    };
    json!({
        "schema": 1, "rounds": rounds, "clients": CLIENTS, "git_lfs_lock_ms": lfs,
        "stores": columns.iter().map(column).collect::<Vec<_>>(),
    })
}
