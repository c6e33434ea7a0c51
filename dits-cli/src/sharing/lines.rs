//! One line for each ref that moves between repositories, as git prints them.

use dits_core::object::Digest;
use dits_core::refs::{RefName, TAGS};
use dits_core::repo::{RepoError, Repository};
use serde::Serialize;

/// What becomes, or became, of a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It was there already.
    UpToDate,
    /// It moved forward.
    FastForward,
    /// It left commits behind.
    Forced,
    /// It is new.
    New,
    /// A tag names something else now.
    TagUpdate,
    /// It is gone.
    Deleted,
    /// It stays as it was, for the reason that is given.
    Rejected,
    /// The same, and it was the other side that said so.
    RemoteRejected,
}

impl Status {
    /// Whether it did not become what was asked for.
    #[must_use]
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Rejected | Self::RemoteRejected)
    }

    fn mark(self) -> char {
        match self {
            Self::UpToDate => '=',
            Self::FastForward => ' ',
            Self::Forced => '+',
            Self::New => '*',
            Self::TagUpdate => 't',
            Self::Deleted => '-',
            Self::Rejected | Self::RemoteRejected => '!',
        }
    }
}

/// A ref that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What becomes of it.
    pub status: Status,
    /// What it is called where it comes from; `None` when it is deleted.
    pub from: Option<String>,
    /// What it is called where it goes.
    pub to: String,
    /// What it named before.
    pub old: Option<Digest>,
    /// What it names now.
    pub new: Option<Digest>,
    /// Why it is refused.
    pub reason: Option<String>,
}

/// The same in JSON.
#[derive(Debug, Serialize)]
pub struct MovedJson {
    status: Status,
    from: Option<String>,
    to: String,
    old: Option<String>,
    new: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<&Moved> for MovedJson {
    fn from(moved: &Moved) -> Self {
        Self {
            status: moved.status,
            from: moved.from.clone(),
            to: moved.to.clone(),
            old: moved.old.map(|id| id.to_string()),
            new: moved.new.map(|id| id.to_string()),
            reason: moved.reason.clone(),
        }
    }
}

impl Moved {
    /// `1a2b3c4..5d6e7f8`, `[new branch]`.
    fn summary(&self, repo: &Repository) -> Result<String, RepoError> {
        let short = |id: Option<Digest>| id.map(|id| repo.short_id(&id)).transpose().map(Option::unwrap_or_default);
        let from = self.from.as_deref().unwrap_or_default();
        Ok(match self.status {
            Status::FastForward => format!("{}..{}", short(self.old)?, short(self.new)?),
            Status::Forced => format!("{}...{}", short(self.old)?, short(self.new)?),
            Status::New if self.to.starts_with(TAGS) || from.starts_with(TAGS) => "[new tag]".to_owned(),
            Status::New => "[new branch]".to_owned(),
            Status::UpToDate => "[up to date]".to_owned(),
            Status::TagUpdate => "[tag update]".to_owned(),
            Status::Deleted => "[deleted]".to_owned(),
            Status::Rejected => "[rejected]".to_owned(),
            Status::RemoteRejected => "[remote rejected]".to_owned(),
        })
    }
}

/// A full name as people use it.
fn pretty(name: &str) -> String {
    RefName::parse(name).map_or_else(|_| name.to_owned(), |name| name.short().to_owned())
}

/// The lines of a fetch: what the remote calls it, and what it is called here.
///
/// # Errors
/// When the store cannot be read.
pub fn fetched(repo: &Repository, moves: &[Moved]) -> Result<String, RepoError> {
    let names = |moved: &Moved| moved.from.as_deref().map_or_else(|| "(none)".to_owned(), pretty);
    let width = moves.iter().map(|moved| names(moved).chars().count()).max().unwrap_or(0).max(10);
    lines(repo, moves, |moved| {
        let note = match (moved.status, &moved.reason) {
            (_, Some(reason)) => format!("  ({reason})"),
            (Status::Forced, None) => "  (forced update)".to_owned(),
            _ => String::new(),
        };
        format!("{:<width$} -> {}{note}", names(moved), pretty(&moved.to))
    })
}

/// The lines of a push: what it is called here, and what the remote calls it.
///
/// # Errors
/// When the store cannot be read.
pub fn pushed(repo: &Repository, moves: &[Moved]) -> Result<String, RepoError> {
    lines(repo, moves, |moved| {
        let note = match (moved.status, &moved.reason) {
            (_, Some(reason)) => format!(" ({reason})"),
            (Status::Forced, None) => " (forced update)".to_owned(),
            _ => String::new(),
        };
        let to = pretty(&moved.to);
        moved.from.as_deref().map_or_else(|| format!("{to}{note}"), |from| format!("{} -> {to}{note}", pretty(from)))
    })
}

fn lines(repo: &Repository, moves: &[Moved], rest: impl Fn(&Moved) -> String) -> Result<String, RepoError> {
    let summaries = moves.iter().map(|moved| moved.summary(repo)).collect::<Result<Vec<_>, _>>()?;
    // Two abbreviated ids with three dots between them.
    let width = summaries.iter().map(String::len).max().unwrap_or(0).max(17);
    let mut text = String::new();
    for (moved, summary) in moves.iter().zip(summaries) {
        text.push_str(&format!(" {} {summary:<width$} {}\n", moved.status.mark(), rest(moved)));
    }
    Ok(text)
}
