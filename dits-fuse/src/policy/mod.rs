//! Which programs may have content brought, and which did. Nothing here knows FUSE.
//!
//! It keeps programs that read everything, as indexers do, from bringing everything. It is no wall: who wants to get
//! around it renames his program.

mod log;
mod rules;
mod who;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustix::io::Errno;

pub use log::{Entry, read as read_log};
pub use rules::{Access, PolicyError, Rules};
pub use who::Who;

use log::Log;
use who::People;

/// So many bytes are told of before a file is closed.
const TELL_EVERY: u64 = 64 << 20;

/// Knows the rules, and writes down who had content brought.
#[derive(Default)]
pub struct Guard {
    rules: RwLock<Arc<Rules>>,
    people: People,
    log: Option<Log>,
}

impl Guard {
    /// With these rules; what is brought is written down in a folder.
    #[must_use]
    pub fn new(rules: Rules, folder: Option<PathBuf>) -> Self {
        Self { rules: RwLock::new(Arc::new(rules)), people: People::default(), log: folder.map(Log::new) }
    }

    /// Goes by other rules from now on. What is open stays so.
    pub fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Lets a process open something.
    ///
    /// # Errors
    /// `EACCES` when it may not.
    pub fn admit(self: &Arc<Self>, pid: u32) -> Result<Opener, Errno> {
        let rules = Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner));
        let access = if rules.is_empty() { Access::Allow } else { rules.of(&self.people.who(pid)) };
        match access {
            Access::Deny => Err(Errno::ACCESS),
            Access::Allow | Access::Metadata => {
                Ok(Opener { access, pid, guard: Some(Arc::clone(self)), had: Mutex::default() })
            }
        }
    }
}

/// Who has a file open. When the last who reads on its behalf is done, what was brought is written down.
#[derive(Default)]
pub struct Opener {
    access: Access,
    pid: u32,
    guard: Option<Arc<Guard>>,
    had: Mutex<Had>,
}

/// What was brought and not yet written down.
#[derive(Default)]
struct Had {
    bytes: u64,
    who: Option<(String, String)>,
}

impl Opener {
    /// Whether a remote may be asked.
    #[must_use]
    pub fn may_hydrate(&self) -> bool {
        self.access == Access::Allow
    }

    /// Bytes were brought for it, from the file that `path` names.
    pub fn hydrated(&self, bytes: u64, path: impl FnOnce() -> String) {
        let Some(guard) = self.guard.as_ref().filter(|_| bytes > 0) else { return };
        let mut had = self.had.lock().unwrap_or_else(PoisonError::into_inner);
        // It waits for these bytes, so it can still be looked at.
        had.who.get_or_insert_with(|| (guard.people.who(self.pid).name().to_owned(), path()));
        had.bytes += bytes;
        if had.bytes >= TELL_EVERY {
            self.tell(&mut had);
        }
    }

    fn tell(&self, had: &mut Had) {
        let log = self.guard.as_ref().and_then(|guard| guard.log.as_ref());
        if let (Some(log), Some((program, path))) = (log, had.who.as_ref().filter(|_| had.bytes > 0)) {
            log.add(&Entry::now(program, self.pid, path, had.bytes));
        }
        had.bytes = 0;
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        let mut had = std::mem::take(self.had.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.tell(&mut had);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_brought_is_written_down_when_nobody_reads_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let guard = Arc::new(Guard::new(Rules::default(), Some(dir.path().to_owned())));
        let opener = guard.admit(std::process::id()).unwrap();
        opener.hydrated(0, || unreachable!());
        opener.hydrated(5, || "a/b".to_owned());
        opener.hydrated(7, || unreachable!("it is known"));
        assert_eq!(read_log(dir.path()).unwrap(), []);
        drop(opener);
        let told = read_log(dir.path()).unwrap();
        assert_eq!((told.len(), told[0].bytes, told[0].path.as_str()), (1, 12, "a/b"));
        assert_eq!(told[0].pid, std::process::id());
        drop(guard.admit(1).unwrap());
        let long = guard.admit(std::process::id()).unwrap();
        long.hydrated(TELL_EVERY, || "c".to_owned());
        assert_eq!(read_log(dir.path()).unwrap().len(), 2, "told before it is closed");
        drop(long);
        assert_eq!(read_log(dir.path()).unwrap().len(), 2);
    }

    #[test]
    fn rules_apply_to_this_process_by_its_executable() {
        let name = std::env::current_exe().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let rules = |access: &str| Rules::parse(&[format!("{name}={access}")]).unwrap();
        let guard = Arc::new(Guard::new(rules("metadata"), None));
        assert!(!guard.admit(std::process::id()).unwrap().may_hydrate());
        guard.set_rules(rules("deny"));
        assert_eq!(guard.admit(std::process::id()).err(), Some(Errno::ACCESS));
        assert!(guard.admit(0).unwrap().may_hydrate(), "of another namespace nothing is known");
    }
}
