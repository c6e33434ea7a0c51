//! `dits inspect`

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;

use dits_core::chunk::{ChunkRef, Profile};
use dits_core::content::{
    ChunkSample, ContentReader, InStore, Rehearsal, detect_if_here, if_here, in_store, sharing, store_error,
};
use dits_core::diff::FileVersion;
use dits_core::durable::IoContext;
use dits_core::index::Stage;
use dits_core::manifest::Manifest;
use dits_core::media::{self, Facts, FileType};
use dits_core::object::ChunkId;
use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::repo::{RepoError, Repository};
use dits_core::revision::Resolved;
use dits_core::store::Odb;
use dits_core::tree::{Content, Mode};
use dits_core::worktree::{self, WorkDirs};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::color::{FAINT, HEADING};
use crate::output::json::Bytes;
use crate::output::path::quote_text;
use crate::output::size::{format_bytes, format_bytes_exact, format_count, format_percent, plural};
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

#[derive(Serialize, Default)]
struct ChunkStats {
    count: u64,
    min: u32,
    avg: u64,
    max: u32,
    zero_bytes: u64,
    repeated_bytes: u64,
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

#[derive(Serialize)]
struct ChunkJson {
    offset: u64,
    length: u32,
    id: String,
    stored: Option<u32>,
}

/// Counts chunks as they go by.
struct Survey<'a> {
    store: &'a Odb,
    stats: ChunkStats,
    stored: InStore,
    sample: ChunkSample,
    list: Option<Vec<ChunkJson>>,
    offset: u64,
    zeros: BTreeMap<u32, ChunkId>,
    /// The chunk before and whether it was zeros.
    before: Option<(ChunkId, bool)>,
}

impl<'a> Survey<'a> {
    fn new(store: &'a Odb, list: bool) -> Self {
        Self {
            store,
            stats: ChunkStats { min: u32::MAX, ..ChunkStats::default() },
            stored: InStore::default(),
            sample: ChunkSample::default(),
            list: list.then(Vec::new),
            offset: 0,
            zeros: BTreeMap::new(),
            before: None,
        }
    }

    fn take(&mut self, chunk: ChunkRef, zero: bool) -> Result<(), dits_core::store::StoreError> {
        let stats = &mut self.stats;
        stats.count += 1;
        stats.min = stats.min.min(chunk.len);
        stats.max = stats.max.max(chunk.len);
        stats.zero_bytes += if zero { u64::from(chunk.len) } else { 0 };
        let first = self.sample.add(&chunk);
        let stored = in_store(self.store, &chunk, first, &mut self.stored)?;
        if let Some(list) = &mut self.list {
            list.push(ChunkJson { offset: self.offset, length: chunk.len, id: chunk.id.to_string(), stored });
        }
        self.offset += u64::from(chunk.len);
        self.before = Some((chunk.id, zero));
        Ok(())
    }

    /// Takes a chunk whose bytes were not read. Zeros are cut into chunks that are all alike and as long as can be, with
    /// a shorter one at the end, so only such chunks have to be compared with the hash of zeros.
    fn take_stored(&mut self, chunk: ChunkRef, max: u32) -> Result<(), dits_core::store::StoreError> {
        let suspect = chunk.len == max || self.before.is_some_and(|(id, zero)| zero || id == chunk.id);
        let zero = suspect && {
            let make = || ChunkId::of(&vec![0; chunk.len as usize]);
            *self.zeros.entry(chunk.len).or_insert_with(make) == chunk.id
        };
        self.take(chunk, zero)
    }
}

/// What a file turned out to be.
struct Subject {
    path: RepoPath,
    version: Option<String>,
    found: FileVersion,
    /// Not known where the content is not here.
    file_type: Option<FileType>,
    facts: Facts,
    profile: Option<Profile>,
    state: &'static str,
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

fn worktree_file(
    opened: &Opened,
    dirs: &WorkDirs,
    file: &OsStr,
    survey: &mut Survey<'_>,
    progress: &dyn Progress,
) -> Result<Subject, CliError> {
    let repo = &opened.repo;
    let mut literal = OsString::from(":(literal)");
    literal.push(file);
    let names = opened.select(&[literal])?.names()?;
    let [path] = &names[..] else { return Err(CliError::usage("the top folder is no file")) };
    let index = repo.index()?;
    let entry = index.get(path, Stage::Normal);
    if let Some(version) = repo.ghost_version(&index, dirs, path)? {
        let subject = stored_subject(repo, path.clone(), version, survey)?;
        return Ok(Subject { state: NOT_HERE, ..subject });
    }
    let recorded = match entry.as_ref().map(|entry| &entry.content) {
        Some(Content::Manifest(id)) => Some(Manifest::open(repo.store(), *id)?.profile()),
        _ => None,
    };
    let lookup = repo.attributes(dirs)?;
    let attributes = lookup.attributes_of(path).map_err(RepoError::from)?;
    let rehearsal = Rehearsal::new(repo.store());
    progress.stage("Reading", None, None);
    let mut each = |chunk, bytes: &[u8]| survey.take(chunk, bytes.iter().all(|byte| *byte == 0));
    let rehearsed = worktree::rehearse(repo, dirs, &rehearsal, path, (&attributes, recorded), progress, &mut each)?;
    let state = match entry {
        None => "not tracked",
        Some(entry) if entry.content == rehearsed.version.content => "as it was added",
        Some(_) => "changed since it was added",
    };
    let facts = match rehearsed.version.mode {
        Mode::Symlink => Facts::default(),
        _ => {
            let (mut opened, _): (File, _) = dirs.open_file(path)?;
            media::facts(&mut opened, rehearsed.file_type, rehearsed.version.size)
                .at("read", &dirs.shown(Some(path)))?
        }
    };
    Ok(Subject {
        path: path.clone(),
        version: None,
        found: rehearsed.version,
        file_type: Some(rehearsed.file_type),
        facts,
        profile: rehearsed.profile,
        state,
    })
}

fn stored_file(opened: &Opened, file: &OsStr, survey: &mut Survey<'_>) -> Result<Subject, CliError> {
    let (repo, text) = (&opened.repo, file.to_string_lossy());
    if !text.contains(':') {
        let message = format!("there is no file `{text}` in the worktree");
        return Err(CliError::usage(message).hint(format!("`dits inspect HEAD:{text}` looks at the version in HEAD")));
    }
    let Resolved::Entry(path, entry) = repo.resolve(&text)? else {
        return Err(CliError::usage(format!("`{text}` is no file of a version")));
    };
    if matches!(entry.content, Content::Tree(_)) {
        return Err(CliError::usage(format!("`{text}` is a folder")));
    }
    let version = text.split_once(':').map(|(version, _)| version.to_owned());
    Ok(Subject { version, ..stored_subject(repo, path, entry.into(), survey)? })
}

/// A file described by its recipe, and by its content as far as that is here.
fn stored_subject(
    repo: &Repository,
    path: RepoPath,
    entry: FileVersion,
    survey: &mut Survey<'_>,
) -> Result<Subject, CliError> {
    let store = repo.store();
    let mut profile = None;
    match &entry.content {
        Content::Chunk(id) => survey.take_stored(ChunkRef { id: *id, len: entry.size as u32 }, entry.size as u32)?,
        Content::Manifest(id) => {
            let manifest = Manifest::open(store, *id)?;
            profile = Some(manifest.profile());
            for chunk in manifest.iter_from(0)? {
                survey.take_stored(chunk?.1, manifest.profile().max)?;
            }
        }
        _ => {}
    }
    let is_link = entry.mode == Mode::Symlink;
    let file_type = match is_link {
        true => Some(FileType::Text),
        false => detect_if_here(store, &entry.content, entry.size)?,
    };
    let facts = match file_type.filter(|_| !is_link) {
        None => Facts::default(),
        Some(found) => {
            let reader = ContentReader::open(store, &entry.content, entry.size);
            let read = |mut reader| media::facts(&mut reader, found, entry.size).map_err(store_error);
            if_here(reader.and_then(read))?.unwrap_or_default()
        }
    };
    Ok(Subject { path, version: None, found: entry, file_type, facts, profile, state: STORED })
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

fn print(cx: &Context, report: &Report) -> Result<(), CliError> {
    let out = cx.out();
    let name = quote_text(&report.path.0);
    let title = report.version.as_ref().map_or_else(|| name.clone(), |version| format!("{version}:{name}"));
    writeln!(out, "{}", out.paint(HEADING, title))?;
    let line = |label: &str, value: String| writeln!(out, "  {label:<13} {value}");
    if let (Some(description), Some(name)) = (report.description, report.file_type) {
        line("Type", format!("{description} ({name})"))?;
    }
    line("Length", format_bytes_exact(report.size))?;
    line("State", report.state.to_owned())?;
    for (label, value) in &report.labels {
        line(label, value.clone())?;
    }
    let chunks = &report.chunks;
    if let Some(profile) = &report.profile {
        let sizes = [profile.min, profile.avg, profile.max].map(|size| format_bytes(u64::from(size)));
        line("Cut at", format!("{}, aiming at {}, at most {}", sizes[0], sizes[1], sizes[2]))?;
    }
    if chunks.count > 0 {
        let lengths = [u64::from(chunks.min), chunks.avg, u64::from(chunks.max)].map(format_bytes);
        let lengths = format!("shortest {}, average {}, longest {}", lengths[0], lengths[1], lengths[2]);
        line("Chunks", format!("{}: {lengths}", format_count(chunks.count)))?;
        line("In the store", in_the_store(report))?;
    }
    if chunks.zero_bytes > 0 {
        line("Zeros", format!("{} in chunks of nothing else", format_bytes(chunks.zero_bytes)))?;
    }
    if chunks.repeated_bytes > 0 {
        line("Repeats", format!("{} occur more than once in it", format_bytes(chunks.repeated_bytes)))?;
    }
    line("Lockable", if report.lockable { "yes" } else { "no" }.to_owned())?;
    if !report.attributes.is_empty() {
        let list: Vec<String> = report.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
        line("Attributes", list.join(" "))?;
    }
    print_sharing(cx, report)?;
    if let Some(list) = &report.chunk_list {
        writeln!(out, "  {}", out.paint(FAINT, "      offset     length     stored  chunk"))?;
        for chunk in list {
            let stored = chunk.stored.map_or_else(|| "-".to_owned(), |stored| stored.to_string());
            writeln!(out, "  {:>12} {:>10} {stored:>10}  {}", chunk.offset, chunk.length, chunk.id)?;
        }
    }
    Ok(())
}

/// `1,207 of 1,210 chunks: 92.1 MiB in 91.8 MiB (99.7 %); 212 KiB are new`.
fn in_the_store(report: &Report) -> String {
    let (stored, chunks) = (&report.in_store, &report.chunks);
    if stored.chunks == 0 {
        return "nothing of it".to_owned();
    }
    let share = format_percent(stored.stored_bytes, stored.bytes);
    let sizes = format!("{} in {} ({share})", format_bytes(stored.bytes), format_bytes(stored.stored_bytes));
    let new = report.size.saturating_sub(stored.bytes);
    let amount = match stored.chunks == chunks.count {
        true => "all of it".to_owned(),
        false => format!("{} of {}", format_count(stored.chunks), plural(chunks.count, "chunk", "chunks")),
    };
    // What a version lacks is not new: a remote holds it.
    let word = if matches!(report.state, NOT_HERE | STORED) { NOT_HERE } else { "new" };
    let new = if new == 0 { String::new() } else { format!("; {} {word}", format_bytes(new)) };
    format!("{amount}, {sizes}{new}")
}

fn print_sharing(cx: &Context, report: &Report) -> Result<(), CliError> {
    let out = cx.out();
    let about = if report.estimated { "about " } else { "" };
    for (number, shared) in report.shared.iter().enumerate() {
        let own = if shared.path == report.path { " (as it is in HEAD)" } else { "" };
        let amount = format!("{about}{} ({})", format_bytes(shared.bytes), format_percent(shared.bytes, report.size));
        let label = if number == 0 { "Shares" } else { "" };
        writeln!(out, "  {label:<13} {amount:<22} with {}{own}", quote_text(&shared.path.0))?;
    }
    if let Some(more) = report.shared_files.checked_sub(report.shared.len()).filter(|more| *more > 0) {
        writeln!(out, "  {:<13} …and with {}", "", plural(more as u64, "more file", "more files"))?;
    }
    Ok(())
}
