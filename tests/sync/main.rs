//! The two ends of the protocol, brought together.

#![allow(clippy::unwrap_used, missing_docs)]

mod exchange;
mod hostile;
mod identity;
mod links;
mod net;
mod pairs;
mod rig;
mod ssh;
