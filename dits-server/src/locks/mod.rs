//! Where the lock tables of a server's repositories are kept.

pub mod redis;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dits_core::durable::{self, IoError};
use dits_sync::locks::{EmbeddedLocks, LockStore, StoreError, elsewhere};

use crate::repo_name::RepoName;
use crate::settings::Locks;
use redis::{Address, AddressError, RedisLocks, Server};

/// What stands for a file in each repository.
pub const EMBEDDED: &str = "embedded";
/// The longest file of a password or a certificate, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// The longest prefix, in bytes.
const MAX_PREFIX: usize = 64;

/// A lock store that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LocksError {
    /// It is not said where it is.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// `locks.prefix` has other letters.
    #[error("locks.prefix is 1 to {MAX_PREFIX} letters, digits and `._-:`")]
    Prefix,
    /// `locks.caFile` would not be looked at.
    #[error("locks.caFile needs an address that begins with rediss")]
    NoTls,
    /// `locks.passwordFile` or `locks.caFile` is not there.
    #[error("{} is missing", .0.display())]
    Missing(PathBuf),
    /// `locks.passwordFile` is not one line of text.
    #[error("{} must have one line with the password", .0.display())]
    Password(PathBuf),
    /// The operating system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// The lock tables of all repositories.
#[derive(Clone)]
pub enum LockStores {
    /// Each in a file of its repository. One server serves them.
    Embedded,
    /// All in Redis. Several servers may serve the same folder.
    Redis {
        /// The connection that all share.
        server: Arc<Server>,
        /// What all keys begin with.
        prefix: String,
    },
}

impl LockStores {
    /// Those that the settings name; `store` goes before `locks.store`.
    ///
    /// # Errors
    /// When the address is none, or a file that belongs to it cannot be read. Whether anybody answers is not tried.
    pub fn new(settings: &Locks, store: Option<&str>) -> Result<Self, LocksError> {
        let store = store.unwrap_or(&settings.store);
        if store == EMBEDDED {
            return Ok(Self::Embedded);
        }
        let prefix = settings.prefix.clone();
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-:".contains(&b);
        if prefix.is_empty() || prefix.len() > MAX_PREFIX || !prefix.bytes().all(allowed) {
            return Err(LocksError::Prefix);
        }
        let mut address = Address::parse(store)?;
        if let Some(file) = settings.password_file.as_deref().filter(|_| !address.has_password()) {
            address = address.with_password(password(file)?);
        }
        if let Some(file) = &settings.ca_file {
            if !address.tls {
                return Err(LocksError::NoTls);
            }
            address.authority = Some(read(file)?);
        }
        let server = redis::server(address, &prefix).map_err(LocksError::Thread)?;
        Ok(Self::Redis { server, prefix })
    }

    /// Whether several servers may serve one folder.
    #[must_use]
    pub fn are_shared(&self) -> bool {
        matches!(self, Self::Redis { .. })
    }

    /// The store of a repository, whose folder this is. In the folder it is noted where the locks are.
    #[must_use]
    pub fn open(&self, name: &str, folder: &Path) -> Box<dyn LockStore> {
        let noted = match self {
            // A note that they are elsewhere stays: started without its settings, a server must not forget everybody's locks.
            Self::Embedded => Ok(()),
            Self::Redis { .. } => elsewhere::keep_at(folder, &self.to_string()),
        };
        if let Err(error) = noted {
            tracing::error!(repository = name, %error, "it is not noted where the locks are");
        }
        match self {
            Self::Embedded => Box::new(EmbeddedLocks::new(folder)),
            Self::Redis { server, prefix } => Box::new(RedisLocks::new(Arc::clone(server), prefix, name)),
        }
    }

    /// Forgets the locks of a repository that is gone, so that one that gets its name begins without any.
    ///
    /// # Errors
    /// When they are not in its folder, and where they are cannot be reached.
    pub fn remove(&self, name: &RepoName) -> Result<(), StoreError> {
        match self {
            Self::Embedded => Ok(()),
            Self::Redis { server, prefix } => RedisLocks::new(Arc::clone(server), prefix, name.as_str()).remove(),
        }
    }
}

impl std::fmt::Display for LockStores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded => f.write_str(EMBEDDED),
            Self::Redis { server, .. } => server.address().fmt(f),
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, LocksError> {
    durable::read_limited(file, MAX_FILE)?.ok_or_else(|| LocksError::Missing(file.to_owned()))
}

fn password(file: &Path) -> Result<String, LocksError> {
    let text = String::from_utf8(read(file)?).unwrap_or_default();
    let line = text.strip_suffix('\n').unwrap_or(&text);
    match line.is_empty() || line.contains(['\n', '\r']) {
        true => Err(LocksError::Password(file.to_owned())),
        false => Ok(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use dits_sync::locks::Written;

    use super::*;

    #[test]
    fn settings_name_a_store_and_what_it_takes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        let settings = Locks { password_file: Some(file.clone()), ..Locks::default() };
        assert!(!LockStores::new(&settings, None).unwrap().are_shared());
        let redis = "rediss-sentinel://a,b/film";
        let refused = |settings: &Locks, store| LockStores::new(settings, Some(store)).err().unwrap().to_string();
        assert!(refused(&settings, redis).contains("is missing"));
        std::fs::write(&file, "two\nlines\n").unwrap();
        assert!(refused(&settings, redis).contains("one line"));
        std::fs::write(&file, "geheim\n").unwrap();
        let stores = LockStores::new(&settings, Some(redis)).unwrap();
        assert!(stores.are_shared());
        assert_eq!(stores.to_string(), "rediss-sentinel://a:26379,b:26379/film/0");
        assert!(refused(&settings, "mysql://geheim").contains("redis-sentinel://"));
        assert!(
            refused(&Locks { ca_file: Some(file), ..Locks::default() }, "redis://h").contains("begins with rediss")
        );
        assert!(refused(&Locks { prefix: "a*".to_owned(), ..Locks::default() }, "redis://h").contains("locks.prefix"));
    }

    #[test]
    fn each_repository_has_a_table_of_its_own_until_it_is_removed() {
        let redis = dits_testkit::Redis::start("");
        let dir = tempfile::tempdir().unwrap();
        let film = RepoName::parse("film").unwrap();
        for store in [EMBEDDED, &redis.url()] {
            let stores = LockStores::new(&Locks::default(), Some(store)).unwrap();
            let open = |name: &RepoName| stores.open(name.as_str(), &name.folder(dir.path()));
            let edit = [(dits_core::lock::LockKey::from_bytes(b"a".to_vec()), Some(b"1".to_vec()))];
            let written = loop {
                // The first one may only make the table.
                let at = open(&film).read(None).unwrap().stamp;
                if let Written::Done(stamp) = open(&film).write(&at, &edit).unwrap() {
                    break stamp;
                }
            };
            assert_eq!(open(&film).read(None).unwrap().records, edit);
            let other = open(&RepoName::parse("studio/film").unwrap()).read(None).unwrap();
            assert!(other.records.is_empty() && other.stamp.instance != written.instance);
            // Who comes past the server finds the same locks, or none to have.
            let beside = EmbeddedLocks::new(&film.folder(dir.path())).read(None);
            assert_eq!(beside.map(|seen| seen.records).ok(), (!stores.are_shared()).then(|| edit.to_vec()));
            stores.remove(&film).unwrap();
            std::fs::remove_dir_all(film.folder(dir.path())).unwrap_or_default();
            let anew = open(&film).read(None).unwrap();
            assert!(anew.records.is_empty() && anew.stamp.instance != written.instance);
        }
    }
}
