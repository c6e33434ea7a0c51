//! Chunks that somebody is bringing right now.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dits_core::object::Digest;

use crate::error::{Reach, ReadError};

/// How long somebody waits at a time whose patience has no end.
const LOOK_UP: Duration = Duration::from_secs(1);

/// What is known of a chunk that is being brought.
enum State {
    /// It is looked for on this machine.
    Near,
    /// It was asked for elsewhere.
    Far,
    /// It has come, or will not.
    Landed(Result<Bytes, ReadError>),
    /// Whoever was to bring it did not try.
    Abandoned,
}

/// A chunk that is being brought.
pub(super) struct Flight {
    state: Mutex<State>,
    changed: Condvar,
}

impl Flight {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        let mut now = self.lock();
        if matches!(*now, State::Near | State::Far) {
            *now = state;
            self.changed.notify_all();
        }
    }

    /// What came of it by now; `None` when nobody tried.
    pub(super) fn now(&self) -> Result<Option<Bytes>, ReadError> {
        match &*self.lock() {
            State::Landed(result) => result.clone().map(Some),
            _ => Ok(None),
        }
    }

    /// Waits for it; `None` when nobody tried. Who may not go far does not wait for somebody who did.
    pub(super) fn wait(&self, reach: Reach) -> Result<Option<Bytes>, ReadError> {
        let mut state = self.lock();
        loop {
            let patience = match (&*state, reach) {
                (State::Landed(result), _) => return result.clone().map(Some),
                (State::Abandoned, _) => return Ok(None),
                (State::Far, Reach::Memory | Reach::Disk) => return Err(ReadError::OutOfReach),
                (_, Reach::Remote(until)) => until.saturating_duration_since(Instant::now()),
                (State::Near, _) => LOOK_UP,
            };
            if patience.is_zero() {
                return Err(ReadError::TimedOut);
            }
            state = self.changed.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// All chunks that are being brought.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Digest, Arc<Flight>>>);

impl Flights {
    /// The right to bring a chunk, and the duty to; or whoever has it.
    pub(super) fn claim(&self, digest: &Digest) -> Result<Claimed<'_>, Arc<Flight>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(digest) {
            return Err(Arc::clone(flight));
        }
        let flight = Arc::new(Flight { state: Mutex::new(State::Near), changed: Condvar::new() });
        flights.insert(*digest, Arc::clone(&flight));
        Ok(Claimed { flights: self, digest: *digest, flight })
    }
}

/// The right to bring a chunk. Who drops it has not tried: somebody else may.
pub(super) struct Claimed<'a> {
    flights: &'a Flights,
    digest: Digest,
    flight: Arc<Flight>,
}

impl Claimed<'_> {
    pub(super) fn flight(&self) -> Arc<Flight> {
        Arc::clone(&self.flight)
    }

    /// It is asked for elsewhere now.
    pub(super) fn goes_far(&self) {
        self.flight.set(State::Far);
    }

    /// It has come. The first word counts.
    pub(super) fn land(&self, result: Result<Bytes, ReadError>) {
        self.flight.set(State::Landed(result));
    }

    /// It has come, or will not.
    pub(super) fn finish(self, result: Result<Bytes, ReadError>) {
        self.land(result);
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        self.flight.set(State::Abandoned);
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.digest);
    }
}
