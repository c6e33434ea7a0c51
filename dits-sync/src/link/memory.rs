//! Two ends in one process: for repositories on a local path.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded, never};

use super::{Lane, Link, LinkError, Traffic};

/// How many messages wait on the control and demand lanes together,
const URGENT: usize = 1024;
/// and on the bulk lanes: at most 8 MiB.
const BULK: usize = 8;

/// How long a full queue is waited for before looking whether the link was closed meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

type Parcel = (Lane, Bytes);

struct End {
    urgent: Mutex<Option<Sender<Parcel>>>,
    bulk: Mutex<Option<Sender<Parcel>>>,
    from_urgent: Mutex<Receiver<Parcel>>,
    from_bulk: Mutex<Receiver<Parcel>>,
    sent: AtomicU64,
    received: AtomicU64,
    closed: AtomicBool,
    peer: String,
}

/// The two ends of a link; each sees the other as `peer`.
#[must_use]
pub fn pair(peer: &str) -> (impl Link + use<>, impl Link + use<>) {
    let ((a_urgent, b_from_urgent), (a_bulk, b_from_bulk)) = (bounded(URGENT), bounded(BULK));
    let ((b_urgent, a_from_urgent), (b_bulk, a_from_bulk)) = (bounded(URGENT), bounded(BULK));
    let end = |urgent, bulk, from_urgent, from_bulk| End {
        urgent: Mutex::new(Some(urgent)),
        bulk: Mutex::new(Some(bulk)),
        from_urgent: Mutex::new(from_urgent),
        from_bulk: Mutex::new(from_bulk),
        sent: AtomicU64::new(0),
        received: AtomicU64::new(0),
        closed: AtomicBool::new(false),
        peer: peer.to_owned(),
    };
    (end(a_urgent, a_bulk, a_from_urgent, a_from_bulk), end(b_urgent, b_bulk, b_from_urgent, b_from_bulk))
}

fn gone() -> LinkError {
    LinkError::Closed(String::new())
}

impl Link for End {
    fn send(&self, lane: Lane, message: Bytes) -> Result<(), LinkError> {
        let queue = if matches!(lane, Lane::Bulk(_)) { &self.bulk } else { &self.urgent };
        let queue = queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(gone)?;
        self.sent.fetch_add(message.len() as u64 + 4, Ordering::Relaxed);
        let mut parcel = (lane, message);
        loop {
            parcel = match queue.send_timeout(parcel, LOOK_AGAIN) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Disconnected(_)) => return Err(gone()),
                Err(SendTimeoutError::Timeout(parcel)) => parcel,
            };
            if self.closed.load(Ordering::Relaxed) {
                return Err(gone());
            }
        }
    }

    fn recv(&self, patience: Duration) -> Result<Parcel, LinkError> {
        let urgent = self.from_urgent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bulk = self.from_bulk.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let parcel = receive(&urgent, &bulk, patience)?;
        self.received.fetch_add(parcel.1.len() as u64 + 4, Ordering::Relaxed);
        Ok(parcel)
    }

    fn traffic(&self) -> Traffic {
        Traffic { sent: self.sent.load(Ordering::Relaxed), received: self.received.load(Ordering::Relaxed) }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        for queue in [&self.urgent, &self.bulk] {
            drop(queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
    }

    fn peer(&self) -> String {
        self.peer.clone()
    }
}

/// Takes from the first queue what is there, else from whichever gets something first.
pub(super) fn receive(
    urgent: &Receiver<Parcel>,
    bulk: &Receiver<Parcel>,
    patience: Duration,
) -> Result<Parcel, LinkError> {
    if let Ok(parcel) = urgent.try_recv() {
        return Ok(parcel);
    }
    let (mut urgent, mut bulk) = (urgent.clone(), bulk.clone());
    let mut open = 2;
    let deadline = std::time::Instant::now() + patience;
    while open > 0 {
        let received = crossbeam_channel::select! {
            recv(urgent) -> parcel => parcel.map_err(|_| &mut urgent),
            recv(bulk) -> parcel => parcel.map_err(|_| &mut bulk),
            default(deadline.saturating_duration_since(std::time::Instant::now())) => return Err(LinkError::TimedOut(patience)),
        };
        match received {
            Ok(parcel) => return Ok(parcel),
            // The end of one queue is no end while the other has something.
            Err(queue) => {
                *queue = never();
                open -= 1;
            }
        }
    }
    Err(gone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_before_the_end_arrives() {
        let (a, b) = pair("test");
        a.send(Lane::Bulk(1), Bytes::from_static(b"xy")).unwrap();
        a.send(Lane::Control, Bytes::from_static(b"z")).unwrap();
        a.close();
        assert_eq!(b.recv(Duration::ZERO).unwrap(), (Lane::Control, Bytes::from_static(b"z")));
        assert_eq!(b.recv(Duration::ZERO).unwrap(), (Lane::Bulk(1), Bytes::from_static(b"xy")));
        assert!(matches!(b.recv(Duration::from_secs(5)), Err(LinkError::Closed(_))));
        assert!(b.send(Lane::Control, Bytes::new()).is_ok());
        drop(a);
        assert!(matches!(b.send(Lane::Control, Bytes::new()), Err(LinkError::Closed(_))));
    }

    #[test]
    fn nothing_comes_for_a_while() {
        let (a, b) = pair("test");
        assert!(matches!(b.recv(Duration::from_millis(5)), Err(LinkError::TimedOut(_))));
        a.send(Lane::Demand, Bytes::from_static(b"late")).unwrap();
        assert_eq!(b.recv(Duration::from_secs(5)).unwrap().0, Lane::Demand);
        assert_eq!(a.traffic().sent, b.traffic().received);
    }
}
