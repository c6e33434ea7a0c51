//! Pushes that this process is receiving. Who comes back after a crash, or from another network, does so long before the old
//! connection is given up: it is ended if nothing is heard on it any more, so that what came over it is found.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dits_core::object::Digest;
use dits_core::progress::Progress;

use super::Access;
use crate::session::Session;
use crate::wire::Message;

/// How long an old connection is listened to,
const LISTENED: Duration = Duration::from_secs(2);
/// how long it must then have been silent to be ended,
const SILENT: Duration = Duration::from_secs(1);
/// and how often its client is sent something meanwhile that it has to acknowledge.
const ASKED: Duration = Duration::from_millis(250);
/// How long what came is waited for: it is made durable.
const KEPT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

static ALL: Mutex<Vec<Arc<Push>>> = Mutex::new(Vec::new());

struct Push {
    store: PathBuf,
    new: HashSet<Digest>,
    /// Whether somebody else brings the same.
    asked: AtomicBool,
    ended: AtomicBool,
    heard: Mutex<Heard>,
}

struct Heard {
    bytes: u64,
    last: Instant,
    asked: Instant,
}

/// A push that is being received, until this is dropped.
pub(super) struct Incoming(Arc<Push>);

impl Incoming {
    /// Begins to receive these into a store. One that brings any of them and has fallen silent is ended before.
    pub(super) fn begin(store: &Path, new: impl IntoIterator<Item = Digest>) -> Self {
        let new = new.into_iter().collect();
        end_silent(store, &new);
        let now = Instant::now();
        let heard = Mutex::new(Heard { bytes: 0, last: now, asked: now });
        let push =
            Push { store: store.to_owned(), new, asked: AtomicBool::default(), ended: AtomicBool::default(), heard };
        let push = Arc::new(push);
        lock(&ALL).push(Arc::clone(&push));
        Self(push)
    }

    /// Stops the receiving when the server cannot wait for it any more, or the client is back on another connection.
    pub(super) fn until_ended<'a>(&'a self, access: &'a dyn Access, session: &'a Session<'a>) -> impl Progress {
        UntilEnded { push: &self.0, access, session }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        lock(&ALL).retain(|push| !Arc::ptr_eq(push, &self.0));
    }
}

struct UntilEnded<'a> {
    push: &'a Push,
    access: &'a dyn Access,
    session: &'a Session<'a>,
}

impl Progress for UntilEnded<'_> {
    fn interrupted(&self) -> bool {
        if self.push.asked.load(Ordering::Acquire) {
            self.push.listen(self.session);
        }
        self.push.ended.load(Ordering::Acquire) || self.access.cutting_off()
    }
}

impl Push {
    fn listen(&self, session: &Session<'_>) {
        let mut heard = lock(&self.heard);
        let bytes = session.traffic().received;
        if bytes != heard.bytes {
            (heard.bytes, heard.last) = (bytes, Instant::now());
        }
        if heard.asked.elapsed() >= ASKED {
            heard.asked = Instant::now();
            // If the link is broken, who receives will see that.
            let _ = session.control(&Message::Progress("receiving".to_owned()));
        }
    }
}

fn end_silent(store: &Path, new: &HashSet<Digest>) {
    let is_same = |push: &&Arc<Push>| push.store == store && !push.new.is_disjoint(new);
    let mut same: Vec<Arc<Push>> = lock(&ALL).iter().filter(is_same).cloned().collect();
    if same.is_empty() {
        return;
    }
    same.iter().for_each(|push| push.asked.store(true, Ordering::Release));
    thread::sleep(LISTENED);
    same.iter().for_each(|push| push.asked.store(false, Ordering::Release));
    same.retain(|push| lock(&push.heard).last.elapsed() >= SILENT);
    same.iter().for_each(|push| push.ended.store(true, Ordering::Release));
    let begun = Instant::now();
    let is_there = |push: &Arc<Push>| lock(&ALL).iter().any(|other| Arc::ptr_eq(other, push));
    while same.iter().any(is_there) && begun.elapsed() < KEPT {
        thread::sleep(LOOK);
    }
}

/// What is guarded is whole between any two acts.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
