//! Transfers over a link: the machines of `transfer` brought together with a store, a link and threads.

mod failure;
mod receive;
mod send;
mod sizes;
mod sources;
mod verify;

pub use receive::Received;
pub use send::SendStats;

pub(crate) use receive::{Chunks, Receive, Wanted, receive, receive_named};
pub(crate) use send::{Send, get, send};
