//! The content-addressed store.

mod error;

pub use error::StoreError;
