//! Renaming and copying branches.

use dits_core::config::Edit;
use dits_core::refs::{Expected, FolderRefs, LogLine, RefEdit, RefName, RefStore, Target};
use dits_core::repo::{RepoError, Repository};
use dits_core::signature::Signature;

use super::{Args, Done, Named, find};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::moves;
use crate::repository::Opened;
use crate::tracking;

/// Renames or copies.
pub fn run(opened: &Opened, cx: &Context, args: &Args) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let (old, new) = match &args.names[..] {
        [new] => {
            let head = repo.head()?;
            let current = head.branch().ok_or_else(|| CliError::usage("HEAD is on no branch; name the old one too"))?;
            (current.clone(), new)
        }
        [old, new] => {
            let old = moves::expand(repo, old)?;
            let unborn = repo.head()?.branch().filter(|branch| branch.short() == old).cloned();
            (unborn.map_or_else(|| find(repo, &old, false), Ok)?, new)
        }
        _ => return Err(CliError::usage("give the new name, or the old and the new one")),
    };
    let new = RefName::branch(new).map_err(RepoError::from)?;
    let who = opened.who(cx)?;
    let force = args.force_rename || args.force;
    check_free(repo, &old, &new, force)?;
    let tip = repo.refs().read(&old).map_err(RepoError::from)?;
    if old != new || !args.copy {
        replace(repo, &old, &new, tip.as_ref(), &who, args.copy)?;
    }
    if old != new {
        let (from, to) = (tracking::section(&old), tracking::section(&new));
        let replaced = Edit::RemoveSection(to.clone());
        match args.copy {
            true => tracking::copy(opened, &old, &new)?,
            false => tracking::update(repo, &[replaced, Edit::RenameSection(from, to)])?,
        }
    }
    if cx.json() {
        let commit = match tip {
            Some(Target::Id(digest)) => Some(digest.to_string()),
            _ => None,
        };
        let action = if args.copy { "copied" } else { "renamed" };
        let branches = vec![Named { name: new.short().to_owned(), commit }];
        cx.out().json("branch", &Done { action, branches })?;
    }
    Ok(Exit::Ok)
}

fn check_free(repo: &Repository, old: &RefName, new: &RefName, force: bool) -> Result<(), CliError> {
    if old == new || repo.refs().read(new).map_err(RepoError::from)?.is_none() {
        return Ok(());
    }
    if !force {
        return Err(RepoError::RefExists { kind: "branch", name: new.short().to_owned() }.into());
    }
    match repo.branches_in_use()?.remove(new) {
        Some(worktree) => Err(RepoError::BranchInUse { branch: new.short().to_owned(), worktree }.into()),
        None => Ok(()),
    }
}

fn replace(
    repo: &Repository,
    old: &RefName,
    new: &RefName,
    tip: Option<&Target>,
    who: &Signature,
    copy: bool,
) -> Result<(), RepoError> {
    let id = match tip {
        Some(Target::Id(digest)) => Some(*digest),
        _ => None,
    };
    let message = match copy {
        true => format!("Branch: copied {old} to {new}"),
        false => format!("Branch: renamed {old} to {new}"),
    };
    let log = LogLine { old: id, new: id, who: who.clone(), message };
    let mut edits = Vec::new();
    if let Some(tip) = tip {
        let mut edit = RefEdit::set(new.clone(), Expected::Any, tip.clone()).with_log(log.clone());
        edit.inherit_log = (old != new).then(|| old.clone());
        edits.push(edit);
    }
    if copy {
        return Ok(repo.refs().transaction(edits)?);
    }
    if old != new && tip.is_some() {
        edits.push(RefEdit::delete(old.clone(), tip.cloned().map_or(Expected::Any, Expected::Is)));
    }
    let on_old = |head: Option<Target>| head == Some(Target::Symbolic(old.clone()));
    let move_head = || RefEdit::set(RefName::head(), Expected::Any, Target::Symbolic(new.clone()));
    if on_old(repo.refs().read(&RefName::head())?) {
        edits.push(if tip.is_some() { move_head().with_log(log) } else { move_head() });
    }
    repo.refs().transaction(edits)?;
    let here = repo.layout().worktree_id();
    for worktree in repo.worktrees()?.into_iter().filter(|w| w.id.as_deref() != here && on_old(w.head.clone())) {
        FolderRefs::open(&repo.layout().common, worktree.id.as_deref())?.transaction(vec![move_head()])?;
    }
    Ok(())
}
