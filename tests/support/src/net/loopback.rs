//! A network of its own in which programs reach only each other.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::process::Command;

use super::namespace::Namespace;

/// A network namespace with nothing but the loopback device: what is counted there is what its programs said to each
/// other. Root is needed.
#[derive(Debug)]
pub struct Loopback(Namespace);

impl Loopback {
    /// Makes one.
    ///
    /// # Errors
    /// When that is not permitted here.
    pub fn new() -> io::Result<Self> {
        let namespace = Namespace::new()?;
        namespace.ip("link set lo up\n")?;
        Ok(Self(namespace))
    }

    /// `program`, to be run inside. Only its network differs.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.0.command(program.as_ref())
    }

    /// The bytes of all IP packets so far.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn bytes(&self) -> io::Result<u64> {
        self.0.inside(bytes)
    }
}

/// The bytes that the calling thread's loopback device has sent so far, in IP packets.
///
/// # Errors
/// When the kernel does not tell.
pub fn bytes() -> io::Result<u64> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    let line = table.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    // Eight columns of what was received come first.
    let sent = line.and_then(|line| line.split_whitespace().nth(8)?.parse().ok());
    sent.ok_or_else(|| io::Error::other("/proc/net/dev does not count the loopback device"))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn what_is_said_inside_is_counted() {
        let Ok(alone) = Loopback::new() else {
            return crate::skip("what_is_said_inside_is_counted", "no network namespaces here");
        };
        let before = alone.bytes().unwrap();
        alone.0.inside(|| {
            let [a, b] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
            a.send_to(&[0; 1000], b.local_addr().unwrap()).unwrap();
        });
        assert_eq!(alone.bytes().unwrap() - before, 1000 + 28, "and the headers of IP and UDP");
    }
}
