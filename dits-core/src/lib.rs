//! The engine of dits: chunking, hashing, objects, store, refs, index, worktree and history.
//!
//! Synchronous, and free of terminal, environment, home folder and clock: the caller passes those in.
//! `ARCHITECTURE.md` at the top of the repository walks through the modules.

pub mod attributes;
pub mod chunk;
pub mod closure;
pub mod codec;
pub mod commit;
pub mod compress;
pub mod config;
pub mod content;
pub mod diff;
pub mod durable;
pub mod glob;
pub mod history;
pub mod ignore;
pub mod index;
pub mod lock;
pub mod lockfile;
pub mod maintain;
pub mod manifest;
pub mod media;
pub mod merge;
mod merkle;
pub mod object;
pub mod overlay;
pub mod partial;
pub mod path;
pub mod progress;
pub mod record;
pub mod refs;
pub mod remote;
pub mod repo;
pub mod revision;
pub mod rules_file;
pub mod signature;
pub mod stash;
pub mod store;
pub mod tag;
pub mod tree;
pub mod worktree;
