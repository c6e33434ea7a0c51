//! Refs, their logs, and the records that each worktree has for itself.

use std::path::PathBuf;

use super::{FsckReport, Severity};
use crate::index::{Index, IndexError};
use crate::record::RecordError;
use crate::refs::{FolderRefs, RefError, RefName, RefStore, Target};
use crate::repo::{Layout, Pending, RepoError, Repository, place_of};

const ANEW: &str = "run `dits fsck --repair`: it sets a ref to where its log has it last. One without a log, such as a tag, \
                    is only set aside; then set it anew with `dits tag NAME COMMIT`";
const LOG: &str = "remove the damaged line, or the whole log: it only tells where a branch was before; then \
                   run `dits fsck` again";
const INDEX: &str = "remove it and run `dits reset`: staged changes are lost, files and commits are not";
const PROMISED: &str = "remove it and fetch from the remotes again: it says what content they hold";
const SHALLOW: &str = "remove it and fetch from the remotes again: it says where history ends";
const PENDING: &str = "remove it and see with `dits status` what the merge has left to do";

impl Repository {
    pub(super) fn check_records(&self, report: &mut FsckReport) -> Result<(), RepoError> {
        note(self.promises().map(drop), PROMISED, report)?;
        note(self.shallow().map(drop), SHALLOW, report)?;
        let ghosts = self.layout().common.join("ghost");
        if ghosts.exists() {
            let what = "files that are not here stand for this folder, so it must not exist".to_owned();
            report.add(Severity::Warning, Some(ghosts), what, Some("move it away"));
        }
        for private in self.private_folders()? {
            let is_main = private == self.layout().common;
            let worktree = if is_main { Layout::main(&private).worktree } else { place_of(&private)? };
            let bare = is_main && worktree.is_none();
            let layout = Layout { private, worktree, ..self.layout().clone() };
            let refs = FolderRefs::open(&layout.common, layout.worktree_id())?;
            for name in refs.damaged()?.into_iter().filter(|name| is_main || name.is_per_worktree()) {
                note(refs.read(&name).map(drop).map_err(Into::into), ANEW, report)?;
            }
            for name in refs.logs()?.into_iter().filter(|name| is_main || name.is_per_worktree()) {
                note(refs.log(&name, usize::MAX).map(drop).map_err(Into::into), LOG, report)?;
                check_log_has_ref(&refs, &name, report)?;
            }
            check_head(&refs, &layout, bare, report)?;
            let (index, pending) = (Index::load(&layout.index()), Pending::of(&layout));
            if index.as_ref().is_ok_and(|index| index.has_conflicts()) && matches!(pending, Ok(None)) {
                let what = "there are conflicts, but no record of the merge they are from".to_owned();
                let remedy = "resolve them with `dits resolve` and commit, or `dits reset --hard` to give up";
                report.add(Severity::Warning, Some(layout.index()), what, Some(remedy));
            }
            note(index.map(drop).map_err(Into::into), INDEX, report)?;
            note(pending.map(drop), PENDING, report)?;
        }
        let worktrees = match self.worktrees() {
            // The HEAD that is damaged was found above.
            Err(error) if error.is_corruption() => Vec::new(),
            other => other?,
        };
        for worktree in worktrees.into_iter().filter(|worktree| worktree.missing) {
            let id = worktree.id.unwrap_or_default();
            let what = format!("the worktree `{id}` is not where its record says");
            let remedy = "`dits worktree list` shows where it should be; `dits worktree prune` forgets it";
            let file = self.layout().linked_worktrees().join(id).join("worktree");
            report.add(Severity::Warning, Some(file), what, Some(remedy));
        }
        Ok(())
    }
}

/// Makes damage a finding.
fn note(result: Result<(), RepoError>, remedy: &str, report: &mut FsckReport) -> Result<(), RepoError> {
    match result {
        Err(error) if error.is_corruption() => {
            report.add(Severity::Error, file_of(&error), error.to_string(), Some(remedy));
            Ok(())
        }
        other => other,
    }
}

fn file_of(error: &RepoError) -> Option<PathBuf> {
    match error {
        RepoError::Ref(RefError::Corrupt { file, .. })
        | RepoError::Index(IndexError::Corrupt { file, .. })
        | RepoError::Record(RecordError::Corrupt { file, .. })
        | RepoError::NoHead { file } => Some(file.clone()),
        _ => None,
    }
}

/// A ref that is deleted takes its log with it: a log without a ref means that the ref was lost.
fn check_log_has_ref(refs: &FolderRefs, name: &RefName, report: &mut FsckReport) -> Result<(), RepoError> {
    if name.is_per_worktree() || !matches!(refs.read(name), Ok(None)) {
        return Ok(());
    }
    let Ok(entries) = refs.log(name, 1) else { return Ok(()) };
    let Some(last) = entries.first().and_then(|entry| entry.new) else { return Ok(()) };
    let what = format!("`{name}` is gone, though its log is there");
    let remedy = match (name.as_branch(), name.as_tag()) {
        (Some(branch), _) => format!("bring it back with `dits branch {branch} {last}`"),
        (_, Some(tag)) => format!("bring it back with `dits tag {tag} {last}`"),
        _ => format!("it was at {last}"),
    };
    report.add(Severity::Error, None, what, Some(&remedy));
    Ok(())
}

/// HEAD must be there, and where it names a commit there must be an index.
fn check_head(refs: &FolderRefs, layout: &Layout, bare: bool, report: &mut FsckReport) -> Result<(), RepoError> {
    let head = RefName::head();
    // Damage of refs is reported already.
    let Ok(target) = refs.read(&head) else { return Ok(()) };
    let Some(target) = target else {
        let remedy = "run `dits switch -f BRANCH` to be on a branch again";
        report.add(Severity::Error, Some(layout.head()), "HEAD is missing".to_owned(), Some(remedy));
        return Ok(());
    };
    let Ok(resolved) = refs.resolve(&head) else { return Ok(()) };
    // A mount that can only be read stages nothing, and a bare repository neither.
    let stages = layout.needs_index() || !(bare || layout.is_mount());
    if resolved.is_some() && stages && !layout.index().exists() {
        let what = "the index is missing: what was staged is not known".to_owned();
        let severity = if layout.needs_index() { Severity::Error } else { Severity::Warning };
        report.add(severity, Some(layout.index()), what, Some("run `dits reset` to make it from HEAD"));
    }
    if let (Target::Symbolic(branch), None) = (&target, resolved)
        && let Ok(entries) = refs.log(&head, 1)
        && let Some(last) = entries.first().and_then(|entry| entry.new)
        && refs.log(branch, 1).is_ok_and(|log| log.is_empty())
    {
        let what = format!("HEAD is on `{}`, which has no commit; it was at {last} last", branch.short());
        let remedy = format!("if that is not a new branch, bring it back with `dits branch {} {last}`", branch.short());
        report.add(Severity::Warning, None, what, Some(&remedy));
    }
    Ok(())
}
