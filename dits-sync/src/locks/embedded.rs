//! The lock table in one file of the repository: `docs/format/locks.md`.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use dits_core::codec;
use dits_core::lock::LockKey;
use redb::{
    Builder, ConcurrencyMode, Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition, WriteTransaction,
};

use super::elsewhere;
use super::store::{Edit, LockStore, Seen, StoreError, Written};
use crate::wire::LockStamp;

/// What each path's locks are, as [`dits_core::lock::record`] encodes them.
const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// Which keys each version changed: a list of them, encoded.
const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
/// The numbers `format`, `version`, `inode` and `born`.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// The text `instance`.
const TEXTS: TableDefinition<'_, &str, &str> = TableDefinition::new("texts");

/// The version of what is in the file.
const FORMAT: u64 = 1;
/// How many changes are remembered for who has seen a state before.
const REMEMBERED: u64 = 4096;
/// The longest list of keys of one change, in bytes.
const MAX_CHANGE: usize = 64 << 20;
/// How much memory pages may take.
const CACHE: usize = 4 << 20;
/// How often somebody who waits looks for changes that other processes made.
const LOOK_UP: Duration = Duration::from_millis(250);
/// The instance of a store that nothing was ever written to.
const NONE: &str = "none";
/// The folder in the repository and the file in it.
const FILE: &str = "locks/table.redb";

/// The store of a repository that needs no other service.
pub struct EmbeddedLocks {
    dits: PathBuf,
    file: PathBuf,
    open: Mutex<Option<Open>>,
    /// The newest version that this process has written, for those who wait.
    written: Mutex<u64>,
    changed: Condvar,
}

/// An open file.
struct Open {
    database: Database,
    identity: Identity,
}

/// Which file it is: its inode, and when that was made, in nanoseconds since 1970 (0 where the file system does not say), as the
/// number is given again.
type Identity = (u64, u64);

impl EmbeddedLocks {
    /// The store of the repository in this folder (`.dits`, or a bare one). It is opened when it is needed, and made when
    /// something is written.
    #[must_use]
    pub fn new(dits: &Path) -> Self {
        Self {
            dits: dits.to_owned(),
            file: dits.join(FILE),
            open: Mutex::default(),
            written: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Does something with the database. A file that is not there is made only by who would write; for others it is empty.
    fn with<T>(
        &self,
        make: bool,
        work: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = elsewhere::place(&self.dits).map_err(|e| StoreError::Away(e.to_string()))? {
            return Err(StoreError::Away(format!(
                "they are kept in {place}, which only the server of this repository asks"
            )));
        }
        let identity = self.identity();
        if open.as_ref().is_some_and(|open| Some(open.identity) != identity) {
            // Taken away, replaced, or the repository moved: what is written into it now nobody would see.
            *open = None;
        }
        if open.is_none() {
            if !make && identity.is_none() {
                return Ok(None);
            }
            *open = Some(self.open_file()?);
        }
        let Some(open) = &*open else { return Ok(None) };
        work(&open.database).map(Some)
    }

    fn identity(&self) -> Option<Identity> {
        let meta = std::fs::metadata(&self.file).ok()?;
        let born = meta.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Some((meta.ino(), born.map_or(0, |born| u64::try_from(born.as_nanos()).unwrap_or(0))))
    }

    fn open_file(&self) -> Result<Open, StoreError> {
        if let Some(folder) = self.file.parent() {
            dits_core::durable::create_dir_all(folder).map_err(|e| StoreError::Away(e.to_string()))?;
        }
        let before = self.identity();
        let is_new = before.is_none();
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE).set_concurrency_mode(ConcurrencyMode::MultiWriter);
        let database = builder.create(&self.file).map_err(away)?;
        if is_new && let Some(folder) = self.file.parent() {
            dits_core::durable::sync_dir(folder).map_err(|e| StoreError::Away(e.to_string()))?;
        }
        let lost = || StoreError::Away(format!("{} was replaced while it was opened", self.file.display()));
        let identity = self.identity().filter(|now| before.is_none_or(|before| before == *now)).ok_or_else(lost)?;
        let write = database.begin_write().map_err(away)?;
        if begin(&write, identity)? {
            write.commit().map_err(away)?;
        } else {
            write.abort().map_err(away)?;
        }
        Ok(Open { database, identity })
    }
}

/// Makes a new database what it must be, and of a copy another instance: it may be older than what was promised. Whether
/// something was written.
fn begin(write: &WriteTransaction, (inode, born): Identity) -> Result<bool, StoreError> {
    let mut numbers = write.open_table(NUMBERS).map_err(damaged)?;
    let found = numbers.get("format").map_err(damaged)?.map(|number| number.value());
    let is_new = match found {
        Some(FORMAT) => false,
        Some(other) => {
            return Err(StoreError::Damaged(format!("it has format {other}, and this dits reads format {FORMAT}")));
        }
        None => true,
    };
    let of_file = [("inode", inode), ("born", born)];
    let mut same = true;
    for (name, now) in of_file {
        same &= numbers.get(name).map_err(damaged)?.is_some_and(|found| found.value() == now);
        numbers.insert(name, now).map_err(away)?;
    }
    if same {
        return Ok(false);
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|e| StoreError::Away(e.to_string()))?;
    let instance: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    write.open_table(TEXTS).map_err(damaged)?.insert("instance", &*instance).map_err(away)?;
    if !is_new {
        return Ok(true);
    }
    write.open_table(RECORDS).map_err(damaged)?;
    write.open_table(CHANGES).map_err(damaged)?;
    numbers.insert("format", FORMAT).map_err(away)?;
    numbers.insert("version", 0).map_err(away)?;
    Ok(true)
}

impl LockStore for EmbeddedLocks {
    fn read(&self, since: Option<&LockStamp>) -> Result<Seen, StoreError> {
        let seen = self.with(false, |database| {
            let read = database.begin_read().map_err(away)?;
            let stamp = stamp(&read)?;
            let known = since.filter(|since| since.instance == stamp.instance && since.version <= stamp.version);
            match known.filter(|known| stamp.version - known.version <= REMEMBERED) {
                Some(known) => {
                    let records = changes(&read, known.version)?;
                    Ok(Seen { stamp, whole: false, records })
                }
                None => {
                    let records = all(&read)?;
                    Ok(Seen { stamp, whole: true, records })
                }
            }
        })?;
        let none = || LockStamp { instance: NONE.to_owned(), version: 0 };
        Ok(seen.unwrap_or_else(|| Seen { stamp: none(), whole: true, records: Vec::new() }))
    }

    fn write(&self, at: &LockStamp, edits: &[Edit]) -> Result<Written, StoreError> {
        let is_new = !self.file.exists();
        let written = self.with(true, |database| {
            if is_new {
                return Ok(Written::Changed);
            }
            let write = database.begin_write().map_err(away)?;
            match apply(&write, at, edits)? {
                Some(stamp) => {
                    write.commit().map_err(away)?;
                    Ok(Written::Done(stamp))
                }
                None => {
                    write.abort().map_err(away)?;
                    Ok(Written::Changed)
                }
            }
        })?;
        let written = written.unwrap_or(Written::Changed);
        if let Written::Done(stamp) = &written {
            *self.written.lock().unwrap_or_else(PoisonError::into_inner) = stamp.version;
            self.changed.notify_all();
        }
        Ok(written)
    }

    fn wait(&self, seen: &LockStamp, patience: Duration) -> Result<(), StoreError> {
        let until = Instant::now() + patience;
        loop {
            let now = self.with(false, |database| stamp(&database.begin_read().map_err(away)?))?;
            let left = until.saturating_duration_since(Instant::now());
            let same = now.as_ref().map_or(seen.instance == NONE, |now| now == seen);
            if left.is_zero() || !same {
                return Ok(());
            }
            let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            if *written <= seen.version {
                drop(self.changed.wait_timeout(written, left.min(LOOK_UP)).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

fn stamp(read: &ReadTransaction) -> Result<LockStamp, StoreError> {
    let version = read.open_table(NUMBERS).map_err(damaged)?.get("version").map_err(damaged)?;
    let instance = read.open_table(TEXTS).map_err(damaged)?.get("instance").map_err(damaged)?;
    let lacking = || StoreError::Damaged("it has no version or instance".to_owned());
    let version = version.ok_or_else(lacking)?.value();
    Ok(LockStamp { instance: instance.ok_or_else(lacking)?.value().to_owned(), version })
}

fn all(read: &ReadTransaction) -> Result<Vec<Edit>, StoreError> {
    let records = read.open_table(RECORDS).map_err(damaged)?;
    let mut found = Vec::with_capacity(usize::try_from(records.len().map_err(damaged)?).unwrap_or(0).min(1 << 16));
    for record in records.iter().map_err(damaged)? {
        let (key, value) = record.map_err(damaged)?;
        found.push((LockKey::from_bytes(key.value().to_vec()), Some(value.value().to_vec())));
    }
    Ok(found)
}

fn changes(read: &ReadTransaction, since: u64) -> Result<Vec<Edit>, StoreError> {
    let records = read.open_table(RECORDS).map_err(damaged)?;
    let changes = read.open_table(CHANGES).map_err(damaged)?;
    let mut keys = std::collections::BTreeSet::new();
    for change in changes.range(since + 1..).map_err(damaged)? {
        let changed = codec::decode::<Vec<LockKey>, MAX_CHANGE>(change.map_err(damaged)?.1.value());
        keys.extend(changed.map_err(|e| StoreError::Damaged(e.to_string()))?);
    }
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let value = records.get(key.as_bytes()).map_err(damaged)?.map(|value| value.value().to_vec());
        found.push((key, value));
    }
    Ok(found)
}

/// Makes the edits; `None` if the store is in another state.
fn apply(write: &WriteTransaction, at: &LockStamp, edits: &[Edit]) -> Result<Option<LockStamp>, StoreError> {
    let mut numbers = write.open_table(NUMBERS).map_err(damaged)?;
    let texts = write.open_table(TEXTS).map_err(damaged)?;
    let version = numbers.get("version").map_err(damaged)?.map(|number| number.value());
    let same = texts.get("instance").map_err(damaged)?.is_some_and(|text| text.value() == at.instance);
    if version != Some(at.version) || !same {
        return Ok(None);
    }
    if edits.is_empty() {
        return Ok(Some(at.clone()));
    }
    let version = at.version + 1;
    let mut records = write.open_table(RECORDS).map_err(damaged)?;
    let mut changes = write.open_table(CHANGES).map_err(damaged)?;
    for (key, value) in edits {
        match value {
            Some(value) => records.insert(key.as_bytes(), &value[..]).map_err(away)?,
            None => records.remove(key.as_bytes()).map_err(away)?,
        };
    }
    let keys: Vec<&LockKey> = edits.iter().map(|(key, _)| key).collect();
    changes.insert(version, &codec::encode(&keys)[..]).map_err(away)?;
    if let Some(forgotten) = version.checked_sub(REMEMBERED) {
        changes.remove(forgotten).map_err(away)?;
    }
    numbers.insert("version", version).map_err(away)?;
    Ok(Some(LockStamp { version, ..at.clone() }))
}

fn away(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        error @ redb::Error::Corrupted(_) => StoreError::Damaged(error.to_string()),
        error => StoreError::Away(error.to_string()),
    }
}

fn damaged(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        error @ (redb::Error::Io(_) | redb::Error::DatabaseClosed | redb::Error::PreviousIo) => {
            StoreError::Away(error.to_string())
        }
        error => StoreError::Damaged(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::conformance;

    #[test]
    fn conforms() {
        let dir = tempfile::tempdir().unwrap();
        conformance::check(&|| Box::new(EmbeddedLocks::new(dir.path())));
    }

    #[test]
    fn what_is_kept_elsewhere_is_not_looked_for_here() {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedLocks::new(dir.path());
        let stamp = store.read(None).unwrap().stamp;
        elsewhere::keep_at(dir.path(), "redis://there").unwrap();
        for error in [store.read(None).unwrap_err(), store.write(&stamp, &[]).unwrap_err()] {
            assert!(matches!(&error, StoreError::Away(text) if text.contains("redis://there")), "{error}");
        }
        std::fs::remove_file(dir.path().join("locks/elsewhere")).unwrap();
        assert!(store.read(None).is_ok());
    }

    #[test]
    fn an_older_copy_is_another_instance() {
        let dir = tempfile::tempdir().unwrap();
        let (file, older) = (dir.path().join(FILE), dir.path().join("older"));
        let store = EmbeddedLocks::new(dir.path());
        let record = |number| [(LockKey::from_bytes(vec![number]), Some(vec![number]))];
        let write = |at: &LockStamp, number| store.write(at, &record(number)).unwrap();
        let stamp = || store.read(None).unwrap().stamp;
        write(&stamp(), 1);
        write(&stamp(), 1);
        std::fs::copy(&file, &older).unwrap();
        assert!(matches!(write(&stamp(), 2), Written::Done(_)));
        let newest = stamp();
        // While it is open; and while nobody has it open.
        std::fs::rename(&older, &file).unwrap();
        let seen = store.read(Some(&newest)).unwrap();
        assert!(seen.whole && seen.stamp.instance != newest.instance);
        assert_eq!(seen.records, record(1));
        assert_eq!(write(&newest, 3), Written::Changed);
        assert_eq!(EmbeddedLocks::new(dir.path()).read(None).unwrap().stamp, seen.stamp, "once it is known it stays");
    }

    #[test]
    fn a_file_that_was_lost_is_another_instance() {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedLocks::new(dir.path());
        let write = |at: &LockStamp| store.write(at, &[(LockKey::from_bytes(vec![1]), Some(vec![1]))]).unwrap();
        assert_eq!(write(&store.read(None).unwrap().stamp), Written::Changed, "it is made first");
        let before = store.read(None).unwrap().stamp;
        assert!(matches!(write(&before), Written::Done(_)));
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        let after = store.read(Some(&before)).unwrap();
        assert!(after.whole && after.stamp.instance != before.instance);
        assert_eq!(write(&before), Written::Changed);
    }
}
