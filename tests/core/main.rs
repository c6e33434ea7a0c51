//! The engine as its callers use it: whole repositories in temporary folders, among them hostile ones.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../forge/mod.rs"]
mod forge;

mod hostile;
mod swapped;
