//! Chunks over a connection that stays open, for many threads at once: what a mount reads.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dits_core::chunk::ChunkRef;
use dits_core::object::Digest;
use dits_core::partial::{ChunkSink, ChunkSource, Fetched, SourceError};
use dits_core::progress::Progress;

use super::Introduction;
use super::line::{Failed, Line};
use crate::error::SyncError;
use crate::link::Dial;
use crate::wire::MAX_GET;

/// How often somebody who waits for a connection looks up.
const LOOK_UP: Duration = Duration::from_millis(50);
/// How long is waited after dialling has failed before it is tried again; each further time twice as long,
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// but no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// How often a request is made again because the connection broke under it.
const TRIES: usize = 3;

/// A remote that chunks are read from: one connection, dialled when it is needed and again after it broke.
pub struct LiveChunks(Arc<Inner>);

struct Inner {
    dial: Box<dyn Dial>,
    introduction: Introduction,
    from: String,
    state: Mutex<State>,
    changed: Condvar,
    /// What came over connections that are gone.
    before: AtomicU64,
}

#[derive(Default)]
struct State {
    line: Option<Arc<Line>>,
    dialling: bool,
    failure: Option<Failure>,
}

/// Why the last dialling failed, and when the next one may begin.
struct Failure {
    why: String,
    until: Instant,
    pause: Duration,
}

/// What a person is told, as often as somebody asks.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(String);

impl LiveChunks {
    /// A remote that messages call `from`. Nothing is dialled yet.
    #[must_use]
    pub fn new(dial: Box<dyn Dial>, introduction: Introduction, from: String) -> Self {
        let (state, changed, before) = (Mutex::default(), Condvar::new(), AtomicU64::new(0));
        Self(Arc::new(Inner { dial, introduction, from, state, changed, before }))
    }

    /// Dials now, without waiting: the first read is then one round trip.
    pub fn warm_up(&self) {
        let mut state = self.0.lock();
        if state.line.is_none() && !state.dialling {
            self.0.begin_dialling(&mut state);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(line) = &self.lock().line {
            line.give_up("it is not needed any more");
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unavailable(&self, why: impl Into<String>) -> SourceError {
        SourceError::Unavailable { from: self.from.clone(), error: Box::new(Told(why.into())) }
    }

    /// The connection; waits for one as long as `progress` allows.
    fn line(self: &Arc<Self>, progress: &dyn Progress) -> Result<Arc<Line>, SourceError> {
        let mut state = self.lock();
        loop {
            progress.check()?;
            if let Some(line) = &state.line {
                if line.is_whole() {
                    return Ok(Arc::clone(line));
                }
                self.before.fetch_add(line.received(), Ordering::Relaxed);
                state.line = None;
            }
            if !state.dialling {
                if let Some(failure) = state.failure.as_ref().filter(|failure| Instant::now() < failure.until) {
                    return Err(self.unavailable(&failure.why));
                }
                self.begin_dialling(&mut state);
            }
            state = self.changed.wait_timeout(state, LOOK_UP).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Dialling may take longer than any reader has patience for: it has a thread of its own.
    fn begin_dialling(self: &Arc<Self>, state: &mut State) {
        state.dialling = true;
        let inner = Arc::clone(self);
        let run = move || {
            let line = Line::open(&*inner.dial, &inner.introduction);
            inner.dialled(line);
        };
        if let Err(error) = thread::Builder::new().name("dits-dial".to_owned()).spawn(run) {
            state.dialling = false;
            state.note_failure(format!("cannot start a thread: {error}"));
        }
    }

    fn dialled(&self, line: Result<Arc<Line>, SyncError>) {
        let mut state = self.lock();
        state.dialling = false;
        match line {
            Ok(line) => (state.line, state.failure) = (Some(line), None),
            Err(error) => state.note_failure(error.to_string()),
        }
        self.changed.notify_all();
    }
}

impl State {
    fn note_failure(&mut self, why: String) {
        let pause = self.failure.as_ref().map_or(FIRST_PAUSE, |failure| (failure.pause * 2).min(LONGEST_PAUSE));
        self.failure = Some(Failure { why, until: Instant::now() + pause, pause });
    }
}

impl ChunkSource for LiveChunks {
    fn fetch(
        &self,
        chunks: &[ChunkRef],
        into: &dyn ChunkSink,
        progress: &dyn Progress,
    ) -> Result<Fetched, SourceError> {
        let mut seen = HashSet::new();
        let each = chunks.iter().map(|chunk| (*chunk.id.digest(), chunk.len));
        let mut wanted: Vec<(Digest, u32)> = each.filter(|(digest, _)| seen.insert(*digest)).collect();
        let (mut done, mut tries) = (Fetched::default(), 0);
        while !wanted.is_empty() {
            let line = self.0.line(progress)?;
            let now = wanted.len().min(MAX_GET);
            let mut left = wanted[..now].to_vec();
            let result = line.fetch(&mut left, into, progress, &mut done);
            wanted.splice(..now, left);
            match result {
                Ok(()) => {}
                Err(Failed::Source(error)) => return Err(error),
                Err(Failed::Gone(chunk)) => return Err(SourceError::Gone { from: self.0.from.clone(), chunk }),
                Err(Failed::Broken(why)) => {
                    tries += 1;
                    if tries >= TRIES {
                        return Err(self.0.unavailable(why));
                    }
                }
            }
        }
        Ok(done)
    }

    fn received(&self) -> u64 {
        let line = self.0.lock().line.as_ref().map_or(0, |line| line.received());
        self.0.before.load(Ordering::Relaxed) + line
    }
}
