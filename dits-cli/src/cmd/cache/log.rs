//! `dits cache log`

use std::cmp::Reverse;
use std::collections::BTreeMap;

use dits_core::durable::IoContext;
use dits_fuse::policy::{self, Entry};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::size::{format_bytes, plural};
use crate::output::table::{Align, Table};

#[derive(Serialize)]
struct Answer {
    programs: Vec<Program>,
}

/// What a program had brought.
#[derive(Serialize)]
struct Program {
    program: String,
    bytes: u64,
    /// The processes, the newest last.
    pids: Vec<u32>,
    /// When it last did, in seconds since 1970.
    last: u64,
    files: Vec<Brought>,
}

#[derive(Serialize)]
struct Brought {
    path: String,
    bytes: u64,
}

/// Says who had content brought.
pub fn run(with_files: bool, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let mut entries = Vec::new();
    for private in opened.repo.private_folders()? {
        entries.extend(policy::read_log(&private).at("read the log in", &private)?);
    }
    let programs = by_program(entries);
    if cx.json() {
        cx.out().json("cache", &Answer { programs })?;
        return Ok(Exit::Ok);
    }
    if programs.is_empty() {
        cx.note("No program had anything brought by the mounts there are");
    }
    let mut table = Table::new(&[Align::Right, Align::Left, Align::Left]);
    for program in programs {
        let files = plural(program.files.len() as u64, "file", "files");
        table.row([format_bytes(program.bytes), program.program, files]);
        for file in program.files.into_iter().filter(|_| with_files) {
            table.row([format_bytes(file.bytes), format!("  {}", file.path), String::new()]);
        }
    }
    write!(cx.out(), "{}", table.render())?;
    Ok(Exit::Ok)
}

/// What a program had brought: its processes, when it did last, and the bytes of each file.
type Hunger = (Vec<u32>, u64, BTreeMap<String, u64>);

fn by_program(mut entries: Vec<Entry>) -> Vec<Program> {
    entries.sort_by_key(|entry| entry.time);
    let mut found: BTreeMap<String, Hunger> = BTreeMap::new();
    for Entry { time, program, pid, path, bytes } in entries {
        let (pids, last, files) = found.entry(program).or_default();
        pids.retain(|known| *known != pid);
        pids.push(pid);
        *last = time;
        *files.entry(path).or_default() += bytes;
    }
    let programs = found.into_iter().map(|(program, (pids, last, files))| {
        let mut files: Vec<Brought> = files.into_iter().map(|(path, bytes)| Brought { path, bytes }).collect();
        files.sort_by_key(|file| Reverse(file.bytes));
        Program { program, bytes: files.iter().map(|file| file.bytes).sum(), pids, last, files }
    });
    let mut programs: Vec<Program> = programs.collect();
    programs.sort_by_key(|program| Reverse(program.bytes));
    programs
}
