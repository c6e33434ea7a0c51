//! A repository on this machine, served to whoever started the process: for local paths and for ssh.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use dits_core::object::ObjectRead;
use dits_core::repo::Repository;
use dits_core::signature::Signature;

use super::{Access, Event, Host, Methods, RefUpdate, Visitor};
use crate::locks::{EmbeddedLocks, Locks, system_clock};
use crate::wire::Failure;

/// Lets its user do everything with one repository; the operating system's permissions are the limit.
pub struct LocalHost {
    access: Arc<LocalAccess>,
}

impl LocalHost {
    /// Serves this repository. `name` and `email` sign the reflog.
    #[must_use]
    pub fn new(repository: Repository, name: String, email: String) -> Self {
        let store = EmbeddedLocks::new(&repository.layout().common);
        let locks = Locks::new(Box::new(store), system_clock());
        Self::with_locks(repository, Arc::new(locks), name, email)
    }

    /// The same, with locks that others may share.
    #[must_use]
    pub fn with_locks(repository: Repository, locks: Arc<Locks>, name: String, email: String) -> Self {
        Self { access: Arc::new(LocalAccess { repository, locks, name, email }) }
    }
}

impl Host for LocalHost {
    fn admit(&self, _visitor: &Visitor) -> Result<Arc<dyn Access>, Failure> {
        Ok(Arc::clone(&self.access) as Arc<dyn Access>)
    }
}

struct LocalAccess {
    repository: Repository,
    locks: Arc<Locks>,
    name: String,
    email: String,
}

impl Access for LocalAccess {
    fn repository(&self) -> &Repository {
        &self.repository
    }

    fn locks(&self) -> &Locks {
        &self.locks
    }

    fn methods(&self) -> Methods {
        Methods { read: true, write: true, lock: true, admin: true }
    }

    fn signature(&self) -> Signature {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Signature { name: self.name.clone(), email: self.email.clone(), time, offset: 0 }
    }

    fn check_update(&self, _update: &RefUpdate, _fast_forward: Option<bool>) -> Result<(), String> {
        Ok(())
    }

    fn check_paths(&self, _update: &RefUpdate, _objects: &dyn ObjectRead) -> Result<(), String> {
        Ok(())
    }

    fn quota_left(&self) -> Option<u64> {
        None
    }

    fn pre_receive(&self, _updates: &[RefUpdate]) -> Result<String, String> {
        Ok(String::new())
    }

    fn post_receive(&self, _updates: &[RefUpdate]) -> String {
        String::new()
    }

    fn observe(&self, _event: &Event) {}

    fn stopping(&self) -> bool {
        false
    }
}
