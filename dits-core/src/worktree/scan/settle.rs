//! Deciding by content what stat data leaves open.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Scan, Unchanged};
use crate::content::Comparison;
use crate::index::{EntryView, FileStat};
use crate::partial::id_of;
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::tree::Content;
use crate::worktree::drive;
use crate::worktree::ghost::{LinkTarget, link_target};
use crate::worktree::{EntryKind, Meta, WorkDirs};

/// Reads the files that stat data says nothing about.
pub(super) fn settle(
    repo: &Repository,
    unsure: &[(EntryView<'_>, Meta)],
    scan: &mut Scan,
    progress: &dyn Progress,
) -> Result<(), RepoError> {
    if unsure.is_empty() {
        return Ok(());
    }
    let bytes = unsure.iter().map(|(entry, _)| entry.size).sum();
    progress.stage("Comparing contents", Some(bytes), Some(unsure.len() as u64));
    let dirs = repo.work_dirs()?;
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(unsure.len()));
    let work = || {
        while let Some((entry, meta)) = unsure.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = holds(repo, &dirs, entry, meta, progress);
            progress.advance(entry.size, 1);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((entry.repo_path(), outcome));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..repo.threads().min(unsure.len()) {
            scope.spawn(work);
        }
        work();
    });
    for (path, outcome) in results.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match outcome {
            Ok(Held::As { stat, ghost }) => {
                scan.ghosts += usize::from(ghost);
                scan.unchanged.push(Unchanged { path, stat, ghost });
            }
            Ok(Held::InPlaceOfGhost) => {}
            Ok(Held::Not) => scan.modified.push(path),
            Ok(Held::Link) => {
                scan.retyped.push(path.clone());
                scan.modified.push(path);
            }
            Err(RepoError::Io(error)) => scan.unreadable.push((path, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What a file turned out to hold.
enum Held {
    /// What was recorded, and looks like this.
    As { stat: FileStat, ghost: bool },
    /// What was recorded, as a file, where the record knows a ghost: only taking it in makes it a file to the record.
    InPlaceOfGhost,
    /// Something else.
    Not,
    /// Something else, and it is a link.
    Link,
}

fn holds(
    repo: &Repository,
    dirs: &WorkDirs,
    entry: &EntryView<'_>,
    meta: &Meta,
    progress: &dyn Progress,
) -> Result<Held, RepoError> {
    let path = entry.repo_path();
    if meta.kind() == EntryKind::Symlink {
        return link_holds(dirs, entry);
    }
    let (mut file, before) = dirs.open_file(&path)?;
    let recorded = (&entry.content, entry.size);
    Ok(match drive::holds(repo, dirs, &path, &mut file, recorded, progress)? {
        Comparison::Same if entry.flags.ghost => Held::InPlaceOfGhost,
        Comparison::Same => Held::As { stat: FileStat::from(&before), ghost: false },
        Comparison::Different => Held::Not,
    })
}

fn link_holds(dirs: &WorkDirs, entry: &EntryView<'_>) -> Result<Held, RepoError> {
    let path = entry.repo_path();
    let found = dirs.read_link(&path)?;
    let Some(meta) = dirs.stat(&path)? else { return Ok(Held::Not) };
    let stat = FileStat::from(&meta);
    Ok(match (&entry.content, link_target(&found)) {
        (Content::Symlink(target), _) if *target == found => Held::As { stat, ghost: false },
        (Content::Symlink(_), _) => Held::Not,
        (content, LinkTarget::Ghost(id)) if id_of(content) == Some(id) => Held::As { stat, ghost: true },
        (_, LinkTarget::Ghost(_)) => Held::Not,
        (_, LinkTarget::BadGhost | LinkTarget::Elsewhere) => Held::Link,
    })
}
