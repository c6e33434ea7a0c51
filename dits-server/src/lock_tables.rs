//! The locks of all repositories of a server.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use dits_sync::locks::{EmbeddedLocks, LockStore, Locks, system_clock};

/// Opens the lock store of a repository, by its name and its folder.
pub type OpenStore = Box<dyn Fn(&str, &Path) -> Box<dyn LockStore> + Send + Sync>;

/// Lock tables by repository. They stay open, so that what was last seen of them is known also when a store is away.
pub struct LockTables {
    store: OpenStore,
    open: Mutex<HashMap<String, Arc<Locks>>>,
}

impl LockTables {
    /// With stores that this opens.
    #[must_use]
    pub fn new(store: OpenStore) -> Self {
        Self { store, open: Mutex::default() }
    }

    /// With a file in each repository.
    #[must_use]
    pub fn embedded() -> Self {
        Self::new(Box::new(|_, folder| Box::new(EmbeddedLocks::new(folder))))
    }

    /// The locks of the repository of this name in this folder.
    #[must_use]
    pub fn of(&self, name: &str, folder: &Path) -> Arc<Locks> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Locks::new((self.store)(name, folder), system_clock()));
        Arc::clone(open.entry(name.to_owned()).or_insert_with(make))
    }
}
