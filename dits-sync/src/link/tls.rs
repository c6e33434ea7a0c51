//! The carrier for networks that do not let UDP through: TLS 1.3 over one TCP connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_rustls::TlsStream;

use super::ends::Ends;
use super::frame::{self, TAGGED};
use super::mailbox::Bounds;
use super::{Lane, Link, LinkError, Traffic};

type Stream = TlsStream<Counted>;

/// Prepares a socket: no waiting for more to send, and a congestion control that does not take loss for congestion, where
/// the kernel has it.
pub(super) fn tune(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_congestion(socket, "bbr");
}

/// Bytes that went through a socket.
#[derive(Default)]
pub(super) struct Count {
    sent: AtomicU64,
    received: AtomicU64,
}

/// A socket whose bytes are counted.
pub(super) struct Counted {
    socket: TcpStream,
    count: Arc<Count>,
}

impl Counted {
    pub fn new(socket: TcpStream) -> Self {
        Self { socket, count: Arc::default() }
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        self.count.received.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl Counted {
    fn sent(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = &poll {
            self.count.sent.fetch_add(*n as u64, Ordering::Relaxed);
        }
        poll
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.sent(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.socket).poll_write_vectored(cx, bytes);
        self.sent(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// A link over TLS.
pub(super) struct TlsLink {
    ends: Arc<Ends>,
    count: Arc<Count>,
    peer: String,
    tasks: [AbortHandle; 2],
    runtime: Handle,
}

impl TlsLink {
    /// Takes over a connection after its handshake. On the side that dialled, the other one is `admitted` from the start.
    pub fn start(stream: Stream, peer: String, admitted: bool, runtime: &Handle) -> Self {
        let ends = Arc::new(Ends::new(Bounds::WHOLE, admitted));
        let count = stream.get_ref().0.count.clone();
        let (reader, writer) = tokio::io::split(stream);
        let writing = runtime.spawn(write(writer, ends.clone()));
        let reading = runtime.spawn(read(reader, ends.clone()));
        let tasks = [writing.abort_handle(), reading.abort_handle()];
        runtime.spawn(finish(ends.clone(), writing, reading));
        Self { ends, count, peer, tasks, runtime: runtime.clone() }
    }

    fn leave(&self) {
        self.ends.leave();
        let (ends, count, tasks) = (self.ends.clone(), self.count.clone(), self.tasks.clone());
        self.runtime.spawn(async move {
            if !ends.linger(|| count.sent.load(Ordering::Relaxed)).await {
                tasks.iter().for_each(AbortHandle::abort);
            }
        });
    }
}

/// When the other side has nothing more to say, this one says goodbye, unless it is stuck.
async fn finish(ends: Arc<Ends>, mut writing: JoinHandle<()>, reading: JoinHandle<()>) {
    let _ = reading.await;
    if tokio::time::timeout(Duration::from_secs(1), &mut writing).await.is_err() {
        writing.abort();
    }
    ends.gone(&LinkError::Closed(String::new()));
    ends.done.set();
}

/// Writes what is sent, until this side leaves.
async fn write(mut stream: WriteHalf<Stream>, ends: Arc<Ends>) {
    if let Err(error) = write_messages(&mut stream, &ends).await {
        ends.outbox.fail(broken(&error));
    }
    let _ = stream.shutdown().await;
}

async fn write_messages(stream: &mut WriteHalf<Stream>, ends: &Ends) -> io::Result<()> {
    loop {
        let next = match ends.outbox.try_take() {
            Some(next) => next,
            None => {
                stream.flush().await?;
                match ends.outbox.take_async().await {
                    Ok(next) => next,
                    Err(_) => return Ok(()),
                }
            }
        };
        let (lane, message) = next;
        let header = frame::write_tagged(lane, &message);
        stream.write_all_buf(&mut Buf::chain(&header[..], message)).await?;
        // Encrypting takes long, and others wait for their turn on the runtime's few threads: such as for their handshake.
        tokio::task::yield_now().await;
    }
}

/// Reads until the other side has nothing more; then this side need not write any more either.
async fn read(stream: ReadHalf<Stream>, ends: Arc<Ends>) {
    let end = match read_messages(stream, &ends).await {
        Ok(()) => LinkError::Closed(String::new()),
        Err(error) => error,
    };
    ends.gone(&end);
}

async fn read_messages(stream: ReadHalf<Stream>, ends: &Ends) -> Result<(), LinkError> {
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    loop {
        let mut header = [0; TAGGED];
        if !fill(&mut stream, &mut header).await? {
            return Ok(());
        }
        let (lane, len) = frame::read_tagged(header, frame::limit(ends.admitted.is_set()))?;
        let mut message = Vec::with_capacity(len);
        (&mut stream).take(len as u64).read_to_end(&mut message).await.map_err(|e| broken(&e))?;
        if message.len() < len {
            return Err(LinkError::Broken("it ended within a message".into()));
        }
        // After leaving, what still comes is read all the same: else the kernel would throw away what was sent.
        let _ = ends.inbox.put_async(lane, Bytes::from(message)).await;
        ends.admitted.wait_async().await;
        tokio::task::yield_now().await;
    }
}

/// Fills a header; `false` when the stream ended before it.
async fn fill(stream: &mut BufReader<ReadHalf<Stream>>, header: &mut [u8; TAGGED]) -> Result<bool, LinkError> {
    let mut filled = 0;
    while filled < TAGGED {
        match stream.read(&mut header[filled..]).await.map_err(|e| broken(&e))? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(LinkError::Broken("it ended within a message".into())),
            n => filled += n,
        }
    }
    Ok(true)
}

fn broken(error: &io::Error) -> LinkError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            LinkError::Broken("the other side's process ended, or something between cut it".into())
        }
        _ => LinkError::Broken(error.to_string()),
    }
}

impl Link for TlsLink {
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
        self.ends.admitted.set();
    }

    fn traffic(&self) -> Traffic {
        let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Traffic { sent: load(&self.count.sent), received: load(&self.count.received) }
    }

    fn close(&self) {
        self.leave();
        while !self.ends.done.wait(Duration::from_secs(1)) {}
    }

    fn peer(&self) -> String {
        self.peer.clone()
    }
}

impl Drop for TlsLink {
    fn drop(&mut self) {
        if !self.ends.done.is_set() {
            self.leave();
        }
    }
}
