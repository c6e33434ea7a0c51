//! The commits whose parents are absent on purpose. Whatever reads history sees them without parents: see
//! [`crate::commit::Commit::read`].

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::codec;
use crate::commit::Commit;
use crate::lockfile::{FileLock, PATIENCE};
use crate::object::{CommitId, ObjectKind, ObjectRead};
use crate::progress::Progress;
use crate::record::{RecordError, RecordKind};
use crate::repo::{RepoError, Repository};
use crate::store::StoreError;

const RECORD: RecordKind = RecordKind { magic: *b"DITSSHAL", version: 1 };
/// Its name in `.dits`.
const FILE: &str = "shallow";
/// The longest payload, in bytes.
const LIMIT: usize = 16 << 20;

/// Bytes that are not a list of shallow commits.
#[derive(Debug, thiserror::Error)]
pub enum ShallowError {
    /// The frame, the encoding or the order is wrong.
    #[error("{0}")]
    Malformed(&'static str),
}

/// The commits whose parents are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shallow(BTreeSet<CommitId>);

impl FromIterator<CommitId> for Shallow {
    fn from_iter<I: IntoIterator<Item = CommitId>>(commits: I) -> Self {
        Self(commits.into_iter().collect())
    }
}

impl Shallow {
    /// The list of a repository, by its `.dits` folder; empty when there is none.
    ///
    /// # Errors
    /// When it is damaged or cannot be read.
    pub fn load(dits_dir: &Path) -> Result<Self, RecordError> {
        let file = dits_dir.join(FILE);
        let Some(payload) = RECORD.read(&file)? else { return Ok(Self::default()) };
        Self::from_payload(&payload).map_err(|ShallowError::Malformed(what)| RecordError::Corrupt { file, what })
    }

    fn from_payload(payload: &[u8]) -> Result<Self, ShallowError> {
        let list: Vec<CommitId> =
            codec::decode::<_, LIMIT>(payload).map_err(|_| ShallowError::Malformed("it cannot be decoded"))?;
        if !list.is_sorted_by(|a, b| a < b) {
            return Err(ShallowError::Malformed("its commits are not in order"));
        }
        Ok(list.into_iter().collect())
    }

    /// Reads what [`Shallow::encode`] made.
    ///
    /// # Errors
    /// When it is damaged or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, ShallowError> {
        Self::from_payload(RECORD.decode(bytes).map_err(ShallowError::Malformed)?)
    }

    fn payload(&self) -> Vec<u8> {
        codec::encode(&self.0.iter().copied().collect::<Vec<CommitId>>())
    }

    /// The bytes of the record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        RECORD.encode(&self.payload())
    }

    /// Whether this commit's parents are absent.
    #[must_use]
    pub fn contains(&self, commit: &CommitId) -> bool {
        self.0.contains(commit)
    }

    /// Whether all history is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many commits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The commits, in order.
    pub fn iter(&self) -> impl Iterator<Item = CommitId> + '_ {
        self.0.iter().copied()
    }

    /// Adds commits, and takes out others: what a fetch that moves the edge changes.
    pub fn edit(&mut self, add: &[CommitId], remove: &[CommitId]) {
        remove.iter().for_each(|commit| _ = self.0.remove(commit));
        self.0.extend(add);
    }
}

/// Where the record is, for messages.
pub(crate) fn file(dits_dir: &Path) -> PathBuf {
    dits_dir.join(FILE)
}

impl Repository {
    /// The commits whose parents are absent on purpose.
    ///
    /// # Errors
    /// When the record is damaged or cannot be read.
    pub fn shallow(&self) -> Result<Shallow, RepoError> {
        Ok(Shallow::load(&self.layout().common)?)
    }

    /// Changes the list of commits whose parents are absent: durably, all or nothing, one writer at a time. Whatever
    /// reads history through this repository sees the change at once.
    ///
    /// # Errors
    /// When another process keeps the lock, or the record cannot be read or written.
    pub fn edit_shallow(&self, edit: impl FnOnce(&mut Shallow)) -> Result<Shallow, RepoError> {
        let common = &self.layout().common;
        let _lock = FileLock::acquire(&common.join("shallow.lock"), PATIENCE)?;
        let before = Shallow::load(common)?;
        let mut after = before.clone();
        edit(&mut after);
        if after != before {
            let file = file(common);
            match after.is_empty() {
                true => crate::durable::remove_file(&file)?,
                false => RECORD.write(&file, &after.payload())?,
            }
        }
        self.store().forget_lacking();
        Ok(after)
    }

    /// Adds the edges of history that a fetch brought, and takes out those that it lifted: whose parents have come. One
    /// whose parents are not here stays, and one that is not here itself is none.
    ///
    /// # Errors
    /// As [`Repository::edit_shallow`], and when a commit cannot be read.
    pub fn move_edges(&self, add: &[CommitId], lift: &[CommitId]) -> Result<Shallow, RepoError> {
        let mut lifted = Vec::new();
        for id in lift {
            let mut parents = self.true_parents(*id)?.into_iter();
            let here = |parent: CommitId| self.store().meta.contains(parent.digest());
            if parents.try_fold(true, |all, parent| Ok::<_, StoreError>(all && here(parent)?))? {
                lifted.push(*id);
            }
        }
        self.edit_shallow(|shallow| shallow.edit(add, &lifted))
    }

    /// Replaces the list of commits whose parents are absent.
    ///
    /// # Errors
    /// As [`Repository::edit_shallow`].
    pub fn set_shallow(&self, shallow: Shallow) -> Result<(), RepoError> {
        self.edit_shallow(|list| *list = shallow).map(drop)
    }

    /// The parents that a commit really has, also where they are absent.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub(crate) fn true_parents(&self, commit: CommitId) -> Result<Vec<CommitId>, StoreError> {
        let bytes = self.store().read(ObjectKind::Commit, commit.digest())?;
        Ok(Commit::from_bytes(commit, &bytes)?.parents)
    }
}

/// The part of a history that is at most so many commits deep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The commits, those nearest to the tips first.
    pub commits: Vec<CommitId>,
    /// Those of them some of whose parents are not among them: whoever gets no more than these commits is shallow there.
    pub edge: Vec<CommitId>,
}

/// Cuts off what is more than `depth` commits from every tip; 1 keeps the tips alone. Where the history is itself
/// shallow, its edge is an edge of the part too. A commit that is not here is left out.
///
/// # Errors
/// When a commit cannot be read, and [`RepoError::Interrupted`].
pub fn cut(read: &dyn ObjectRead, tips: &[CommitId], depth: u32, progress: &dyn Progress) -> Result<Cut, RepoError> {
    let mut seen: HashSet<CommitId> = HashSet::new();
    let mut level: Vec<CommitId> = tips.iter().copied().filter(|tip| seen.insert(*tip)).collect();
    let mut found = Cut::default();
    let mut last = Vec::new();
    for distance in 1..=depth {
        if level.is_empty() {
            break;
        }
        let mut next = Vec::new();
        for id in level {
            progress.check()?;
            let commit = match Commit::read(read, id) {
                Err(StoreError::Missing { .. }) => continue,
                commit => commit?,
            };
            found.commits.push(id);
            if read.is_shallow(&id)? {
                found.edge.push(id);
            } else if distance == depth {
                last.push((id, commit.parents));
            } else {
                next.extend(commit.parents.into_iter().filter(|parent| seen.insert(*parent)));
            }
        }
        level = next;
    }
    let cut_off = last.into_iter().filter(|(_, parents)| parents.iter().any(|parent| !seen.contains(parent)));
    found.edge.extend(cut_off.map(|(id, _)| id));
    Ok(found)
}
