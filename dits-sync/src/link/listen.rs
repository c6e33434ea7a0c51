//! Accepting links over QUIC and over TLS on one address.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::tls::{Counted, TlsLink};
use super::{IDLE, Link, quic, runtime, tls};
use crate::identity::ServerIdentity;

/// How long a client may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How many TCP connections may be in their handshake.
const HANDSHAKES: usize = 256;

/// How many accepted links may wait to be taken.
const BACKLOG: usize = 64;

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    /// Where it was to listen.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// What a listener can be told.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Whether to accept QUIC over UDP.
    pub quic: bool,
    /// Whether to accept TLS over TCP.
    pub tcp: bool,
    /// After how long without a sign of life a client is given up (QUIC).
    pub idle: Duration,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { quic: true, tcp: true, idle: IDLE }
    }
}

/// Accepts links, over UDP and TCP on the same port. Dropping it, or [`Listener::stop`], ends the accepting; links that
/// were accepted stay.
pub struct Listener {
    address: SocketAddr,
    accepted: Receiver<Box<dyn Link>>,
    tasks: Vec<JoinHandle<()>>,
    stoppers: Vec<Box<dyn Fn() + Send + Sync>>,
}

impl Listener {
    /// Starts to listen. With port 0 the system chooses one.
    ///
    /// # Errors
    /// When the address is taken, or not this machine's.
    pub fn bind(address: SocketAddr, identity: &ServerIdentity, options: &ListenOptions) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address, source };
        let runtime = runtime::handle().map_err(failed)?;
        // A port that the system chose for TCP may be taken for UDP.
        let mut tries = if address.port() == 0 { 16 } else { 1 };
        loop {
            tries -= 1;
            match Self::try_bind(address, identity, options, &runtime) {
                Err(e) if e.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
                done => return done.map_err(failed),
            }
        }
    }

    fn try_bind(
        mut address: SocketAddr,
        identity: &ServerIdentity,
        options: &ListenOptions,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let (sender, accepted) = crossbeam_channel::bounded(BACKLOG);
        let (mut tasks, mut stoppers): (Vec<_>, Vec<Box<dyn Fn() + Send + Sync>>) = (Vec::new(), Vec::new());
        let mut tcp = None;
        if options.tcp {
            let socket = TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            address = socket.local_addr()?;
            tcp = Some(socket);
        }
        if options.quic {
            let accepting = quic::accepting(address, identity, options.idle, runtime)?;
            address = accepting.address()?;
            stoppers.push(Box::new(accepting.stopper()));
            let sender = sender.clone();
            let hand_over = move |link| hand_over(sender.clone(), Box::new(link));
            tasks.push(runtime.spawn(quic::run_accepting(accepting, HANDSHAKE, hand_over)));
        }
        if let Some(socket) = tcp {
            let _context = runtime.enter();
            let socket = tokio::net::TcpListener::from_std(socket)?;
            tasks.push(runtime.spawn(accept_tcp(socket, identity.tls().into(), sender, runtime.clone())));
        }
        Ok(Self { address, accepted, tasks, stoppers })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next link; its client has not been let in (see [`Link::admitted`]). `None` when there was none within `patience`,
    /// or the listener was stopped.
    #[must_use]
    pub fn accept(&self, patience: Duration) -> Option<Box<dyn Link>> {
        self.accepted.recv_timeout(patience).ok()
    }

    /// Ends the accepting.
    pub fn stop(&self) {
        self.stoppers.iter().for_each(|stop| stop());
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until the link is taken over, without holding up the runtime.
async fn hand_over(sender: Sender<Box<dyn Link>>, link: Box<dyn Link>) {
    let mut link = link;
    loop {
        match sender.try_send(link) {
            Err(TrySendError::Full(back)) => link = back,
            Ok(()) | Err(TrySendError::Disconnected(_)) => return,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn accept_tcp(
    socket: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
    sender: Sender<Box<dyn Link>>,
    runtime: Handle,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(permit) = handshakes.clone().acquire_owned().await else { return };
        let Ok((stream, peer)) = socket.accept().await else {
            // Such as too many open files.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        tls::tune(&stream);
        let (acceptor, sender, handle) = (acceptor.clone(), sender.clone(), runtime.clone());
        runtime.spawn(async move {
            let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(Counted::new(stream))).await;
            drop(permit);
            let Ok(Ok(stream)) = handshake else { return };
            // A client that names no protocol speaks another one.
            if stream.get_ref().1.alpn_protocol().is_none() {
                return;
            }
            let link = TlsLink::start(TlsStream::Server(stream), peer.to_string(), false, &handle);
            hand_over(sender, Box::new(link)).await;
        });
    }
}
