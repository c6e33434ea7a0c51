//! Links over two streams of bytes: standard input and output, or those of a child process. Plain threads do the work.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::ends::{Ends, LINGER};
use super::frame::{self, TAGGED};
use super::mailbox::Bounds;
use super::{Lane, Link, LinkError, Traffic};

/// Small messages are put together up to so many bytes.
const WRITE_BUFFER: usize = 128 << 10;

/// What a pipe is asked to hold, in bytes.
const PIPE: usize = 1 << 20;

/// What the end of the other side's stream means: called once, when it has ended.
type Reason = Box<dyn FnOnce(LinkError) -> LinkError + Send>;

/// What runs when this side has ended the link, and gets whether the other side has ended as well.
type Epilogue = Box<dyn Fn(bool) + Send + Sync>;

/// A link over a pair of streams.
pub(super) struct StreamLink {
    ends: Arc<Ends>,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    peer: String,
    epilogue: Epilogue,
}

/// A link over any pair of streams. The other side of it is `peer`, and has to be let in unless `admitted`.
///
/// # Errors
/// When the system does not give threads.
pub fn over(
    reader: impl Read + Send + 'static,
    writer: impl Write + Send + 'static,
    peer: &str,
    admitted: bool,
) -> io::Result<Box<dyn Link>> {
    StreamLink::start(reader, writer, peer, admitted, Box::new(|end| end), Box::new(|_| {}))
        .map(|link| Box::new(link) as Box<dyn Link>)
}

/// The server's end of a link over this process's standard input and output. Nothing else may use them any more.
///
/// # Errors
/// When they are closed, or the system does not give threads.
pub fn stdio(peer: &str) -> io::Result<Box<dyn Link>> {
    // What this process starts, such as hooks, has no part in them.
    let input = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    let output = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?);
    widen(&input);
    widen(&output);
    over(input, Output(output), peer, false)
}

/// Makes a pipe hold more, where it is one and the system lets it.
pub(super) fn widen(file: &impl std::os::fd::AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(file, PIPE);
}

/// This process's output, which ends for the other side when the link does, and not when the process does.
struct Output(File);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // Whatever this process still writes goes nowhere.
        if let Ok(null) = File::options().write(true).open("/dev/null") {
            let _ = rustix::stdio::dup2_stdout(&null);
        }
    }
}

impl StreamLink {
    pub fn start(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        peer: &str,
        admitted: bool,
        reason: Reason,
        epilogue: Epilogue,
    ) -> io::Result<Self> {
        let ends = Arc::new(Ends::new(Bounds::WHOLE, admitted));
        let (sent, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let link = Self {
            ends: ends.clone(),
            sent: sent.clone(),
            received: received.clone(),
            peer: peer.to_owned(),
            epilogue,
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        let for_writer = ends.clone();
        thread("dits-write").spawn(move || write(writer, &for_writer, &sent))?;
        thread("dits-read").spawn(move || {
            let end = match read(reader, &ends, &received) {
                Ok(()) => reason(LinkError::Closed(String::new())),
                Err(error @ LinkError::Protocol(_)) => error,
                Err(error) => reason(error),
            };
            ends.gone(&end);
            ends.done.set();
        })?;
        Ok(link)
    }

    /// Waits for the other side's end as long as bytes flow.
    fn wait(&self) -> bool {
        let mut before = self.traffic();
        while !self.ends.done.wait(LINGER) {
            let now = self.traffic();
            if now == before {
                return false;
            }
            before = now;
        }
        true
    }
}

fn write(writer: impl Write, ends: &Ends, sent: &AtomicU64) {
    let mut writer = io::BufWriter::with_capacity(WRITE_BUFFER, writer);
    let mut write_all = || -> io::Result<()> {
        loop {
            let next = match ends.outbox.try_take() {
                Some(next) => next,
                None => {
                    writer.flush()?;
                    match ends.outbox.take(Duration::MAX) {
                        Ok(next) => next,
                        Err(_) => return Ok(()),
                    }
                }
            };
            let (lane, message) = next;
            writer.write_all(&frame::write_tagged(lane, &message))?;
            writer.write_all(&message)?;
            sent.fetch_add((TAGGED + message.len()) as u64, Ordering::Relaxed);
        }
    };
    if let Err(error) = write_all() {
        // The reader will know more about why.
        let patience = Duration::from_secs(1);
        if !ends.done.wait(patience) {
            ends.outbox.fail(LinkError::Broken(error.to_string()));
        }
    }
}

fn read(reader: impl Read, ends: &Ends, received: &AtomicU64) -> Result<(), LinkError> {
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    loop {
        let mut header = [0; TAGGED];
        if !fill(&mut reader, &mut header)? {
            return Ok(());
        }
        let (lane, len) = frame::read_tagged(header, frame::limit(ends.admitted.is_set()))?;
        let mut message = Vec::with_capacity(len);
        (&mut reader).take(len as u64).read_to_end(&mut message).map_err(|e| LinkError::Broken(e.to_string()))?;
        received.fetch_add((TAGGED + message.len()) as u64, Ordering::Relaxed);
        if message.len() < len {
            return Err(LinkError::Broken("it ended within a message".into()));
        }
        // After leaving, what still comes is thrown away.
        let _ = ends.inbox.put(lane, Bytes::from(message));
        while !ends.admitted.wait(Duration::from_secs(3600)) {}
    }
}

/// Fills a header; `false` when the stream ended before it.
fn fill(reader: &mut impl Read, header: &mut [u8; TAGGED]) -> Result<bool, LinkError> {
    let mut filled = 0;
    while filled < TAGGED {
        match reader.read(&mut header[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(LinkError::Broken("it ended within a message".into())),
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(LinkError::Broken(e.to_string())),
        }
    }
    Ok(true)
}

impl Link for StreamLink {
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
        Traffic { sent: load(&self.sent), received: load(&self.received) }
    }

    fn close(&self) {
        self.ends.leave();
        (self.epilogue)(self.wait());
    }

    fn peer(&self) -> String {
        self.peer.clone()
    }
}

impl Drop for StreamLink {
    fn drop(&mut self) {
        self.ends.leave();
    }
}
