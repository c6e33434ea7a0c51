//! Which remote has promised to hold what: the record.

use std::collections::BTreeSet;
use std::path::Path;

use crate::codec;
use crate::durable;
use crate::history;
use crate::lockfile::{FileLock, PATIENCE};
use crate::object::{CommitId, ObjectRead};
use crate::record::{RecordError, RecordKind};
use crate::repo::{RepoError, Repository};
use crate::store::StoreError;

const RECORD: RecordKind = RecordKind { magic: *b"DITSPROM", version: 1 };
/// Its name in `.dits`.
const FILE: &str = "promised";
/// The longest payload, in bytes.
const LIMIT: usize = 16 << 20;
/// The longest name of a remote, in bytes.
const MAX_NAME: usize = 255;

/// What cannot be a list of promises.
#[derive(Debug, thiserror::Error)]
pub enum PromisesError {
    /// The frame, the encoding, the order or a name is wrong.
    #[error("{0}")]
    Malformed(&'static str),
    /// A name that no remote can have.
    #[error("`{0}` cannot be the name of a remote")]
    Name(String),
}

/// Pairs of a remote and a commit: everything reachable from the commit is held by the remote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promises(BTreeSet<(String, CommitId)>);

fn check_name(name: &str) -> Result<(), PromisesError> {
    let fine = !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
    if fine { Ok(()) } else { Err(PromisesError::Name(name.chars().take(80).collect())) }
}

impl Promises {
    /// The promises made to a repository, by its `.dits` folder; none when there is no record.
    ///
    /// # Errors
    /// When the record is damaged or cannot be read.
    pub fn load(dits_dir: &Path) -> Result<Self, RecordError> {
        let file = dits_dir.join(FILE);
        let Some(payload) = RECORD.read(&file)? else { return Ok(Self::default()) };
        let decoded = Self::from_payload(&payload);
        decoded.map_err(|_| RecordError::Corrupt { file, what: "it is not a list of promises" })
    }

    fn from_payload(payload: &[u8]) -> Result<Self, PromisesError> {
        let list: Vec<(String, CommitId)> =
            codec::decode::<_, LIMIT>(payload).map_err(|_| PromisesError::Malformed("it cannot be decoded"))?;
        if !list.is_sorted_by(|a, b| a < b) {
            return Err(PromisesError::Malformed("its promises are not in order"));
        }
        list.iter().try_for_each(|(remote, _)| check_name(remote))?;
        Ok(Self(list.into_iter().collect()))
    }

    /// Reads what [`Promises::encode`] made.
    ///
    /// # Errors
    /// When it is damaged or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, PromisesError> {
        Self::from_payload(RECORD.decode(bytes).map_err(PromisesError::Malformed)?)
    }

    fn payload(&self) -> Vec<u8> {
        codec::encode(&self.0.iter().cloned().collect::<Vec<_>>())
    }

    /// The bytes of the record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        RECORD.encode(&self.payload())
    }

    /// Whether nothing was promised: then nothing may be absent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The promises, by remote and commit.
    pub fn iter(&self) -> impl Iterator<Item = (&str, CommitId)> {
        self.0.iter().map(|(remote, commit)| (remote.as_str(), *commit))
    }

    /// The promised commits, each once.
    #[must_use]
    pub fn commits(&self) -> Vec<CommitId> {
        let all: BTreeSet<CommitId> = self.0.iter().map(|(_, commit)| *commit).collect();
        all.into_iter().collect()
    }

    /// Adds a promise, which replaces those of the same remote for commits that this one descends from. One for a commit
    /// that a recorded one descends from is there already.
    ///
    /// # Errors
    /// When the name can be no remote's, or a commit cannot be read.
    pub fn add(&mut self, read: &dyn ObjectRead, remote: &str, commit: CommitId) -> Result<(), RepoError> {
        check_name(remote)?;
        let recorded: Vec<CommitId> =
            self.0.iter().filter(|(name, _)| name == remote).map(|(_, commit)| *commit).collect();
        if recorded.contains(&commit) {
            return Ok(());
        }
        for old in &recorded {
            if is_ancestor(read, commit, *old)? {
                return Ok(());
            }
        }
        for old in recorded {
            if is_ancestor(read, old, commit)? {
                self.0.remove(&(remote.to_owned(), old));
            }
        }
        self.0.insert((remote.to_owned(), commit));
        Ok(())
    }
}

/// Whether one commit is reachable from another, as far as history is here: a commit that is not is its own end.
fn is_ancestor(read: &dyn ObjectRead, ancestor: CommitId, of: CommitId) -> Result<bool, StoreError> {
    match history::is_ancestor(read, ancestor, of) {
        Err(StoreError::Missing { .. }) => Ok(false),
        found => found,
    }
}

impl Repository {
    /// What remotes have promised to hold.
    ///
    /// # Errors
    /// When the record is damaged or cannot be read.
    pub fn promises(&self) -> Result<Promises, RepoError> {
        Ok(Promises::load(&self.layout().common)?)
    }

    /// Records that a remote holds everything reachable from these commits. Call it when the commits are in the store,
    /// and before a ref names them or content is removed.
    ///
    /// # Errors
    /// When the name can be no remote's, another process keeps the lock, or the record cannot be read or written.
    pub fn record_promises(&self, remote: &str, commits: &[CommitId]) -> Result<Promises, RepoError> {
        self.edit_promises(|promises| commits.iter().try_for_each(|commit| promises.add(self.store(), remote, *commit)))
    }

    /// Forgets what a remote has promised: what only it holds is lost then.
    ///
    /// # Errors
    /// As [`Repository::record_promises`].
    pub fn forget_promises(&self, remote: &str) -> Result<Promises, RepoError> {
        self.edit_promises(|promises| {
            promises.0.retain(|(name, _)| name != remote);
            Ok(())
        })
    }

    /// What a remote has promised is from now on said of it under another name.
    ///
    /// # Errors
    /// As [`Repository::record_promises`].
    pub fn rename_promises(&self, old: &str, new: &str) -> Result<Promises, RepoError> {
        self.edit_promises(|promises| {
            check_name(new)?;
            let renamed = |name: String| if name == old { new.to_owned() } else { name };
            let all = std::mem::take(&mut promises.0);
            promises.0 = all.into_iter().map(|(name, commit)| (renamed(name), commit)).collect();
            Ok(())
        })
    }

    fn edit_promises(&self, edit: impl FnOnce(&mut Promises) -> Result<(), RepoError>) -> Result<Promises, RepoError> {
        let common = &self.layout().common;
        let _lock = FileLock::acquire(&common.join("promised.lock"), PATIENCE)?;
        let before = Promises::load(common)?;
        let mut after = before.clone();
        edit(&mut after)?;
        if after != before {
            let file = common.join(FILE);
            match after.is_empty() {
                true => durable::remove_file(&file)?,
                false => RECORD.write(&file, &after.payload())?,
            }
        }
        self.store().forget_lacking();
        Ok(after)
    }
}
