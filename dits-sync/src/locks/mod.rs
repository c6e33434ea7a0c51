//! Locks at the server's end: `docs/locks.md`.
//!
//! - [`store`]: where the table of locks is kept; [`embedded`] keeps it in a file, and [`conformance`] says what all stores do.
//! - [`elsewhere`]: the note in a repository whose table is not in it.
//! - `rules`: who may have what, as functions of the table. `guard`: what that means for a push.
//! - `queue`: requests that come at the same time are decided together.
//! - [`Locks`]: brings table and refs together.

pub mod conformance;
pub mod elsewhere;
pub mod embedded;
mod guard;
mod queue;
mod rules;
mod service;
pub mod store;
mod upstream;

pub use embedded::EmbeddedLocks;
pub(crate) use guard::{Bearer, Change};
pub use service::{Clock, Locks, LocksError, system_clock};
pub use store::{Edit, LockStore, Seen, StoreError, Written};
