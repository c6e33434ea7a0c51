//! A host whose rules a test sets, and which remembers what it heard.

use std::sync::{Arc, Mutex};

use dits_core::object::ObjectRead;
use dits_core::repo::Repository;
use dits_core::signature::Signature;
use dits_sync::locks::{EmbeddedLocks, Locks, system_clock};
use dits_sync::server::{Access, Event, Host, Methods, RefUpdate, Visitor};
use dits_sync::wire::Failure;

use crate::rig::Rig;

/// Serves one repository.
#[derive(Clone)]
pub struct Watched(Arc<Inner>);

struct Inner {
    repository: Repository,
    locks: Locks,
    quota: Option<u64>,
    methods: Methods,
    why: Option<String>,
    events: Mutex<Vec<Event>>,
}

impl Watched {
    pub fn new(rig: &Rig) -> Self {
        Self::with(rig, None, true, None)
    }

    pub fn with_quota(rig: &Rig, quota: u64) -> Self {
        Self::with(rig, Some(quota), true, None)
    }

    /// Refuses every push in the end, with this text.
    pub fn refusing(rig: &Rig, why: String) -> Self {
        Self::with(rig, None, true, Some(why))
    }

    pub fn read_only(rig: &Rig) -> Self {
        Self::with(rig, None, false, None)
    }

    fn with(rig: &Rig, quota: Option<u64>, write: bool, why: Option<String>) -> Self {
        let methods = Methods { read: true, write, lock: false, admin: false };
        let repository = rig.reopen();
        let locks = Locks::new(Box::new(EmbeddedLocks::new(&repository.layout().common)), system_clock());
        Self(Arc::new(Inner { repository, locks, quota, methods, why, events: Mutex::default() }))
    }

    /// What ended links with an error.
    pub fn failures(&self) -> Vec<String> {
        let what = |event: &Event| match event {
            Event::Failed { what } => Some(what.clone()),
            _ => None,
        };
        self.0.events.lock().unwrap().iter().filter_map(what).collect()
    }
}

impl Host for Watched {
    fn admit(&self, _visitor: &Visitor) -> Result<Arc<dyn Access>, Failure> {
        Ok(Arc::clone(&self.0) as Arc<dyn Access>)
    }
}

impl Access for Inner {
    fn repository(&self) -> &Repository {
        &self.repository
    }

    fn locks(&self) -> &Locks {
        &self.locks
    }

    fn methods(&self) -> Methods {
        self.methods
    }

    fn signature(&self) -> Signature {
        Signature { name: "server".into(), email: "s@x".into(), time: 5, offset: 0 }
    }

    fn check_update(&self, _update: &RefUpdate, _fast_forward: Option<bool>) -> Result<(), String> {
        Ok(())
    }

    fn check_paths(&self, _update: &RefUpdate, _new: &dyn ObjectRead) -> Result<(), String> {
        Ok(())
    }

    fn quota_left(&self) -> Option<u64> {
        self.quota
    }

    fn pre_receive(&self, _updates: &[RefUpdate]) -> Result<String, String> {
        self.why.clone().map_or(Ok(String::new()), Err)
    }

    fn post_receive(&self, _updates: &[RefUpdate]) -> String {
        String::new()
    }

    fn observe(&self, event: &Event) {
        self.events.lock().unwrap().push(event.clone());
    }

    fn stopping(&self) -> bool {
        false
    }
}
