//! Which remote has promised to hold what: the record.

use std::collections::{BTreeSet, BinaryHeap, HashSet};
use std::path::Path;

use crate::codec;
use crate::commit::Commit;
use crate::durable;
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
/// So many commits are looked at to find out which promises say nothing new.
const LOOK_BACK: usize = 50_000;

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

    /// Adds promises of a remote. One for a commit that another promised commit of the same remote descends from says
    /// nothing new, and is left out; as far as that shows in the newer part of history.
    ///
    /// # Errors
    /// When the name can be no remote's, or a commit cannot be read.
    pub fn add(&mut self, read: &dyn ObjectRead, remote: &str, commits: &[CommitId]) -> Result<(), RepoError> {
        check_name(remote)?;
        let promise = |commit: &CommitId| (remote.to_owned(), *commit);
        if commits.iter().all(|commit| self.0.contains(&promise(commit))) {
            return Ok(());
        }
        self.0.extend(commits.iter().map(promise));
        let tips: Vec<CommitId> = self.0.iter().filter(|(name, _)| name == remote).map(|(_, commit)| *commit).collect();
        for commit in descended_from(read, &tips)? {
            self.0.remove(&promise(&commit));
        }
        Ok(())
    }
}

/// Those of the tips that others descend from. Goes back no further than the oldest tip, by the clocks of who committed,
/// and no more than [`LOOK_BACK`] commits: a tip that is not found says the same as others, and does no harm.
fn descended_from(read: &dyn ObjectRead, tips: &[CommitId]) -> Result<Vec<CommitId>, StoreError> {
    let mut heap = BinaryHeap::new();
    let mut open: HashSet<CommitId> = tips.iter().copied().collect();
    let mut seen: HashSet<CommitId> = HashSet::new();
    let (mut found, mut oldest) = (Vec::new(), i64::MAX);
    let commit = |id: CommitId| match Commit::read(read, id) {
        // What is not here is the end.
        Err(StoreError::Missing { .. }) => Ok(None),
        commit => commit.map(Some),
    };
    for id in tips {
        if let Some(commit) = commit(*id)? {
            oldest = oldest.min(commit.committer.time);
            heap.push((commit.committer.time, commit.parents));
        }
    }
    while let Some((time, parents)) = heap.pop() {
        if time < oldest || open.len() < 2 || seen.len() >= LOOK_BACK {
            break;
        }
        for parent in parents {
            if open.remove(&parent) {
                found.push(parent);
            }
            if seen.insert(parent)
                && let Some(commit) = commit(parent)?
            {
                heap.push((commit.committer.time, commit.parents));
            }
        }
    }
    Ok(found)
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
        self.edit_promises(|promises| promises.add(self.store(), remote, commits))
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
