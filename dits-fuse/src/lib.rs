//! A file system on what a repository holds. `docs/design/0005-mount.md` says how it is built, `docs/semantics.md` what a
//! program may rely on.
//!
//! - [`folder`], [`stat`]: what is listed, and what is told of an inode.
//! - [`view`]: the folders and inode numbers of a commit's tree.
//! - [`read`]: from a range of a file to bytes, and what is read ahead.
//! - [`overlay`]: what was made or changed in a writable mount.
//! - [`chunks`]: where chunks come from: memory, store, disk cache, remote.
//! - [`policy`]: which programs may have content brought, and which did.
//! - [`locks`]: files that somebody has locked, as the drive obeys that.
//! - `whole`: copies of whole files, which the kernel reads itself.
//! - [`drive`]: these together, with the threads that work for them.
//! - [`fuse`]: the adapter to the kernel. Only it knows fuser.
//! - [`table`]: which mounts there are; [`details`]: what their daemons say of them,
//!   and what these are asked to do.
//! - [`webdav`]: the adapter to WebDAV clients. Only it knows dav-server, hyper and tokio.

pub mod chunks;
pub mod details;
pub mod drive;
mod error;
pub mod folder;
pub mod fuse;
pub mod locks;
pub mod overlay;
pub mod policy;
mod pool;
pub mod read;
pub mod stat;
pub mod table;
pub mod view;
pub mod webdav;
mod whole;

pub use error::{Reach, ReadError};
