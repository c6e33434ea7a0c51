//! Sockets, listening and dialling.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime, TransportConfig};
use rustix::net::sockopt;
use rustls::pki_types::CertificateDer;
use tokio::runtime::Handle;

use super::super::LinkError;
use super::{QuicLink, Side, reset, settings, why};
use crate::identity::ServerIdentity;

/// From so many unfinished handshakes on, clients have to prove their address first.
const CROWD: usize = 64;

/// Connections that may wait for a handshake to begin.
const WAITING: usize = 1024;

/// The unspecified address of the same family, any port.
pub(super) fn any(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        SocketAddr::V6(_) => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
    }
}

/// A socket with large buffers, as far as the system gives them.
pub(super) fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    let size = settings::SOCKET_BUFFER;
    // Administrators may go beyond the system's limit.
    if sockopt::set_socket_recv_buffer_size_force(&socket, size).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(&socket, size);
    }
    if sockopt::set_socket_send_buffer_size_force(&socket, size).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(&socket, size);
    }
    Ok(socket)
}

fn unsuitable(error: NoInitialCipherSuite) -> io::Error {
    io::Error::other(error)
}

/// What a server listens with.
pub(in super::super) struct Accepting {
    endpoint: Endpoint,
    config: ServerConfig,
    idle: Duration,
    runtime: Handle,
}

/// Prepares to accept connections on `address`.
///
/// # Errors
/// When the address is taken or not this machine's.
pub(in super::super) fn accepting(
    address: SocketAddr,
    identity: &ServerIdentity,
    idle: Duration,
    runtime: &Handle,
) -> io::Result<Accepting> {
    let crypto = QuicServerConfig::try_from(identity.tls()).map_err(unsuitable)?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.migration(true).max_incoming(WAITING);
    let _context = runtime.enter();
    let settings = settings::endpoint(reset::endpoint(identity.resets()));
    let endpoint = Endpoint::new(settings, Some(config.clone()), socket(address)?, Arc::new(TokioRuntime))?;
    Ok(Accepting { endpoint, config, idle, runtime: runtime.clone() })
}

impl Accepting {
    pub(in super::super) fn address(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// What ends the accepting: no more connections come in.
    pub(in super::super) fn stopper(&self) -> impl Fn() + Send + Sync + use<> {
        let endpoint = self.endpoint.clone();
        move || endpoint.set_server_config(None)
    }

    fn config_for(&self, remote: SocketAddr) -> Arc<ServerConfig> {
        let mut config = self.config.clone();
        config.transport_config(settings::transport(Side::Server, remote, self.idle));
        Arc::new(config)
    }
}

/// Accepts connections and hands over the link of each whose handshake succeeded within `patience`.
pub(in super::super) async fn run_accepting<F, R>(accepting: Accepting, patience: Duration, hand_over: F)
where
    F: Fn(QuicLink) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let busy = Arc::new(());
    while let Some(incoming) = accepting.endpoint.accept().await {
        if Arc::strong_count(&busy) > CROWD && !incoming.remote_address_validated() && incoming.may_retry() {
            let _ = incoming.retry();
            continue;
        }
        let config = accepting.config_for(incoming.remote_address());
        let (guard, hand_over, runtime) = (busy.clone(), hand_over.clone(), accepting.runtime.clone());
        accepting.runtime.spawn(async move {
            let link = tokio::time::timeout(patience, shake_hands(incoming, config, &runtime)).await;
            drop(guard);
            if let Ok(Some(link)) = link {
                hand_over(link).await;
            }
        });
    }
}

async fn shake_hands(incoming: Incoming, config: Arc<ServerConfig>, runtime: &Handle) -> Option<QuicLink> {
    let connection = incoming.accept_with(config).ok()?.await.ok()?;
    Some(QuicLink::start(connection, Side::Server, runtime))
}

/// A connection that is about to be dialled. Its socket belongs to the network of the thread that prepared it.
pub(in super::super) struct Dialling {
    remote: SocketAddr,
    socket: UdpSocket,
    transport: Arc<TransportConfig>,
}

impl Dialling {
    /// Opens a socket for a connection to `remote`.
    ///
    /// # Errors
    /// When the system does not give one.
    pub(in super::super) fn prepare(remote: SocketAddr, idle: Duration) -> io::Result<Self> {
        let transport = settings::transport(Side::Client, remote, idle);
        Ok(Self { remote, socket: socket(any(remote))?, transport })
    }

    /// Dials; `name` is what the server's certificate is checked against.
    ///
    /// # Errors
    /// When the server does not answer or the handshake fails.
    pub(in super::super) async fn go(
        self,
        name: &str,
        tls: Arc<rustls::ClientConfig>,
    ) -> Result<(QuicLink, CertificateDer<'static>), LinkError> {
        let broken = |error: &dyn std::fmt::Display| LinkError::Broken(error.to_string());
        let crypto = QuicClientConfig::try_from(tls).map_err(|e| broken(&e))?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        config.transport_config(self.transport);
        let endpoint =
            Endpoint::new(settings::endpoint(EndpointConfig::default()), None, self.socket, Arc::new(TokioRuntime));
        let endpoint = endpoint.map_err(|e| broken(&e))?;
        let connecting = endpoint.connect_with(config, self.remote, name).map_err(|e| broken(&e))?;
        let connection = connecting.await.map_err(|e| why(&e))?;
        let shown = connection.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
        let certificate = shown.and_then(|all| all.first().cloned());
        let certificate = certificate.ok_or_else(|| LinkError::Identity("the server has shown no certificate".into()))?;
        Ok((QuicLink::start(connection, Side::Client, &Handle::current()), certificate))
    }
}
