//! Changed files that somebody else has locked, or that should have been locked first: told early, as the push will not take
//! them.

use dits_core::lock::{LockView, Standing};
use dits_core::path::RepoPath;
use serde::Serialize;

use super::desk::tell_damage;
use super::show::{self, LockJson};
use crate::context::Context;
use crate::date::Moment;
use crate::error::CliError;
use crate::output::json::Bytes;
use crate::repository::Opened;

/// How many files are told one by one.
const TOLD: usize = 10;

/// A file that was changed without a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unheld {
    /// The file.
    pub path: RepoPath,
    /// Why that is worth a word.
    pub why: Why,
}

/// What is wrong with the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is lockable, and not locked by this clone.
    NotLocked,
    /// It was made editable offline, and is not locked yet.
    Offline,
    /// Somebody else has it.
    Theirs(Box<dits_core::lock::Lock>),
    /// Its newest version waits on another branch.
    Retained(Box<dits_core::lock::Lock>),
}

/// One of them in JSON.
#[derive(Debug, Serialize)]
pub struct UnheldJson {
    path: Bytes,
    /// `not-locked`, `offline`, `held`, `retained`.
    why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<LockJson>,
}

impl Unheld {
    /// For people.
    #[must_use]
    pub fn words(&self, now: Moment) -> String {
        match &self.why {
            Why::NotLocked => "is lockable and not locked by you".to_owned(),
            Why::Offline => "is not locked yet; it was made editable offline".to_owned(),
            Why::Theirs(lock) => show::held(lock, now),
            Why::Retained(lock) => {
                let branch = lock.retained.as_ref().map_or("another branch", |retained| retained.branch.short());
                format!("has a newer version, by {}, on `{branch}`", lock.holder.name)
            }
        }
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> UnheldJson {
        let (why, lock) = match &self.why {
            Why::NotLocked => ("not-locked", None),
            Why::Offline => ("offline", None),
            Why::Theirs(lock) => ("held", Some(lock)),
            Why::Retained(lock) => ("retained", Some(lock)),
        };
        UnheldJson { path: Bytes::from(&self.path), why, lock: lock.map(|lock| LockJson::new(lock, None)) }
    }
}

/// Those of the changed files that are worth a word; of new ones, those that somebody else has locked.
///
/// # Errors
/// When the worktree cannot be opened.
pub fn among<'p>(
    opened: &Opened,
    cx: &Context,
    changed: impl IntoIterator<Item = (&'p RepoPath, bool)>,
) -> Result<Vec<Unheld>, CliError> {
    let mut changed = changed.into_iter().peekable();
    if changed.peek().is_none() || opened.repo.layout().worktree.is_none() {
        return Ok(Vec::new());
    }
    let dirs = opened.repo.work_dirs()?;
    // Rules that cannot be read are told by `add`.
    let Ok(view) = LockView::new(&opened.repo, &dirs, Some(cx.now()?.seconds)) else { return Ok(Vec::new()) };
    view.damaged.iter().for_each(|damage| tell_damage(damage, cx));
    let mut found = Vec::new();
    for (path, is_new) in changed {
        let why = match view.standing(path).1 {
            Standing::Ours(_) => continue,
            Standing::Offline => Why::Offline,
            Standing::Theirs(lock) => Why::Theirs(Box::new(lock.clone())),
            Standing::Retained(lock) => Why::Retained(Box::new(lock.clone())),
            Standing::Free if is_new || !view.rules(path).is_ok_and(|rules| rules.lockable) => continue,
            Standing::Free => Why::NotLocked,
        };
        found.push(Unheld { path: path.clone(), why });
    }
    Ok(found)
}

/// Warns of them.
///
/// # Errors
/// When the worktree cannot be opened.
pub fn warn<'p>(
    opened: &Opened,
    cx: &Context,
    changed: impl IntoIterator<Item = (&'p RepoPath, bool)>,
) -> Result<(), CliError> {
    let found = among(opened, cx, changed)?;
    let now = cx.now()?;
    for one in found.iter().take(TOLD) {
        let path = opened.show(&one.path);
        let next = match one.why {
            Why::NotLocked => format!(" (`dits lock {path}`)"),
            _ => String::new(),
        };
        cx.warn(format!("{path} {}{next}", one.words(now)));
    }
    if found.len() > TOLD {
        cx.warn(format!("{} more changed files are not locked by you; `dits status` lists them", found.len() - TOLD));
    }
    Ok(())
}
