//! Ports on loopback that a test knows before its server runs.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Where the system takes the ports of outgoing connections from, unless told otherwise.
const SYSTEMS_OWN: (u16, u16) = (32_768, 60_999);
/// Below this are ports of known services.
const FIRST: u16 = 20_000;

/// A port number that no other test of this machine is given while this lives. Better is a server that binds port 0 and
/// prints what it got; this is for the others, and for a server that has to come back at the same address.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: UnixListener,
}

impl Port {
    /// Finds one that is free for TCP and for UDP. It is outside the range of outgoing connections, so that it stays
    /// free while the server is down.
    ///
    /// # Panics
    /// When all are taken.
    #[must_use]
    pub fn reserve() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let count = first_of_the_systems() - FIRST;
        // Processes begin at different places, so that they seldom try the same one.
        let begin = u16::try_from(u64::from(std::process::id()) * 97 % u64::from(count)).unwrap_or(0);
        let tried = (0..count).map(|_| {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % count;
            FIRST + u16::try_from((u32::from(begin) + u32::from(step)) % u32::from(count)).unwrap_or(0)
        });
        let port = tried.into_iter().find_map(Self::claim);
        port.expect("a port that is free")
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    fn claim(number: u16) -> Option<Self> {
        // A name in the abstract namespace has one owner, and is free again when that one dies.
        let name = SocketAddr::from_abstract_name(format!("dits-test-port-{number}")).ok()?;
        let claim = UnixListener::bind_addr(&name).ok()?;
        let place = (Ipv4Addr::UNSPECIFIED, number);
        (TcpListener::bind(place).is_ok() && UdpSocket::bind(place).is_ok()).then_some(Self { number, _claim: claim })
    }
}

fn first_of_the_systems() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok());
    first.filter(|first| *first > FIRST).unwrap_or(SYSTEMS_OWN.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same_and_none_is_in_use() {
        let used = Port::reserve();
        let _server = TcpListener::bind(("127.0.0.1", used.number())).unwrap();
        assert!(Port::claim(used.number()).is_none());
        let ports: Vec<_> = (0..50).map(|_| Port::reserve()).collect();
        let numbers: std::collections::BTreeSet<_> = ports.iter().map(Port::number).collect();
        assert!(numbers.len() == 50 && !numbers.contains(&used.number()));
        assert!(numbers.iter().all(|number| *number < first_of_the_systems()));
    }

    #[test]
    fn can_be_bound_again_after_a_connection() {
        let port = Port::reserve();
        for _ in 0..2 {
            let server = TcpListener::bind(("127.0.0.1", port.number())).unwrap();
            let client = std::net::TcpStream::connect(("127.0.0.1", port.number())).unwrap();
            drop((server.accept().unwrap(), client));
        }
    }
}
