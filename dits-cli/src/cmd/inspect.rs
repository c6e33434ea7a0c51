//! `dits inspect`

mod print;
mod subject;
mod survey;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use dits_core::content::sharing;
use dits_core::media::FileType;
use dits_core::progress::Progress;
use dits_core::repo::RepoError;
use dits_core::worktree::WorkDirs;
use serde::Serialize;

use self::print::print;
use self::subject::{Subject, stored_file, worktree_file};
use self::survey::{ChunkJson, ChunkStats, Survey};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::repository::Opened;

/// Describe a file: what it is, how it is cut, what it shares
///
/// Reads a file of the worktree, or of a version (`VERSION:FILE`), and tells its type and what its header says, how it
/// is cut into chunks, how much of it the store has already and in how many bytes, and which files of HEAD have chunks
/// in common with it. Nothing is stored.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits inspect shots/a.mp4
  dits inspect v1:shots/a.mp4 --chunks
  dits inspect *.psd --json")]
pub struct Args {
    /// Files of the worktree or of versions
    #[arg(required = true, value_name = "FILE|VERSION:FILE")]
    files: Vec<OsString>,
    /// List the chunks
    #[arg(long)]
    chunks: bool,
    /// How many files that share chunks are named
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    top: usize,
}

/// The state of a file of which only a ghost is in the worktree.
const NOT_HERE: &str = "not here";
/// The state of a file of a version.
const STORED: &str = "stored";

#[derive(Serialize)]
struct Answer {
    files: Vec<Report>,
}

#[derive(Serialize)]
struct Report {
    path: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(rename = "type")]
    file_type: Option<&'static str>,
    description: Option<&'static str>,
    size: u64,
    mode: &'static str,
    state: &'static str,
    facts: BTreeMap<&'static str, String>,
    #[serde(skip)]
    labels: Vec<(&'static str, String)>,
    profile: Option<ProfileJson>,
    chunks: ChunkStats,
    in_store: Stored,
    shared: Vec<SharedWith>,
    shared_files: usize,
    estimated: bool,
    attributes: BTreeMap<String, String>,
    lockable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_list: Option<Vec<ChunkJson>>,
}

#[derive(Serialize)]
struct ProfileJson {
    algorithm: u8,
    min: u32,
    avg: u32,
    max: u32,
}

#[derive(Serialize)]
struct Stored {
    chunks: u64,
    bytes: u64,
    stored_bytes: u64,
}

#[derive(Serialize)]
struct SharedWith {
    path: Bytes,
    bytes: u64,
}

/// Describes them.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let mut reports = Vec::new();
    for file in &args.files {
        let report = report(&args, cx, &opened, file)?;
        if cx.json() {
            reports.push(report);
            continue;
        }
        if std::ptr::eq(file, &args.files[0]) {
            cx.start_pager()?;
        } else {
            writeln!(cx.out())?;
        }
        print(cx, &report)?;
    }
    if cx.json() {
        cx.out().json("inspect", &Answer { files: reports })?;
    }
    Ok(Exit::Ok)
}

fn report(args: &Args, cx: &Context, opened: &Opened, file: &OsStr) -> Result<Report, CliError> {
    let repo = &opened.repo;
    let progress = cx.progress();
    let dirs = repo.worktree().is_ok().then(|| repo.work_dirs()).transpose()?;
    let mut survey = Survey::new(&repo.store().content, args.chunks);
    let in_worktree = cx.cwd.join(file).symlink_metadata().is_ok();
    let subject = match &dirs {
        Some(dirs) if in_worktree => worktree_file(opened, dirs, file, &mut survey, &progress)?,
        _ => stored_file(opened, file, &mut survey)?,
    };
    let mut shared = Vec::new();
    if let Some(tree) = repo.head_tree()? {
        progress.stage("Looking for shared chunks", None, None);
        shared = sharing(repo.store(), tree, &survey.sample, None, &progress)?;
    }
    // That a file is as HEAD has it is its state, not something that it shares.
    shared.retain(|other| other.path != subject.path || other.bytes < subject.found.size);
    progress.clear();
    let shared_files = shared.len();
    let (attributes, lockable) = attributes(opened, dirs.as_ref(), &subject)?;
    let Survey { mut stats, stored, sample, list, .. } = survey;
    stats.avg = subject.found.size.checked_div(stats.count).unwrap_or(0);
    stats.min = if stats.count == 0 { 0 } else { stats.min };
    stats.repeated_bytes = sample.repeated();
    shared.truncate(args.top);
    let labels = subject.facts.iter().map(|fact| (fact.label, fact.value.to_string())).collect();
    Ok(Report {
        path: (&subject.path).into(),
        version: subject.version,
        file_type: subject.file_type.map(FileType::name),
        description: subject.file_type.map(FileType::description),
        size: subject.found.size,
        mode: subject.found.mode.octal(),
        state: subject.state,
        facts: subject.facts.iter().map(|fact| (fact.key, fact.value.to_string())).collect(),
        labels,
        profile: subject.profile.map(|p| ProfileJson { algorithm: p.algorithm, min: p.min, avg: p.avg, max: p.max }),
        chunks: stats,
        in_store: Stored { chunks: stored.chunks, bytes: stored.bytes, stored_bytes: stored.stored },
        shared: shared.iter().map(|s| SharedWith { path: (&s.path).into(), bytes: s.bytes }).collect(),
        shared_files,
        estimated: sample.is_estimate(),
        attributes,
        lockable,
        chunk_list: list,
    })
}

/// The attributes that hold for a file, and whether it is to be locked before it is edited.
fn attributes(
    opened: &Opened,
    dirs: Option<&WorkDirs>,
    subject: &Subject,
) -> Result<(BTreeMap<String, String>, bool), CliError> {
    use dits_core::attributes::State;
    let by_type = subject.file_type.is_some_and(FileType::lockable_by_default);
    let Some(dirs) = dirs else { return Ok((BTreeMap::new(), by_type)) };
    let lookup = opened.repo.attributes(dirs)?;
    let found = lookup.attributes_of(&subject.path).map_err(RepoError::from)?;
    let shown = |state: &State| match state {
        State::Set => "set".to_owned(),
        State::Unset => "unset".to_owned(),
        State::Value(value) => value.clone(),
    };
    let list = found.iter().map(|(name, state)| (name.to_owned(), shown(state))).collect();
    let lockable = found.lockable().map_err(RepoError::from)?.unwrap_or(by_type);
    Ok((list, lockable))
}
