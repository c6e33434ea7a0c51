//! Getting to a remote, whatever the carrier.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpSocket;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_rustls::{TlsConnector, TlsStream};

use super::ssh::{self, Place};
use super::tls::{self, Counted, TlsLink};
use super::{IDLE, Link, LinkError, SshOptions, quic, runtime};
use crate::identity::{Trust, Verifier};
use crate::url::{RemoteUrl, Server, Target};

/// How long the first carrier may be silent before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// How long dialling may take altogether.
const DIALLING: Duration = Duration::from_secs(20);

/// How long QUIC may be silent once TCP was refused everywhere: then nobody listens there, most likely.
const REFUSED: Duration = Duration::from_secs(2);

/// How a server is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carrier {
    /// QUIC, or TLS over TCP where UDP does not get through.
    #[default]
    Auto,
    /// QUIC only.
    Quic,
    /// TLS over TCP only.
    Tcp,
}

/// Opens a link to a repository on this machine.
pub type OpenLocal = Box<dyn Fn(&Path) -> Result<Box<dyn Link>, LinkError> + Send + Sync>;

/// What dialling depends on beside the URL.
pub struct DialOptions {
    /// What makes the client believe a server.
    pub trust: Trust,
    /// Which carrier `dits://` is to use.
    pub carrier: Carrier,
    /// How `ssh://` gets there.
    pub ssh: SshOptions,
    /// How repositories on this machine are opened; `None` refuses them.
    pub local: Option<OpenLocal>,
    /// After how long without a sign of life a server is given up (QUIC).
    pub idle: Duration,
}

impl DialOptions {
    /// With this trust, and defaults for the rest.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self { trust, carrier: Carrier::Auto, ssh: SshOptions::default(), local: None, idle: IDLE }
    }
}

/// Why a URL cannot be dialled at all.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The system gives no threads.
    #[error("cannot start threads: {0}")]
    Threads(std::io::Error),
    /// What is to be trusted cannot be read.
    #[error("{0}")]
    Trust(String),
    /// A path, where only servers are possible.
    #[error("{} is on this machine, which is not possible here", .0.display())]
    Local(PathBuf),
}

/// Gets to one remote, again and again.
pub trait Dial: Send + Sync {
    /// Opens a new link.
    ///
    /// # Errors
    /// When there is no way there; [`LinkError::is_transient`] tells whether it is worth trying again.
    fn dial(&self) -> Result<Box<dyn Link>, LinkError>;

    /// Where it leads, for people.
    fn describe(&self) -> String;
}

/// What dials this URL.
///
/// # Errors
/// When it cannot be dialled with these options.
pub fn dialer(url: &RemoteUrl, options: DialOptions) -> Result<Box<dyn Dial>, DialError> {
    let server = |server: &Server, carrier, options: DialOptions| {
        let runtime = runtime::handle().map_err(DialError::Threads)?;
        // Tells now what would fail each time.
        Verifier::new(server.authority(), &options.trust).map_err(DialError::Trust)?;
        let DialOptions { trust, idle, .. } = options;
        let dial = ServerDial { server: server.clone(), trust, carrier, idle, runtime, worked: Mutex::default() };
        Ok(Box::new(dial) as Box<dyn Dial>)
    };
    match url.target() {
        Target::Dits(at) => server(at, options.carrier, options),
        Target::Https(at) => server(at, Carrier::Tcp, options),
        Target::Ssh { user, host, port, path } => {
            let place = Place { user: user.clone(), host: host.clone(), port: *port, path: path.clone() };
            Ok(Box::new(SshDial { place, options: options.ssh }))
        }
        Target::Local(path) => match options.local {
            Some(open) => Ok(Box::new(LocalDial { path: path.clone(), open })),
            None => Err(DialError::Local(path.clone())),
        },
    }
}

struct LocalDial {
    path: PathBuf,
    open: OpenLocal,
}

impl Dial for LocalDial {
    fn dial(&self) -> Result<Box<dyn Link>, LinkError> {
        (self.open)(&self.path)
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

struct SshDial {
    place: Place,
    options: SshOptions,
}

impl Dial for SshDial {
    fn dial(&self) -> Result<Box<dyn Link>, LinkError> {
        ssh::dial(&self.place, &self.options)
    }

    fn describe(&self) -> String {
        self.place.destination()
    }
}

/// One way to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Quic(SocketAddr),
    Tcp(SocketAddr),
}

struct ServerDial {
    server: Server,
    trust: Trust,
    carrier: Carrier,
    idle: Duration,
    runtime: Handle,
    /// What worked the last time.
    worked: Mutex<Option<Way>>,
}

impl Dial for ServerDial {
    fn dial(&self) -> Result<Box<dyn Link>, LinkError> {
        let ways = self.ways()?;
        let verifier = Verifier::new(self.server.authority(), &self.trust).map_err(LinkError::Identity)?;
        let raced = self.runtime.block_on(async {
            let race = race(ways, self.server.host.clone(), verifier.clone(), self.idle);
            tokio::time::timeout(DIALLING, race).await.unwrap_or(Err(LinkError::TimedOut(DIALLING)))
        });
        if let Some(refusal) = verifier.refusal() {
            return Err(LinkError::Identity(refusal));
        }
        let (way, (link, certificate)) = raced?;
        // Only now it is proven that the server has the key.
        verifier.confirm(&certificate).map_err(LinkError::Identity)?;
        *self.worked.lock().unwrap_or_else(PoisonError::into_inner) = Some(way);
        Ok(link)
    }

    fn describe(&self) -> String {
        self.server.authority()
    }
}

impl ServerDial {
    /// All ways there, the best first.
    fn ways(&self) -> Result<Vec<Way>, LinkError> {
        let Server { host, port, .. } = &self.server;
        let unknown = |why: &dyn std::fmt::Display| LinkError::Broken(format!("cannot find {host}: {why}"));
        let found: Vec<SocketAddr> = match crate::url::address(host) {
            Some(address) => vec![SocketAddr::new(address, *port)],
            None => (host.as_str(), *port).to_socket_addrs().map_err(|e| unknown(&e))?.collect(),
        };
        if found.is_empty() {
            return Err(unknown(&"it has no address"));
        }
        let worked = *self.worked.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(arrange(&found, self.carrier, worked))
    }
}

/// Puts what worked before first, then QUIC before TCP, for each address.
fn arrange(addresses: &[SocketAddr], carrier: Carrier, worked: Option<Way>) -> Vec<Way> {
    let ways = |address: &SocketAddr| match carrier {
        Carrier::Auto => vec![Way::Quic(*address), Way::Tcp(*address)],
        Carrier::Quic => vec![Way::Quic(*address)],
        Carrier::Tcp => vec![Way::Tcp(*address)],
    };
    let mut all: Vec<Way> = addresses.iter().flat_map(ways).collect();
    all.sort_by_key(|way| Some(*way) != worked);
    all
}

/// A link, and the certificate of the server that it leads to.
type Dialled = (Box<dyn Link>, CertificateDer<'static>);

/// Tries the ways one after the other, each beside those before; the first that gets through wins.
async fn race(
    ways: Vec<Way>,
    host: String,
    verifier: Arc<Verifier>,
    idle: Duration,
) -> Result<(Way, Dialled), LinkError> {
    let tls = verifier.tls().map_err(LinkError::Unusable)?;
    let mut ways = ways.into_iter().peekable();
    let mut running = JoinSet::new();
    let mut failures = Vec::new();
    let (mut by_tcp, mut refused) = (0, 0);
    loop {
        if let Some(way) = ways.next() {
            let (host, tls) = (host.clone(), tls.clone());
            match Attempt::prepare(way, idle) {
                Ok(attempt) => {
                    by_tcp += usize::from(matches!(way, Way::Tcp(_)));
                    drop(running.spawn(async move { (way, attempt.go(host, tls).await) }));
                }
                Err(error) => failures.push(format!("{} {error}", name(way))),
            }
        }
        // The next way gets its turn when one has failed, or all have been silent for too long.
        let nobody_listens = by_tcp > 0 && refused == by_tcp;
        let patience = match ways.peek() {
            Some(_) => HEAD_START,
            None if nobody_listens => REFUSED,
            None => DIALLING,
        };
        match tokio::time::timeout(patience, running.join_next()).await {
            Ok(Some(Ok((way, Ok(link))))) => return Ok((way, link)),
            Ok(Some(Ok((way, Err(failed))))) => {
                refused += usize::from(failed.refused);
                failures.push(format!("{} {}", name(way), failed.error));
            }
            Ok(Some(Err(error))) => failures.push(error.to_string()),
            Err(_) if nobody_listens && ways.peek().is_none() => {
                failures.push("UDP: no answer".to_owned());
                return Err(LinkError::Broken(failures.join("; ")));
            }
            Ok(None) | Err(_) => {}
        }
        if verifier.refusal().is_some() {
            return Err(LinkError::Identity(String::new()));
        }
        if running.is_empty() && ways.peek().is_none() {
            return Err(LinkError::Broken(failures.join("; ")));
        }
    }
}

fn name(way: Way) -> String {
    match way {
        Way::Quic(address) => format!("UDP to {address}:"),
        Way::Tcp(address) => format!("TCP to {address}:"),
    }
}

/// A way that is about to be tried. Its socket belongs to the network of the thread that dials, whichever works on it.
enum Attempt {
    Quic(quic::Dialling),
    Tcp(TcpSocket, SocketAddr),
}

impl Attempt {
    fn prepare(way: Way, idle: Duration) -> std::io::Result<Self> {
        match way {
            Way::Quic(address) => Ok(Self::Quic(quic::Dialling::prepare(address, idle)?)),
            Way::Tcp(address @ SocketAddr::V4(_)) => Ok(Self::Tcp(TcpSocket::new_v4()?, address)),
            Way::Tcp(address @ SocketAddr::V6(_)) => Ok(Self::Tcp(TcpSocket::new_v6()?, address)),
        }
    }

    async fn go(self, host: String, tls: Arc<rustls::ClientConfig>) -> Result<Dialled, Failed> {
        match self {
            Self::Quic(dialling) => {
                let (link, certificate) = dialling.go(&host, tls).await?;
                Ok((Box::new(link), certificate))
            }
            Self::Tcp(socket, address) => {
                let (link, certificate) = dial_tcp(socket, address, host, tls).await?;
                Ok((Box::new(link), certificate))
            }
        }
    }
}

/// Why a way leads nowhere.
struct Failed {
    error: LinkError,
    /// Whether the machine there said that nobody listens.
    refused: bool,
}

impl From<LinkError> for Failed {
    fn from(error: LinkError) -> Self {
        Self { error, refused: false }
    }
}

async fn dial_tcp(
    socket: TcpSocket,
    address: SocketAddr,
    host: String,
    tls: Arc<rustls::ClientConfig>,
) -> Result<(TlsLink, CertificateDer<'static>), Failed> {
    let broken = |error: std::io::Error| LinkError::Broken(error.to_string());
    let name = ServerName::try_from(host).map_err(|e| LinkError::Unusable(e.to_string()))?;
    let refused = |error: std::io::Error| {
        let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
        Failed { error: broken(error), refused }
    };
    let socket = socket.connect(address).await.map_err(refused)?;
    tls::tune(&socket);
    let stream = TlsConnector::from(tls).connect(name, Counted::new(socket)).await.map_err(broken)?;
    if stream.get_ref().1.alpn_protocol().is_none() {
        return Err(LinkError::Unusable("what answers there is no dits-server".into()).into());
    }
    let shown = stream.get_ref().1.peer_certificates().and_then(|all| all.first()).cloned();
    let certificate = shown.ok_or_else(|| LinkError::Identity("the server has shown no certificate".into()))?;
    Ok((TlsLink::start(TlsStream::Client(stream), address.to_string(), true, &Handle::current()), certificate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_tcp_is_refused_quic_is_not_waited_for() {
        // A port that is taken and on which nobody listens; datagrams to it go unanswered.
        let dark = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let state = tempfile::tempdir().unwrap();
        let new_host = crate::identity::NewHost::Accept(Arc::new(|_, _| {}));
        let known_hosts = state.path().join("known_hosts");
        let url = RemoteUrl::parse(&format!("dits://{}/x", dark.local_addr().unwrap())).unwrap();
        let dial = dialer(&url, DialOptions::new(Trust::Pinned { known_hosts, new_host })).unwrap();
        let Err(LinkError::Broken(why)) = dial.dial() else { panic!("it is not told that nobody listens") };
        assert!(why.contains("UDP: no answer"), "{why}");
    }

    #[test]
    fn what_worked_before_is_tried_first() {
        let (a, b) = ("[::1]:1".parse().unwrap(), "127.0.0.1:1".parse().unwrap());
        let auto = |worked| arrange(&[a, b], Carrier::Auto, worked);
        assert_eq!(auto(None), [Way::Quic(a), Way::Tcp(a), Way::Quic(b), Way::Tcp(b)]);
        assert_eq!(auto(Some(Way::Tcp(b))), [Way::Tcp(b), Way::Quic(a), Way::Tcp(a), Way::Quic(b)]);
        assert_eq!(arrange(&[a], Carrier::Tcp, Some(Way::Quic(a))), [Way::Tcp(a)]);
    }
}
