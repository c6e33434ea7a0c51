//! Pairs of links of every kind, and a relay that stands for the network.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dits_sync::identity::{NewHost, ServerIdentity, Trust};
use dits_sync::link::{self, Carrier, Dial, DialOptions, Lane, Link, LinkError, ListenOptions, Listener, dialer};
use dits_sync::url::RemoteUrl;
use tempfile::TempDir;

/// Longer than anything takes that works.
pub const LONG: Duration = Duration::from_secs(30);

/// A listener with its identity, and what dials it.
pub struct Server {
    pub listener: Listener,
    pub state: TempDir,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(&ListenOptions::default())
    }

    pub fn start_with(options: &ListenOptions) -> Self {
        let state = tempfile::tempdir().unwrap();
        let identity = ServerIdentity::load_or_create(state.path()).unwrap();
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), &identity, options).unwrap();
        Self { listener, state }
    }

    pub fn dialer(&self, carrier: Carrier) -> Box<dyn Dial> {
        let options = DialOptions { carrier, ..accepting(self.state.path()) };
        dial_to(self.listener.address(), options)
    }

    pub fn accept(&self) -> Box<dyn Link> {
        self.listener.accept(LONG).expect("a link")
    }
}

/// Options that accept any new server and remember it in this folder.
pub fn accepting(folder: &Path) -> DialOptions {
    let new_host = NewHost::Accept(Arc::new(|_, _| {}));
    DialOptions::new(Trust::Pinned { known_hosts: folder.join("known_hosts"), new_host })
}

pub fn dial_to(address: SocketAddr, options: DialOptions) -> Box<dyn Dial> {
    dialer(&RemoteUrl::parse(&format!("dits://{address}/x")).unwrap(), options).unwrap()
}

/// Two ends of one link, and what has to live as long.
pub struct Pair {
    pub name: &'static str,
    pub client: Box<dyn Link>,
    pub server: Box<dyn Link>,
    _keep: Option<Server>,
}

impl Pair {
    /// One of each kind; the server has let the client in.
    pub fn all() -> Vec<Self> {
        let pairs = vec![
            Self::memory(),
            Self::network("quic", Carrier::Quic),
            Self::network("tls", Carrier::Tcp),
            Self::pipes(),
        ];
        pairs.iter().for_each(Self::greet);
        pairs
    }

    /// The client introduces itself and is let in.
    pub fn greet(&self) {
        self.client.send(Lane::Control, Bytes::from_static(b"hello")).unwrap();
        assert_eq!(self.server.recv(LONG).unwrap(), (Lane::Control, Bytes::from_static(b"hello")));
        self.server.admitted();
    }

    fn memory() -> Self {
        let (client, server) = link::pair("memory");
        Self { name: "memory", client: Box::new(client), server: Box::new(server), _keep: None }
    }

    pub fn network(name: &'static str, carrier: Carrier) -> Self {
        let keep = Server::start();
        let client = keep.dialer(carrier).dial().unwrap();
        let server = keep.accept();
        Self { name, client, server, _keep: Some(keep) }
    }

    pub fn pipes() -> Self {
        let ((from_client, to_server), (from_server, to_client)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
        let client = link::over(from_server, to_server, "server", true).unwrap();
        let server = link::over(from_client, to_client, "client", false).unwrap();
        Self { name: "pipes", client, server, _keep: None }
    }
}

/// Whether an end of a link is what follows when the other side has gone, in whatever way.
pub fn is_over(error: &LinkError) -> bool {
    matches!(error, LinkError::Closed(_) | LinkError::Broken(_))
}

/// Forwards datagrams between one client and a server.
pub struct Relay {
    pub address: SocketAddr,
    server_side: Arc<Mutex<UdpSocket>>,
    server: SocketAddr,
    cut: Arc<AtomicBool>,
    back: Box<dyn Fn(UdpSocket)>,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Self {
        let client_side = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = client_side.local_addr().unwrap();
        let client: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
        let cut = Arc::new(AtomicBool::new(false));
        let back = {
            let (client_side, client, cut) = (client_side.try_clone().unwrap(), client.clone(), cut.clone());
            move |socket: UdpSocket| {
                let (client_side, client, cut) = (client_side.try_clone().unwrap(), client.clone(), cut.clone());
                std::thread::spawn(move || {
                    let mut buffer = vec![0; 65536];
                    while let Ok(n) = socket.recv(&mut buffer) {
                        let to = *client.lock().unwrap();
                        if let Some(to) = to.filter(|_| !cut.load(Ordering::Relaxed)) {
                            let _ = client_side.send_to(&buffer[..n], to);
                        }
                    }
                });
            }
        };
        let server_side = Arc::new(Mutex::new(connect(server)));
        back(server_side.lock().unwrap().try_clone().unwrap());
        let (forward, dead) = (server_side.clone(), cut.clone());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok((n, from)) = client_side.recv_from(&mut buffer) {
                *client.lock().unwrap() = Some(from);
                if !dead.load(Ordering::Relaxed) {
                    let _ = forward.lock().unwrap().send(&buffer[..n]);
                }
            }
        });
        Self { address, server_side, server, cut, back: Box::new(back) }
    }

    /// From now on the server sees another address.
    pub fn change_address(&self) {
        self.lead_to(self.server);
    }

    /// From now on another server hears the client.
    pub fn lead_to(&self, server: SocketAddr) {
        let socket = connect(server);
        (self.back)(socket.try_clone().unwrap());
        *self.server_side.lock().unwrap() = socket;
    }

    /// From now on nothing gets through.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }
}

fn connect(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket
}
