//! The `dits-server` binary as administrators see it.

#![allow(clippy::unwrap_used)]

mod audit;
mod commands;
mod crowd;
mod faults;
mod locks;
mod rig;
mod serving;
mod settings;
mod sharing;
