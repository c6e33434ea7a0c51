//! The engine of dits: chunking, hashing, objects, store, refs, index, worktree and history.
//!
//! Synchronous, and free of terminal, environment, home folder and clock: the caller passes those in.
//! `ARCHITECTURE.md` at the top of the repository walks through the modules.

pub mod chunk;
pub mod codec;
pub mod commit;
pub mod compress;
pub mod diff;
pub mod durable;
pub mod history;
pub mod manifest;
mod merkle;
pub mod lockfile;
pub mod media;
pub mod object;
pub mod path;
pub mod progress;
pub mod record;
pub mod refs;
pub mod signature;
pub mod store;
pub mod tag;
pub mod tree;
pub mod attributes;
pub mod codec;
pub mod config;
pub mod durable;
pub mod glob;
pub mod ignore;
pub mod object;
pub mod path;
pub mod progress;
pub mod rules_file;
pub mod store;
pub mod worktree;
