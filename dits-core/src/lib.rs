//! The engine of dits: chunking, hashing, objects, store, refs, index, worktree and history.
//!
//! Synchronous, and free of terminal, environment, home folder and clock: the caller passes those in.
//! `ARCHITECTURE.md` at the top of the repository walks through the modules.

pub mod codec;
pub mod durable;
pub mod index;
pub mod lockfile;
pub mod object;
pub mod path;
pub mod progress;
pub mod refs;
pub mod signature;
pub mod store;
