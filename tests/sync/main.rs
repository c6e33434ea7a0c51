//! Tests of the protocol between two real ends.

#![allow(clippy::unwrap_used)]

mod hostile;
mod identity;
mod links;
mod rig;
mod ssh;
