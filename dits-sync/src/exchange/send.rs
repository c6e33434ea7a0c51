//! The sender: one thread walks and names what is new, one sends the chunks that are asked for, and one listens.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use dits_core::closure::{self, Met, Request};
use dits_core::object::{CommitId, Digest, ObjectKind, ObjectRead};
use dits_core::progress::Progress;
use dits_core::repo::RepoError;
use dits_core::store::frame::{Encoding, Header};
use dits_core::store::{Store, StoreError};

use super::failure::FirstFailure;
use crate::error::SyncError;
use crate::link::{BULK_LANES, Lane};
use crate::session::{Heartbeat, Session};
use crate::transfer::{Named, Sending};
use crate::wire::{BatchBuilder, ErrorCode, Features, Get, Got, IdFilter, Message};

/// What is to be sent, and from where.
pub(crate) struct Send<'a> {
    pub store: &'a Store,
    pub request: Request<'a>,
    /// Metadata that the receiver holds.
    pub held: Option<IdFilter>,
    pub progress: &'a dyn Progress,
    /// Whether chunks are only to be counted.
    pub dry_run: bool,
    /// How many objects the receiver turned out to have: known also if the transfer fails.
    pub spared: AtomicU64,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendStats {
    /// Objects of metadata.
    pub metadata: u64,
    /// Plain bytes of all chunks that new metadata names, whether or not the receiver had them.
    pub named: u64,
    /// Chunks that the receiver asked for.
    pub chunks: u64,
    /// Their plain bytes.
    pub plain: u64,
    /// Bytes of their frames.
    pub stored: u64,
}

impl SendStats {
    /// Adds what another transfer sent.
    pub fn add(&mut self, other: &Self) {
        let Self { metadata, named, chunks, plain, stored } = other;
        self.metadata += metadata;
        self.named += named;
        self.chunks += chunks;
        self.plain += plain;
        self.stored += stored;
    }
}

#[derive(Default)]
struct Counters {
    metadata: AtomicU64,
    named: AtomicU64,
    chunks: AtomicU64,
    plain: AtomicU64,
    stored: AtomicU64,
}

/// What the chunk thread has to do.
enum Job {
    Segment(u64, Vec<Digest>),
    Get(Get),
}

struct Shared<'a, 'l> {
    session: &'a Session<'l>,
    job: &'a Send<'a>,
    machine: Mutex<Sending>,
    room: Condvar,
    failure: FirstFailure,
    over: AtomicBool,
    counters: Counters,
}

/// Sends what is new until the receiver ends the transfer: `end` is given every message that is not part of it.
pub(crate) fn send<T>(
    session: &Session<'_>,
    job: &Send<'_>,
    end: &mut dyn FnMut(Message) -> Result<T, SyncError>,
) -> Result<(T, SendStats), SyncError> {
    let shared = Shared {
        session,
        job,
        machine: Mutex::default(),
        room: Condvar::new(),
        failure: FirstFailure::default(),
        over: AtomicBool::new(false),
        counters: Counters::default(),
    };
    let (jobs, to_do) = unbounded();
    let result = thread::scope(|scope| {
        scope.spawn(|| shared.run(&|| shared.name_everything()));
        scope.spawn(|| shared.run(&|| shared.serve(&to_do)));
        // Sending fails as soon as the other side is gone; why it went is still to be read.
        let result = shared.listen(jobs, end).map_err(|error| session.explain(error));
        shared.over.store(true, Ordering::Release);
        shared.room.notify_all();
        if result.is_err() {
            // A thread may be in the middle of sending to somebody who does not read any more.
            if let Err(error) = &result
                && let Some(failure) = error.to_peer()
            {
                let _ = session.control(&Message::Error(failure));
            }
            session.link().close();
        }
        result
    })?;
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let Counters { metadata, named, chunks, plain, stored } = &shared.counters;
    let (metadata, named) = (get(metadata), get(named));
    Ok((result, SendStats { metadata, named, chunks: get(chunks), plain: get(plain), stored: get(stored) }))
}

impl Shared<'_, '_> {
    fn machine(&self) -> MutexGuard<'_, Sending> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, work: &dyn Fn() -> Result<(), SyncError>) {
        if let Err(error) = work() {
            self.failure.set(error);
            self.room.notify_all();
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire) || self.failure.is_set()
    }

    fn listen<T>(
        &self,
        jobs: Sender<Job>,
        end: &mut dyn FnMut(Message) -> Result<T, SyncError>,
    ) -> Result<T, SyncError> {
        let mut heartbeat = Heartbeat::default();
        loop {
            let (_, message) = self.session.recv(&mut || {
                self.job.progress.check()?;
                heartbeat.beat(self.session, "sending")?;
                self.failure.check()
            })?;
            match message {
                Message::Want(want) => {
                    let mut machine = self.machine();
                    let chunks = machine.want(&want)?;
                    self.job.spared.store(machine.spared(), Ordering::Relaxed);
                    drop(machine);
                    // Nobody is left to take it only if the thread has failed, which the next look says.
                    let _ = jobs.send(Job::Segment(want.segment, chunks));
                }
                Message::Get(get) => {
                    self.machine().get()?;
                    let _ = jobs.send(Job::Get(get));
                }
                other => return end(other),
            }
        }
    }

    /// Walks over what is new and sends its metadata, as long as the window has room.
    fn name_everything(&self) -> Result<(), SyncError> {
        let mut naming = Naming { shared: self, batch: BatchBuilder::default(), frame: Vec::new() };
        let Send { store, request, progress, .. } = self.job;
        closure::walk::<SyncError>(*store, request, *progress, &mut |met| naming.met(met))?;
        naming.finish()
    }

    /// Waits until another object may be named; false when the transfer is over.
    fn wait_for_room(&self) -> bool {
        let mut machine = self.machine();
        while !machine.has_room() && !self.is_over() {
            let waited = self.room.wait_timeout(machine, Duration::from_millis(200));
            machine = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        !self.is_over()
    }

    /// Sends chunks as they are asked for.
    fn serve(&self, to_do: &Receiver<Job>) -> Result<(), SyncError> {
        let mut lane = 0;
        for job in to_do {
            match job {
                Job::Segment(number, chunks) => {
                    self.send_chunks(&chunks, &mut lane)?;
                    self.machine().served(number);
                    self.room.notify_all();
                }
                Job::Get(request) => {
                    get(self.session, self.job.store, &request)?;
                    self.machine().got();
                }
            }
            if self.need_not_go_on() {
                break;
            }
        }
        Ok(())
    }

    /// A receiver that wants no chunks may end a dry run before all that it asked for is counted.
    fn need_not_go_on(&self) -> bool {
        self.failure.is_set() || (self.is_over() && !self.job.dry_run)
    }

    fn send_chunks(&self, chunks: &[Digest], lane: &mut u8) -> Result<(), SyncError> {
        let mut batch = BatchBuilder::default();
        let mut frame = Vec::new();
        for digest in chunks {
            let header = read_for(self.job.store, ObjectKind::Chunk, digest, self.session.features, &mut frame);
            let header = header.map_err(|error| unreadable(ObjectKind::Chunk, digest, error))?;
            let (plain, stored) = (u64::from(header.plain_len), frame.len() as u64);
            if !self.job.dry_run {
                self.send_bulk(batch.push(&frame), lane)?;
            }
            self.counters.chunks.fetch_add(1, Ordering::Relaxed);
            self.counters.plain.fetch_add(plain, Ordering::Relaxed);
            self.counters.stored.fetch_add(stored, Ordering::Relaxed);
            self.job.progress.advance(stored, 1);
            if self.need_not_go_on() {
                return Ok(());
            }
        }
        self.send_bulk(batch.finish(), lane)
    }

    /// Sends messages on one lane, as the parts of one frame must be, and the next ones on the next lane.
    fn send_bulk(&self, messages: impl IntoIterator<Item = Bytes>, lane: &mut u8) -> Result<(), SyncError> {
        let mut messages = messages.into_iter().peekable();
        if messages.peek().is_none() {
            return Ok(());
        }
        let this = Lane::Bulk(*lane);
        *lane = (*lane + 1) % BULK_LANES;
        messages.try_for_each(|message| self.session.send_encoded(this, message))
    }
}

/// The walk's listener.
struct Naming<'s, 'a, 'l> {
    shared: &'s Shared<'a, 'l>,
    batch: BatchBuilder,
    frame: Vec<u8>,
}

impl Naming<'_, '_, '_> {
    fn met(&mut self, met: Met) -> Result<(), SyncError> {
        let (kind, digest, references) = match met {
            Met::Object { kind, digest, references, .. } => (kind, digest, references),
            Met::Entry { .. } => return Ok(()),
            Met::Missing { kind, digest } => return Err(StoreError::Missing { kind, digest }.into()),
        };
        if !self.shared.wait_for_room() {
            return Err(SyncError::Repo(RepoError::Interrupted(dits_core::progress::Interrupted)));
        }
        let job = self.shared.job;
        self.check_edge(kind, digest)?;
        // What names other metadata is sent in any case: the filter may be wrong, and what comes next must be expected.
        let may_be_held = references.meta.is_empty();
        let held = may_be_held && job.held.as_ref().is_some_and(|held| held.may_contain(&digest));
        let mut sent = None;
        if !held {
            let read = read_for(job.store, kind, &digest, self.shared.session.features, &mut self.frame);
            read.map_err(|error| unreadable(kind, &digest, error))?;
            sent = Some(self.frame.len());
            let ready = self.batch.push(&self.frame);
            self.send(ready)?;
            self.shared.counters.metadata.fetch_add(1, Ordering::Relaxed);
        }
        let named = references.chunks.iter().map(|(_, len)| len).sum();
        self.shared.counters.named.fetch_add(named, Ordering::Relaxed);
        let segment = self.shared.machine().name(Named { kind, digest, chunks: &references.chunks, sent });
        match segment {
            Some(segment) => self.close(&Message::Segment(segment)),
            None => Ok(()),
        }
    }

    /// A commit whose parents are not here goes only to somebody who knows that.
    fn check_edge(&self, kind: ObjectKind, digest: Digest) -> Result<(), SyncError> {
        let (job, commit) = (self.shared.job, CommitId::from_digest(digest));
        if kind != ObjectKind::Commit || job.request.cut.contains(&commit) || !job.store.is_shallow(&commit)? {
            return Ok(());
        }
        let text = format!(
            "history ends here at {commit} (this repository is shallow), and the other side does not have that commit; \
             `dits fetch --unshallow` brings what comes before it"
        );
        Err(SyncError::refuse(ErrorCode::Refused, text))
    }

    fn send(&self, messages: Vec<Bytes>) -> Result<(), SyncError> {
        messages.into_iter().try_for_each(|message| self.shared.session.send_encoded(Lane::Control, message))
    }

    /// Sends what is gathered, and then what ends a segment.
    fn close(&mut self, end: &Message) -> Result<(), SyncError> {
        let rest = self.batch.finish().into_iter().collect();
        self.send(rest)?;
        self.shared.session.control(end)
    }

    fn finish(mut self) -> Result<(), SyncError> {
        let (last, segments) = self.shared.machine().finish();
        if let Some(segment) = last {
            self.close(&Message::Segment(segment))?;
        }
        self.shared.session.control(&Message::Sent(segments))
    }
}

/// Answers a request for objects by name, on the demand lane; says how many were sent and how many are not there.
pub(crate) fn get(session: &Session<'_>, store: &Store, request: &Get) -> Result<(u64, u64), SyncError> {
    let (mut batch, mut frame, mut missing) = (BatchBuilder::default(), Vec::new(), Vec::new());
    for (i, (kind, digest)) in request.objects.iter().enumerate() {
        let kind = ObjectKind::from_code(*kind);
        let found = kind.map(|kind| (kind, read_for(store, kind, digest, session.features, &mut frame)));
        let found = match found {
            None => false,
            // An object of another kind is none of that name.
            Some((_, Err(StoreError::Missing { .. } | StoreError::Absent { .. } | StoreError::WrongKind { .. }))) => {
                false
            }
            Some((kind, read)) => read.map(|_| true).map_err(|error| unreadable(kind, digest, error))?,
        };
        if !found {
            missing.push(i as u32);
            continue;
        }
        for message in batch.push(&frame) {
            session.send_encoded(Lane::Demand, message)?;
        }
    }
    if let Some(message) = batch.finish() {
        session.send_encoded(Lane::Demand, message)?;
    }
    let sent = (request.objects.len() - missing.len()) as u64;
    let lost = missing.len() as u64;
    session.send(Lane::Demand, &Message::Got(Got { number: request.number, missing }))?;
    Ok((sent, lost))
}

/// Says which object it is that cannot be sent.
fn unreadable(kind: ObjectKind, digest: &Digest, source: StoreError) -> SyncError {
    if source.is_corruption() { SyncError::DamagedHere { kind, digest: *digest, source } } else { source.into() }
}

/// Reads an object's frame in an encoding that the other side understands.
fn read_for(
    store: &Store,
    kind: ObjectKind,
    digest: &Digest,
    features: Features,
    frame: &mut Vec<u8>,
) -> Result<Header, StoreError> {
    let header = store.read_frame(kind, digest, frame)?;
    if header.encoding == Encoding::Raw as u8 || features.has(Features::ZSTD) {
        return Ok(header);
    }
    let plain = store.odb(kind).read(kind, digest)?;
    let header = Header::new(kind, Encoding::Raw, *digest, &plain, plain.len());
    frame.clear();
    frame.extend_from_slice(&header.encode());
    frame.extend_from_slice(&plain);
    Ok(header)
}
