//! Requests that come at the same time are decided together: one write to the store is for all of them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::LocksError;

/// Requests that nobody decides about yet.
pub(super) struct Queue<J, R>(Mutex<Waiting<J, R>>);

struct Waiting<J, R> {
    jobs: Vec<Arc<Job<J, R>>>,
    /// Whether somebody decides at the moment, or is about to.
    led: bool,
}

/// A request that waits for its turn.
struct Job<J, R> {
    request: J,
    state: Mutex<State<R>>,
    changed: Condvar,
}

enum State<R> {
    Waiting,
    /// It is this one's turn to decide for all who wait.
    Leads,
    Done(Result<R, Arc<LocksError>>),
}

impl<J, R> Default for Queue<J, R> {
    fn default() -> Self {
        Self(Mutex::new(Waiting { jobs: Vec::new(), led: false }))
    }
}

impl<J, R> Queue<J, R> {
    /// Has a request decided. One of those who wait calls its `decide` for all of them, which gives a reply for each or
    /// fails for all; who comes meanwhile is decided about together afterwards.
    pub(super) fn submit(
        &self,
        request: J,
        decide: impl FnOnce(&[&J]) -> Result<Vec<R>, LocksError>,
    ) -> Result<R, Arc<LocksError>> {
        let job = Arc::new(Job { request, state: Mutex::new(State::Waiting), changed: Condvar::new() });
        let mut waiting = lock(&self.0);
        waiting.jobs.push(Arc::clone(&job));
        let leads = !std::mem::replace(&mut waiting.led, true);
        drop(waiting);
        if !leads && let Some(done) = job.wait() {
            return done;
        }
        let turn = Lead { queue: self, jobs: std::mem::take(&mut lock(&self.0).jobs) };
        let requests: Vec<&J> = turn.jobs.iter().map(|job| &job.request).collect();
        match decide(&requests) {
            Ok(replies) => turn.jobs.iter().zip(replies).for_each(|(job, reply)| job.set(State::Done(Ok(reply)))),
            Err(error) => {
                let error = Arc::new(error);
                turn.jobs.iter().for_each(|job| job.set(State::Done(Err(Arc::clone(&error)))));
            }
        }
        drop(turn);
        job.wait().unwrap_or_else(|| Err(Arc::new(LocksError::Busy)))
    }
}

impl<J, R> Job<J, R> {
    fn set(&self, state: State<R>) {
        *lock(&self.state) = state;
        self.changed.notify_one();
    }

    /// What was decided; `None` if it is this one's turn to decide.
    fn wait(&self) -> Option<Result<R, Arc<LocksError>>> {
        let mut state = lock(&self.state);
        loop {
            match std::mem::replace(&mut *state, State::Waiting) {
                State::Waiting => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                State::Leads => return None,
                State::Done(done) => return Some(done),
            }
        }
    }
}

/// The turn to decide about some requests. When it ends, the next one's begins; whoever was not told anything, because deciding
/// panicked, is told that it failed.
struct Lead<'a, J, R> {
    queue: &'a Queue<J, R>,
    jobs: Vec<Arc<Job<J, R>>>,
}

impl<J, R> Drop for Lead<'_, J, R> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.jobs.iter().for_each(|job| job.set(State::Done(Err(Arc::new(LocksError::Busy)))));
        }
        let mut waiting = lock(&self.queue.0);
        match waiting.jobs.first() {
            Some(next) => next.set(State::Leads),
            None => waiting.led = false,
        }
    }
}

/// The lock of a mutex, also where a thread that had it panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn everybody_is_told_also_when_deciding_fails_or_panics() {
        let queue = Queue::<u32, u32>::default();
        let (start, most) = (Barrier::new(8), Mutex::new(0));
        let decide = |requests: &[&u32]| {
            let mut most = lock(&most);
            *most = requests.len().max(*most);
            drop(most);
            // The others come meanwhile.
            thread::sleep(std::time::Duration::from_millis(5));
            match requests.iter().any(|request| **request == 5) {
                true => Err(LocksError::Busy),
                false => Ok(requests.iter().map(|request| **request * 2).collect()),
            }
        };
        thread::scope(|scope| {
            for number in 0..8 {
                let (queue, start, decide) = (&queue, &start, &decide);
                scope.spawn(move || {
                    start.wait();
                    for _ in 0..20 {
                        match queue.submit(number, decide) {
                            Ok(reply) => assert_eq!(reply, number * 2),
                            Err(error) => assert!(matches!(*error, LocksError::Busy)),
                        }
                    }
                });
            }
        });
        assert!(*lock(&most) > 1, "requests are decided together");
        let panicked = thread::scope(|scope| scope.spawn(|| queue.submit(1, |_| panic!("on purpose"))).join());
        assert!(panicked.is_err());
        assert_eq!(queue.submit(2, |requests| Ok(vec![*requests[0]])).unwrap(), 2);
    }
}
