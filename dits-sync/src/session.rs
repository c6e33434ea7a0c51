//! Messages over a link: encoded, decoded, and waited for with patience that has an end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::SyncError;
use crate::link::{Lane, Link, LinkError, Traffic};
use crate::wire::{ErrorCode, Failure, Features, MAX_HELLO, MAX_MESSAGE, Message, WireError};

/// How long the other side may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a client may take to say what it wants.
const INTRODUCTION: Duration = Duration::from_secs(10);
/// How often somebody who works without sending anything says so.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long the other side may say that it works, and nothing else, and how many times.
const BUSY: Duration = Duration::from_secs(3600);
const SIGNS_OF_LIFE: u32 = 4096;
/// How long a reason is looked for when the link has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often a waiting thread looks up.
const LOOK_UP: Duration = Duration::from_millis(200);

/// One end of a conversation.
pub(crate) struct Session<'l> {
    link: &'l dyn Link,
    /// What the other side understands.
    pub features: Features,
}

impl<'l> Session<'l> {
    pub(crate) fn new(link: &'l dyn Link, features: Features) -> Self {
        Self { link, features }
    }

    pub(crate) fn link(&self) -> &'l dyn Link {
        self.link
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.link.traffic()
    }

    pub(crate) fn send(&self, lane: Lane, message: &Message) -> Result<(), SyncError> {
        let encoded = message.encode();
        if encoded.len() > MAX_MESSAGE {
            let (name, len) = (message.name(), encoded.len());
            let text = format!("more than one message can carry: {name} would take {len} bytes; ask for less at once");
            return Err(SyncError::refuse(ErrorCode::Limit, text));
        }
        self.send_encoded(lane, encoded)
    }

    pub(crate) fn control(&self, message: &Message) -> Result<(), SyncError> {
        self.send(Lane::Control, message)
    }

    pub(crate) fn send_encoded(&self, lane: Lane, message: Bytes) -> Result<(), SyncError> {
        Ok(self.link.send(lane, message)?)
    }

    /// The next message. `look_up` is called now and then while nothing comes; what it returns as an error ends the wait.
    pub(crate) fn recv(
        &self,
        look_up: &mut dyn FnMut() -> Result<(), SyncError>,
    ) -> Result<(Lane, Message), SyncError> {
        let (began, mut since, mut signs) = (Instant::now(), Instant::now(), 0);
        loop {
            look_up()?;
            if signs > SIGNS_OF_LIFE || began.elapsed() > BUSY {
                return Err(LinkError::TimedOut(began.elapsed()).into());
            }
            let (lane, bytes) = match self.link.recv(LOOK_UP) {
                Ok(parcel) => parcel,
                Err(LinkError::TimedOut(_)) if since.elapsed() < PATIENCE => continue,
                Err(LinkError::TimedOut(_)) => return Err(LinkError::TimedOut(PATIENCE).into()),
                Err(error) => return Err(error.into()),
            };
            match Message::decode(&bytes)? {
                // A sign of life, or what this version does not know and may skip.
                None | Some(Message::Progress(_)) => {
                    since = Instant::now();
                    signs += 1;
                }
                Some(Message::Error(failure)) => return Err(said(failure)),
                Some(message) => return Ok((lane, message)),
            }
        }
    }

    /// The first message of somebody who has not been let in: a short one, and soon.
    pub(crate) fn first(&self) -> Result<Message, SyncError> {
        let (_, bytes) = self.link.recv(INTRODUCTION)?;
        if bytes.len() > MAX_HELLO {
            return Err(WireError::TooLong(bytes.len()).into());
        }
        Message::decode(&bytes)?.ok_or_else(|| WireError::Empty.into())
    }

    /// The reason for an error, if it is that the link has ended: the other side says why before it leaves, and sending fails
    /// before that is read. To be called only where [`Session::recv`] is.
    pub(crate) fn explain(&self, error: SyncError) -> SyncError {
        if !matches!(error, SyncError::Link(LinkError::Closed(_) | LinkError::Broken(_))) {
            return error;
        }
        let until = Instant::now() + LAST_WORDS;
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
            && let Ok((_, bytes)) = self.link.recv(left)
        {
            if let Ok(Some(Message::Error(failure))) = Message::decode(&bytes) {
                return said(failure);
            }
        }
        error
    }

    /// Does something long during which nothing is sent, and tells the other side now and then that it goes on.
    pub(crate) fn while_working<T>(&self, what: &str, work: impl FnOnce() -> T) -> T {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let beat = scope.spawn(|| {
                let mut last = Instant::now();
                while !done.load(Ordering::Acquire) {
                    thread::park_timeout(LOOK_UP);
                    if last.elapsed() >= HEARTBEAT {
                        last = Instant::now();
                        // Whoever needs the link will see that it is broken.
                        let _ = self.control(&Message::Progress(what.to_owned()));
                    }
                }
            });
            // Also when the work panics: the scope would wait for the beat for ever.
            let _stop = Stop { done: &done, beat: beat.thread().clone() };
            work()
        })
    }
}

/// Says now and then that this side goes on, while it receives or sends what takes long.
pub(crate) struct Heartbeat(Instant);

impl Default for Heartbeat {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Heartbeat {
    /// Says so, if it is time.
    pub(crate) fn beat(&mut self, session: &Session<'_>, what: &str) -> Result<(), SyncError> {
        if self.0.elapsed() < HEARTBEAT {
            return Ok(());
        }
        self.0 = Instant::now();
        session.control(&Message::Progress(what.to_owned()))
    }
}

/// What the other side gave as its reason.
fn said(Failure { code, text }: Failure) -> SyncError {
    SyncError::Peer(Failure { code, text: printable(&text) })
}

/// A text from the other side as it may be shown: it cannot move a terminal's cursor or begin a line of a log.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    text.trim_end().chars().map(shown).collect()
}

/// As much of a text as has room in so many bytes.
pub(crate) fn shortened(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

struct Stop<'a> {
    done: &'a AtomicBool,
    beat: thread::Thread,
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        self.beat.unpark();
    }
}
