//! Threads that do what session threads must not wait for.

use std::thread;

use crossbeam_channel::{Sender, unbounded};

/// Something to be done.
type Job = Box<dyn FnOnce() + Send>;

/// Threads that take jobs in the order in which they were given. They end with the last handle to the pool, after what was
/// given has been done.
#[derive(Clone)]
pub(crate) struct Pool {
    jobs: Sender<Job>,
}

impl Pool {
    /// Starts them.
    pub(crate) fn new(name: &str, threads: usize) -> std::io::Result<Self> {
        let (jobs, take) = unbounded::<Job>();
        for number in 0..threads.max(1) {
            let take = take.clone();
            let run = move || take.into_iter().for_each(|job| job());
            thread::Builder::new().name(format!("{name}-{number}")).spawn(run)?;
        }
        Ok(Self { jobs })
    }

    /// Has it done soon.
    pub(crate) fn submit(&self, job: impl FnOnce() + Send + 'static) {
        // The threads live as long as this handle.
        let _ = self.jobs.send(Box::new(job));
    }

    /// How many jobs nobody has begun yet.
    pub(crate) fn waiting(&self) -> usize {
        self.jobs.len()
    }
}
