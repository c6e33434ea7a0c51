//! `dits du`

use std::ffi::OsString;

use dits_core::maintain::{Amount, GroupUsage, Usage};
use dits_core::object::CommitId;
use dits_core::path::RepoPath;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::output::size::{format_bytes, format_bytes_exact, plural};
use crate::output::table::{Align, Table};
use crate::repository::Opened;

/// Show how much space a version takes, and with what it shares it
///
/// One line for each file or folder: its size; what its chunks take in the store; and how much of that nothing else has,
/// that other lines have too, and that other versions have too. Each chunk is counted once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits du                          the top folders of HEAD
  dits du v1.0 shots               what is in a folder of a version
  dits du --top 20                 the 20 biggest files")]
pub struct Args {
    /// The biggest files, this many, in place of folders
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "10", require_equals = false)]
    top: Option<usize>,
    /// A version, then paths in it
    #[arg(value_name = "REVISION")]
    words: Vec<OsString>,
    /// Paths
    #[arg(last = true)]
    paths: Vec<OsString>,
}

#[derive(Serialize)]
struct Answer {
    commit: String,
    files: u64,
    logical: u64,
    chunks: Count,
    /// Those of them that are not here.
    absent: Count,
    entries: Vec<Line>,
    /// Everything in the store, of all versions.
    store: Stored,
}

#[derive(Serialize)]
struct Count {
    objects: u64,
    plain: u64,
    stored: u64,
}

#[derive(Serialize)]
struct Stored {
    content: Count,
    metadata: Count,
}

#[derive(Serialize)]
struct Line {
    path: Bytes,
    files: u64,
    logical: u64,
    stored: u64,
    unique: u64,
    shared_here: u64,
    shared_elsewhere: u64,
}

impl From<Amount> for Count {
    fn from(amount: Amount) -> Self {
        Self { objects: amount.objects, plain: amount.plain, stored: amount.stored }
    }
}

/// Shows it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let (commit, paths) = what(&args, &opened)?;
    let specs = opened.select(&paths)?;
    // Below a folder that was named, what is in it is listed.
    let roots: Vec<RepoPath> = if specs.is_all() { Vec::new() } else { specs.names().unwrap_or_default() };
    let mut group = |path: &RepoPath| {
        if !specs.matches(path, false) {
            return None;
        }
        let root = roots.iter().find(|root| path.is_within(root));
        let depth = root.map_or(0, |root| root.components().count());
        if args.top.is_some() { Some(path.clone()) } else { Some(shortened(path, depth + 1)) }
    };
    let progress = cx.progress();
    let mut usage = opened.repo.usage(commit, &mut group, &progress)?;
    let store = stored(&opened)?;
    progress.clear();
    specs.check_all_used()?;
    if let Some(top) = args.top {
        usage.groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.logical));
        usage.groups.truncate(top);
    }
    if cx.json() {
        cx.out().json("du", &answer(commit, &usage, store))?;
    } else {
        tell(&opened, &usage, &store, cx)?;
    }
    Ok(Exit::Ok)
}

/// The version and the paths: the first word is a version if it can be one and nothing else is meant.
fn what(args: &Args, opened: &Opened) -> Result<(CommitId, Vec<OsString>), CliError> {
    let mut words = args.words.clone();
    let first = words.first().map(|word| word.to_string_lossy().into_owned());
    let found = first.map(|word| (opened.repo.resolve_commit(&word), word));
    let commit = match found {
        Some((Ok(commit), _)) => {
            words.remove(0);
            commit
        }
        // Behind `--` are the paths, so this must be a version.
        Some((Err(error), _)) if !args.paths.is_empty() || error.is_corruption() => return Err(error.into()),
        _ => opened.repo.resolve_commit("HEAD")?,
    };
    words.extend(args.paths.iter().cloned());
    Ok((commit, words))
}

fn shortened(path: &RepoPath, components: usize) -> RepoPath {
    let mut at = path.clone();
    while at.components().count() > components {
        match at.parent() {
            Some(parent) => at = parent,
            None => break,
        }
    }
    at
}

fn stored(opened: &Opened) -> Result<Stored, CliError> {
    let (mut content, mut metadata) = (Amount::default(), Amount::default());
    for (kind, counts) in opened.repo.stored_by_kind()? {
        let sum = if kind.is_content() { &mut content } else { &mut metadata };
        for amount in [counts.loose, counts.packed] {
            sum.objects += amount.objects;
            sum.plain += amount.plain;
            sum.stored += amount.stored;
        }
    }
    Ok(Stored { content: content.into(), metadata: metadata.into() })
}

fn answer(commit: CommitId, usage: &Usage, store: Stored) -> Answer {
    let line = |(path, group): &(RepoPath, GroupUsage)| Line {
        path: path.into(),
        files: group.files,
        logical: group.logical,
        stored: group.stored(),
        unique: group.unique.stored,
        shared_here: group.shared_here.stored,
        shared_elsewhere: group.shared_elsewhere.stored,
    };
    let (files, logical, chunks, absent) = (usage.files, usage.logical, usage.chunks.into(), usage.absent.into());
    Answer {
        commit: commit.to_string(),
        files,
        logical,
        chunks,
        absent,
        entries: usage.groups.iter().map(line).collect(),
        store,
    }
}

fn tell(opened: &Opened, usage: &Usage, store: &Stored, cx: &Context) -> Result<(), CliError> {
    let mut table = Table::new(&[Align::Right, Align::Right, Align::Right, Align::Right, Align::Right, Align::Left]);
    table.row(["size", "stored", "only here", "other paths", "other versions", ""]);
    for (path, group) in &usage.groups {
        let bytes = [
            group.logical,
            group.stored(),
            group.unique.stored,
            group.shared_here.stored,
            group.shared_elsewhere.stored,
        ];
        table.row(bytes.map(format_bytes).into_iter().chain([opened.show(path)]));
    }
    if !usage.groups.is_empty() {
        writeln!(cx.out(), "{}", table.render())?;
    }
    let files = plural(usage.files, "file", "files");
    let chunks = plural(usage.chunks.objects, "chunk", "chunks");
    writeln!(cx.out(), "this version: {files}, {}", format_bytes_exact(usage.logical))?;
    writeln!(cx.out(), "  stored as {chunks}, {}", format_bytes_exact(usage.chunks.stored))?;
    if usage.absent.objects > 0 {
        let (absent, bytes) = (usage.absent.objects, format_bytes_exact(usage.absent.plain));
        writeln!(cx.out(), "  not here: {}, {bytes}", plural(absent, "chunk", "chunks"))?;
    }
    let ratio = |whole: u64, part: u64| if part == 0 { 1.0 } else { whole as f64 / part as f64 };
    let (dedup, zstd) =
        (ratio(usage.logical, usage.chunks.plain), ratio(usage.chunks.plain - usage.absent.plain, usage.chunks.stored));
    writeln!(cx.out(), "  deduplication {dedup:.2} : 1, compression {zstd:.2} : 1")?;
    let (content, metadata) = (&store.content, &store.metadata);
    let all = format_bytes_exact(content.stored + metadata.stored);
    writeln!(cx.out(), "all versions: {all}, of which {} metadata", format_bytes(metadata.stored))
}
