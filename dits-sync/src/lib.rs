//! How dits repositories exchange objects and move refs. `docs/protocol.md` is the specification.
//!
//! - [`wire`]: messages and their bytes.
//! - [`link`]: connections of every kind, as lanes of messages. Only here is anything asynchronous.
//! - [`url`]: where a remote is. [`identity`]: how a client knows that it is there.
//! - [`transfer`]: the state machines of both ends of a transfer, without I/O or clock.
//! - [`client`] and [`server`]: the two ends, which bring links, machines and repositories together.

pub mod client;
mod error;
mod exchange;
mod held;
pub mod identity;
pub mod link;
pub mod locks;
pub mod server;
mod session;
pub mod transfer;
pub mod url;
pub mod wire;

pub use error::SyncError;

/// The name and version that this code gives itself in a conversation.
pub const AGENT: &str = concat!("dits/", env!("CARGO_PKG_VERSION"));
