//! `dits ls-tree`

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use dits_core::object::TreeId;
use dits_core::path::RepoPath;
use dits_core::tree::{Content, Tree, TreeEntry};
use serde::Serialize;

use crate::content_id::{id_of, kind_of};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::output::path::{Quoting, quote, relative_to};
use crate::repository::Opened;

/// List the files and folders of a version
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits ls-tree HEAD
  dits ls-tree -r -l v1.0          every file with its size
  dits ls-tree HEAD shots/         what is in a folder
  dits ls-tree HEAD:shots          the same, from there")]
#[allow(clippy::struct_excessive_bools, reason = "they are options")]
pub struct Args {
    /// Go into folders
    #[arg(short = 'r')]
    recursive: bool,
    /// With -r, list the folders too
    #[arg(short = 't')]
    trees: bool,
    /// Only folders
    #[arg(short = 'd')]
    folders: bool,
    /// With sizes
    #[arg(short = 'l', long)]
    long: bool,
    /// Names as they are, each ended by a NUL
    #[arg(short = 'z')]
    nul: bool,
    /// Only names
    #[arg(long, visible_alias = "name-status")]
    name_only: bool,
    /// Names from the top of the version
    #[arg(long)]
    full_name: bool,
    /// The whole version, wherever you are
    #[arg(long)]
    full_tree: bool,
    /// A version, or a folder in one as `REVISION:PATH`
    #[arg(value_name = "REVISION")]
    revision: String,
    /// Only these; a folder with `/` at its end is opened
    paths: Vec<OsString>,
}

#[derive(Serialize)]
struct Answer {
    tree: String,
    entries: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    path: Bytes,
    mode: &'static str,
    kind: &'static str,
    id: String,
    size: u64,
}

/// Lists them.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let tree = opened.repo.resolve_tree(&args.revision)?;
    let here = opened.place().map(|place| place.prefix.clone()).unwrap_or_default();
    // A folder in a version is looked at from there, not from where the user is.
    let here = if args.full_tree || args.revision.contains(':') { Vec::new() } else { here };
    let mut lister = Lister { opened: &opened, args: &args, found: Vec::new() };
    if args.paths.is_empty() {
        lister.inside(tree, &here)?;
    }
    for path in &args.paths {
        lister.named(tree, &here, path.as_bytes())?;
    }
    let found = lister.found;
    if cx.json() {
        let entries = found.iter().map(|(path, entry)| line(path, entry)).collect();
        cx.out().json("ls-tree", &Answer { tree: tree.to_string(), entries })?;
        return Ok(Exit::Ok);
    }
    let prefix = if args.full_name { Vec::new() } else { here };
    for (path, entry) in &found {
        cx.out().write_bytes(&text(&args, &relative_to(&prefix, path.as_bytes()), entry))?;
    }
    Ok(Exit::Ok)
}

fn line(path: &RepoPath, entry: &TreeEntry) -> Line {
    let (mode, kind) = (entry.mode.octal(), kind_of(&entry.content));
    Line { path: path.into(), mode, kind, id: id_of(&entry.content).to_string(), size: entry.size }
}

fn text(args: &Args, name: &[u8], entry: &TreeEntry) -> Vec<u8> {
    let mut text = Vec::new();
    if !args.name_only {
        let size = if args.long { format!(" {:>12}", entry.size) } else { String::new() };
        let (mode, kind, id) = (entry.mode.octal(), kind_of(&entry.content), id_of(&entry.content));
        text.extend(format!("{mode} {kind} {id}{size}\t").bytes());
    }
    text.extend_from_slice(&quote(name, if args.nul { Quoting::Raw } else { Quoting::Odd }));
    text.push(if args.nul { 0 } else { b'\n' });
    text
}

struct Lister<'a> {
    opened: &'a Opened,
    args: &'a Args,
    found: Vec<(RepoPath, TreeEntry)>,
}

impl Lister<'_> {
    /// What is in the folder `prefix` of a tree; nothing when the version has no such folder.
    fn inside(&mut self, tree: TreeId, prefix: &[u8]) -> Result<(), CliError> {
        if prefix.is_empty() {
            return self.folder(tree, None);
        }
        let path = RepoPath::parse(prefix)?;
        match Tree::at_path(self.opened.repo.store(), tree, &path)? {
            Some(TreeEntry { content: Content::Tree(id), .. }) => self.folder(id, Some(&path)),
            _ => Ok(()),
        }
    }

    fn named(&mut self, tree: TreeId, here: &[u8], given: &[u8]) -> Result<(), CliError> {
        let trimmed = given.strip_suffix(b"/").unwrap_or(given);
        let trimmed = trimmed.strip_prefix(b"./").unwrap_or(trimmed);
        if trimmed.is_empty() || trimmed == b"." {
            return self.inside(tree, here);
        }
        let whole = if here.is_empty() { trimmed.to_vec() } else { [here, b"/", trimmed].concat() };
        if given.ends_with(b"/") {
            return self.inside(tree, &whole);
        }
        let path = RepoPath::parse(&whole)?;
        match Tree::at_path(self.opened.repo.store(), tree, &path)? {
            Some(entry) => self.entry(path, entry),
            None => Ok(()),
        }
    }

    fn folder(&mut self, id: TreeId, path: Option<&RepoPath>) -> Result<(), CliError> {
        for entry in Tree::open(self.opened.repo.store(), id)?.iter()? {
            let entry = entry?;
            let path = match path {
                Some(folder) => folder.join(&entry.name)?,
                None => RepoPath::parse(&entry.name)?,
            };
            self.entry(path, entry)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: RepoPath, entry: TreeEntry) -> Result<(), CliError> {
        let Content::Tree(id) = entry.content else {
            if !self.args.folders {
                self.found.push((path, entry));
            }
            return Ok(());
        };
        let listed = !self.args.recursive || self.args.trees || self.args.folders;
        if listed {
            self.found.push((path.clone(), entry));
        }
        if self.args.recursive { self.folder(id, Some(&path)) } else { Ok(()) }
    }
}
