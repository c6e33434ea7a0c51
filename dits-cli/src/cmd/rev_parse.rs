//! `dits rev-parse`

use dits_core::history;
use dits_core::object::{CommitId, Digest};
use dits_core::repo::{RepoError, Repository};
use dits_core::revision::{Range, Resolved, Revision};
use dits_core::tree::{Content, TreeEntry};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::moves;
use crate::output::json::Bytes;
use crate::repository::Opened;

/// Answer scripts: ids of versions, and where the repository is
///
/// One line for each thing asked, the options' answers first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits rev-parse HEAD               the whole id
  dits rev-parse --short v1.0       the short one
  dits rev-parse --abbrev-ref HEAD  the branch's name
  dits rev-parse main..grading      a range as ids, the excluded ones with a ^
  dits rev-parse --show-toplevel    the top folder of the worktree")]
pub struct Args {
    /// Revisions, ranges, or REV:PATH
    #[arg(value_name = "REV")]
    revisions: Vec<String>,
    /// Exactly one revision, or fail; with -q without a message
    #[arg(long)]
    verify: bool,
    /// Short ids of at least N digits (7) that no other object has
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "7")]
    short: Option<usize>,
    /// Names instead of ids, where there are any
    #[arg(long)]
    abbrev_ref: bool,
    /// Full names instead of ids, where there are any
    #[arg(long, conflicts_with = "abbrev_ref")]
    symbolic_full_name: bool,
    /// The top folder of the worktree
    #[arg(long)]
    show_toplevel: bool,
    /// The current folder below it, with a slash at the end
    #[arg(long)]
    show_prefix: bool,
    /// The repository's own folder, for this worktree
    #[arg(long = "dits-dir")]
    own_folder: bool,
    /// The repository's own folder that all worktrees share
    #[arg(long)]
    dits_common_dir: bool,
    /// Whether the current folder is in a worktree
    #[arg(long)]
    is_inside_work_tree: bool,
    /// Whether the repository has no worktree
    #[arg(long)]
    is_bare_repository: bool,
}

/// Answers.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let mut lines = places(&opened, cx, &args)?;
    if args.verify && args.revisions.len() != 1 {
        return Err(CliError::usage("--verify takes exactly one revision"));
    }
    for text in &args.revisions {
        match answers(&opened.repo, &args, text) {
            Ok(found) => lines.extend(found.into_iter().map(|line| (None, line.into_bytes()))),
            Err(error) if args.verify && cx.quiet() && error.exit != Exit::Corruption => return Ok(Exit::Difference),
            Err(error) => return Err(error),
        }
    }
    if cx.json() {
        let mut answer = serde_json::Map::new();
        let mut revisions = Vec::new();
        for (key, line) in lines {
            let value = match line.as_slice() {
                b"true" | b"false" if key.is_some() => (line == b"true").into(),
                _ => serde_json::to_value(Bytes(line)).unwrap_or_default(),
            };
            match key {
                Some(key) => _ = answer.insert(key.to_owned(), value),
                None => revisions.push(value),
            }
        }
        answer.insert("revisions".to_owned(), revisions.into());
        cx.out().json("rev-parse", &answer)?;
        return Ok(Exit::Ok);
    }
    for (_, line) in lines {
        cx.out().write_bytes(&[&line[..], b"\n"].concat())?;
    }
    Ok(Exit::Ok)
}

type Lines = Vec<(Option<&'static str>, Vec<u8>)>;

fn places(opened: &Opened, cx: &Context, args: &Args) -> Result<Lines, CliError> {
    use std::os::unix::ffi::OsStrExt;
    let layout = opened.repo.layout();
    let mut lines = Lines::new();
    let mut path = |key, path: &std::path::Path| lines.push((Some(key), path.as_os_str().as_bytes().to_vec()));
    if args.show_toplevel {
        path("toplevel", opened.repo.worktree()?);
    }
    if args.own_folder {
        path("dits_dir", &layout.private);
    }
    if args.dits_common_dir {
        path("dits_common_dir", &layout.common);
    }
    if args.show_prefix {
        let mut prefix = opened.place()?.prefix.clone();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        lines.push((Some("prefix"), prefix));
    }
    let cwd = std::fs::canonicalize(&cx.cwd).unwrap_or_else(|_| cx.cwd.clone());
    let inside = layout.worktree.is_some() && opened.place().is_ok() && !cwd.starts_with(&layout.common);
    for (asked, key, answer) in [
        (args.is_inside_work_tree, "is_inside_work_tree", inside),
        (args.is_bare_repository, "is_bare_repository", layout.worktree.is_none()),
    ] {
        if asked {
            lines.push((Some(key), answer.to_string().into_bytes()));
        }
    }
    Ok(lines)
}

fn answers(repo: &Repository, args: &Args, text: &str) -> Result<Vec<String>, CliError> {
    if args.abbrev_ref || args.symbolic_full_name {
        return Ok(name(repo, args, text)?.into_iter().collect());
    }
    let id = |digest: Digest| shown(repo, args, &digest);
    let commit = |revision: &Revision| -> Result<CommitId, RepoError> { repo.commit_of(revision) };
    Ok(match Range::parse(text).map_err(RepoError::from)? {
        Range::Single(_) => vec![id(object(repo, text)?)?],
        _ if args.verify => return Err(CliError::usage(format!("`{text}` is more than one revision"))),
        Range::Not(revision) => vec![format!("^{}", id(*commit(&revision)?.digest())?)],
        Range::Between(from, to) => {
            vec![id(*commit(&to)?.digest())?, format!("^{}", id(*commit(&from)?.digest())?)]
        }
        Range::Symmetric(a, b) => {
            let (a, b) = (commit(&a)?, commit(&b)?);
            let mut lines = vec![id(*a.digest())?, id(*b.digest())?];
            for base in history::merge_bases(repo.store(), a, b).map_err(RepoError::from)? {
                lines.push(format!("^{}", id(*base.digest())?));
            }
            lines
        }
    })
}

fn object(repo: &Repository, text: &str) -> Result<Digest, CliError> {
    match repo.resolve(text)? {
        Resolved::Object(_, digest) => Ok(digest),
        Resolved::Entry(_, TreeEntry { content, .. }) => match content {
            Content::Tree(id) => Ok(*id.digest()),
            Content::Chunk(id) => Ok(*id.digest()),
            Content::Manifest(id) => Ok(*id.digest()),
            Content::Recipe(digest) => Ok(digest),
            Content::Empty | Content::Symlink(_) => {
                Err(CliError::usage(format!("`{text}` is an empty file or a link, which has no object of its own")))
            }
        },
    }
}

fn shown(repo: &Repository, args: &Args, digest: &Digest) -> Result<String, CliError> {
    let text = digest.to_string();
    let Some(wanted) = args.short else { return Ok(text) };
    let unique = |length: usize| -> Result<bool, RepoError> {
        let Ok(prefix) = text[..length].parse() else { return Ok(true) };
        let store = repo.store();
        let found = [store.meta.resolve_prefix(&prefix)?, store.content.resolve_prefix(&prefix)?];
        Ok(found.iter().flatten().all(|(other, _)| other == digest))
    };
    let mut length = wanted.clamp(4, text.len());
    while length < text.len() && !unique(length)? {
        length += 1;
    }
    Ok(text[..length].to_owned())
}

/// The name of the branch or other ref that a text stands for; none for what only has an id.
fn name(repo: &Repository, args: &Args, text: &str) -> Result<Option<String>, CliError> {
    let text = moves::expand(repo, text)?;
    let plain = if text == "@" { "HEAD" } else { &text };
    let full = match (plain, repo.head()?.branch()) {
        ("HEAD", Some(branch)) => Some(branch.clone()),
        _ => repo.ref_named(plain)?,
    };
    match full {
        Some(full) if args.symbolic_full_name => Ok(Some(full.to_string())),
        Some(full) => Ok(Some(full.short().to_owned())),
        None => {
            object(repo, plain)?;
            Ok(None)
        }
    }
}
