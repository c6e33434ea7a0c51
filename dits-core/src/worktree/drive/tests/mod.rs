#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

mod in_mount;
mod text;
