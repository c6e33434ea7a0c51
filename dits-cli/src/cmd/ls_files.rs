//! `dits ls-files`

use std::collections::BTreeMap;
use std::ffi::OsString;

use dits_core::index::{EntryView, Index, Stage};
use dits_core::path::RepoPath;
use dits_core::worktree::{Scan, ScanOptions, scan};
use serde::Serialize;

use crate::content_id::{id_of, kind_of};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::output::path::{Quoting, quote, relative_to};
use crate::pathspec::Pathspecs;
use crate::repository::Opened;

/// List the files that are staged, or others in the worktree
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits ls-files                    every tracked file below the current folder
  dits ls-files -s -- '*.mov'      with mode, content id and stage
  dits ls-files -m -d              what was changed or removed since it was staged
  dits ls-files -o --exclude-standard
  dits ls-files -o -i              what is ignored
  dits ls-files --ghosts           what `dits fetch` would bring

The letters of -t: H staged, M in conflict, C changed, R removed, ? not tracked.")]
#[allow(clippy::struct_excessive_bools, reason = "they are options")]
pub struct Args {
    /// Staged files (what is listed when nothing else is asked for)
    #[arg(long)]
    cached: bool,
    /// With mode, content id and stage
    #[arg(short, long)]
    stage: bool,
    /// Files whose content or mode changed
    #[arg(short, long)]
    modified: bool,
    /// Files that are gone
    #[arg(short, long)]
    deleted: bool,
    /// Files that are not tracked
    #[arg(short, long)]
    others: bool,
    /// With -o, only ignored files; else only staged files that are ignored
    #[arg(short, long)]
    ignored: bool,
    /// With -o, leave out ignored files
    #[arg(long)]
    exclude_standard: bool,
    /// Only files in conflict, with their stages
    #[arg(short, long)]
    unmerged: bool,
    /// Only files whose content is not here
    #[arg(long)]
    ghosts: bool,
    /// A letter for its state before each file
    #[arg(short = 't')]
    tag: bool,
    /// Names as they are, each ended by a NUL
    #[arg(short = 'z')]
    nul: bool,
    /// Names from the top of the repository
    #[arg(long)]
    full_name: bool,
    /// Fail if a path matches nothing
    #[arg(long)]
    error_unmatch: bool,
    /// Only these
    paths: Vec<OsString>,
}

#[derive(Serialize)]
struct Answer {
    files: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    path: Bytes,
    state: &'static str,
    #[serde(flatten)]
    staged: Option<Staged>,
    #[serde(skip)]
    letter: char,
    #[serde(skip)]
    raw: RepoPath,
}

#[derive(Serialize)]
struct Staged {
    mode: &'static str,
    kind: &'static str,
    id: String,
    stage: u8,
    size: u64,
    ghost: bool,
}

impl Line {
    fn of(entry: &EntryView<'_>) -> Self {
        let staged = Staged {
            mode: entry.mode.octal(),
            kind: kind_of(&entry.content),
            id: id_of(&entry.content).to_string(),
            stage: entry.stage as u8,
            size: entry.size,
            ghost: entry.flags.ghost,
        };
        let (letter, state) = if entry.stage == Stage::Normal { ('H', "cached") } else { ('M', "unmerged") };
        let raw = entry.repo_path();
        Self { path: Bytes::from(&raw), state, staged: Some(staged), letter, raw }
    }

    fn named(path: RepoPath, letter: char, state: &'static str) -> Self {
        Self { path: Bytes::from(&path), state, staged: None, letter, raw: path }
    }
}

/// Lists them.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let here = opened.place().map(|place| place.prefix.clone()).unwrap_or_default();
    let everything = args.paths.is_empty();
    // Without paths, what is below the current folder.
    let given = if everything && !here.is_empty() { vec![OsString::from(".")] } else { args.paths.clone() };
    let specs = opened.select(&given)?;
    let lines = find(&args, cx, &opened, &specs)?;
    if args.error_unmatch && !everything {
        specs.check_all_used()?;
    }
    if cx.json() {
        cx.out().json("ls-files", &Answer { files: lines })?;
        return Ok(Exit::Ok);
    }
    let prefix = if args.full_name { &[][..] } else { &here };
    for line in lines {
        let name = relative_to(prefix, line.raw.as_bytes());
        let mut text = Vec::new();
        if args.tag {
            text.extend([line.letter as u8, b' ']);
        }
        if let Some(staged) = line.staged.filter(|_| args.stage || args.unmerged) {
            text.extend(format!("{} {} {}\t", staged.mode, staged.id, staged.stage).bytes());
        }
        text.extend_from_slice(&quote(&name, if args.nul { Quoting::Raw } else { Quoting::Odd }));
        text.push(if args.nul { 0 } else { b'\n' });
        cx.out().write_bytes(&text)?;
    }
    Ok(Exit::Ok)
}

fn find(args: &Args, cx: &Context, opened: &Opened, specs: &Pathspecs) -> Result<Vec<Line>, CliError> {
    let index = opened.repo.index()?;
    let worktree_only = (args.modified || args.deleted || args.others) && !args.cached && !args.stage;
    let mut lines = Vec::new();
    if !worktree_only || args.unmerged {
        lines.extend(staged(args, opened, &index, specs)?);
    }
    if args.modified || args.deleted || args.others {
        let options = ScanOptions {
            untracked: args.others,
            ignored: args.others && (args.ignored || !args.exclude_standard),
            each_untracked: true,
            settle: true,
        };
        let mut found = scan(&opened.repo, &index, specs, options, &cx.progress())?;
        found.fail_on_unreadable()?;
        lines.extend(of_scan(args, found));
        lines.sort_by(|a, b| a.raw.cmp(&b.raw));
    }
    Ok(lines)
}

fn staged(args: &Args, opened: &Opened, index: &Index, specs: &Pathspecs) -> Result<Vec<Line>, CliError> {
    let ignored = match args.ignored && !args.others {
        true => Some(super::check_ignore::Rules::of(&opened.repo)?),
        false => None,
    };
    let mut lines = Vec::new();
    for entry in index.entries() {
        let path = entry.repo_path();
        let wanted = (!args.unmerged || entry.stage != Stage::Normal) && (!args.ghosts || entry.flags.ghost);
        if !wanted || !specs.matches(&path, false) {
            continue;
        }
        if let Some(rules) = &ignored
            && rules.matched(&path, false)?.is_none_or(|found| found.negated)
        {
            continue;
        }
        lines.push(Line::of(&entry));
    }
    Ok(lines)
}

fn of_scan(args: &Args, found: Scan) -> Vec<Line> {
    let mut lines: BTreeMap<(RepoPath, char), Line> = BTreeMap::new();
    let mut add = |paths: Vec<RepoPath>, letter, state| {
        let named = paths.into_iter().map(|path| ((path.clone(), letter), Line::named(path, letter, state)));
        lines.extend(named);
    };
    if args.deleted || args.modified {
        // As in git, a removed file counts as a modified one too.
        add(found.deleted, 'R', "deleted");
    }
    if args.modified {
        add(found.modified, 'C', "modified");
        add(found.conflicted, 'C', "modified");
    }
    if args.others {
        if !args.ignored {
            add(found.untracked, '?', "other");
        }
        add(found.ignored, '?', "ignored");
    }
    lines.into_values().collect()
}
