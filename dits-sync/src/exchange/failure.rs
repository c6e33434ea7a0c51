//! How one of several threads that work together says that it failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::SyncError;

/// The first failure of a group of threads.
#[derive(Default)]
pub(super) struct FirstFailure {
    failed: AtomicBool,
    error: Mutex<Option<SyncError>>,
}

impl FirstFailure {
    /// Remembers an error, unless there is one.
    pub(super) fn set(&self, error: SyncError) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
    }

    /// Whether some thread has failed.
    pub(super) fn is_set(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Fails if some thread has.
    pub(super) fn check(&self) -> Result<(), SyncError> {
        if !self.is_set() {
            return Ok(());
        }
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}
