//! What every link with a carrier of its own has: two mailboxes, admission, and an end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::LinkError;
use super::budget::SENDING;
use super::mailbox::{Bounds, Mailbox};

/// How long a closing link waits without progress for the other side.
pub(super) const LINGER: Duration = Duration::from_secs(10);

/// Something that happens once, and can be waited for.
#[derive(Default)]
pub(super) struct Latch {
    set: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
    notify: Notify,
}

impl Latch {
    pub fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    pub fn set(&self) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.set.store(true, Ordering::Release);
        drop(guard);
        self.changed.notify_all();
        self.notify.notify_waiters();
    }

    /// Waits; whether it happened within `patience`.
    pub fn wait(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_set() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            guard = self.changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub async fn wait_async(&self) {
        loop {
            let set = self.notify.notified();
            if self.is_set() {
                return;
            }
            set.await;
        }
    }
}

/// The thread's side and the carrier's side of one link.
pub(super) struct Ends {
    pub outbox: Mailbox,
    pub inbox: Mailbox,
    /// Set when the other side may send more than its first message.
    pub admitted: Latch,
    /// Set when this side wants no more.
    pub left: Latch,
    /// Set when the carrier has nothing more to do.
    pub done: Latch,
}

impl Ends {
    /// With bounds of what waits to be sent.
    pub fn new(bounds: Bounds, admitted: bool) -> Self {
        let ends = Self {
            outbox: Mailbox::sharing(bounds, &SENDING),
            inbox: Mailbox::new(Bounds::COME),
            admitted: Latch::default(),
            left: Latch::default(),
            done: Latch::default(),
        };
        if admitted {
            ends.admitted.set();
        }
        ends
    }

    /// The other side is gone: what came can still be taken, nothing can be sent.
    pub fn gone(&self, why: &LinkError) {
        self.outbox.fail(why.clone());
        self.inbox.finish(why.clone());
        self.admitted.set();
    }

    /// This side wants no more: what was sent goes out, what comes is thrown away.
    pub fn leave(&self) {
        let why = LinkError::Closed(String::new());
        self.outbox.finish(why.clone());
        self.inbox.fail(why);
        self.admitted.set();
        self.left.set();
    }

    /// Waits for the carrier's end, as long as `progress` grows; whether the end came.
    pub async fn linger(&self, progress: impl Fn() -> u64) -> bool {
        let mut before = progress();
        loop {
            if tokio::time::timeout(LINGER, self.done.wait_async()).await.is_ok() {
                return true;
            }
            // Less than this is keeping alive.
            let now = progress();
            if now < before + 4096 {
                return false;
            }
            before = now;
        }
    }
}
