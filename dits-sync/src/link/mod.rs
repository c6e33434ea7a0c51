//! Connections of every kind, as lanes of messages.
//!
//! A link is used from plain threads: [`Link::send`] blocks while the lane is full, [`Link::recv`] until a message comes.
//! Carriers that are asynchronous inside bridge to that with bounded channels, so back-pressure reaches the socket.

mod budget;
mod dial;
mod ends;
mod frame;
mod limit;
mod listen;
mod mailbox;
mod memory;
mod quic;
mod runtime;
mod ssh;
mod stream;
mod tls;

use std::time::Duration;

use bytes::Bytes;

pub use dial::{Carrier, Dial, DialError, DialOptions, OpenLocal, dialer};
pub use limit::{Bucket, Limited};
pub use listen::{ListenError, ListenOptions, Listener};
pub use memory::{pair, pair_with};
pub use ssh::SshOptions;
pub use stream::{over, stdio};

/// After how long without a sign of life from the other side a connection is given up. Signs of life are sent every sixth
/// of it.
pub const IDLE: Duration = Duration::from_secs(30);

/// How many bulk lanes there are.
pub const BULK_LANES: u8 = 4;

/// One ordered, reliable stream of messages inside a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Everything but chunks.
    Control,
    /// Chunks that somebody waits for; goes before all else.
    Demand,
    /// Chunks of a transfer; the number is below [`BULK_LANES`].
    Bulk(u8),
}

/// Why a link does not carry any more.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LinkError {
    /// The other side closed it, or its process ended.
    #[error("the other side closed the connection{}", reason(.0))]
    Closed(String),
    /// Nothing came in time.
    #[error("no answer for {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The network or the other process failed.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The other side sent what is no message.
    #[error("the other side broke the protocol: {0}")]
    Protocol(String),
    /// There is no way to the other side. Dialling again does not help.
    #[error("{0}")]
    Unusable(String),
    /// The other side is not who it was, or cannot prove who it is. Dialling again does not help.
    #[error("{0}")]
    Identity(String),
}

fn reason(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl LinkError {
    /// Whether dialling again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Closed(_) | Self::TimedOut(_) | Self::Broken(_))
    }
}

/// Bytes that went through the socket, where the carrier can tell (UDP payloads, TCP payloads); else bytes of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent, in bytes.
    pub sent: u64,
    /// Received, in bytes.
    pub received: u64,
}

impl Traffic {
    /// What was added since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { sent: self.sent - before.sent, received: self.received - before.received }
    }
}

/// One connection. Dropping it closes it, without waiting: what was sent just before may be lost if the process ends at once.
pub trait Link: Send + Sync {
    /// Queues a message (a type and a body, without the length). Blocks while the lane is full.
    ///
    /// # Errors
    /// When the link is closed or broken.
    fn send(&self, lane: Lane, message: Bytes) -> Result<(), LinkError>;

    /// The next message, from any lane; those that wait on the control and demand lanes come first. Several threads must
    /// not call it at once.
    ///
    /// # Errors
    /// [`LinkError::TimedOut`] when none came within `patience`, after which the link still works; otherwise when it is
    /// closed or broken.
    fn recv(&self, patience: Duration) -> Result<(Lane, Bytes), LinkError>;

    /// Whether the other side has left, or is gone; what it sent before may still be there. Carriers that cannot tell say no.
    fn has_ended(&self) -> bool {
        false
    }

    /// The server has let the client in. Until then, carriers that face strangers take one message from it, of at most
    /// [`crate::wire::MAX_HELLO`] bytes. Only servers need to say this.
    fn admitted(&self) {}

    /// What went through it since it was dialled or accepted, its handshake included.
    fn traffic(&self) -> Traffic;

    /// Sends what is queued, tells the other side that the link ends, and waits until it knows, as long as there is progress
    /// and 10 s more. What comes meanwhile is thrown away.
    fn close(&self);

    /// The other side, for logs: an address, or what stands for one.
    fn peer(&self) -> String;
}

impl<L: Link + ?Sized> Link for Box<L> {
    fn send(&self, lane: Lane, message: Bytes) -> Result<(), LinkError> {
        (**self).send(lane, message)
    }

    fn recv(&self, patience: Duration) -> Result<(Lane, Bytes), LinkError> {
        (**self).recv(patience)
    }

    fn has_ended(&self) -> bool {
        (**self).has_ended()
    }

    fn admitted(&self) {
        (**self).admitted();
    }

    fn traffic(&self) -> Traffic {
        (**self).traffic()
    }

    fn close(&self) {
        (**self).close();
    }

    fn peer(&self) -> String {
        (**self).peer()
    }
}
