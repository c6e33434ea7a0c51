//! Two ends in one process: for repositories on a local path.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::mailbox::{Bounds, FULL, Mailbox};
use super::{Lane, Link, LinkError, Traffic};

struct End {
    outgoing: Arc<Mailbox>,
    incoming: Arc<Mailbox>,
    sent: AtomicU64,
    received: AtomicU64,
    peer: String,
}

/// The two ends of a link; each sees the other as `peer`.
#[must_use]
pub fn pair(peer: &str) -> (impl Link + use<>, impl Link + use<>) {
    pair_with(peer, FULL)
}

/// A [`pair`] whose ends give up when the other one has not read for so long.
#[must_use]
pub fn pair_with(peer: &str, patience: Duration) -> (impl Link + use<>, impl Link + use<>) {
    let mailbox = || Arc::new(Mailbox::with_patience(Bounds::WHOLE, patience));
    let (there, back) = (mailbox(), mailbox());
    let end = |outgoing: &Arc<Mailbox>, incoming: &Arc<Mailbox>| End {
        outgoing: outgoing.clone(),
        incoming: incoming.clone(),
        sent: AtomicU64::new(0),
        received: AtomicU64::new(0),
        peer: peer.to_owned(),
    };
    (end(&there, &back), end(&back, &there))
}

fn gone() -> LinkError {
    LinkError::Closed(String::new())
}

impl Link for End {
    fn send(&self, lane: Lane, message: Bytes) -> Result<(), LinkError> {
        let len = super::frame::check_length(message.len())?;
        self.outgoing.put(lane, message)?;
        self.sent.fetch_add(u64::from(len) + 4, Ordering::Relaxed);
        Ok(())
    }

    fn recv(&self, patience: Duration) -> Result<(Lane, Bytes), LinkError> {
        let parcel = self.incoming.take(patience)?;
        self.received.fetch_add(parcel.1.len() as u64 + 4, Ordering::Relaxed);
        Ok(parcel)
    }

    fn has_ended(&self) -> bool {
        self.incoming.has_ended()
    }

    fn traffic(&self) -> Traffic {
        Traffic { sent: self.sent.load(Ordering::Relaxed), received: self.received.load(Ordering::Relaxed) }
    }

    fn close(&self) {
        self.outgoing.finish(gone());
    }

    fn peer(&self) -> String {
        self.peer.clone()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.outgoing.finish(gone());
        self.incoming.fail(gone());
    }
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
        assert!(b.has_ended() && !a.has_ended());
        assert_eq!(b.recv(Duration::ZERO).unwrap(), (Lane::Control, Bytes::from_static(b"z")));
        assert_eq!(b.recv(Duration::ZERO).unwrap(), (Lane::Bulk(1), Bytes::from_static(b"xy")));
        assert!(matches!(b.recv(Duration::from_secs(5)), Err(LinkError::Closed(_))));
        assert!(b.send(Lane::Control, Bytes::from_static(b"w")).is_ok());
        drop(a);
        assert!(matches!(b.send(Lane::Control, Bytes::from_static(b"w")), Err(LinkError::Closed(_))));
    }

    #[test]
    fn nobody_reads_for_a_while() {
        let (a, _b) = pair_with("test", Duration::from_millis(100));
        let message = Bytes::from(vec![0; 1 << 19]);
        let sent = (0..1000).map(|_| a.send(Lane::Bulk(0), message.clone())).find_map(Result::err);
        assert!(matches!(sent, Some(LinkError::TimedOut(_))), "{sent:?}");
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
