//! Locks of one repository: the table in its store and the refs, under one lock.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use dits_core::lock::{Fence, Holder, Lock, LockKey, record};
use dits_core::path::RepoPath;
use dits_core::refs::{HeldRefs, LockEpoch, RefError, RefName, RefStore, Target};
use dits_core::repo::Repository;

use super::queue::{Queue, lock};
use super::rules::{Draft, Table};
use super::store::{LockStore, Seen, StoreError, Written};
use super::upstream::Upstream;
use crate::wire::{LockOutcome, LockRequest, LockStamp, LockTable, UnlockOutcome, UnlockRequest};

/// How often a decision is made anew because somebody else wrote to the store.
const TRIES: usize = 16;
/// How often what has ended is forgotten, in seconds.
const SWEEP: i64 = 60;

/// Why locks could not be decided about.
#[derive(Debug, thiserror::Error)]
pub enum LocksError {
    /// The lock store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The refs.
    #[error(transparent)]
    Refs(#[from] RefError),
    /// The objects.
    #[error(transparent)]
    Objects(#[from] dits_core::store::StoreError),
    /// Others wrote all the time.
    #[error("the lock table was changed by others all the time")]
    Busy,
}

/// Tells the time, in seconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The clock of the machine.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
    })
}

/// The locks of one repository. Requests that come at the same time are decided together, in one write to the store.
pub struct Locks {
    store: Box<dyn LockStore>,
    clock: Clock,
    known: Mutex<Known>,
    queue: Queue<Job, Reply>,
}

/// The table as it was last seen.
#[derive(Default)]
struct Known {
    stamp: Option<LockStamp>,
    table: Table,
    /// Whether it was ever seen.
    seen: bool,
    swept: i64,
}

/// Which paths are locked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Locked {
    /// All of them.
    pub(crate) keys: HashSet<LockKey>,
    /// Those that are locked on one branch only, which was asked about.
    pub(crate) limited: HashSet<LockKey>,
    /// The store cannot be asked, and never could: any path may be locked.
    pub(crate) unknown: bool,
}

/// Who asks for what.
struct Job {
    holder: Holder,
    request: Request,
}

enum Request {
    Lock(LockRequest),
    Unlock(UnlockRequest, bool),
}

enum Reply {
    Lock(Vec<LockOutcome>),
    Unlock(Vec<UnlockOutcome>),
}

impl Locks {
    /// The locks that this store keeps.
    #[must_use]
    pub fn new(store: Box<dyn LockStore>, clock: Clock) -> Self {
        Self { store, clock, known: Mutex::default(), queue: Queue::default() }
    }

    /// Locks paths of a repository, which must be the one that these locks are of.
    ///
    /// # Errors
    /// When the store, the refs or the upstream's tree cannot be used. A refusal is no error.
    pub fn lock(
        &self,
        repository: &Repository,
        holder: Holder,
        request: LockRequest,
    ) -> Result<Vec<LockOutcome>, Arc<LocksError>> {
        match self.submit(repository, holder, Request::Lock(request))? {
            Reply::Lock(outcomes) => Ok(outcomes),
            Reply::Unlock(_) => Ok(Vec::new()),
        }
    }

    /// Gives paths back. `admin` may take those of others, if the request is to.
    ///
    /// # Errors
    /// As [`Locks::lock`].
    pub fn unlock(
        &self,
        repository: &Repository,
        holder: Holder,
        request: UnlockRequest,
        admin: bool,
    ) -> Result<Vec<UnlockOutcome>, Arc<LocksError>> {
        match self.submit(repository, holder, Request::Unlock(request, admin))? {
            Reply::Unlock(outcomes) => Ok(outcomes),
            Reply::Lock(_) => Ok(Vec::new()),
        }
    }

    fn submit(&self, repository: &Repository, holder: Holder, request: Request) -> Result<Reply, Arc<LocksError>> {
        let decide = |jobs: &[&Job]| self.decide(&mut lock(&self.known), repository, jobs);
        self.queue.submit(Job { holder, request }, decide)
    }

    fn decide(&self, known: &mut Known, repository: &Repository, jobs: &[&Job]) -> Result<Vec<Reply>, LocksError> {
        // A store that is away is waited for before the refs are held.
        known.read(&*self.store)?;
        let held = repository.refs().hold()?;
        for _ in 0..TRIES {
            let stamp = known.read(&*self.store)?;
            let epoch = raised(&*held, &stamp)?;
            let now = (self.clock)();
            let upstream = Upstream::new(repository.store(), &*held);
            let mut draft = Draft::new(&known.table, now, fence(&epoch, &stamp));
            let sweeps = now - known.swept >= SWEEP;
            if sweeps {
                draft.sweep();
            }
            let replies = jobs.iter().map(|job| reply(&mut draft, job, &upstream)).collect();
            let changes = draft.into_changes();
            upstream.failure()?;
            if known.write(&*self.store, changes)? {
                if sweeps {
                    known.swept = now;
                }
                return Ok(replies);
            }
        }
        Err(LocksError::Busy)
    }

    /// The lock table, or what has changed since a state. `you` is who asks.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub fn list(&self, known: Option<&LockStamp>, you: String) -> Result<LockTable, StoreError> {
        let now = (self.clock)();
        let Seen { stamp, whole, records } = self.store.read(known)?;
        let mut table = LockTable { stamp, you, whole, changed: Vec::new(), locks: Vec::new(), more: false };
        for (key, record) in records {
            if let Some(record) = record {
                let locks = record::decode(&record).map_err(StoreError::Damaged)?;
                table.locks.extend(locks.into_iter().filter(|lock| !lock.is_over(now)));
            }
            if !whole {
                table.changed.push(key);
            }
        }
        Ok(table)
    }

    /// The store, to wait for changes of.
    #[must_use]
    pub fn store(&self) -> &dyn LockStore {
        &*self.store
    }

    /// What is locked at the moment, or was when the store could last be asked.
    pub(crate) fn locked(&self, branch: &RefName) -> Locked {
        let mut known = lock(&self.known);
        // A push that needs to know will be told.
        let away = known.read(&*self.store).is_err();
        known.locked(branch, away && !known.seen)
    }

    /// Holds table and refs for a push.
    ///
    /// # Errors
    /// When the refs cannot be held. A store that cannot be asked is no error: what was last seen of it decides.
    pub(crate) fn turn<'a>(&'a self, refs: &'a dyn RefStore) -> Result<Turn<'a>, LocksError> {
        let mut known = lock(&self.known);
        // A store that is away is waited for before the refs are held, and not again.
        let away = known.read(&*self.store).err();
        let held = refs.hold()?;
        let (away, stamp) = match away.map_or_else(|| known.read(&*self.store), Err) {
            Ok(stamp) => (None, Some(stamp)),
            Err(error) => (Some(error), None),
        };
        // Where there are no locks there is nothing that a token could be worth.
        let epoch = match stamp.filter(|_| !known.table.is_empty()) {
            Some(stamp) => raised(&*held, &stamp)?,
            None => held.epoch()?,
        };
        Ok(Turn { locks: self, known, held, epoch, away, now: (self.clock)() })
    }
}

fn reply(draft: &mut Draft<'_>, job: &Job, upstream: &Upstream<'_>) -> Reply {
    match &job.request {
        Request::Lock(request) => {
            let newest = |path: &RepoPath| upstream.version(request.upstream.as_ref(), path);
            Reply::Lock(draft.lock(&job.holder, request, &newest))
        }
        Request::Unlock(request, admin) => {
            let unlock = |path| draft.unlock(&job.holder, path, request.force, *admin);
            Reply::Unlock(request.paths.iter().map(unlock).collect())
        }
    }
}

/// Table and refs, held together: nobody locks, unlocks or pushes meanwhile.
pub(crate) struct Turn<'a> {
    locks: &'a Locks,
    known: MutexGuard<'a, Known>,
    held: Box<dyn HeldRefs + 'a>,
    epoch: LockEpoch,
    /// Why the table is only what was last seen.
    pub(crate) away: Option<StoreError>,
    now: i64,
}

impl Turn<'_> {
    /// The refs.
    pub(crate) fn refs(&self) -> &dyn HeldRefs {
        &*self.held
    }

    /// What is locked.
    pub(crate) fn locked(&self, branch: &RefName) -> Locked {
        self.known.locked(branch, self.away.is_some() && !self.known.seen)
    }

    /// Whether a lock was ever taken in this repository, as far as the refs know.
    pub(crate) fn had_locks(&self) -> bool {
        self.epoch.number > 0
    }

    /// The branch that HEAD names.
    pub(crate) fn main_line(&self) -> Result<Option<RefName>, RefError> {
        Ok(match self.held.read(&RefName::head())? {
            Some(Target::Symbolic(branch)) => Some(branch),
            _ => None,
        })
    }

    /// A draft to decide by.
    pub(super) fn draft(&self) -> Draft<'_> {
        let version = self.known.stamp.as_ref().map_or(0, |stamp| stamp.version);
        Draft::new(&self.known.table, self.now, Fence { epoch: self.epoch.number, counter: version + 1 })
    }

    /// Changes locks after refs have moved. Where it fails, the locks stay.
    pub(super) fn settle(&mut self, change: &dyn Fn(&mut Draft<'_>)) -> Result<(), LocksError> {
        if self.known.table.is_empty() || self.away.is_some() {
            return Ok(());
        }
        for _ in 0..TRIES {
            let stamp = self.known.read(&*self.locks.store)?;
            self.epoch = raised(&*self.held, &stamp)?;
            let mut draft = Draft::new(&self.known.table, self.now, fence(&self.epoch, &stamp));
            change(&mut draft);
            let changes = draft.into_changes();
            if self.known.write(&*self.locks.store, changes)? {
                return Ok(());
            }
        }
        Err(LocksError::Busy)
    }
}

impl Known {
    fn locked(&self, branch: &RefName, unknown: bool) -> Locked {
        let here = |locks: &Vec<Lock>| locks.iter().any(|lock| lock.branch.as_ref() == Some(branch));
        let limited = self.table.iter().filter(|(_, locks)| here(locks)).map(|(key, _)| key.clone());
        Locked { keys: self.table.keys().cloned().collect(), limited: limited.collect(), unknown }
    }

    /// Looks what has changed in the store.
    fn read(&mut self, store: &dyn LockStore) -> Result<LockStamp, StoreError> {
        let Seen { stamp, whole, records } = store.read(self.stamp.as_ref())?;
        let decode = |record: Vec<u8>| record::decode(&record).map_err(StoreError::Damaged);
        let decoded = records.into_iter().map(|(key, record)| Ok((key, record.map(decode).transpose()?)));
        // If one cannot be read, what was last seen stays.
        let decoded = decoded.collect::<Result<Vec<_>, StoreError>>()?;
        if whole {
            self.table.clear();
        }
        for (key, locks) in decoded {
            match locks {
                Some(locks) => _ = self.table.insert(key, locks),
                None => _ = self.table.remove(&key),
            }
        }
        self.seen = true;
        self.stamp = Some(stamp.clone());
        Ok(stamp)
    }

    /// Writes changes; whether the store was still as it was known.
    fn write(&mut self, store: &dyn LockStore, changes: BTreeMap<LockKey, Vec<Lock>>) -> Result<bool, StoreError> {
        let Some(stamp) = self.stamp.clone().filter(|_| !changes.is_empty()) else { return Ok(true) };
        let encoded = |locks: &Vec<Lock>| (!locks.is_empty()).then(|| record::encode(locks));
        let edits: Vec<_> = changes.iter().map(|(key, locks)| (key.clone(), encoded(locks))).collect();
        // Whether it was written is not known if this fails.
        self.stamp = None;
        let Written::Done(after) = store.write(&stamp, &edits)? else { return Ok(false) };
        for (key, locks) in changes {
            if locks.is_empty() {
                self.table.remove(&key);
            } else {
                self.table.insert(key, locks);
            }
        }
        self.stamp = Some(after);
        Ok(true)
    }
}

/// The token of what is written next.
fn fence(epoch: &LockEpoch, stamp: &LockStamp) -> Fence {
    Fence { epoch: epoch.number, counter: stamp.version + 1 }
}

/// The epoch, raised if another instance of the store answers than the refs know.
fn raised(held: &dyn HeldRefs, stamp: &LockStamp) -> Result<LockEpoch, RefError> {
    let epoch = held.epoch()?;
    if epoch.instance == stamp.instance { Ok(epoch) } else { held.raise_epoch(&stamp.instance) }
}
