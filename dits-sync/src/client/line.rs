//! One open connection that chunks are asked for over: requests are numbered, and what comes is handed to whoever asked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use dits_core::object::{ChunkId, Digest, ObjectKind};
use dits_core::partial::{Arrived, ChunkSink, Fetched, SourceError};
use dits_core::progress::{Progress, Silent};
use dits_core::store::frame::{Header, MAX_FRAME};

use super::{Client, Introduction};
use crate::error::SyncError;
use crate::link::{Dial, Lane, Link, LinkError};
use crate::session::Session;
use crate::transfer::Violation;
use crate::wire::{Features, Get, Message};

/// How often somebody who waits for chunks looks up.
const LOOK_UP: Duration = Duration::from_millis(50);
/// How often the server is told that somebody is still there, and for how long after the last request.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
const KEPT: Duration = Duration::from_secs(600);

/// Why a request was not answered.
pub(super) enum Failed {
    /// The connection is gone. Another one may help.
    Broken(String),
    /// The server does not have this chunk.
    Gone(ChunkId),
    /// Whoever asked gave up, or cannot take what comes.
    Source(SourceError),
}

/// A conversation in which chunks are asked for.
pub(super) struct Line {
    link: Box<dyn Link>,
    open: Mutex<Open>,
}

struct Open {
    requests: BTreeMap<u64, Request>,
    next: u64,
    broken: Option<String>,
    /// When somebody asked last, and when something came.
    asked: Instant,
    heard: Instant,
}

struct Request {
    chunks: Vec<Digest>,
    wanted: HashSet<Digest>,
    to: Sender<Answer>,
}

enum Answer {
    Chunk(Header, Bytes),
    Done { missing: Option<Digest> },
}

impl Line {
    /// Dials, introduces itself, and begins to listen.
    pub(super) fn open(dial: &dyn Dial, introduction: &Introduction) -> Result<Arc<Self>, SyncError> {
        let link = dial.dial()?;
        let mut client = Client::new(&*link, introduction)?;
        client.welcome(&Silent)?;
        let features = client.session.features;
        let now = Instant::now();
        let open = Open { requests: BTreeMap::new(), next: 0, broken: None, asked: now, heard: now };
        let line = Arc::new(Self { link, open: Mutex::new(open) });
        let listener = Arc::clone(&line);
        let run = move || {
            let why = listener.listen(features).map_or_else(|error| error.to_string(), |never| match never {});
            listener.give_up(&why);
            listener.link.close();
        };
        let spawned = thread::Builder::new().name("dits-chunks".to_owned()).spawn(run);
        spawned.map_err(|error| LinkError::Unusable(format!("cannot start a thread: {error}")))?;
        Ok(line)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.lock().broken.is_none()
    }

    /// Bytes that came over it.
    pub(super) fn received(&self) -> u64 {
        self.link.traffic().received
    }

    /// Nothing more is asked for over this connection; whoever waits learns it.
    pub(super) fn give_up(&self, why: &str) {
        let mut open = self.lock();
        open.broken.get_or_insert_with(|| why.to_owned());
        open.requests.clear();
    }

    /// Asks for chunks and takes what comes out of `wanted`.
    pub(super) fn fetch(
        &self,
        wanted: &mut Vec<(Digest, u32)>,
        into: &dyn ChunkSink,
        progress: &dyn Progress,
        done: &mut Fetched,
    ) -> Result<(), Failed> {
        let begun = Instant::now();
        let (number, answers) = self.ask(wanted)?;
        let mut lengths: HashMap<Digest, u32> = wanted.iter().copied().collect();
        let result = self.take(&answers, &mut lengths, into, progress, done);
        wanted.retain(|(digest, _)| lengths.contains_key(digest));
        let mut open = self.lock();
        open.requests.remove(&number);
        let silent = open.heard < begun;
        drop(open);
        // A server that says nothing at all is not asked again over the same connection.
        if silent && matches!(result, Err(Failed::Source(SourceError::Interrupted(_)))) {
            self.give_up("no answer");
        }
        result
    }

    fn ask(&self, wanted: &[(Digest, u32)]) -> Result<(u64, Receiver<Answer>), Failed> {
        let (to, answers) = unbounded();
        let chunks: Vec<Digest> = wanted.iter().map(|(digest, _)| *digest).collect();
        let objects = chunks.iter().map(|digest| (ObjectKind::Chunk as u8, *digest)).collect();
        let number = {
            let mut open = self.lock();
            if let Some(why) = &open.broken {
                return Err(Failed::Broken(why.clone()));
            }
            let number = open.next;
            open.next += 1;
            open.asked = Instant::now();
            open.requests.insert(number, Request { wanted: chunks.iter().copied().collect(), chunks, to });
            number
        };
        let get = Message::Get(Get { number, objects });
        self.link.send(Lane::Control, get.encode()).map_err(|error| Failed::Broken(error.to_string()))?;
        Ok((number, answers))
    }

    fn take(
        &self,
        answers: &Receiver<Answer>,
        lengths: &mut HashMap<Digest, u32>,
        into: &dyn ChunkSink,
        progress: &dyn Progress,
        done: &mut Fetched,
    ) -> Result<(), Failed> {
        loop {
            progress.check().map_err(|error| Failed::Source(error.into()))?;
            match answers.recv_timeout(LOOK_UP) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failed::Broken(self.lock().broken.clone().unwrap_or_default()));
                }
                Ok(Answer::Chunk(header, frame)) => {
                    let mut plain = Vec::with_capacity(header.plain_len as usize);
                    let opened = header.open(&frame, &mut plain).map_err(|error| error.to_string());
                    let fits = lengths.remove(&header.digest) == Some(header.plain_len);
                    if let Some(what) = opened.err().or((!fits).then(|| "it has another length".to_owned())) {
                        let why = format!("chunk {} came damaged: {what}", header.digest);
                        self.give_up(&why);
                        lengths.insert(header.digest, header.plain_len);
                        return Err(Failed::Broken(why));
                    }
                    done.chunks += 1;
                    done.bytes += frame.len() as u64;
                    let arrived = Arrived { header, frame: &frame, plain };
                    into.take(arrived).map_err(|error| Failed::Source(error.into()))?;
                }
                Ok(Answer::Done { missing: None }) if lengths.is_empty() => return Ok(()),
                Ok(Answer::Done { missing }) => {
                    let missing = missing.or_else(|| lengths.keys().next().copied());
                    return missing.map_or(Ok(()), |digest| Err(Failed::Gone(ChunkId::from_digest(digest))));
                }
            }
        }
    }

    /// Hands out what comes, until the connection ends.
    fn listen(&self, features: Features) -> Result<std::convert::Infallible, SyncError> {
        let session = Session::new(&*self.link, features);
        let mut parts: HashMap<Lane, BytesMut> = HashMap::new();
        let mut signed = Instant::now();
        loop {
            let received = session.recv(&mut || self.look_up(&session, &mut signed));
            let (lane, message) = match received {
                // Silence is none of a fault while nobody has asked.
                Err(SyncError::Link(LinkError::TimedOut(_))) if self.lock().requests.is_empty() => continue,
                received => received?,
            };
            self.lock().heard = Instant::now();
            match message {
                Message::Objects(frames) => self.hand_out(&frames)?,
                Message::Part(part) => {
                    let whole = parts.entry(lane).or_default();
                    whole.extend_from_slice(&part.bytes);
                    if whole.len() > MAX_FRAME {
                        return Err(Violation("a frame that is too long".to_owned()).into());
                    }
                    if part.last {
                        let frame = parts.remove(&lane).unwrap_or_default().freeze();
                        self.hand_out(&frame)?;
                    }
                }
                Message::Got(got) => {
                    // One that was given up is not known any more.
                    if let Some(request) = self.lock().requests.remove(&got.number) {
                        let missing = got.missing.first().and_then(|at| request.chunks.get(*at as usize)).copied();
                        let _ = request.to.send(Answer::Done { missing });
                    }
                }
                other => return Err(Violation(format!("{} where chunks were asked for", other.name())).into()),
            }
        }
    }

    /// Between messages: ends when nobody needs the connection, and tells the server that somebody does.
    fn look_up(&self, session: &Session<'_>, signed: &mut Instant) -> Result<(), SyncError> {
        let (broken, asked) = {
            let open = self.lock();
            (open.broken.clone(), open.asked)
        };
        if let Some(why) = broken {
            return Err(LinkError::Closed(why).into());
        }
        if asked.elapsed() < KEPT && signed.elapsed() >= SIGN_OF_LIFE {
            *signed = Instant::now();
            session.control(&Message::Progress("reading now and then".to_owned()))?;
        }
        Ok(())
    }

    fn hand_out(&self, frames: &Bytes) -> Result<(), SyncError> {
        let mut at = 0;
        while at < frames.len() {
            let header = Header::decode(&frames[at..]);
            let header = header.map_err(|error| Violation(format!("a frame that cannot be read: {error}")))?;
            let end = at + header.frame_len();
            if end > frames.len() {
                return Err(Violation("a frame that is cut off".to_owned()).into());
            }
            let mut open = self.lock();
            let asked = open.requests.values_mut().find(|request| request.wanted.contains(&header.digest));
            // What nobody waits for any more is let go.
            if let Some(request) = asked {
                request.wanted.remove(&header.digest);
                let _ = request.to.send(Answer::Chunk(header, frames.slice(at..end)));
            }
            drop(open);
            at = end;
        }
        Ok(())
    }
}
