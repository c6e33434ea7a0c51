//! Renaming and removing a remote, with its branches as seen here and what follows them.
//!
//! Refs change in one transaction, then settings in one change of the file. A command that is killed between the two can
//! be run again: the settings still name the remote.

use dits_core::config::{self, Config, Edit, Layer, Value};
use dits_core::lock::LocalLocks;
use dits_core::refs::{Expected, LogLine, RefEdit, RefName, RefStore, Target};
use dits_core::remote::{Refspec, Remote};
use dits_core::repo::{RepoError, Repository};
use dits_core::signature::Signature;

use super::tell;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::remotes::named;
use crate::repository::Opened;
use crate::sharing::seen;

/// Removes one.
pub fn remove(opened: &Opened, cx: &Context, name: &str, force: bool) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    named(repo, name)?;
    check_here(repo, name)?;
    let promised = repo.promises()?;
    if promised.iter().any(|(holder, _)| holder == name) {
        if !force {
            return Err(CliError::new(Exit::Conflict, format!("remote `{name}` may hold content that is not here"))
                .hint("`dits fetch .` brings the files of this version")
                .hint(format!("`dits remote remove --force {name}` gives up what is not here by then")));
        }
        repo.forget_promises(name)?;
    }
    let refs = repo.refs().list(&Remote::space(name)).map_err(RepoError::from)?;
    let edits = refs.into_iter().map(|(name, target)| RefEdit::delete(name, Expected::Is(target)));
    repo.refs().transaction(edits.collect()).map_err(RepoError::from)?;
    seen::forget(repo, name);
    LocalLocks::forget(&repo.layout().common, name)?;
    let mut edits = vec![Edit::RemoveSection(format!("remote.{name}"))];
    for branch in followers(repo.config(), name) {
        edits.extend(["remote", "merge"].map(|key| Edit::Unset(format!("branch.{branch}.{key}"))));
    }
    config::update(Layer::Repository, &repo.layout().config(), &edits)?;
    tell(opened, cx, "removed", &[])
}

/// Renames one.
pub fn rename(opened: &Opened, cx: &Context, old: &str, new: &str) -> Result<Exit, CliError> {
    let repo = &opened.repo;
    let remote = named(repo, old)?;
    check_here(repo, old)?;
    Remote::check_name(new).map_err(RepoError::from)?;
    if old == new {
        return tell(opened, cx, "renamed", &[new]);
    }
    if Remote::find(repo.config(), new).map_err(RepoError::from)?.is_some() {
        return Err(CliError::usage(format!("remote {new} already exists.")));
    }
    repo.refs().transaction(moved_refs(repo, old, new, &opened.who(cx)?)?).map_err(RepoError::from)?;
    repo.rename_promises(old, new)?;
    seen::forget(repo, old);
    LocalLocks::rename(&repo.layout().common, old, new)?;
    let mut edits = vec![Edit::RenameSection(format!("remote.{old}"), format!("remote.{new}"))];
    let (from, to) = (Remote::space(old), Remote::space(new));
    let specs = remote.fetch.into_iter().map(|spec| {
        let target = spec.target.map(|target| match target.strip_prefix(&from) {
            Some(rest) => format!("{to}{rest}"),
            None => target,
        });
        Value::Text(Refspec { target, ..spec }.to_string())
    });
    edits.push(Edit::Set(format!("remote.{new}.fetch"), Value::List(specs.collect())));
    for branch in followers(repo.config(), old) {
        edits.push(Edit::Set(format!("branch.{branch}.remote"), Value::Text(new.to_owned())));
    }
    config::update(Layer::Repository, &repo.layout().config(), &edits)?;
    tell(opened, cx, "renamed", &[new])
}

/// What is set for all repositories is changed with `dits config --global`.
fn check_here(repo: &Repository, name: &str) -> Result<(), CliError> {
    if Remote::is_set_here(repo.config(), name) {
        return Ok(());
    }
    Err(CliError::usage(format!("remote `{name}` is not set up in this repository's own settings"))
        .hint("`dits config list --show-origin` shows where; change it there"))
}

/// The branches that follow one of a remote's.
fn followers(config: &Config, name: &str) -> Vec<String> {
    let own = config.list().filter(|setting| setting.origin.layer == Layer::Repository);
    let named = own.filter(|setting| setting.value.to_text().as_deref() == Some(name));
    let branch = |key: &str| {
        let (section, rest) = key.split_once('.')?;
        let (branch, last) = rest.rsplit_once('.')?;
        let fits = section.eq_ignore_ascii_case("branch") && last.eq_ignore_ascii_case("remote");
        fits.then(|| branch.to_owned())
    };
    named.filter_map(|setting| branch(&setting.key)).collect()
}

/// What gives a remote's refs their new names, logs included.
fn moved_refs(repo: &Repository, old: &str, new: &str, who: &Signature) -> Result<Vec<RefEdit>, RepoError> {
    let (from, to) = (Remote::space(old), Remote::space(new));
    let renamed = |name: &RefName| match name.as_str().strip_prefix(&from) {
        Some(rest) => RefName::parse(&format!("{to}{rest}")),
        None => Ok(name.clone()),
    };
    let mut edits = Vec::new();
    for (name, target) in repo.refs().list(&from)? {
        let new_name = renamed(&name)?;
        let edit = match &target {
            Target::Symbolic(at) => RefEdit::set(new_name, Expected::Any, Target::Symbolic(renamed(at)?)),
            Target::Id(id) => {
                let message = format!("remote: renamed {name} to {new_name}");
                let log = LogLine { old: Some(*id), new: Some(*id), who: who.clone(), message };
                let edit = RefEdit::set(new_name, Expected::Any, target.clone()).with_log(log);
                RefEdit { inherit_log: Some(name.clone()), ..edit }
            }
        };
        edits.extend([edit, RefEdit::delete(name, Expected::Is(target))]);
    }
    Ok(edits)
}
