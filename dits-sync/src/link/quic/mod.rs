//! The carrier of choice: QUIC. The only folder that knows quinn.

mod endpoint;
mod lanes;
mod rate;
mod reset;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, ConnectionError, VarInt};
use tokio::runtime::Handle;

pub(super) use endpoint::{Dialling, accepting, run_accepting};

use super::ends::Ends;
use super::frame;
use super::mailbox::Bounds;
use super::{Lane, Link, LinkError, Traffic};

/// Why a connection is closed, as the other side sees it: all went well,
const DONE: VarInt = VarInt::from_u32(0);
/// it broke the protocol,
const VIOLATION: VarInt = VarInt::from_u32(1);
/// or it took too long to end.
const IMPATIENT: VarInt = VarInt::from_u32(2);

/// How often is looked whether the last word of a connection has gone: half of the times at once, then every millisecond.
const LAST_WORDS: u32 = 16;

/// Which side dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// A link over QUIC.
pub(super) struct QuicLink {
    ends: Arc<Ends>,
    connection: Connection,
    runtime: Handle,
}

impl QuicLink {
    fn start(connection: Connection, side: Side, runtime: &Handle) -> Self {
        let ends = Arc::new(Ends::new(Bounds::HALF, side == Side::Client));
        runtime.spawn(run(connection.clone(), side, ends.clone()));
        Self { ends, connection, runtime: runtime.clone() }
    }

    fn leave(&self) {
        self.ends.leave();
        let (ends, connection) = (self.ends.clone(), self.connection.clone());
        self.runtime.spawn(async move {
            if !ends.linger(|| connection.stats().udp_tx.bytes).await {
                connection.close(IMPATIENT, b"gave up waiting");
            }
        });
    }
}

/// Moves messages until either side ends the link.
async fn run(connection: Connection, side: Side, ends: Arc<Ends>) {
    let end = tokio::select! {
        reason = connection.closed() => why(&reason),
        end = lanes::carry(&connection, side, &ends) => match end {
            Ok(()) => LinkError::Closed(String::new()),
            Err(error) => {
                if matches!(error, LinkError::Protocol(_)) {
                    connection.close(VIOLATION, error.to_string().as_bytes());
                }
                error
            }
        },
    };
    ends.gone(&end);
    say_goodbye(&connection).await;
    ends.done.set();
}

/// Closes a connection and waits until its last word has left the socket, because the process may end after that. Without
/// that word the other side waits until it takes this one for dead.
async fn say_goodbye(connection: &Connection) {
    let sent = || connection.stats().udp_tx.datagrams;
    let before = sent();
    connection.close(DONE, b"");
    // The other side has said it first: then this one says nothing more.
    let is_over = || connection.stats().frame_rx.connection_close > 0;
    let mut last = false;
    for attempt in 0..LAST_WORDS {
        if last || is_over() || connection.close_reason() != Some(ConnectionError::LocallyClosed) {
            return;
        }
        // What was counted may be something that was sent just before, or wait for the socket: a moment more.
        last = sent() > before;
        // Most often the connection's own task is next in turn.
        if attempt < LAST_WORDS / 2 && !last {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What the end of a connection means.
fn why(reason: &ConnectionError) -> LinkError {
    match reason {
        ConnectionError::ApplicationClosed(close) => LinkError::Closed(String::from_utf8_lossy(&close.reason).into()),
        ConnectionError::LocallyClosed => LinkError::Closed(String::new()),
        ConnectionError::TimedOut => LinkError::Broken("the other side is not heard of any more".into()),
        ConnectionError::Reset => {
            LinkError::Broken("the other side has forgotten it; it may have been restarted".into())
        }
        ConnectionError::VersionMismatch => LinkError::Protocol("no common version of QUIC".into()),
        other => LinkError::Broken(other.to_string()),
    }
}

impl Link for QuicLink {
    fn send(&self, lane: Lane, message: Bytes) -> Result<(), LinkError> {
        frame::check_length(message.len())?;
        self.ends.outbox.put(lane, message)
    }

    fn recv(&self, patience: Duration) -> Result<(Lane, Bytes), LinkError> {
        self.ends.inbox.take(patience)
    }

    fn has_ended(&self) -> bool {
        self.ends.inbox.has_ended()
    }

    fn admitted(&self) {
        self.connection.set_receive_window(settings::RECEIVE_WINDOW);
        self.ends.admitted.set();
    }

    fn traffic(&self) -> Traffic {
        let stats = self.connection.stats();
        Traffic { sent: stats.udp_tx.bytes, received: stats.udp_rx.bytes }
    }

    fn close(&self) {
        self.leave();
        while !self.ends.done.wait(Duration::from_secs(1)) {}
    }

    fn peer(&self) -> String {
        self.connection.remote_address().to_string()
    }
}

impl Drop for QuicLink {
    fn drop(&mut self) {
        if !self.ends.done.is_set() {
            self.leave();
        }
    }
}
