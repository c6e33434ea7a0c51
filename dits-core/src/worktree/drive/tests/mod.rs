#![allow(clippy::unwrap_used)]

mod in_mount;
mod text;
