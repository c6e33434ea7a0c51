//! `dits worktree list`

use dits_core::object::Digest;
use dits_core::refs::{FolderRefs, RefStore, Target};
use dits_core::repo::{LinkedWorktree, RepoError, Repository};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::table::{Align, pad};
use crate::repository::Opened;

#[derive(Serialize)]
struct Answer {
    worktrees: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    id: Option<String>,
    path: String,
    branch: Option<String>,
    commit: Option<String>,
    bare: bool,
    missing: bool,
    mount: bool,
    waiting: bool,
    #[serde(skip)]
    full: Option<String>,
    #[serde(skip)]
    digest: Option<Digest>,
}

/// Lists.
pub fn run(opened: &Opened, cx: &Context, porcelain: bool, zero: bool) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let all = repo.worktrees()?.into_iter().map(|worktree| describe(repo, worktree));
    let worktrees = all.collect::<Result<Vec<_>, _>>()?;
    if cx.json() {
        cx.out().json("worktree", &Answer { worktrees })?;
    } else if porcelain {
        worktrees.iter().try_for_each(|worktree| print_porcelain(cx, worktree, if zero { '\0' } else { '\n' }))?;
    } else {
        print(repo, cx, &worktrees)?;
    }
    Ok(Exit::Ok)
}

fn describe(repo: &Repository, worktree: LinkedWorktree) -> Result<Listed, RepoError> {
    let refs = FolderRefs::open(&repo.layout().common, worktree.id.as_deref())?;
    let (full, digest) = match worktree.head {
        Some(Target::Symbolic(branch)) => {
            let digest = refs.resolve(&branch)?.map(|(_, digest)| digest);
            (Some(branch), digest)
        }
        Some(Target::Id(digest)) => (None, Some(digest)),
        None => (None, None),
    };
    let bare = worktree.id.is_none() && worktree.path.is_none();
    let path = worktree.path.unwrap_or_else(|| repo.layout().common.clone());
    Ok(Listed {
        id: worktree.id,
        path: path.display().to_string(),
        branch: full.as_ref().map(|full| full.short().to_owned()),
        commit: digest.map(|digest| digest.to_string()),
        bare,
        missing: worktree.missing,
        mount: worktree.mount,
        waiting: worktree.waiting,
        full: full.map(|full| full.to_string()),
        digest,
    })
}

fn print_porcelain(cx: &Context, worktree: &Listed, end: char) -> Result<(), CliError> {
    let mut lines = vec![format!("worktree {}", worktree.path)];
    if worktree.bare {
        lines.push("bare".to_owned());
    } else {
        lines.push(format!("HEAD {}", worktree.commit.clone().unwrap_or_else(|| "0".repeat(64))));
        lines.push(worktree.full.as_ref().map_or("detached".to_owned(), |full| format!("branch {full}")));
    }
    if worktree.waiting {
        lines.push("locked a mount with changes that are kept for it".to_owned());
    }
    if worktree.missing {
        lines.push(format!("prunable {}", if worktree.mount { "the daemon is gone" } else { "the folder is gone" }));
    }
    lines.into_iter().chain([String::new()]).try_for_each(|line| write!(cx.out(), "{line}{end}"))
}

fn print(repo: &Repository, cx: &Context, worktrees: &[Listed]) -> Result<(), CliError> {
    use unicode_width::UnicodeWidthStr;
    let width = worktrees.iter().map(|worktree| worktree.path.width()).max().unwrap_or(0);
    for worktree in worktrees {
        let path = pad(&worktree.path, width, Align::Left);
        let id = worktree.digest.map(|digest| repo.short_id(&digest)).transpose()?;
        let id = id.unwrap_or_else(|| "0000000".to_owned());
        let gone = match (worktree.mount, worktree.missing) {
            _ if worktree.waiting => " (waiting mount)",
            (true, true) => " (dead mount) prunable",
            (true, false) => " (mount)",
            (false, true) => " prunable",
            (false, false) => "",
        };
        match &worktree.branch {
            _ if worktree.bare => writeln!(cx.out(), "{path} (bare)")?,
            Some(branch) => writeln!(cx.out(), "{path} {id} [{branch}]{gone}")?,
            None => writeln!(cx.out(), "{path} {id} (detached HEAD){gone}")?,
        }
    }
    Ok(())
}
