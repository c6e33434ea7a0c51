//! Deciding by content what stat data leaves open.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Scan;
use crate::content::{Comparison, compare};
use crate::index::{EntryView, FileStat};
use crate::progress::Progress;
use crate::repo::{RepoError, Repository};
use crate::tree::Content;
use crate::worktree::{Meta, WorkDirs};

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
        while let Some((entry, _)) = unsure.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = holds(repo, &dirs, entry, progress);
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
            Ok(Some(stat)) => scan.unchanged.push((path, stat)),
            Ok(None) => scan.modified.push(path),
            Err(RepoError::Io(error)) => scan.unreadable.push((path, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What a file looks like now, if it holds what was recorded.
fn holds(
    repo: &Repository,
    dirs: &WorkDirs,
    entry: &EntryView<'_>,
    progress: &dyn Progress,
) -> Result<Option<FileStat>, RepoError> {
    let path = entry.repo_path();
    if let Content::Symlink(target) = &entry.content {
        let same = dirs.read_link(&path)? == *target;
        let meta = dirs.stat(&path)?;
        return Ok(meta.filter(|_| same).map(|meta| FileStat::from(&meta)));
    }
    let (mut file, before) = dirs.open_file(&path)?;
    let outcome = compare(repo.store(), &mut file, entry.size, &entry.content, progress);
    let same = outcome.map_err(|e| RepoError::comparing(&path, e))? == Comparison::Same;
    Ok(same.then(|| FileStat::from(&before)))
}
