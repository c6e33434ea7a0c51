//! The disk cache that the mounts of a repository share, as commands see it.

use std::path::PathBuf;

use dits_core::commit::Commit;
use dits_core::config::Config;
use dits_core::diff::{self, FileVersion};
use dits_core::durable::IoContext;
use dits_core::index::Stage;
use dits_core::object::ObjectKind;
use dits_core::partial::Absent;
use dits_core::path::RepoPath;
use dits_core::progress::Progress;
use dits_core::repo::{RepoError, Repository};
use dits_core::store::{ChunkCache, Hint, StoreWriter};
use dits_core::worktree::Selection;
use dits_fuse::details::{Details, Wish};
use dits_fuse::table::{self, Health, Mount};

use crate::error::CliError;

/// The folder of the cache.
#[must_use]
pub fn folder(repo: &Repository) -> PathBuf {
    repo.layout().common.join("cache")
}

/// How much it may take.
///
/// # Errors
/// When the setting is no size.
pub fn quota(config: &Config) -> Result<u64, CliError> {
    Ok(config.get_size("mount.cacheSize")?.unwrap_or(10 << 30))
}

/// The cache as it is.
///
/// # Errors
/// When it cannot be read.
pub fn peek(repo: &Repository) -> Result<ChunkCache, CliError> {
    Ok(ChunkCache::peek(folder(repo), quota(repo.config())?)?)
}

/// The mounts of a repository whose daemons answer.
///
/// # Errors
/// When the kernel's table cannot be read.
pub fn mounts(repo: &Repository) -> Result<Vec<(Mount, Details)>, CliError> {
    let found = table::mounts().at("read", std::path::Path::new("/proc/self/mountinfo"))?;
    let ours = found.into_iter().filter(|mount| mount.is_of(&repo.layout().common));
    Ok(ours
        .filter_map(|mount| match table::health(&mount.point) {
            Health::Alive(details) => Some((mount, details)),
            Health::Dead | Health::Silent(_) => None,
        })
        .collect())
}

/// Has all mounts of a repository do something with the cache, and waits until they have.
///
/// # Errors
/// As [`mounts`].
pub fn tell_mounts(repo: &Repository, wish: Wish) -> Result<Vec<(Mount, Details)>, CliError> {
    let mut running = mounts(repo)?;
    for (mount, details) in &mut running {
        // A mount that ends meanwhile leaves everything in order by itself.
        if wish.leave(&details.private).is_ok()
            && let Health::Alive(now) = table::health(&mount.point)
        {
            *details = now;
        }
    }
    Ok(running)
}

/// The selected files that a worktree has, or where nothing is staged, that HEAD has.
///
/// # Errors
/// When something cannot be read.
pub fn files(repo: &Repository, selection: &dyn Selection) -> Result<Vec<(RepoPath, FileVersion)>, CliError> {
    if !repo.layout().index().exists() {
        let mut files = head(repo)?;
        files.retain(|(path, _)| selection.includes(path));
        return Ok(files);
    }
    let index = repo.index()?;
    let staged = index.entries().filter(|entry| entry.stage == Stage::Normal && !entry.flags.intent_to_add);
    let staged = staged.map(|entry| (entry.repo_path(), FileVersion::from(&entry)));
    Ok(staged.filter(|(path, _)| selection.includes(path)).collect())
}

/// The files of HEAD.
///
/// # Errors
/// When there is no commit, or something cannot be read.
pub fn head(repo: &Repository) -> Result<Vec<(RepoPath, FileVersion)>, CliError> {
    let (id, _) = repo.head_commit()?;
    let commit = Commit::read(repo.store(), id).map_err(RepoError::from)?;
    let all = diff::trees(repo.store(), None, Some(commit.tree)).map_err(RepoError::from)?;
    Ok(all.into_iter().filter_map(|change| change.new.map(|new| (change.path, new))).collect())
}

/// Puts into a store what the cache has of what is absent, and takes it off the list; without a store to put it into, it
/// is only taken off the list. Gives its bytes.
///
/// # Errors
/// When the cache cannot be read, or the store not be written.
pub fn take(
    repo: &Repository,
    absent: &mut Absent,
    into: Option<&StoreWriter>,
    progress: &dyn Progress,
) -> Result<u64, CliError> {
    if absent.chunks.is_empty() || !folder(repo).exists() {
        return Ok(0);
    }
    tell_mounts(repo, Wish::Settle)?;
    let cache = peek(repo)?;
    let (mut bytes, mut lacking) = (0, Vec::new());
    for chunk in std::mem::take(&mut absent.chunks) {
        progress.check().map_err(RepoError::from)?;
        let digest = chunk.id.digest();
        let here = match into {
            None => cache.contains(digest)?,
            Some(into) => match cache.read(digest)? {
                Some(plain) => into.put(ObjectKind::Chunk, *digest, &plain, Hint::default()).map(|_| true)?,
                None => false,
            },
        };
        match here {
            true => bytes += u64::from(chunk.len),
            false => lacking.push(chunk),
        }
    }
    absent.chunks = lacking;
    absent.bytes -= bytes;
    Ok(bytes)
}
