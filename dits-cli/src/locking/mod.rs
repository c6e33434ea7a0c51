//! Locks as users meet them: which remote holds them, which files are meant, and what is said of a refusal.
//!
//! What this clone knows of a remote's locks is kept by `dits_core::lock::LocalLocks`; what a server says goes there through
//! [`table`] and nowhere else, so that the read-only bits of files always follow.

pub mod base;
pub mod changes;
pub mod desk;
pub mod moved;
pub mod names;
pub mod refusal;
pub mod show;
pub mod suggest;
pub mod table;
pub mod take;
pub mod tokens;
pub mod unheld;
