//! `dits hash-object`

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;

use dits_core::attributes::{AttributeLookup, Compression};
use dits_core::chunk::Profile;
use dits_core::content::{IngestError, Ingestor, Source, identify};
use dits_core::durable::{IoContext, IoError};
use dits_core::path::RepoPath;
use dits_core::repo::{RepoError, profile_of_setting};
use dits_core::worktree::{LinkTarget, WorkDirs, link_target};
use serde::Serialize;

use super::check_ignore::one_path;
use crate::content_id::{id_of, kind_of};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::output::path::quote_text;
use crate::output::size::format_count;
use crate::output::table::{Align, Table};
use crate::repository::Opened;

/// Tell what dits calls the content of files
///
/// For each file: the kind of object it becomes, its id, the BLAKE3 of the whole file (as `b3sum` prints it), and its
/// size in bytes. With `-q` only the ids.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits hash-object clip.mov
  dits hash-object -q clip.mov     only the id
  dits hash-object -w clip.mov     and store it")]
pub struct Args {
    /// Store the content. Nothing refers to it: `dits gc` removes it again some time
    #[arg(short)]
    write: bool,
    /// Read standard input
    #[arg(long)]
    stdin: bool,
    /// The files
    #[arg(required_unless_present = "stdin", value_hint = clap::ValueHint::FilePath)]
    files: Vec<OsString>,
}

#[derive(Serialize)]
struct Answer {
    objects: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    path: Option<Bytes>,
    kind: &'static str,
    id: String,
    blake3: String,
    size: u64,
    chunks: u64,
    file_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_bytes: Option<u64>,
}

/// Tells it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = match cx.open() {
        Ok(opened) => Some(opened),
        Err(error) if args.write => return Err(error),
        // Content has a name outside of repositories too. Other troubles than that are told.
        Err(error) if error.message.contains("is not inside a dits repository") => None,
        Err(error) => return Err(error),
    };
    let mut lines = Vec::new();
    if args.stdin {
        let mut spooled = tempfile::tempfile().at("create", Path::new("a temporary file"))?;
        let size = io::copy(&mut io::stdin().lock(), &mut spooled).at("read", Path::new("standard input"))?;
        lines.push(one(&args, cx, opened.as_ref(), None, (spooled, size))?);
    }
    for file in &args.files {
        let path = cx.cwd.join(file);
        check_no_ghost(&path)?;
        let opened_file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let message = format!("there is no file `{}`", file.to_string_lossy());
                return Err(CliError::new(Exit::Difference, message));
            }
            opened => opened.at("open", &path)?,
        };
        let meta = opened_file.metadata().at("look at", &path)?;
        if !meta.is_file() {
            return Err(CliError::usage(format!("{} is not a plain file", path.display())));
        }
        lines.push(one(&args, cx, opened.as_ref(), Some(file), (opened_file, meta.len()))?);
    }
    if cx.json() {
        cx.out().json("hash-object", &Answer { objects: lines })?;
        return Ok(Exit::Ok);
    }
    if cx.quiet() {
        lines.iter().try_for_each(|line| writeln!(cx.out(), "{}", line.id))?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Right, Align::Left]);
    for line in lines {
        let name = line.path.map_or_else(|| "-".to_owned(), |path| quote_text(&path.0));
        table.row([line.kind.to_owned(), line.id, line.blake3, format_count(line.size), name]);
    }
    write!(cx.out(), "{}", table.render())?;
    Ok(Exit::Ok)
}

/// The name of content that is not here is known to the index; its BLAKE3 is not.
fn check_no_ghost(path: &Path) -> Result<(), CliError> {
    match std::fs::read_link(path) {
        Ok(target) if link_target(target.as_os_str().as_encoded_bytes()) != LinkTarget::Elsewhere => {
            Err(CliError::usage(format!("the content of {} is not here; a remote holds it", path.display()))
                .hint("`dits fetch PATH` brings it; `dits ls-files -s PATH` tells its id without it"))
        }
        _ => Ok(()),
    }
}

fn one(
    args: &Args,
    cx: &Context,
    opened: Option<&Opened>,
    name: Option<&OsString>,
    (mut file, size): (File, u64),
) -> Result<Line, CliError> {
    let shown = name.map_or_else(|| Path::new("standard input").to_owned(), |name| cx.cwd.join(name));
    let source = opened.map(|opened| source_of(opened, name)).transpose()?.unwrap_or_default();
    let default = opened.map(|opened| opened.repo.default_profile()).transpose()?.flatten();
    let progress = cx.progress();
    let found = identify(&mut file, size, source.profile.or(default), &progress);
    let found = found.map_err(|error| failed(&shown, error))?;
    let new_bytes = match opened.filter(|_| args.write) {
        Some(opened) => Some(store(opened, cx, &mut file, found.size, source, default, &shown)?),
        None => None,
    };
    Ok(Line {
        path: name.map(|name| Bytes(name.as_encoded_bytes().to_vec())),
        kind: kind_of(&found.content),
        id: id_of(&found.content).to_string(),
        blake3: found.blake3.to_string(),
        size: found.size,
        chunks: found.chunks,
        file_type: found.file_type.name(),
        new_bytes,
    })
}

fn store(
    opened: &Opened,
    cx: &Context,
    file: &mut File,
    size: u64,
    source: Source,
    default: Option<Profile>,
    shown: &Path,
) -> Result<u64, CliError> {
    let writer = opened.repo.writer()?;
    let progress = cx.progress();
    let ingestor = Ingestor::new(&writer, &progress, opened.repo.threads(), default);
    let taken = ingestor.ingest(file, size, source).map_err(|error| failed(shown, error))?;
    writer.finish()?;
    Ok(taken.new_bytes)
}

/// What the attributes of a file in the worktree ask for; nothing for others.
fn source_of(opened: &Opened, name: Option<&OsString>) -> Result<Source, CliError> {
    let path: Option<RepoPath> = name.and_then(|name| one_path(opened, name).ok().flatten());
    let (Some(path), Ok(dirs)) = (path, opened.repo.work_dirs()) else { return Ok(Source::default()) };
    let lookup: AttributeLookup<&WorkDirs> = opened.repo.attributes(&dirs)?;
    let attributes = lookup.attributes_of(&path).map_err(RepoError::from)?;
    let preset = attributes.preset().map_err(RepoError::from)?;
    let profile = preset.map(profile_of_setting).transpose().map_err(RepoError::from)?.flatten();
    let compression = attributes.compression().map_err(RepoError::from)?.map(Compression::level);
    Ok(Source { profile, compression })
}

fn failed(shown: &Path, error: IngestError) -> CliError {
    match error {
        IngestError::Read(source) => IoError { op: "read", path: shown.to_owned(), source }.into(),
        IngestError::Store(error) => error.into(),
        IngestError::Interrupted(error) => error.into(),
        IngestError::Manifest(error) => RepoError::from(error).into(),
    }
}
