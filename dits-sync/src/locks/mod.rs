//! Locks at the server's end: `docs/locks.md`.
//!
//! - [`store`]: where the table of locks is kept; [`embedded`] keeps it in a file.
//! - `rules`: who may have what, as a function of the table. `table` is [`Locks`], which brings both together with the refs.

pub mod conformance;
pub mod embedded;
pub mod store;

pub use embedded::EmbeddedLocks;
pub use store::{Edit, LockStore, Seen, StoreError, Written};
