//! The JSON form.

use dits_core::diff::ChangeKind;
use dits_core::path::RepoPath;
use dits_core::repo::Head;
use dits_core::worktree::{Skipped, StagedChange, Status, Untracked};
use serde::Serialize;

use super::short::conflict_letters;
use crate::locking::unheld::{Unheld, UnheldJson};
use crate::output::json::Bytes;
use crate::tracking::{Tracking, TrackingJson};

/// What `dits status --json` answers.
#[derive(Serialize)]
pub struct Answer {
    branch: Option<String>,
    head: Option<String>,
    upstream: Option<TrackingJson>,
    detached: bool,
    in_progress: Option<&'static str>,
    clean: bool,
    staged: Vec<Staged>,
    unstaged: Vec<Unstaged>,
    conflicts: Vec<Conflict>,
    untracked: Vec<Listed>,
    ignored: Vec<Listed>,
    skipped: Vec<Left>,
    unreadable: Vec<Unreadable>,
    ghosts: usize,
    unheld: Vec<UnheldJson>,
}

#[derive(Serialize)]
struct Staged {
    path: Bytes,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    similarity: Option<u8>,
    old_size: Option<u64>,
    new_size: Option<u64>,
}

#[derive(Serialize)]
struct Unstaged {
    path: Bytes,
    change: &'static str,
}

#[derive(Serialize)]
struct Conflict {
    path: Bytes,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    theirs_in: Option<Bytes>,
}

#[derive(Serialize)]
struct Listed {
    path: Bytes,
    folder: bool,
}

#[derive(Serialize)]
struct Left {
    path: Bytes,
    reason: String,
}

#[derive(Serialize)]
struct Unreadable {
    path: Bytes,
    error: String,
}

fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "added",
        ChangeKind::Deleted => "deleted",
        ChangeKind::Modified => "modified",
        ChangeKind::TypeChanged => "type-changed",
    }
}

fn staged(staged: &StagedChange) -> Staged {
    let change = &staged.change;
    Staged {
        path: (&change.path).into(),
        change: if staged.rename.is_some() { "renamed" } else { word(change.kind()) },
        from: staged.rename.as_ref().map(|rename| (&rename.from).into()),
        similarity: staged.rename.as_ref().map(|rename| rename.similarity),
        old_size: change.old.as_ref().map(|version| version.size),
        new_size: change.new.as_ref().map(|version| version.size),
    }
}

fn listed(list: &[Untracked]) -> Vec<Listed> {
    list.iter().map(|one| Listed { path: (&one.path).into(), folder: one.is_folder }).collect()
}

fn left(skipped: &Skipped) -> Left {
    match skipped {
        Skipped::Nested(path) => Left { path: path.into(), reason: "a repository of its own".to_owned() },
        Skipped::Special(path) => Left { path: path.into(), reason: "not a file, link or folder".to_owned() },
        Skipped::Refused(folder, name, why) => {
            let folder = folder.as_ref().map(|folder| [folder.as_bytes(), b"/"].concat()).unwrap_or_default();
            Left { path: Bytes([&folder[..], name].concat()), reason: why.to_string() }
        }
    }
}

impl Answer {
    /// All of a status.
    pub fn new(status: &Status, tracking: Option<&Tracking>, unheld: &[Unheld]) -> Self {
        let beside = |path: &RepoPath| {
            let pending = status.pending.as_ref()?;
            pending.beside.iter().find(|(of, _)| of == path).map(|(_, file)| Bytes::from(file))
        };
        let conflict = |conflict: &dits_core::index::Conflict| {
            let (ours, theirs) = conflict_letters(conflict);
            Conflict {
                path: (&conflict.path).into(),
                code: format!("{ours}{theirs}"),
                theirs_in: beside(&conflict.path),
            }
        };
        let unreadable = status.unreadable.iter();
        Self {
            branch: status.head.branch().map(|branch| branch.short().to_owned()),
            head: status.head.commit().map(|id| id.to_string()),
            upstream: tracking.map(TrackingJson::from),
            detached: matches!(status.head, Head::Detached { .. }),
            in_progress: status.pending.as_ref().map(|pending| pending.kind.command()),
            clean: status.is_clean(),
            staged: status.staged.iter().map(staged).collect(),
            unstaged: status
                .unstaged
                .iter()
                .map(|one| Unstaged { path: (&one.path).into(), change: word(one.kind) })
                .collect(),
            conflicts: status.conflicts.iter().map(conflict).collect(),
            untracked: listed(&status.untracked),
            ignored: listed(&status.ignored),
            skipped: status.skipped.iter().map(left).collect(),
            ghosts: status.ghosts,
            unheld: unheld.iter().map(Unheld::json).collect(),
            unreadable: unreadable.map(|(path, e)| Unreadable { path: path.into(), error: e.to_string() }).collect(),
        }
    }
}
