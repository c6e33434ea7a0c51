//! The two ends of the protocol, brought together.

#![allow(clippy::unwrap_used, missing_docs)]

mod busy;
mod exchange;
mod fault;
mod faults;
mod hostile;
mod identity;
mod links;
mod lock_model;
mod locks;
mod net;
mod pairs;
mod race;
mod rig;
mod shallow;
mod ssh;
mod unruly;
mod watched;
