//! The lock table in Redis, for several servers: `docs/format/locks.md`.

mod address;
mod changes;
mod connection;
mod sentinel;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dits_sync::locks::{Edit, LockStore, Seen, StoreError, Written};
use dits_sync::wire::LockStamp;

pub use address::{Address, AddressError};
use changes::Signal;
pub use connection::Server;
use table::Names;

/// How often somebody who waits looks for himself: a message may be lost with the connection it came on, and a Redis that
/// hangs sends none.
const LOOK_UP: Duration = Duration::from_secs(10);

/// A Redis that keeps the tables of all repositories.
///
/// # Errors
/// When the system gives no thread.
pub fn server(address: Address, prefix: &str) -> std::io::Result<Arc<Server>> {
    Ok(Arc::new(Server::new(address, Names::pattern(prefix))?))
}

/// The store of one repository.
pub struct RedisLocks {
    server: Arc<Server>,
    names: Names,
    signal: Arc<Signal>,
}

impl RedisLocks {
    /// The table of a repository, which is made when it is first read.
    pub fn new(server: Arc<Server>, prefix: &str, repository: &str) -> Self {
        let names = Names::of(prefix, repository);
        let signal = server.changes().of(&names.channel);
        Self { server, names, signal }
    }

    /// Forgets the table: its repository is gone.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub fn remove(&self) -> Result<(), StoreError> {
        self.server.ask_again(|link| table::remove(link, &self.names))
    }
}

impl LockStore for RedisLocks {
    fn read(&self, since: Option<&LockStamp>) -> Result<Seen, StoreError> {
        let nonce = nonce()?;
        self.server.ask_again(|link| table::read(link, &self.names, since, &nonce))
    }

    fn write(&self, at: &LockStamp, edits: &[Edit]) -> Result<Written, StoreError> {
        let version = self.server.ask(|link| table::write(link, &self.names, at, edits))?;
        Ok(match version {
            Some(version) => Written::Done(LockStamp { version, ..at.clone() }),
            None => Written::Changed,
        })
    }

    fn wait(&self, seen: &LockStamp, patience: Duration) -> Result<(), StoreError> {
        let until = Instant::now() + patience;
        loop {
            // What comes after this and before the look is seen by both.
            let heard = self.signal.heard();
            let now = self.read(Some(seen))?.stamp;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || now != *seen || self.signal.wait(heard, left.min(LOOK_UP)) {
                return Ok(());
            }
        }
    }
}

fn nonce() -> Result<String, StoreError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| StoreError::Away(error.to_string()))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
