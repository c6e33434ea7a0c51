//! The receiver: takes metadata as it comes, asks for chunks, has them verified and stored by other threads, and in the end
//! proves that nothing is missing.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use crossbeam_channel::{SendTimeoutError, Sender, bounded};
use dits_core::closure::{self, Met, Request};
use dits_core::maintain::{Reached, references};
use dits_core::object::{CommitId, Digest, ObjectKind, ObjectRead};
use dits_core::progress::Progress;
use dits_core::repo::RepoError;
use dits_core::store::frame::{Header, MAX_FRAME};
use dits_core::store::{Store, StoreError, StoreWriter};

use super::failure::FirstFailure;
use super::sizes::Sizes;
use super::sources::{Kept, Sources, has_length};
use super::verify::{Batch, ChunkCounters, open, store_batches};
use crate::error::SyncError;
use crate::link::Lane;
use crate::session::{Heartbeat, Session};
use crate::transfer::{ContentFilter, Holdings, NAMES, OPEN_GETS, Receiving, Violation};
use crate::wire::{ErrorCode, MAX_GET, Message, Part};

/// How many messages of chunks wait to be verified. What waits comes again if this process dies.
const WAITING: usize = 2;
/// How often who waits for the threads looks up.
const LOOK_UP: Duration = Duration::from_millis(100);
/// How often what is missing in the end may be asked for: more than what a false positive of a filter hides, below one
/// another, and what a crash left of an earlier transfer.
const ROUNDS: usize = 64;
/// How much that is missing is asked for in one round.
const MISSING_AT_ONCE: usize = OPEN_GETS * MAX_GET;
/// Names in one request, where many are asked for: with all requests that may be open, some 256 MiB are on their way.
const NAMES_AT_ONCE: usize = 1024;

/// An object that must be there in the end, with everything it reaches; its kind where that is known.
pub(crate) type Wanted = (Option<ObjectKind>, Digest);

/// What becomes of the chunks that are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// They come.
    Receive,
    /// They are counted and not asked for.
    Count,
    /// They are asked for, and the sender knows that it is only to count them.
    Pretend,
}

/// What is received, and into what.
pub(crate) struct Receive<'a> {
    pub store: &'a Store,
    pub writer: &'a StoreWriter,
    pub wants: &'a [Wanted],
    /// Commits that are there with everything they reach.
    pub known: &'a [CommitId],
    /// Known commits whose parents are not there.
    pub known_shallow: &'a HashSet<CommitId>,
    /// Commits whose parents stay away.
    pub cut: &'a HashSet<CommitId>,
    pub filter: ContentFilter,
    /// Stores nearer than the sender.
    pub alternates: &'a [Store],
    /// The most bytes that may be stored.
    pub quota: Option<u64>,
    pub chunks: Chunks,
    pub threads: usize,
    pub progress: &'a dyn Progress,
}

/// What was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Objects of metadata.
    pub metadata: u64,
    /// Chunks that came from the sender; in a dry run, that would.
    pub chunks: u64,
    /// Their plain bytes.
    pub plain: u64,
    /// Bytes of their frames; 0 in a dry run.
    pub stored: u64,
    /// Chunks that were named and were there already, and their plain bytes.
    pub known: (u64, u64),
    /// Chunks that were found in alternates, and their plain bytes.
    pub borrowed: (u64, u64),
    /// The new commits whose parents stay away.
    pub edges: Vec<CommitId>,
}

impl Received {
    /// Adds what another transfer brought.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { metadata, chunks, plain, stored, known, borrowed, edges } = other;
        self.edges.extend(edges);
        self.metadata += metadata;
        self.chunks += chunks;
        self.plain += plain;
        self.stored += stored;
        self.known = (self.known.0 + known.0, self.known.1 + known.1);
        self.borrowed = (self.borrowed.0 + borrowed.0, self.borrowed.1 + borrowed.1);
    }
}

/// Takes what the sender names until nothing is missing.
pub(crate) fn receive(session: &Session<'_>, job: Receive<'_>) -> Result<Received, SyncError> {
    let machine = Receiving::new(job.wants.iter().map(|(_, digest)| *digest), job.chunks == Chunks::Pretend);
    with_receiver(session, job, machine, |receiver| receiver.run())
}

/// Takes chunks asked for by name, with their lengths.
pub(crate) fn receive_named(
    session: &Session<'_>,
    job: Receive<'_>,
    chunks: &[(Digest, u64)],
) -> Result<Received, SyncError> {
    with_receiver(session, job, Receiving::by_name(), |receiver| receiver.run_named(chunks))
}

fn with_receiver(
    session: &Session<'_>,
    mut job: Receive<'_>,
    machine: Receiving,
    run: impl FnOnce(&mut Receiver<'_, '_>) -> Result<(), SyncError>,
) -> Result<Received, SyncError> {
    let (failure, done, counters) = (FirstFailure::default(), AtomicU64::new(0), ChunkCounters::default());
    let (batches, to_store) = bounded(WAITING);
    let filter = std::mem::take(&mut job.filter);
    let (writer, progress) = (job.writer, job.progress);
    thread::scope(|scope| {
        for _ in 0..job.threads.clamp(1, 4) {
            let to_store = to_store.clone();
            let (done, counters, failure) = (&done, &counters, &failure);
            scope.spawn(move || store_batches(&to_store, done, writer, counters, progress, failure));
        }
        drop(to_store);
        let mut receiver = Receiver {
            session,
            job: &job,
            machine,
            sources: Sources {
                job: &job,
                filter,
                stats: Received::default(),
                frame: Vec::new(),
                counted: Reached::default(),
            },
            wants: job.wants.iter().map(|(_, digest)| *digest).collect(),
            kinds: HashMap::new(),
            heartbeat: Heartbeat::default(),
            parts: HashMap::new(),
            batches,
            given: 0,
            done: &done,
            failure: &failure,
        };
        let result = run(&mut receiver);
        let mut stats = receiver.sources.stats.clone();
        // The threads end when nobody can give them anything more.
        drop(receiver);
        result?;
        if job.chunks == Chunks::Receive {
            let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            (stats.chunks, stats.plain) = (get(&counters.chunks), get(&counters.plain));
            stats.stored = get(&counters.stored);
        }
        Ok(stats)
    })
}

struct Receiver<'a, 'l> {
    session: &'a Session<'l>,
    job: &'a Receive<'a>,
    machine: Receiving,
    sources: Sources<'a>,
    wants: HashSet<Digest>,
    /// The kinds of the wants, as they arrive.
    kinds: HashMap<Digest, ObjectKind>,
    heartbeat: Heartbeat,
    /// Frames of which parts have come, by lane.
    parts: HashMap<Lane, BytesMut>,
    batches: Sender<Batch>,
    /// How many batches were given to the threads, and how many of those they are done with.
    given: u64,
    done: &'a AtomicU64,
    failure: &'a FirstFailure,
}

impl Receiver<'_, '_> {
    fn run(&mut self) -> Result<(), SyncError> {
        for _ in 0..ROUNDS {
            while !self.machine.is_done() {
                self.step()?;
            }
            self.wait_for_threads()?;
            self.check_quota()?;
            if self.job.chunks != Chunks::Receive {
                return Ok(());
            }
            let missing = self.session.while_working("checking that nothing is missing", || self.missing())?;
            if missing.is_empty() {
                return Ok(());
            }
            for objects in missing.chunks(MAX_GET) {
                let get = self.machine.get(objects.to_vec());
                self.session.control(&Message::Get(get))?;
            }
        }
        Err(Violation("objects are missing however often they are asked for".to_owned()).into())
    }

    fn run_named(&mut self, chunks: &[(Digest, u64)]) -> Result<(), SyncError> {
        let mut wanted = Vec::new();
        for (digest, len) in chunks {
            if !self.sources.has_chunk(digest, *len)? {
                wanted.push((ObjectKind::Chunk, *digest));
            }
        }
        for objects in wanted.chunks(NAMES_AT_ONCE) {
            while self.machine.open_gets() >= OPEN_GETS {
                self.step()?;
            }
            let get = self.machine.get(objects.to_vec());
            self.session.control(&Message::Get(get))?;
        }
        while !self.machine.is_done() {
            self.step()?;
        }
        self.wait_for_threads()
    }

    /// Takes one message.
    fn step(&mut self) -> Result<(), SyncError> {
        let session = self.session;
        let (lane, message) = session.recv(&mut || self.look_up())?;
        match message {
            Message::Objects(_) if self.parts.contains_key(&lane) => {
                return Err(Violation("a frame in the middle of another".to_owned()).into());
            }
            Message::Objects(frames) => self.objects(lane, &frames)?,
            Message::Part(part) => self.part(lane, &part)?,
            Message::Segment(segment) => {
                let want = self.machine.segment(&segment, &mut self.sources)?;
                self.session.control(&Message::Want(want))?;
            }
            Message::Sent(segments) => self.machine.sent(segments)?,
            Message::Got(got) => {
                let lost = self.machine.got(&got)?;
                if let Some((kind, first)) = lost.first() {
                    return Err(SyncError::Lost { kind: *kind, first: *first, count: lost.len() });
                }
            }
            other => return Err(Violation(format!("{} in the middle of a transfer", other.name())).into()),
        }
        self.check_quota()
    }

    /// What is to be seen to now and then: chunks may come, or be on their way to a slow disk, for a long time before there
    /// is anything to be said about them.
    fn look_up(&mut self) -> Result<(), SyncError> {
        self.job.progress.check()?;
        self.heartbeat.beat(self.session, "receiving")?;
        self.failure.check()
    }

    fn part(&mut self, lane: Lane, part: &Part) -> Result<(), SyncError> {
        let whole = self.parts.entry(lane).or_default();
        whole.extend_from_slice(&part.bytes);
        if part.bytes.is_empty() || whole.len() > MAX_FRAME {
            return Err(Violation("a frame that is too long, or has a part of nothing".to_owned()).into());
        }
        if part.last {
            let frame = self.parts.remove(&lane).unwrap_or_default().freeze();
            self.objects(lane, &frame)?;
        }
        Ok(())
    }

    fn check_quota(&self) -> Result<(), SyncError> {
        let Some(quota) = self.job.quota else { return Ok(()) };
        let stored = self.job.writer.content.stats().stored_new + self.job.writer.meta.stats().stored_new;
        if stored > quota {
            let text = format!("the repository's quota is used up: {quota} bytes are left, and this needs more");
            return Err(SyncError::refuse(ErrorCode::Limit, text));
        }
        Ok(())
    }

    /// Takes frames: metadata at once, chunks through the threads.
    fn objects(&mut self, lane: Lane, message: &Bytes) -> Result<(), SyncError> {
        let mut frames = Vec::new();
        let mut at = 0;
        if message.is_empty() {
            return Err(Violation("a message of no objects".to_owned()).into());
        }
        while at < message.len() {
            let header = Header::decode(&message[at..]);
            let header = header.map_err(|e| Violation(format!("a frame that cannot be read: {e}")))?;
            let end = at + header.frame_len();
            let frame = message.get(at..end).ok_or_else(|| Violation("a frame that is cut off".to_owned()))?;
            match (header.kind.is_content(), lane) {
                (true, Lane::Demand) => self.machine.named(header.kind, &header.digest)?,
                (true, Lane::Bulk(_)) => self.machine.chunk(&header.digest, header.plain_len.into())?,
                (false, Lane::Control | Lane::Demand) => self.metadata(lane, &header, frame)?,
                _ => return Err(Violation(format!("a {} on a lane that carries none", header.kind)).into()),
            }
            if header.kind.is_content() {
                frames.push((at, header));
            }
            at = end;
        }
        if !frames.is_empty() {
            self.give(Batch { message: message.clone(), frames })?;
        }
        Ok(())
    }

    /// Gives chunks to the threads, which may be busy.
    fn give(&mut self, mut batch: Batch) -> Result<(), SyncError> {
        self.given += 1;
        while let Err(SendTimeoutError::Timeout(back)) = self.batches.send_timeout(batch, LOOK_UP) {
            batch = back;
            self.look_up()?;
        }
        // The threads live as long as this sender does.
        Ok(())
    }

    fn metadata(&mut self, lane: Lane, header: &Header, frame: &[u8]) -> Result<(), SyncError> {
        let (kind, digest) = (header.kind, header.digest);
        let mut plain = Vec::new();
        open(header, frame, &mut plain)?;
        let bad = |error: StoreError| SyncError::DamagedObject { kind, digest, what: error.to_string() };
        let names = references(kind, &digest, &plain).map_err(bad)?;
        if names.unknown {
            return Err(RepoError::UnknownReferences { what: format!("{kind} {digest}") }.into());
        }
        if lane == Lane::Demand {
            self.machine.named(kind, &digest)?;
        } else {
            let chunks = self.sources.filter.chunks(kind, &digest, &plain, &names).map_err(bad)?;
            let meta: Vec<Digest> = names.meta.iter().map(|(_, digest)| *digest).collect();
            self.machine.metadata(&digest, &meta, &chunks)?;
            if self.machine.names() > NAMES {
                let text = format!("more than {NAMES} objects are named that have not come; send less at once");
                return Err(SyncError::refuse(ErrorCode::Limit, text));
            }
        }
        if self.wants.contains(&digest) {
            self.kinds.insert(digest, kind);
        }
        self.job.writer.meta.put_frame(header, frame)?;
        self.sources.stats.metadata += 1;
        Ok(())
    }

    fn wait_for_threads(&mut self) -> Result<(), SyncError> {
        while self.done.load(Ordering::Acquire) < self.given {
            self.look_up()?;
            thread::sleep(Duration::from_millis(1));
        }
        self.failure.check()
    }

    /// What is missing of all that the wants reach and the known commits do not: some of it, if it is much.
    fn missing(&mut self) -> Result<Vec<(ObjectKind, Digest)>, SyncError> {
        let mut missing = Vec::new();
        let mut tips = Vec::new();
        for (kind, digest) in self.job.wants {
            match kind.or_else(|| self.kinds.get(digest).copied()) {
                Some(kind) => tips.push((kind, *digest)),
                None => match self.job.store.meta.info(digest)? {
                    Some(info) => tips.push((info.kind, *digest)),
                    None => missing.push((ObjectKind::Commit, *digest)),
                },
            }
        }
        let Receive { writer, known, known_shallow, cut, progress, .. } = *self.job;
        let request = Request { tips: &tips, known, known_shallow, cut };
        let mut filter = self.sources.filter.again();
        let (mut chunks, mut sizes) = (Reached::default(), Sizes::default());
        let edges = &mut self.sources.stats.edges;
        edges.clear();
        let walked = closure::walk::<SyncError>(&Kept(writer), &request, progress, &mut |met| {
            match met {
                Met::Missing { kind, digest } => missing.push((kind, digest)),
                Met::Entry { folder, entry } => sizes.check(&Kept(writer), folder, &entry)?,
                Met::Object { kind, digest, bytes, references } => {
                    let commit = CommitId::from_digest(digest);
                    edges.extend((kind == ObjectKind::Commit && cut.contains(&commit)).then_some(commit));
                    for chunk in filter.chunks(kind, &digest, &bytes, &references)? {
                        if chunk.wanted
                            && missing.len() < MISSING_AT_ONCE
                            && !has_length(writer, &chunk.digest, chunk.len)?
                            && chunks.insert(chunk.digest)
                        {
                            missing.push((ObjectKind::Chunk, chunk.digest));
                        }
                    }
                }
            }
            Ok(())
        });
        walked.map_err(blame)?;
        self.look_below(filter.not_met(), &mut chunks, &mut missing)?;
        missing.truncate(MISSING_AT_ONCE);
        Ok(missing)
    }

    /// Adds what is missing of the chunks below nodes of recipes, all of which are wanted.
    fn look_below(
        &self,
        mut nodes: Vec<Digest>,
        seen: &mut Reached,
        missing: &mut Vec<(ObjectKind, Digest)>,
    ) -> Result<(), SyncError> {
        while let Some(node) = nodes.pop().filter(|_| missing.len() < MISSING_AT_ONCE) {
            let bytes = match Kept(self.job.writer).read(ObjectKind::Manifest, &node) {
                // Whatever else is missing has been found by the walk.
                Err(StoreError::Missing { .. }) => continue,
                read => read?,
            };
            let names = references(ObjectKind::Manifest, &node, &bytes)?;
            nodes.extend(names.nodes);
            for (chunk, len) in names.chunks {
                if !has_length(self.job.writer, &chunk, len)? && seen.insert(chunk) {
                    missing.push((ObjectKind::Chunk, chunk));
                }
            }
        }
        Ok(())
    }
}

/// Objects whose bytes are what their names say, and that do not fit together, were made by somebody who sent them.
fn blame(error: SyncError) -> SyncError {
    match error {
        SyncError::Repo(RepoError::Store(StoreError::Malformed { kind, digest, what })) => {
            SyncError::DamagedObject { kind, digest, what }
        }
        other => other,
    }
}
