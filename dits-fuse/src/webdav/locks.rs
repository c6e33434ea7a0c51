//! Locks of WebDAV clients: in memory, and never for longer than their time. A client that is gone must not keep others
//! out of a file, and dav-server's locks, which these stand on, do not end by themselves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use dav_server::davpath::DavPath;
use dav_server::ls::{DavLock, DavLockSystem, LsFuture};
use dav_server::memls::MemLs;
use xmltree::Element;

use super::project::{Project, of_others};

/// The longest time for which a lock is given before it must be refreshed.
const LONGEST: Duration = Duration::from_secs(600);
/// So many locks there may be at a time.
const MOST: usize = 10_000;

/// The locks of one server.
#[derive(Clone, Debug)]
pub(super) struct Locks {
    locks: Box<MemLs>,
    given: Arc<Mutex<Vec<Given>>>,
    /// Locks that everybody who works on the project hears of.
    project: Option<Project>,
}

#[derive(Debug)]
struct Given {
    path: DavPath,
    token: String,
    until: SystemTime,
}

impl Locks {
    pub(super) fn new(project: Option<Project>) -> Self {
        Self { locks: MemLs::new(), given: Arc::default(), project }
    }

    fn each(&self, act: impl FnOnce(&mut Vec<Given>)) {
        act(&mut self.given.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes away those whose time is over.
    fn expire(&self) {
        let (now, mut over) = (SystemTime::now(), Vec::new());
        self.each(|given| over.extend(given.extract_if(.., |lock| lock.until <= now)));
        for lock in over {
            // The answer is there already; one that was given back is not there any more.
            drop(self.locks.unlock(&lock.path, &lock.token));
        }
    }

    fn note(&self, lock: &DavLock) {
        let until = lock.timeout_at.unwrap_or_else(|| SystemTime::now() + LONGEST);
        let new = Given { path: (*lock.path).clone(), token: lock.token.clone(), until };
        self.each(|given| {
            given.retain(|lock| lock.token != new.token);
            given.push(new);
        });
    }

    fn forget(&self, token: &str) {
        self.each(|given| given.retain(|lock| lock.token != token));
    }
}

fn limited(timeout: Option<Duration>) -> Option<Duration> {
    Some(timeout.map_or(LONGEST, |timeout| timeout.min(LONGEST)))
}

impl DavLockSystem for Locks {
    fn lock(
        &'_ self,
        path: &DavPath,
        principal: Option<&str>,
        owner: Option<&Element>,
        timeout: Option<Duration>,
        shared: bool,
        deep: bool,
    ) -> LsFuture<'_, Result<DavLock, DavLock>> {
        self.expire();
        let mut full = false;
        self.each(|given| full = given.len() >= MOST);
        let path = path.clone();
        let (principal, owner) = (principal.map(ToOwned::to_owned), owner.cloned());
        Box::pin(async move {
            let (principal, asked_for, timeout) = (principal.as_deref(), timeout, limited(timeout));
            let locked = self.locks.lock(&path, principal, owner.as_ref(), timeout, shared, deep).await;
            match locked {
                Ok(lock) if full => {
                    let _ = self.locks.unlock(&path, &lock.token).await;
                    Err(lock)
                }
                Ok(lock) => {
                    let asked = DavLock { timeout: asked_for, ..lock.clone() };
                    if let Some(project) = self.project.as_ref().filter(|_| !shared)
                        && project.lock(&asked).await.is_err()
                    {
                        let _ = self.locks.unlock(&path, &lock.token).await;
                        return Err(of_others(&path));
                    }
                    self.note(&lock);
                    Ok(lock)
                }
                Err(other) => Err(other),
            }
        })
    }

    fn unlock(&'_ self, path: &DavPath, token: &str) -> LsFuture<'_, Result<(), ()>> {
        self.expire();
        self.forget(token);
        let (unlocked, token) = (self.locks.unlock(path, token), token.to_owned());
        Box::pin(async move {
            if let Some(project) = &self.project {
                project.unlock(&token).await;
            }
            unlocked.await
        })
    }

    fn refresh(&'_ self, path: &DavPath, token: &str, timeout: Option<Duration>) -> LsFuture<'_, Result<DavLock, ()>> {
        self.expire();
        let (refreshed, token) = (self.locks.refresh(path, token, limited(timeout)), token.to_owned());
        Box::pin(async move {
            let lock = refreshed.await?;
            if let Some(project) = &self.project {
                project.renew(&token, timeout).await?;
            }
            self.note(&lock);
            Ok(lock)
        })
    }

    fn check(
        &'_ self,
        path: &DavPath,
        principal: Option<&str>,
        ignore_principal: bool,
        deep: bool,
        tokens: &[String],
    ) -> LsFuture<'_, Result<(), DavLock>> {
        self.expire();
        let (checked, path) = (self.locks.check(path, principal, ignore_principal, deep, tokens), path.clone());
        Box::pin(async move {
            checked.await?;
            match &self.project {
                Some(project) if project.is_held(&path).await => Err(of_others(&path)),
                _ => Ok(()),
            }
        })
    }

    fn discover(&'_ self, path: &DavPath) -> LsFuture<'_, Vec<DavLock>> {
        self.expire();
        self.locks.discover(path)
    }

    fn delete(&'_ self, path: &DavPath) -> LsFuture<'_, Result<(), ()>> {
        self.locks.delete(path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (locks, path) = (Locks::new(None), DavPath::new("/film.mov").unwrap());
            let lock = |seconds| locks.lock(&path, None, None, Some(Duration::from_millis(seconds)), false, false);
            let first = lock(100).await.unwrap();
            assert!(lock(100).await.is_err());
            assert!(locks.check(&path, None, true, false, &[]).await.is_err());
            assert!(locks.check(&path, None, true, false, std::slice::from_ref(&first.token)).await.is_ok());
            std::thread::sleep(Duration::from_millis(150));
            assert!(locks.check(&path, None, true, false, &[]).await.is_ok());
            let second = locks.lock(&path, None, None, None, false, false).await.unwrap();
            assert_eq!(second.timeout, Some(LONGEST), "none is for ever");
            assert!(locks.refresh(&path, &first.token, None).await.is_err());
        });
    }
}
