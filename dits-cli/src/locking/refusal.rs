//! What is said of a lock that cannot be had, and of a push that locks stand against: who has it, since when, where, why, and
//! what to do.

use dits_core::lock::{CloneId, Lock};
use dits_core::path::RepoPath;
use dits_sync::client::LockRefusal;
use serde::Serialize;

use super::show::{self, LockJson};
use crate::date::Moment;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::json::Bytes;
use crate::repository::Opened;

/// How many refusals are told one by one.
const TOLD: usize = 10;

/// A refusal in JSON.
#[derive(Debug, Serialize)]
pub struct RefusalJson {
    path: Bytes,
    /// `held`, `retained`, `stale`, `token`, `not-locked`, `crowded`, `unknown`.
    why: &'static str,
    message: String,
    hints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<LockJson>,
}

/// Says what refusals mean, seen from one clone.
pub struct Teller<'a> {
    /// The repository.
    pub opened: &'a Opened,
    /// The remote.
    pub remote: &'a str,
    /// This clone.
    pub us: Option<CloneId>,
    /// Its account's name there, if known.
    pub you: &'a str,
    /// Now.
    pub now: Moment,
    /// Whether it is a push that is refused.
    pub push: bool,
}

impl Teller<'_> {
    /// One sentence.
    #[must_use]
    pub fn message(&self, path: &RepoPath, refusal: &LockRefusal) -> String {
        let path = format!("`{}`", self.opened.show(path));
        match refusal {
            LockRefusal::Held(lock) if self.is_ours(lock) => {
                format!("{path} {} in this clone", show::held(lock, self.now))
            }
            LockRefusal::Held(lock) => {
                let elsewhere = if lock.holder.name == self.you { ", in another clone of yours" } else { "" };
                format!("{path} {}{elsewhere}", show::held(lock, self.now))
            }
            LockRefusal::Retained(lock) => {
                let branch = lock.retained.as_ref().map_or("another branch", |retained| retained.branch.short());
                let who = &lock.holder.name;
                format!("{path} has a newer version, by {who}, on `{branch}`, which is not on the main line yet")
            }
            LockRefusal::Stale { branch } => {
                format!("{path} has a newer version on {}/{}", self.remote, branch.short())
            }
            LockRefusal::Token { own: Some(_) } => {
                format!("{path} is locked by you, but the token of it is out of date")
            }
            LockRefusal::Token { own: None } => format!("{path} was locked by you, and is not any more"),
            LockRefusal::NotLocked => format!("{path} is not locked, and the repository requires it"),
            LockRefusal::Crowded => format!("{path} is locked by too many already"),
            LockRefusal::Unknown => format!("whether {path} is locked cannot be told: the server's lock store is away"),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hints(&self, path: &RepoPath, refusal: &LockRefusal) -> Vec<String> {
        let path = self.opened.show(path);
        let one = |hint: String| vec![hint];
        match refusal {
            LockRefusal::Held(lock) if lock.holder.name == self.you => {
                one(format!("`dits unlock {path}` there, or `dits unlock --force {path}` here"))
            }
            LockRefusal::Held(lock) => {
                let wait = match self.push {
                    true => "your commits are safe here; push again when it is free".to_owned(),
                    false => format!("`dits lock --wait {path}` takes it as soon as it is free"),
                };
                vec![
                    format!("ask {}", lock.holder.name),
                    wait,
                    "`dits unlock --force` takes it away, if you may".to_owned(),
                ]
            }
            LockRefusal::Retained(lock) => {
                let branch = lock.retained.as_ref().map_or("the branch", |retained| retained.branch.short());
                one(format!("start from that version: `dits fetch`, then `dits merge {}/{branch}`", self.remote))
            }
            LockRefusal::Stale { .. } => one("`dits pull` first".to_owned()),
            LockRefusal::Token { own: Some(_) } => one(format!("`dits lock {path}` again, then push again")),
            LockRefusal::Token { own: None } => vec![
                format!("`dits locks {path}` shows who has it now"),
                format!("`dits lock {path}` locks it again, if it is free and the newest version"),
            ],
            LockRefusal::NotLocked => one(format!("`dits lock {path}`, then push again")),
            LockRefusal::Crowded => one("wait until somebody unlocks it".to_owned()),
            LockRefusal::Unknown => {
                one("try again in a while; whoever runs the server can find the reason in its log".to_owned())
            }
        }
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self, path: &RepoPath, refusal: &LockRefusal) -> RefusalJson {
        let (why, lock) = match refusal {
            LockRefusal::Held(lock) => ("held", Some(lock)),
            LockRefusal::Retained(lock) => ("retained", Some(lock)),
            LockRefusal::Stale { .. } => ("stale", None),
            LockRefusal::Token { own } => ("token", own.as_ref()),
            LockRefusal::NotLocked => ("not-locked", None),
            LockRefusal::Crowded => ("crowded", None),
            LockRefusal::Unknown => ("unknown", None),
        };
        let branch = match refusal {
            LockRefusal::Stale { branch } => Some(branch.short().to_owned()),
            _ => None,
        };
        RefusalJson {
            path: Bytes::from(path),
            why,
            message: self.message(path, refusal),
            hints: self.hints(path, refusal),
            branch,
            lock: lock.map(|lock| LockJson::new(lock, self.us)),
        }
    }

    /// All of them as the failure of a command; `None` if there is none. The lock store being away is no answer.
    #[must_use]
    pub fn failure(&self, what: &str, refused: &[(RepoPath, LockRefusal)]) -> Option<CliError> {
        let (path, refusal) = refused.first()?;
        let away = refused.iter().all(|(_, refusal)| *refusal == LockRefusal::Unknown);
        let exit = if away { Exit::Network } else { Exit::Lock };
        let mut lines: Vec<String> = refused.iter().take(TOLD).map(|(path, why)| self.message(path, why)).collect();
        if refused.len() > TOLD {
            lines.push(format!("and {} more", refused.len() - TOLD));
        }
        let message = match (what, lines.len()) {
            ("", 1) => lines.concat(),
            ("", _) => format!("nothing was locked\n  {}", lines.join("\n  ")),
            (what, _) => format!("{what}\n  {}", lines.join("\n  ")),
        };
        let mut error = CliError::new(exit, message);
        error.hints = self.hints(path, refusal);
        // Who must do several things learns of each once.
        for (path, refusal) in &refused[1..] {
            let more = self.hints(path, refusal);
            let same = |hint: &&String| !error.hints.contains(hint);
            let more: Vec<String> = more.iter().filter(same).cloned().collect();
            if error.hints.len() + more.len() <= 6 {
                error.hints.extend(more);
            }
        }
        Some(error)
    }

    fn is_ours(&self, lock: &Lock) -> bool {
        Some(lock.holder.clone) == self.us
    }
}
