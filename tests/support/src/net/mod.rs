//! A slow, lossy, cut link between two network namespaces of a test's own.
//!
//! Each side has one TUN device; a thread for each direction takes the packets out of one and gives them to the other
//! when the link's [`LinkSettings`] say so. Nothing leaves the two namespaces, and nothing is left of them when the
//! [`Net`] is dropped or the test is killed. Root is needed.
//!
//! The sender is not held back by the link, as it would be by its own network card: the link is somewhere on the way,
//! and what does not fit its queue is dropped.

mod forward;
mod kernel;
pub mod loopback;
mod namespace;
mod packet;
mod port;
mod settings;
mod wire;

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use forward::Forward;
use namespace::Namespace;
use packet::End;
use wire::Wire;

pub use loopback::Loopback;
pub use port::Port;
pub use settings::LinkSettings;
pub use wire::Counters;

/// The name of the device in each namespace.
pub const DEVICE: &str = "dits0";

/// Packets that may wait at a device for the forwarder: so many that they are never dropped there, uncounted.
const DEVICE_QUEUE: u32 = 20_000;

/// An end of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where the client runs; its address and its port can change.
    A,
    /// Where the server runs.
    B,
}

/// Two namespaces and the link between them.
#[derive(Debug)]
pub struct Net {
    // Declared, and so dropped, before the namespaces: the devices go first.
    forwards: [Forward; 2],
    sides: [Namespace; 2],
    addresses: [Ipv4Addr; 2],
    mask: Arc<AtomicU16>,
}

impl Net {
    /// Makes the link, the same in both directions but for what befalls which packet; or says for `test` why that
    /// cannot be done here.
    ///
    /// # Panics
    /// When the settings make no sense, or what should work does not.
    #[must_use]
    pub fn new(test: &str, settings: &LinkSettings) -> Option<Self> {
        settings.check();
        match prerequisites() {
            Ok(sides) => Some(Self::join(sides, settings).expect("the link is set up")),
            Err(why) => {
                crate::skip(test, &format!("no network namespaces here: {why}"));
                None
            }
        }
    }

    fn join(sides: [(Namespace, File); 2], settings: &LinkSettings) -> io::Result<Self> {
        let [(a, at_a), (b, at_b)] = sides;
        let addresses = [Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(10, 77, 0, 2)];
        for (side, address) in [&a, &b].into_iter().zip(addresses) {
            let mtu = settings.mtu;
            side.ip(&format!(
                "link set lo up\nlink set {DEVICE} mtu {mtu} txqueuelen {DEVICE_QUEUE} up\n\
                 address add {address}/32 dev {DEVICE}\nroute add default dev {DEVICE}\n"
            ))?;
        }
        let (at_a, at_b, mask) = (Arc::new(at_a), Arc::new(at_b), Arc::new(AtomicU16::new(0)));
        let forwards = [
            Forward::start(Wire::new(of(settings, Side::A)), [&at_a, &at_b], End::Source, &mask)?,
            Forward::start(Wire::new(of(settings, Side::B)), [&at_b, &at_a], End::Destination, &mask)?,
        ];
        Ok(Self { forwards, sides: [a, b], addresses, mask })
    }

    /// The address of a side.
    #[must_use]
    pub fn address(&self, side: Side) -> Ipv4Addr {
        self.addresses[side as usize]
    }

    /// `program`, to be run on a side with the test's environment. Only its network differs.
    #[must_use]
    pub fn command(&self, side: Side, program: impl AsRef<OsStr>) -> Command {
        self.sides[side as usize].command(program.as_ref())
    }

    /// A sandbox' command (see [`crate::Sandbox::command`]) on a side.
    #[must_use]
    pub fn within(&self, side: Side, command: &Command) -> Command {
        let mut outer = self.command(side, command.get_program());
        crate::bounded::continue_with(&mut outer, command);
        outer
    }

    /// Runs `act` on a thread that is on a side. A socket made there stays there, wherever it is used afterwards.
    pub fn inside<T: Send>(&self, side: Side, act: impl FnOnce() -> T + Send) -> T {
        self.sides[side as usize].inside(act)
    }

    /// Changes both directions while they run; the MTU stays.
    ///
    /// # Panics
    /// When the settings make no sense.
    pub fn set(&self, settings: &LinkSettings) {
        self.set_from(Side::A, settings);
        self.set_from(Side::B, settings);
    }

    /// Changes the direction that begins at `side`.
    ///
    /// # Panics
    /// As [`Net::set`].
    pub fn set_from(&self, side: Side, settings: &LinkSettings) {
        settings.check();
        self.forwards[side as usize].wire().set(of(settings, side));
    }

    /// Cuts the link, or mends it. What is on its way when it is cut is lost.
    pub fn blackout(&self, dark: bool) {
        self.forwards.iter().for_each(|forward| forward.wire().blackout(dark));
    }

    /// What has happened so far in the direction that begins at `side`.
    #[must_use]
    pub fn counters(&self, side: Side) -> Counters {
        self.forwards[side as usize].wire().counters()
    }

    /// Gives a side one more address, which it answers to but does not send from.
    ///
    /// # Panics
    /// When the address cannot be set.
    pub fn add_address(&self, side: Side, address: Ipv4Addr) {
        let added = self.sides[side as usize].ip(&format!("address add {address}/32 dev {DEVICE}\n"));
        added.expect("the address is new");
    }

    /// Moves a side to another address; the old one is gone. Sockets bound to no address send from the new one, and
    /// TCP connections are dead.
    ///
    /// # Panics
    /// When the address cannot be set.
    pub fn change_address(&mut self, side: Side, address: Ipv4Addr) {
        let old = self.addresses[side as usize];
        // Without any address the device would lose its route.
        let lines = format!("address add {address}/32 dev {DEVICE}\naddress del {old}/32 dev {DEVICE}\n");
        self.sides[side as usize].ip(&lines).expect("the address is new");
        self.addresses[side as usize] = address;
    }

    /// From now on side B sees the programs of side A at other ports, as when an address translator on the way has
    /// forgotten its flows. What B still sends to the old ports comes to nobody.
    pub fn change_ports(&self) {
        // Within 1..=0xfff, so that a port above 4096 stays above it.
        let _ = self.mask.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |mask| Some(mask % 0xfff + 1));
    }
}

/// The settings of the direction that begins at `side`: each has its own random sequence.
fn of(settings: &LinkSettings, side: Side) -> LinkSettings {
    let seed = settings.seed.wrapping_mul(2).wrapping_add(side as u64);
    LinkSettings { seed, ..settings.clone() }
}

/// The namespaces with their devices, or what is missing here.
fn prerequisites() -> Result<[(Namespace, File); 2], String> {
    if !rustix::process::geteuid().is_root() {
        return Err("not root".to_owned());
    }
    if let Some(program) = ["ip", "nsenter"].into_iter().find(|program| !crate::installed(program)) {
        return Err(format!("{program} is not installed"));
    }
    if !Path::new("/dev/net/tun").exists() {
        return Err("no /dev/net/tun".to_owned());
    }
    let side = || -> io::Result<_> {
        let namespace = Namespace::new()?;
        let device = namespace.inside(|| kernel::tun(DEVICE))?;
        Ok((namespace, device))
    };
    let sides = side().and_then(|a| Ok([a, side()?]));
    sides.map_err(|e| e.to_string())
}
