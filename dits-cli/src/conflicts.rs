//! How conflicts are shown, whichever command meets them.

use dits_core::diff::{Change, FileVersion};
use dits_core::merge::{Applied, Conflict};
use dits_core::path::RepoPath;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::output::color;
use crate::output::json::Bytes;
use crate::output::size::{format_bytes, plural};
use crate::repository::Opened;

/// A conflict in JSON.
#[derive(Debug, Serialize)]
pub struct ConflictJson {
    path: Bytes,
    kind: &'static str,
    /// The sizes of the versions; absent where a side has no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ours: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    theirs: Option<u64>,
    /// The file with their version.
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<Bytes>,
    /// Where the side without a file here has moved it to.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_to: Option<Bytes>,
}

/// What files an operation changed.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Changed {
    added: usize,
    changed: usize,
    removed: usize,
}

impl Changed {
    /// Counts.
    #[must_use]
    pub fn of(changes: &[Change]) -> Self {
        let mut counts = Self::default();
        for change in changes {
            match (&change.old, &change.new) {
                (None, _) => counts.added += 1,
                (_, None) => counts.removed += 1,
                _ => counts.changed += 1,
            }
        }
        counts
    }
}

impl std::fmt::Display for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [(self.added, "added"), (self.changed, "changed"), (self.removed, "removed")];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{} {what}", plural(*n as u64, "file", "files")))
            .collect();
        f.write_str(&if parts.is_empty() { "no file changed".to_owned() } else { parts.join(", ") })
    }
}

/// The JSON form of what is in conflict.
#[must_use]
pub fn to_json(conflicts: &[Conflict], beside: &[(RepoPath, RepoPath)]) -> Vec<ConflictJson> {
    let size = |version: &Option<FileVersion>| version.as_ref().map(|version| version.size);
    let one = |conflict: &Conflict| ConflictJson {
        path: Bytes::from(&conflict.path),
        kind: kind(conflict).0,
        base: size(&conflict.base),
        ours: size(&conflict.ours),
        theirs: size(&conflict.theirs),
        beside: beside_of(&conflict.path, beside).map(Bytes::from),
        moved_to: conflict.moved_to.as_ref().map(Bytes::from),
    };
    conflicts.iter().map(one).collect()
}

fn beside_of<'a>(path: &RepoPath, beside: &'a [(RepoPath, RepoPath)]) -> Option<&'a RepoPath> {
    beside.iter().find(|(of, _)| of == path).map(|(_, file)| file)
}

/// The name for scripts and the words for people.
fn kind(conflict: &Conflict) -> (&'static str, &'static str) {
    let moved = conflict.moved_to.is_some();
    match (&conflict.base, &conflict.ours, &conflict.theirs) {
        (_, Some(_), None) if moved => ("both-moved", "moved by both"),
        (_, None, _) if moved => ("both-moved", "moved by both"),
        (Some(_), Some(_), Some(_)) => ("both-changed", "changed by both"),
        (None, Some(_), Some(_)) => ("both-added", "added by both"),
        (_, Some(_), None) => ("removed-by-them", "removed by them"),
        (_, None, Some(_)) => ("removed-by-us", "removed by us"),
        (_, None, None) => ("removed-by-both", "removed by both"),
    }
}

/// Lists conflicts: what each side has, and in which file.
///
/// # Errors
/// When the output cannot be written.
pub fn list(
    conflicts: &[Conflict],
    beside: &[(RepoPath, RepoPath)],
    opened: &Opened,
    cx: &Context,
) -> Result<(), CliError> {
    for conflict in conflicts {
        let name = opened.show(&conflict.path);
        let (_, what) = kind(conflict);
        writeln!(cx.out(), "{} ({what}): {name}", cx.out().paint(color::DELETED, "CONFLICT"))?;
        let elsewhere =
            conflict.moved_to.as_ref().map_or("no file".to_owned(), |to| format!("moved to {}", opened.show(to)));
        let side = |version: &Option<FileVersion>, file: &str| match version {
            Some(version) => format!("{file} ({})", format_bytes(version.size)),
            None => elsewhere.clone(),
        };
        let theirs = beside_of(&conflict.path, beside).map_or(name.clone(), |file| opened.show(file));
        writeln!(cx.out(), "  ours:   {}", side(&conflict.ours, &name))?;
        writeln!(cx.out(), "  theirs: {}", side(&conflict.theirs, &theirs))?;
    }
    Ok(())
}

/// Tells about conflicts and what to do now. `go_on` and `give_up` are the commands.
///
/// # Errors
/// When the output cannot be written.
pub fn report(
    applied: &Applied,
    what: &str,
    go_on: Option<&str>,
    give_up: &str,
    opened: &Opened,
    cx: &Context,
) -> Result<(), CliError> {
    list(&applied.conflicts, &applied.beside, opened, cx)?;
    if cx.quiet() {
        return Ok(());
    }
    let count = applied.conflicts.len() as u64;
    let them = plural(count, "file is", "files are");
    writeln!(cx.out(), "\n{what} stopped: {them} in conflict. Decide each:")?;
    writeln!(cx.out(), "  dits resolve --ours PATH      keep ours")?;
    writeln!(cx.out(), "  dits resolve --theirs PATH    take theirs")?;
    writeln!(cx.out(), "  dits resolve PATH             take the file as it is now, e.g. after editing it")?;
    match go_on {
        Some(go_on) => writeln!(cx.out(), "Then `{go_on}`. To give up: `{give_up}`"),
        None => writeln!(cx.out(), "To give up: `{give_up}`"),
    }
}
