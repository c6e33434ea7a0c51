//! `dits check-ignore`

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use dits_core::durable::IoContext;
use dits_core::ignore::{IgnoreLookup, Match};
use dits_core::index::Stage;
use dits_core::path::RepoPath;
use dits_core::repo::{RepoError, Repository};
use dits_core::rules_file::{FolderFiles, RulesError};
use dits_core::worktree::WorkDirs;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::output::path::{Quoting, quote};
use crate::repository::Opened;

/// Tell which files are ignored, and by which rule
///
/// Exits with 0 if a path is ignored and with 1 if none is. With `-v` each path is shown with the file, line and text of
/// the rule that decides.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits check-ignore render/a.exr && echo ignored
  dits check-ignore -v cache/*")]
pub struct Args {
    /// With -v, show paths that no rule matches too
    #[arg(short, long)]
    non_matching: bool,
    /// Read paths from standard input
    #[arg(long)]
    stdin: bool,
    /// Parts ended by NUL, in and out
    #[arg(short = 'z')]
    nul: bool,
    /// Also look at tracked files, which are never ignored
    #[arg(long)]
    no_index: bool,
    /// The files
    paths: Vec<OsString>,
}

#[derive(Serialize)]
struct Answer {
    paths: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    path: Bytes,
    ignored: bool,
    rule: Option<Rule>,
}

#[derive(Serialize)]
struct Rule {
    source: String,
    line: usize,
    pattern: Bytes,
    negated: bool,
}

/// The ignore rules of a repository's worktree.
pub struct Rules(IgnoreLookup<OwnedDirs>);

/// The worktree, for a lookup that owns it.
struct OwnedDirs(WorkDirs);

impl FolderFiles for OwnedDirs {
    fn rules_file(&self, folder: Option<&RepoPath>, name: &str) -> Result<Option<Vec<u8>>, RulesError> {
        (&self.0).rules_file(folder, name)
    }
}

impl Rules {
    /// Those in force.
    ///
    /// # Errors
    /// When there is no worktree, or one of the files that hold everywhere cannot be read.
    pub fn of(repo: &Repository) -> Result<Self, CliError> {
        Ok(Self(IgnoreLookup::new(OwnedDirs(repo.work_dirs()?), repo.ignore_rules()?)))
    }

    /// The rule that decides about a path.
    ///
    /// # Errors
    /// When the rules of a folder on the way cannot be used.
    pub fn matched(&self, path: &RepoPath, is_dir: bool) -> Result<Option<Match>, CliError> {
        Ok(self.0.matched(path, is_dir).map_err(RepoError::from)?)
    }
}

/// Tells it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let verbose = cx.verbose() > 0;
    if args.non_matching && !verbose {
        return Err(CliError::usage("--non-matching shows something with -v only"));
    }
    let given = match args.stdin {
        true => read_paths(args.nul)?,
        false => args.paths.clone(),
    };
    if given.is_empty() && !args.stdin {
        return Err(CliError::usage("name the paths to check, or give them on standard input with --stdin"));
    }
    let (rules, index, dirs) = (Rules::of(&opened.repo)?, opened.repo.index()?, opened.repo.work_dirs()?);
    let mut lines = Vec::new();
    let mut any = false;
    for text in &given {
        let Some(path) = one_path(&opened, text)? else { continue };
        let is_dir = text.as_bytes().ends_with(b"/") || dirs.stat(&path)?.is_some_and(|meta| meta.is_dir());
        let tracked = !args.no_index && Stage::ALL.iter().any(|stage| index.get(&path, *stage).is_some());
        let found = if tracked { None } else { rules.matched(&path, is_dir)? };
        let ignored = found.as_ref().is_some_and(|found| !found.negated);
        any |= if verbose { found.is_some() } else { ignored };
        if cx.json() {
            lines.push(line(text, ignored, found.as_ref()));
        } else if !cx.quiet() && (ignored || verbose && (found.is_some() || args.non_matching)) {
            cx.out().write_bytes(&shown(text, found.as_ref(), verbose, args.nul))?;
        }
    }
    if cx.json() {
        cx.out().json("check-ignore", &Answer { paths: lines })?;
    }
    Ok(if any { Exit::Ok } else { Exit::Difference })
}

fn line(text: &OsStr, ignored: bool, found: Option<&Match>) -> Line {
    let rule = found.map(|found| Rule {
        source: found.source.display().to_string(),
        line: found.line,
        pattern: Bytes(found.pattern.to_vec()),
        negated: found.negated,
    });
    Line { path: Bytes(text.as_bytes().to_vec()), ignored, rule }
}

fn shown(text: &OsStr, found: Option<&Match>, verbose: bool, nul: bool) -> Vec<u8> {
    let name = text.as_bytes();
    let (source, line, pattern) = match found {
        Some(found) => (found.source.as_os_str().as_bytes(), found.line.to_string(), found.pattern.as_slice()),
        None => (&b""[..], String::new(), &b""[..]),
    };
    match (verbose, nul) {
        (false, true) => [name, b"\0"].concat(),
        (false, false) => [&quote(name, Quoting::Odd)[..], b"\n"].concat(),
        (true, true) => [source, b"\0", line.as_bytes(), b"\0", pattern, b"\0", name, b"\0"].concat(),
        (true, false) => {
            let source = quote(source, Quoting::Odd);
            [&source[..], b":", line.as_bytes(), b":", pattern, b"\t", &quote(name, Quoting::Odd), b"\n"].concat()
        }
    }
}

/// The path that a word names; `None` for the top folder, which no rule is about.
///
/// # Errors
/// When it leads out of the repository.
pub fn one_path(opened: &Opened, text: &OsStr) -> Result<Option<RepoPath>, CliError> {
    let literal = [b":(literal)", text.as_bytes()].concat();
    let specs = opened.select(&[OsString::from_vec(literal)])?;
    if specs.is_all() {
        return Ok(None);
    }
    Ok(specs.names()?.into_iter().next())
}

/// The paths on standard input: a line each, or ended by NUL.
///
/// # Errors
/// When it cannot be read.
pub fn read_paths(nul: bool) -> Result<Vec<OsString>, CliError> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).at("read", "standard input".as_ref())?;
    let end = if nul { 0 } else { b'\n' };
    let parts = bytes.split(|byte| *byte == end).filter(|part| !part.is_empty());
    Ok(parts.map(|part| OsStr::from_bytes(part).to_owned()).collect())
}
