//! The folder to mount on.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use dits_core::durable::IoContext;
use dits_core::repo::RepoError;
use dits_fuse::table::{self, Health, Mount};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// Makes a folder ready: there, empty, and no mount, not even one whose daemon is gone.
///
/// # Errors
/// When something is in the way.
pub fn prepare(cx: &Context, given: &Path) -> Result<PathBuf, CliError> {
    let path = place(cx, given)?;
    if let Some(mount) = find(&path)? {
        match table::health(&mount.point) {
            Health::Dead => {
                table::unmount(&mount.point, true).at("unmount", &mount.point)?;
                cx.warn(format!("{}: its daemon had died; it is mounted anew", given.display()));
            }
            _ => {
                return Err(CliError::new(Exit::Conflict, format!("{} is mounted already", given.display()))
                    .hint("`dits mounts` shows what is mounted")
                    .hint(format!("dits unmount {}", given.display())));
            }
        }
    }
    match fs::create_dir(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        made => made.at("create", &path)?,
    }
    if fs::read_dir(&path).at("look into", &path)?.next().is_some() {
        return Err(RepoError::FolderNotEmpty { path }.into());
    }
    Ok(path)
}

/// A folder's path without symbolic links. The folder itself is not looked at: its daemon may be gone.
///
/// # Errors
/// When the folder that it is in is not there.
pub fn place(cx: &Context, given: &Path) -> Result<PathBuf, CliError> {
    let path = cx.cwd.join(given);
    match path.file_name().filter(|name| *name != OsStr::new("..")) {
        Some(name) => {
            let parent = path.parent().unwrap_or(Path::new("/"));
            Ok(fs::canonicalize(parent).at("look at", parent)?.join(name))
        }
        None => Ok(fs::canonicalize(&path).at("look at", &path)?),
    }
}

/// The mount on a folder, the last one if there are several on top of each other.
///
/// # Errors
/// When the kernel's table cannot be read.
pub fn find(path: &Path) -> Result<Option<Mount>, CliError> {
    let mounts = table::mounts().at("read", Path::new("/proc/self/mountinfo"))?;
    Ok(mounts.into_iter().rev().find(|mount| mount.point == path))
}
