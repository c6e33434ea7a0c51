//! The two ends of the protocol, brought together.

#![allow(clippy::unwrap_used, missing_docs)]

mod exchange;
mod fault;
mod faults;
mod hostile;
mod race;
mod rig;
mod watched;
