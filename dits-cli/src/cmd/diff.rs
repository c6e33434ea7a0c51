//! `dits diff`

use std::ffi::OsString;

use dits_core::history;
use dits_core::object::TreeId;
use dits_core::repo::{RepoError, Repository};
use dits_core::revision::{Range, Resolved, Revision};
use dits_core::tree::Content;
use serde::Serialize;

use crate::changes::json::ChangeJson;
use crate::changes::{Against, Changes, FormArgs, Item, Side};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::pathspec::Pathspecs;
use crate::repository::Opened;

/// Show what changed
///
/// Without a version: what is in the worktree and not staged yet. With one: what differs between it and the worktree.
/// With two: what differs between them. Text is compared line by line; of everything else it shows which chunks and
/// bytes differ and what the file says about itself that changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dits diff                       what is not staged yet
  dits diff --staged --stat       what the next commit will change, one line per file
  dits diff HEAD~3 -- shots       what changed in `shots` since
  dits diff v1..v2 --name-status  which files differ between two versions
  dits diff main...cut            what the branch `cut` did since it left `main`")]
pub struct Args {
    /// Versions, then files
    #[arg(value_name = "VERSION|FILE")]
    arguments: Vec<OsString>,
    /// Files, behind `--`
    #[arg(last = true, value_name = "FILE")]
    paths: Vec<OsString>,
    /// Compare what is staged instead of the worktree
    #[arg(long, visible_alias = "cached")]
    staged: bool,
    /// Exit with 1 if something differs; with `-q` always, and in silence
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    form: FormArgs,
}

#[derive(Serialize)]
struct Answer {
    files: Vec<ChangeJson>,
}

/// Shows it.
pub fn run(args: Args, cx: &Context) -> Result<Exit, CliError> {
    let opened = cx.open()?;
    let form = args.form.resolve(opened.repo.config(), true)?;
    let given = opened.split(cx, &args.arguments, &args.paths)?;
    let paths = opened.select(&given.paths)?;
    let dirs = opened.repo.worktree().is_ok().then(|| opened.repo.work_dirs()).transpose()?;
    let changes = Changes::new(cx, &opened, &form, dirs.as_ref())?;
    let items = items(&args, &opened, &changes, &given.revisions, &paths)?;
    if cx.json() {
        let files = changes.json(&items, form.needs_content())?;
        cx.out().json("diff", &Answer { files })?;
    } else if !cx.quiet() {
        cx.start_pager()?;
        changes.print(&items)?;
    }
    let tells = args.exit_code || cx.quiet();
    Ok(if tells && !items.is_empty() { Exit::Difference } else { Exit::Ok })
}

fn items(
    args: &Args,
    opened: &Opened,
    changes: &Changes<'_>,
    revisions: &[Range],
    paths: &Pathspecs,
) -> Result<Vec<Item>, CliError> {
    let repo = &opened.repo;
    let two_versions = |old, new| changes.trees(Some(old), Some(new), paths);
    match revisions {
        [] if args.staged => changes.staged(repo.head_tree()?, paths),
        [Range::Single(one)] if args.staged => changes.staged(Some(tree(repo, one)?), paths),
        _ if args.staged => Err(CliError::usage("--staged compares with one version at most")),
        [] => changes.worktree(Against::Index, paths),
        [Range::Single(one)] => changes.worktree(Against::Tree(Some(tree(repo, one)?)), paths),
        [Range::Single(old), Range::Single(new)] => match files(repo, old, new)? {
            Some(item) => Ok(vec![item]),
            None => two_versions(tree(repo, old)?, tree(repo, new)?),
        },
        [Range::Between(old, new)] => two_versions(tree(repo, old)?, tree(repo, new)?),
        [Range::Symmetric(a, b)] => {
            let (ours, theirs) = (repo.commit_of(a)?, repo.commit_of(b)?);
            let base = history::merge_base(repo.store(), ours, theirs)?.ok_or(RepoError::UnrelatedHistories)?;
            two_versions(repo.resolve_tree(&base.to_string())?, tree(repo, b)?)
        }
        _ => Err(CliError::usage("two versions at most can be compared").hint("`dits diff A B`, `A..B` or `A...B`")),
    }
}

fn tree(repo: &Repository, revision: &Revision) -> Result<TreeId, CliError> {
    Ok(repo.resolve_tree(&revision.text)?)
}

/// Two files of versions, as `v1:a.mp4 v2:b.mp4`.
fn files(repo: &Repository, old: &Revision, new: &Revision) -> Result<Option<Item>, CliError> {
    let (Resolved::Entry(old_path, old), Resolved::Entry(path, new)) =
        (repo.resolve_parsed(old)?, repo.resolve_parsed(new)?)
    else {
        return Ok(None);
    };
    if [&old, &new].iter().any(|entry| matches!(entry.content, Content::Tree(_))) {
        return Ok(None);
    }
    let side = |entry: dits_core::tree::TreeEntry| Side {
        mode: entry.mode,
        size: entry.size,
        content: Some(entry.content),
        in_worktree: false,
    };
    let mut item = Item { path, old: Some(side(old)), new: Some(side(new)), moved: None, conflict: false };
    if old_path != item.path {
        item.path = old_path;
    }
    Ok(Some(item))
}
