//! What is between client and server.

use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

use dits_testkit::net::{LinkSettings, Loopback, Net, Side, loopback};

use crate::Failure;
use crate::bench::workload::Workload;

/// The long link's rate.
pub const LINK_MBIT: f64 = 200.0;

/// A road, both ends of which are on this machine.
pub enum Road {
    /// Loopback in a network of its own.
    Alone(Loopback),
    /// This machine's loopback, on which others' bytes are counted too.
    Shared,
    /// 50 ms there and back, 1 % loss, 200 Mbit/s.
    Link(Net),
}

impl Road {
    /// None, and a line that says why, where the machine has no such thing.
    pub fn for_workload(workload: &Workload) -> Result<Option<Self>, Failure> {
        if workload.is_far() {
            let (delay, mbit) = (Duration::from_millis(25), LINK_MBIT);
            let settings = LinkSettings { delay, loss: 1.0, mbit, ..LinkSettings::default() };
            return Ok(Net::new(workload.name, &settings).map(Self::Link));
        }
        Ok(Some(Loopback::new().map(Self::Alone).unwrap_or_else(|why| {
            println!("no network of its own ({why}): bytes of other programs are counted too");
            Self::Shared
        })))
    }

    /// A program at the client's end.
    pub fn here(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Alone(network) => network.command(program),
            Self::Shared => Command::new(program),
            Self::Link(net) => net.command(Side::A, program),
        }
    }

    /// A program at the server's end.
    pub fn there(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Link(net) => net.command(Side::B, program),
            _ => self.here(program),
        }
    }

    /// The server's address.
    pub fn address(&self) -> String {
        match self {
            Self::Link(net) => net.address(Side::B).to_string(),
            _ => "127.0.0.1".to_owned(),
        }
    }

    /// The bytes that have gone over it so far, in both directions.
    pub fn bytes(&self) -> Result<u64, String> {
        match self {
            Self::Alone(network) => network.bytes().map_err(|e| e.to_string()),
            Self::Shared => loopback::bytes().map_err(|e| e.to_string()),
            Self::Link(net) => Ok([Side::A, Side::B].iter().map(|side| net.counters(*side).bytes).sum()),
        }
    }
}
