//! Messages over a link: encoded, decoded, and waited for with patience that has an end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::error::SyncError;
use crate::link::{Lane, Link, LinkError, Traffic};
use crate::wire::{Features, Message};

/// How long the other side may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often somebody who works without sending anything says so.
const HEARTBEAT: Duration = Duration::from_secs(10);
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
        self.send_encoded(lane, message.encode())
    }

    pub(crate) fn control(&self, message: &Message) -> Result<(), SyncError> {
        self.send(Lane::Control, message)
    }

    /// Asks something, on the thread that receives. If the other side has ended the link, its reason may have come already
    /// and says more than that.
    pub(crate) fn ask(&self, message: &Message) -> Result<(), SyncError> {
        let Err(error) = self.control(message) else { return Ok(()) };
        while let Ok((_, bytes)) = self.link.recv(LOOK_UP) {
            if let Ok(Some(Message::Error(failure))) = Message::decode(&bytes) {
                return Err(SyncError::Peer(failure));
            }
        }
        Err(error)
    }

    pub(crate) fn send_encoded(&self, lane: Lane, message: Bytes) -> Result<(), SyncError> {
        Ok(self.link.send(lane, message)?)
    }

    /// The next message. `look_up` is called now and then while nothing comes; what it returns as an error ends the wait.
    pub(crate) fn recv(
        &self,
        look_up: &mut dyn FnMut() -> Result<(), SyncError>,
    ) -> Result<(Lane, Message), SyncError> {
        let mut since = Instant::now();
        loop {
            look_up()?;
            let (lane, bytes) = match self.link.recv(LOOK_UP) {
                Ok(parcel) => parcel,
                Err(LinkError::TimedOut(_)) if since.elapsed() < PATIENCE => continue,
                Err(LinkError::TimedOut(_)) => return Err(LinkError::TimedOut(PATIENCE).into()),
                Err(error) => return Err(error.into()),
            };
            match Message::decode(&bytes)? {
                // A sign of life, or what this version does not know and may skip.
                None | Some(Message::Progress(_)) => since = Instant::now(),
                Some(Message::Error(failure)) => return Err(SyncError::Peer(failure)),
                Some(message) => return Ok((lane, message)),
            }
        }
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
