//! `dits check-attr`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use dits_core::attributes::{Attributes, State};
use dits_core::repo::RepoError;
use serde::Serialize;

use super::check_ignore::{one_path, read_paths};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::output::path::{Quoting, quote};

/// Tell which attributes files have
///
/// Without `--` the first word is the attribute and the others are files.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits check-attr preset clip.mov
  dits check-attr lockable compression -- *.psd
  dits check-attr -a clip.mov")]
pub struct Args {
    /// All attributes that anything is said about
    #[arg(short, long)]
    all: bool,
    /// Read paths from standard input
    #[arg(long)]
    stdin: bool,
    /// Parts ended by NUL, in and out
    #[arg(short = 'z')]
    nul: bool,
    /// Attributes, then files
    #[arg(value_name = "ATTRIBUTE")]
    words: Vec<OsString>,
    /// The files
    #[arg(last = true, value_name = "PATH")]
    paths: Vec<OsString>,
}

#[derive(Serialize)]
struct Answer {
    attributes: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    path: Bytes,
    attribute: String,
    value: String,
}

/// Tells it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let (names, paths) = split(&args)?;
    let dirs = opened.repo.work_dirs()?;
    let lookup = opened.repo.attributes(&dirs)?;
    let mut lines = Vec::new();
    for text in &paths {
        let attributes = match one_path(&opened, text)? {
            Some(path) => lookup.attributes_of(&path).map_err(RepoError::from)?,
            None => Attributes::default(),
        };
        let mut add = |attribute: &str, state: Option<&State>| {
            let (path, attribute) = (Bytes(text.as_bytes().to_vec()), attribute.to_owned());
            lines.push(Line { path, attribute, value: shown(state) });
        };
        match args.all {
            true => attributes.iter().for_each(|(name, state)| add(name, Some(state))),
            false => names.iter().for_each(|name| add(name, attributes.get(name))),
        }
    }
    if cx.json() {
        cx.out().json("check-attr", &Answer { attributes: lines })?;
        return Ok(Exit::Ok);
    }
    for Line { path, attribute, value } in lines {
        let text = match args.nul {
            true => [&path.0, &b"\0"[..], attribute.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat(),
            false => [&quote(&path.0, Quoting::Odd), format!(": {attribute}: {value}\n").as_bytes()].concat(),
        };
        cx.out().write_bytes(&text)?;
    }
    Ok(Exit::Ok)
}

/// The attributes and the files that the user names.
fn split(args: &Args) -> Result<(Vec<String>, Vec<OsString>), CliError> {
    let mut words = args.words.clone();
    let mut paths = args.paths.clone();
    if args.all {
        paths.splice(0..0, words.drain(..));
    } else if paths.is_empty() && !args.stdin && !words.is_empty() {
        paths = words.split_off(1);
    }
    if args.stdin {
        paths.extend(read_paths(args.nul)?);
    }
    if words.is_empty() && !args.all {
        return Err(CliError::usage("name an attribute, or ask for all with -a"));
    }
    if paths.is_empty() && !args.stdin {
        return Err(CliError::usage("name the files to look at").hint("dits check-attr ATTRIBUTE… -- PATH…"));
    }
    Ok((words.iter().map(|word| word.to_string_lossy().into_owned()).collect(), paths))
}

fn shown(state: Option<&State>) -> String {
    match state {
        None => "unspecified".to_owned(),
        Some(State::Set) => "set".to_owned(),
        Some(State::Unset) => "unset".to_owned(),
        Some(State::Value(value)) => value.clone(),
    }
}
