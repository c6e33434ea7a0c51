//! Where things are: the workspace and its target folder.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;

/// The workspace's top folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// The target folder, `CARGO_TARGET_DIR` included.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => workspace().join(folder),
        None => workspace().join("target"),
    }
}

/// Cargo, in the workspace; the same one that runs this.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace()).args(args);
    // What `cargo run` set for xtask itself would make the build scripts of others run again.
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&key);
        }
    }
    command
}

/// Builds the release binaries of dits and its server, beside each other, and says where the first is.
pub fn build_dits() -> Result<PathBuf, Failure> {
    let status = cargo(&["build", "--release", "--package", "dits-cli", "--package", "dits-server"]).status()?;
    if !status.success() {
        return Err(Failure::Failed("dits does not build".to_owned()));
    }
    Ok(target().join("release/dits"))
}
