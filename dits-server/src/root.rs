//! The server's folder.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dits_core::durable::{self, IoContext, IoError};
use dits_core::lockfile::{FileLock, LockError};

use crate::settings::{self, Settings, SettingsError};

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// It is not there, or is something else.
    #[error("{} is not the folder of a dits-server", .path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// Another server serves it.
    #[error("{} is being served already: {holder}", .path.display())]
    Served {
        /// The folder.
        path: PathBuf,
        /// Who does.
        holder: String,
    },
    /// Its settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// The server's folder, as absolute path.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

const CONFIG: &str =
    "# Settings of dits for all repositories of this server; those of a repository itself go before them.\n";

impl Root {
    /// A folder that is one already.
    ///
    /// # Errors
    /// When it is none.
    pub fn open(path: &Path) -> Result<Self, RootError> {
        if !path.join("server.toml").is_file() || !path.join("repos").is_dir() {
            return Err(RootError::Missing { path: path.to_owned() });
        }
        Ok(Self(fs::canonicalize(path).at("look at", path)?))
    }

    /// The same, and makes what is missing. A folder with other things in it is not taken.
    ///
    /// # Errors
    /// When it holds something else, or cannot be written.
    pub fn open_or_create(path: &Path) -> Result<Self, RootError> {
        if !path.join("server.toml").is_file() && path.is_dir() && has_other_things(path)? {
            return Err(RootError::Missing { path: path.to_owned() });
        }
        durable::create_dir_all(path)?;
        let root = Self(fs::canonicalize(path).at("look at", path)?);
        for private in [root.identity(), root.audit()] {
            create_private(&private)?;
        }
        for folder in [root.repositories(), root.temp()] {
            durable::create_dir_all(&folder)?;
        }
        // The settings come last: with them it is a server's folder.
        for (file, text) in [(root.config(), CONFIG), (root.settings_file(), settings::TEMPLATE)] {
            if !file.exists() {
                durable::write_atomic(&file, text.as_bytes())?;
            }
        }
        Ok(root)
    }

    /// Keeps a second server out, until the lock is dropped.
    ///
    /// # Errors
    /// When there is one.
    pub fn lock(&self) -> Result<FileLock, RootError> {
        FileLock::acquire(&self.lock_file(), Duration::ZERO).map_err(|error| self.served(error))
    }

    /// Keeps servers out that keep locks in the folder, until the lock is dropped; others that share a lock store may come.
    ///
    /// # Errors
    /// When there is one that does.
    pub fn lock_shared(&self) -> Result<FileLock, RootError> {
        FileLock::acquire_shared(&self.lock_file(), Duration::ZERO).map_err(|error| self.served(error))
    }

    fn served(&self, error: LockError) -> RootError {
        match error {
            LockError::Busy { holder, .. } => RootError::Served { path: self.0.clone(), holder },
            LockError::Io(error) => error.into(),
        }
    }

    fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// What `server.toml` says.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn settings(&self) -> Result<Settings, RootError> {
        Ok(Settings::load(&self.settings_file())?)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn settings_file(&self) -> PathBuf {
        self.0.join("server.toml")
    }

    /// The settings of dits for all repositories.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.join("config")
    }

    /// Key and certificate.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.0.join("identity")
    }

    /// Who may do what.
    #[must_use]
    pub fn tokens(&self) -> PathBuf {
        self.0.join("tokens")
    }

    /// The audit log's folder.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.0.join("audit")
    }

    /// The repositories.
    #[must_use]
    pub fn repositories(&self) -> PathBuf {
        self.0.join("repos")
    }

    /// What is being made or removed.
    #[must_use]
    pub fn temp(&self) -> PathBuf {
        self.0.join("tmp")
    }
}

fn has_other_things(path: &Path) -> Result<bool, IoError> {
    let ours = ["config", "identity", "tokens", "audit", "repos", "tmp", "lock", "lost+found"];
    let entries = fs::read_dir(path).at("read", path)?;
    Ok(entries.flatten().any(|entry| !ours.iter().any(|name| entry.file_name() == *name)))
}

/// A folder that only its owner may enter, also when it was there before.
fn create_private(path: &Path) -> Result<(), IoError> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).at("protect", path)?;
        }
        made => made.at("create", path)?,
    }
    durable::sync_dir(path.parent().unwrap_or(Path::new(".")))
}
