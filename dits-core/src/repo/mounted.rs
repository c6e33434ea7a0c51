//! What a repository knows of the mounts that show it: each has a private folder, as a worktree has, while it lives, and
//! as long as what was written in it is kept there.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Layout, RepoError, Repository};
use crate::durable::{self, IoContext};
use crate::lockfile::{FileLock, LockError};
use crate::object::CommitId;
use crate::refs::{Expected, FolderRefs, RefEdit, RefName, RefStore, Target};

/// Holds where it is mounted.
pub(super) const PLACE: &str = "mount";
/// Locked by the daemon while it lives.
const LOCK: &str = "mount.lock";
/// What was written in it: there is something to keep as long as there is this.
const KEPT: &str = "overlay/log";

/// How long a daemon waits for its lock: whoever lists worktrees takes it for a moment.
const PATIENCE: Duration = Duration::from_secs(1);

/// The record of a mount: garbage collection keeps its commit. Dropping it removes the record, except for that of a mount
/// with something written in it that is kept (`overlay/log` in its private folder).
#[derive(Debug)]
pub struct MountRecord {
    common: PathBuf,
    private: PathBuf,
    place: PathBuf,
    _lock: FileLock,
}

impl MountRecord {
    /// The mount's private folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.private
    }

    /// The repository as it is seen from inside the mount.
    #[must_use]
    pub fn layout(&self) -> Layout {
        let (common, private) = (self.common.clone(), self.private.clone());
        Layout { common, private, worktree: Some(self.place.clone()) }
    }
}

impl Drop for MountRecord {
    fn drop(&mut self) {
        if !keeps(&self.private) {
            // One that stays is known to be dead by its lock.
            let _ = fs::remove_dir_all(&self.private);
        }
    }
}

impl Repository {
    /// Records that a commit is mounted at `path`, read-only, for as long as what comes back lives.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn record_mount(&self, path: &Path, commit: CommitId) -> Result<MountRecord, RepoError> {
        self.record(path, vec![RefEdit::set(RefName::head(), Expected::Any, Target::Id(*commit.digest()))])
    }

    /// Records a mount at `path` that can be written in: its HEAD is `head`, what it shows at first is `base`, which its
    /// `BASE_HEAD` names. The record stays when what comes back is dropped if there is `overlay/log` in its folder then.
    ///
    /// # Errors
    /// [`RepoError::BranchInUse`] when a worktree, this one or another, or a mount is on the branch; when the record
    /// cannot be written.
    pub fn record_writable_mount(&self, path: &Path, head: Target, base: CommitId) -> Result<MountRecord, RepoError> {
        if let Target::Symbolic(branch) = &head
            && let Some(worktree) = self.branches_in_use()?.remove(branch)
        {
            return Err(RepoError::BranchInUse { branch: branch.short().to_owned(), worktree });
        }
        let base = RefEdit::set(RefName::base_head(), Expected::Any, Target::Id(*base.digest()));
        let record = self.record(path, vec![RefEdit::set(RefName::head(), Expected::Any, head), base])?;
        durable::create_dir_all(&record.private.join("tmp"))?;
        Ok(record)
    }

    fn record(&self, path: &Path, edits: Vec<RefEdit>) -> Result<MountRecord, RepoError> {
        let common = fs::canonicalize(&self.layout().common).at("look at", &self.layout().common)?;
        let private = self.free_private_folder(&common, path)?;
        // Locked before there is anything to be seen: what is not locked is dead.
        let lock = FileLock::acquire(&private.join(LOCK), PATIENCE)?;
        let record = MountRecord { common, private, place: path.to_owned(), _lock: lock };
        let id = record.private.file_name().and_then(|name| name.to_str());
        FolderRefs::open(&record.common, id)?.transaction(edits)?;
        durable::write_atomic(&record.private.join(PLACE), path.as_os_str().as_bytes())?;
        Ok(record)
    }

    /// The private folder of the mount at `path`, given as it was then, in which something was written: it waits to be mounted
    /// again, unless it is still mounted.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn find_mount(&self, path: &Path) -> Result<Option<PathBuf>, RepoError> {
        // Whether its daemon lives is not asked: somebody who lists worktrees holds its lock for a moment, and a mount that is
        // overlooked would be begun a second time. [`Repository::resume_mount`] waits for the lock.
        for private in self.private_folders()? {
            if keeps(&private) && read_place(&private)?.as_deref() == Some(path) {
                return Ok(Some(private));
            }
        }
        Ok(None)
    }

    /// Takes up a mount that waits, by its private folder ([`Repository::find_mount`]). Its HEAD and `BASE_HEAD` are as
    /// they were left.
    ///
    /// # Errors
    /// [`LockError::Busy`] when somebody has taken it up already, [`RepoError::NoMount`] when it is no longer there.
    pub fn resume_mount(&self, private: &Path) -> Result<MountRecord, RepoError> {
        let gone = || RepoError::NoMount { folder: private.to_owned() };
        let common = fs::canonicalize(&self.layout().common).at("look at", &self.layout().common)?;
        let private = common.join("worktrees").join(private.file_name().ok_or_else(gone)?);
        if !private.is_dir() {
            return Err(gone());
        }
        let lock = FileLock::acquire(&private.join(LOCK), PATIENCE)?;
        let place = read_place(&private)?.ok_or_else(gone)?;
        Ok(MountRecord { common, private, place, _lock: lock })
    }

    /// Removes the records of mounts whose daemons are gone, and says how many there were. Those that wait stay.
    ///
    /// # Errors
    /// When one cannot be read or removed.
    pub fn forget_dead_mounts(&self) -> Result<usize, RepoError> {
        let dead = self.worktrees()?.into_iter().filter(|worktree| worktree.mount && worktree.missing);
        let mut forgotten = 0;
        for id in dead.filter_map(|worktree| worktree.id) {
            match self.forget_worktree(&id) {
                // Somebody looks at it, or forgets it, just now.
                Err(RepoError::Lock(LockError::Busy { .. })) => {}
                done => {
                    done?;
                    forgotten += 1;
                }
            }
        }
        Ok(forgotten)
    }
}

/// How it is with a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its daemon lives.
    Lives,
    /// Its daemon is gone, and what was written in it is there.
    Waits,
    /// Its daemon is gone, and nothing is lost with the record.
    Dead,
}

/// Where a private folder's mount is, and how it is with it; `None` when it is not a mount's.
pub(super) fn look(private: &Path) -> Result<Option<(PathBuf, State)>, RepoError> {
    let Some(place) = read_place(private)? else { return Ok(None) };
    let state = match FileLock::acquire(&private.join(LOCK), Duration::ZERO) {
        Ok(_) if keeps(private) => State::Waits,
        Ok(_) => State::Dead,
        Err(LockError::Busy { .. }) => State::Lives,
        Err(error) => return Err(error.into()),
    };
    Ok(Some((place, state)))
}

/// Takes the lock of a mount whose daemon is gone; `None` when the private folder is not a mount's.
pub(super) fn lock_dead(private: &Path) -> Result<Option<FileLock>, RepoError> {
    if !private.join(PLACE).is_file() {
        return Ok(None);
    }
    Ok(Some(FileLock::acquire(&private.join(LOCK), PATIENCE)?))
}

/// Whether something is lost with the private folder. What cannot be looked at may be something.
fn keeps(private: &Path) -> bool {
    private.join(KEPT).try_exists().unwrap_or(true)
}

pub(super) fn read_place(private: &Path) -> Result<Option<PathBuf>, RepoError> {
    let place = durable::read_limited(&private.join(PLACE), 8192)?;
    Ok(place.map(|place| PathBuf::from(OsString::from_vec(place))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::merge::tests::Rig;
    use crate::repo::LinkedWorktree;

    fn mounts(rig: &Rig) -> Vec<LinkedWorktree> {
        rig.repo.worktrees().unwrap().into_iter().filter(|w| w.mount).collect()
    }

    #[test]
    fn a_mount_is_listed_while_it_lives_and_known_to_be_dead_after() {
        let rig = Rig::new();
        let commit = rig.commit("first");
        let record = rig.repo.record_mount("/mnt/film".as_ref(), commit).unwrap();
        let [mount] = &mounts(&rig)[..] else { panic!("{:?}", mounts(&rig)) };
        assert!(!mount.missing && mount.path.as_deref() == Some("/mnt/film".as_ref()), "{mount:?}");
        assert_eq!(rig.repo.forget_dead_mounts().unwrap(), 0);
        // As after a crash: the lock goes, the folder stays.
        let private = record.private.clone();
        let saved = std::fs::read(private.join("mount")).unwrap();
        drop(record);
        assert!(mounts(&rig).is_empty());
        std::fs::create_dir_all(&private).unwrap();
        std::fs::write(private.join("mount"), saved).unwrap();
        assert!(mounts(&rig)[0].missing);
        assert_eq!(rig.repo.forget_dead_mounts().unwrap(), 1);
        assert!(!private.exists());
    }

    #[test]
    fn what_was_written_in_a_mount_waits_for_it() {
        let rig = Rig::new();
        let commit = rig.commit("first");
        rig.branch("cut", commit);
        let cut = RefName::branch("cut").unwrap();
        let place = Path::new("/mnt/film");
        let record = rig.repo.record_writable_mount(place, Target::Symbolic(cut.clone()), commit).unwrap();
        assert!(record.layout().is_mount() && !rig.repo.layout().is_mount());
        let private = record.folder().to_owned();
        let refs = FolderRefs::open(&rig.repo.layout().common, record.layout().worktree_id()).unwrap();
        assert_eq!(refs.read(&RefName::base_head()).unwrap(), Some(Target::Id(*commit.digest())));
        let twice = rig.repo.record_writable_mount("/mnt/b".as_ref(), Target::Symbolic(cut.clone()), commit);
        assert!(matches!(twice, Err(RepoError::BranchInUse { worktree, .. }) if worktree == place));
        // Nor is it at the branch of a folder.
        let main = Target::Symbolic(RefName::branch("main").unwrap());
        assert!(matches!(rig.repo.record_writable_mount(place, main, commit), Err(RepoError::BranchInUse { .. })));
        fs::create_dir(private.join("overlay")).unwrap();
        fs::write(private.join("overlay/log"), "").unwrap();
        // It is found while it lives too, and cannot be taken up.
        let lives = rig.repo.find_mount(place).unwrap().unwrap();
        assert!(matches!(rig.repo.resume_mount(&lives), Err(RepoError::Lock(LockError::Busy { .. }))));
        assert!(matches!(rig.repo.forget_worktree("film"), Err(RepoError::Lock(_))));
        drop(record);
        let [mount] = &mounts(&rig)[..] else { panic!("{:?}", mounts(&rig)) };
        assert!(mount.waiting && !mount.missing, "{mount:?}");
        assert_eq!(rig.repo.forget_dead_mounts().unwrap(), 0);
        assert!(matches!(rig.repo.check_branch_free(&cut), Err(RepoError::BranchInUse { .. })));
        assert!(rig.repo.find_mount("/mnt/other".as_ref()).unwrap().is_none());
        let found = rig.repo.find_mount(place).unwrap().unwrap();
        let record = rig.repo.resume_mount(&found).unwrap();
        assert_eq!((record.folder(), record.layout().worktree.as_deref()), (private.as_path(), Some(place)));
        assert!(!mounts(&rig)[0].waiting);
        assert!(matches!(rig.repo.resume_mount(&found), Err(RepoError::Lock(LockError::Busy { .. }))));
        // Nothing is left to keep.
        fs::remove_file(private.join("overlay/log")).unwrap();
        drop(record);
        assert!(!private.exists() && rig.repo.check_branch_free(&cut).is_ok());
        assert!(matches!(rig.repo.resume_mount(&found), Err(RepoError::NoMount { .. })));
    }

    #[test]
    fn a_mount_that_waits_can_be_forgotten_by_name() {
        let rig = Rig::new();
        let commit = rig.commit("first");
        let record =
            rig.repo.record_writable_mount("/mnt/film".as_ref(), Target::Id(*commit.digest()), commit).unwrap();
        let private = record.folder().to_owned();
        fs::create_dir(private.join("overlay")).unwrap();
        fs::write(private.join("overlay/log"), "").unwrap();
        drop(record);
        rig.repo.forget_worktree("film").unwrap();
        assert!(!private.exists());
    }
}
