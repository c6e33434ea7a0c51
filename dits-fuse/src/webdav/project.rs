//! Locks of WebDAV clients that are locks of the project: of files that it has already. Others have nothing to do with new ones,
//! such as the many that programs make beside a file while it is open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use dav_server::davpath::DavPath;
use dav_server::ls::DavLock;
use dits_core::path::RepoPath;
use tokio::sync::oneshot;

use super::place::find;
use crate::drive::Drive;
use crate::error::Reach;
use crate::locks::{Denied, Hold};

/// The project's locks that clients have.
#[derive(Clone)]
pub(super) struct Project {
    drive: Arc<Drive>,
    /// By the tokens that clients have. What was locked before is not in it, and does not end with them.
    taken: Arc<Mutex<HashMap<String, RepoPath>>>,
}

impl std::fmt::Debug for Project {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Project")
    }
}

impl Project {
    /// `None` where nobody knows of locks.
    pub(super) fn of(drive: &Arc<Drive>) -> Option<Self> {
        drive.locker().map(|_| Self { drive: Arc::clone(drive), taken: Arc::default() })
    }

    /// Whether somebody else has what is at a path.
    pub(super) async fn is_held(&self, path: &DavPath) -> bool {
        let path = path.as_bytes().to_vec();
        let held = self.waiting(move |drive| {
            let stat = find(drive, &path, true, Reach::Disk).ok()?.stat?;
            drive.hold_of(&stat, Reach::Disk).ok()
        });
        held.await.flatten() == Some(Hold::Theirs)
    }

    /// Locks a file for a client that has got this token.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) async fn lock(&self, lock: &DavLock) -> Result<(), ()> {
        let (path, lease) = (lock.path.as_bytes().to_vec(), lock.timeout.map(seconds));
        let taken = self.waiting(move |drive| take(drive, &path, lease)).await.unwrap_or(Err(()))?;
        if let Some(path) = taken {
            self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(lock.token.clone(), path);
        }
        Ok(())
    }

    /// Makes it last longer.
    ///
    /// # Errors
    /// When that is not possible.
    pub(super) async fn renew(&self, token: &str, timeout: Option<Duration>) -> Result<(), ()> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        let Some(path) = taken else { return Ok(()) };
        let lease = timeout.map(seconds);
        let renewed = self.waiting(move |drive| drive.locker().map(|locker| locker.acquire(&path, lease)));
        match renewed.await.flatten() {
            Some(Err(Denied::Refused)) => Err(()),
            // Until it ends, it is there.
            _ => Ok(()),
        }
    }

    /// Gives it back.
    pub(super) async fn unlock(&self, token: &str) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
        let Some(path) = taken else { return };
        let give_back = move |drive: &Arc<Drive>| {
            let Some(locker) = drive.locker() else { return };
            let ino = drive.at_path(&path, Reach::Disk).ok().flatten();
            locker.release(&path, ino.and_then(|ino| drive.stored_content(ino)).as_ref());
        };
        let _ = self.waiting(give_back).await;
    }

    /// Has something done by a thread that may wait.
    async fn waiting<T: Send + 'static>(&self, work: impl FnOnce(&Arc<Drive>) -> T + Send + 'static) -> Option<T> {
        let (send, receive) = oneshot::channel();
        self.drive.wait(move |drive| _ = send.send(work(drive)));
        receive.await.ok()
    }
}

/// Locks what is at a path; its path in the project, if it was locked for this.
fn take(drive: &Drive, path: &[u8], lease: Option<u32>) -> Result<Option<RepoPath>, ()> {
    let Some(locker) = drive.locker() else { return Ok(None) };
    let stat = find(drive, path, true, Reach::Disk).ok().and_then(|place| place.stat);
    let Some((path, is_new)) = stat.and_then(|stat| drive.lockable_path(&stat, Reach::Disk).ok().flatten()) else {
        return Ok(None);
    };
    locker.look_again();
    match locker.hold(&path, is_new) {
        Hold::Ours => Ok(None),
        Hold::Theirs => Err(()),
        Hold::Free if is_new => Ok(None),
        hold => match locker.acquire(&path, lease) {
            Ok(()) => Ok(Some(path)),
            // Whoever cannot ask works as if nobody else did, where no rule forbids it.
            Err(Denied::Away) if hold == Hold::Free => Ok(None),
            Err(_) => Err(()),
        },
    }
}

/// The lock that stands in the way of a client, as far as it is told.
pub(super) fn of_others(path: &DavPath) -> DavLock {
    DavLock {
        token: "urn:dits:locked".to_owned(),
        path: Box::new(path.clone()),
        principal: None,
        owner: None,
        timeout_at: None::<SystemTime>,
        timeout: None,
        shared: false,
        deep: false,
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1)
}
