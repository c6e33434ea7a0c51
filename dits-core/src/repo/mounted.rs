//! What a repository knows of the mounts that show it: each has a private folder, as a worktree has, while it lives.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{RepoError, Repository};
use crate::durable::{self, IoContext};
use crate::lockfile::{FileLock, LockError};
use crate::object::CommitId;
use crate::refs::{Expected, FolderRefs, RefEdit, RefName, RefStore, Target};

/// Holds where it is mounted.
pub(super) const PLACE: &str = "mount";
/// Locked by the daemon while it lives.
const LOCK: &str = "mount.lock";

/// The record of a mount: garbage collection keeps its commit. Dropping it removes the record.
#[derive(Debug)]
pub struct MountRecord {
    private: PathBuf,
    _lock: FileLock,
}

impl MountRecord {
    /// The mount's private folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.private
    }
}

impl Drop for MountRecord {
    fn drop(&mut self) {
        // One that stays is known to be dead by its lock.
        let _ = fs::remove_dir_all(&self.private);
    }
}

impl Repository {
    /// Records that a commit is mounted at `path`, for as long as what comes back lives.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn record_mount(&self, path: &Path, commit: CommitId) -> Result<MountRecord, RepoError> {
        let common = fs::canonicalize(&self.layout().common).at("look at", &self.layout().common)?;
        let private = self.free_private_folder(&common, path)?;
        // Locked before there is anything to be seen: what is not locked is dead.
        let lock = FileLock::acquire(&private.join(LOCK), Duration::ZERO)?;
        let record = MountRecord { private, _lock: lock };
        let id = record.private.file_name().and_then(|name| name.to_str());
        let head = RefEdit::set(RefName::head(), Expected::Any, Target::Id(*commit.digest()));
        FolderRefs::open(&common, id)?.transaction(vec![head])?;
        durable::write_atomic(&record.private.join(PLACE), path.as_os_str().as_bytes())?;
        Ok(record)
    }

    /// Removes the records of mounts whose daemons are gone, and says how many there were.
    ///
    /// # Errors
    /// When one cannot be read or removed.
    pub fn forget_dead_mounts(&self) -> Result<usize, RepoError> {
        let dead = self.worktrees()?.into_iter().filter(|worktree| worktree.mount && worktree.missing);
        let ids: Vec<String> = dead.filter_map(|worktree| worktree.id).collect();
        ids.iter().try_for_each(|id| self.forget_worktree(id))?;
        Ok(ids.len())
    }
}

/// Where a private folder's mount is, and whether its daemon lives; `None` when it is not a mount's.
pub(super) fn look(private: &Path) -> Result<Option<(PathBuf, bool)>, RepoError> {
    let Some(place) = durable::read_limited(&private.join(PLACE), 8192)? else { return Ok(None) };
    let lives = match FileLock::acquire(&private.join(LOCK), Duration::ZERO) {
        Ok(_) => false,
        Err(LockError::Busy { .. }) => true,
        Err(error) => return Err(error.into()),
    };
    Ok(Some((PathBuf::from(OsString::from_vec(place)), lives)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::merge::tests::Rig;

    #[test]
    fn a_mount_is_listed_while_it_lives_and_known_to_be_dead_after() {
        let rig = Rig::new();
        let commit = rig.commit("first");
        let seen = || rig.repo.worktrees().unwrap().into_iter().filter(|w| w.mount).collect::<Vec<_>>();
        let record = rig.repo.record_mount("/mnt/film".as_ref(), commit).unwrap();
        let [mount] = &seen()[..] else { panic!("{:?}", seen()) };
        assert!(!mount.missing && mount.path.as_deref() == Some("/mnt/film".as_ref()), "{mount:?}");
        assert_eq!(rig.repo.forget_dead_mounts().unwrap(), 0);
        // As after a crash: the lock goes, the folder stays.
        let private = record.private.clone();
        let saved = std::fs::read(private.join("mount")).unwrap();
        drop(record);
        assert!(seen().is_empty());
        std::fs::create_dir_all(&private).unwrap();
        std::fs::write(private.join("mount"), saved).unwrap();
        assert!(seen()[0].missing);
        assert_eq!(rig.repo.forget_dead_mounts().unwrap(), 1);
        assert!(!private.exists());
    }
}
