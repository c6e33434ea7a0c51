//! What was made or changed in a mount, above the tree of its base commit: `docs/design/0006-writing-in-a-mount.md`.
//!
//! Every operation looks at the state and the tree, makes a batch of records, and has it logged and applied. A question
//! that needs a part of the tree which is not in memory fails with [`ReadError::OutOfReach`] before anything has changed.

mod attributes;
mod bytes;
mod clean;
mod data;
mod nameless;
mod names;
mod settle;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use dits_core::durable;
use dits_core::overlay::{Attributes, FileState, Fill, Kind, Log, LogError, MADE_HERE, Node, Record, State, Time};
use dits_core::tree::Content;
use rustix::io::Errno;

pub use attributes::Changes;
pub use bytes::Snapshot;
pub(crate) use data::read as read_data;
pub use names::{Entry, Maker, Rename};

use crate::error::{Reach, ReadError};
use crate::stat::{Defaults, Stat};
use crate::view::{LINK, ROOT, View};
use data::Data;

/// A log this much longer than what it was when it was written afresh is written afresh again.
const GROWTH: u64 = 64 << 20;

/// The overlay of a mount.
pub struct Overlay {
    dir: PathBuf,
    defaults: Defaults,
    data: Data,
    inner: RwLock<Inner>,
    /// How many writes there were.
    writes: AtomicU64,
    /// A sync has failed: what it was about may be lost, and no later one may say otherwise.
    failed: AtomicBool,
}

struct Inner {
    state: State,
    log: Log,
    /// The length of the log when it was written afresh.
    afresh: u64,
    /// How often each inode is open.
    opens: HashMap<u64, u32>,
    /// Data files that nobody needs once the log that says so is durable.
    garbage: Vec<PathBuf>,
    /// Files that are shorter than they were: once that is durable, so may their data files be.
    cuts: HashSet<u64>,
    /// What is in the base and has no name any more, and that nobody has open. Only the kernel may still speak of it.
    gone: HashSet<u64>,
    /// Files that were replaced a moment ago: somebody who found one by its name may be about to open it. Those of the
    /// time before the last tidying come second.
    leaving: [Vec<u64>; 2],
    /// When something was read last, if somebody said so. That is not kept: nobody writes it down when files are read.
    accessed: HashMap<u64, Time>,
    /// How often names have changed.
    moves: u64,
}

impl Overlay {
    /// Opens the overlay in a folder, or begins one. The numbers of `view`'s folders are those of the log from then on.
    ///
    /// # Errors
    /// When the log or a folder of the base cannot be read, or the folder not be written.
    pub fn open(dir: &Path, view: &View, defaults: Defaults) -> Result<Self, OpenError> {
        let data = dir.join("data");
        durable::create_dir_all(&data).map_err(LogError::from)?;
        let since = now();
        let mut state = State::new(since.0.unsigned_abs().saturating_mul(1_000_000_000) + u64::from(since.1));
        let mut log = Log::open(&dir.join("log"), &mut state)?;
        let cut = log.was_cut();
        view.restore(&state.numbers)?;
        state.forget_orphans();
        forget_names(&mut state, view)?;
        let files = Data::new(data);
        if !log.is_empty() {
            // What a daemon that died had written is on the disk before the log that says so.
            files.sync_all().map_err(|error| OpenError::Sweep { path: dir.to_owned(), error })?;
            log.rewrite(&state)?;
        }
        let afresh = log.len();
        let inner = Inner {
            state,
            log,
            afresh,
            opens: HashMap::new(),
            garbage: Vec::new(),
            cuts: HashSet::new(),
            gone: HashSet::new(),
            leaving: Default::default(),
            accessed: HashMap::new(),
            moves: 0,
        };
        let overlay = Self {
            dir: dir.to_owned(),
            defaults,
            data: files,
            writes: AtomicU64::new(0),
            inner: RwLock::new(inner),
            failed: AtomicBool::new(false),
        };
        let swept = if cut { Ok(()) } else { overlay.sweep() };
        swept.map_err(|error| OpenError::Sweep { path: dir.to_owned(), error })?;
        Ok(overlay)
    }

    /// Removes data files that nothing names: a crash leaves them.
    fn sweep(&self) -> io::Result<()> {
        let inner = self.read();
        let needed: Vec<PathBuf> = inner
            .state
            .nodes
            .iter()
            .filter_map(|(ino, node)| match &node.kind {
                Kind::File(file) => Some(self.data.path(*ino, file.layer)),
                _ => None,
            })
            .collect();
        let needed: HashSet<&Path> = needed.iter().map(PathBuf::as_path).collect();
        self.data.remove_others(&|path| needed.contains(path))
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing was made or changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read().state.is_empty()
    }

    /// The folder it is in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is told of an inode.
    ///
    /// # Errors
    /// When there is none, or its folder cannot be read.
    pub fn stat(&self, view: &View, ino: u64, reach: Reach) -> Result<Stat, ReadError> {
        self.read().stat(view, &self.defaults, ino, reach)
    }

    /// What is told of an inode, if it was made or changed.
    pub(crate) fn known(&self, ino: u64) -> Option<Stat> {
        let inner = self.read();
        let atime = inner.accessed.get(&ino).copied();
        inner.state.nodes.get(&ino).map(|node| Stat { atime, ..stat_of(ino, node) })
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn target(&self, view: &View, ino: u64, reach: Reach) -> Result<Vec<u8>, ReadError> {
        match self.read().state.nodes.get(&ino).map(|node| &node.kind) {
            Some(Kind::Link(target)) => return Ok(target.clone()),
            Some(_) => return Err(Errno::INVAL.into()),
            None => {}
        }
        match view.entry(ino, reach)?.content {
            Content::Symlink(target) => Ok(target),
            _ => Err(Errno::INVAL.into()),
        }
    }

    /// Somebody opens a file.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn opened(&self, view: &View, ino: u64, reach: Reach) -> Result<(), ReadError> {
        let mut inner = self.write();
        match inner.state.nodes.get(&ino) {
            Some(Node { kind: Kind::Folder, .. }) => return Err(ReadError::IsAFolder),
            Some(_) => {}
            // Whoever looks the name up again finds what is there now.
            None if inner.gone.contains(&ino) => return Err(Errno::STALE.into()),
            None => _ = view.entry(ino, reach)?,
        }
        *inner.opens.entry(ino).or_default() += 1;
        Ok(())
    }

    /// Somebody has closed a file.
    pub fn closed(&self, ino: u64) {
        let mut inner = self.write();
        let Some(count) = inner.opens.get_mut(&ino) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        inner.opens.remove(&ino);
        self.data.close(ino);
        if inner.state.nodes.get(&ino).is_some_and(|node| !node.linked) && !inner.is_leaving(ino) {
            // If it cannot be logged, it is forgotten when the overlay is opened again.
            let _ = self.forget(&mut inner, ino);
        }
    }

    /// Forgets an inode that no name leads to and nobody has open.
    fn forget(&self, inner: &mut Inner, ino: u64) -> Result<(), ReadError> {
        let layer = inner.state.file(ino).map(|file| file.layer);
        inner.commit_known(vec![Record::Gone { ino }])?;
        inner.no_more(ino);
        inner.garbage.extend(layer.map(|layer| self.data.path(ino, layer)));
        Ok(())
    }

    /// How many writes came so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Makes what was done to a file durable.
    ///
    /// # Errors
    /// When the system says that it is not, once and for good.
    pub fn sync(&self, ino: u64) -> Result<(), ReadError> {
        let layer = self.read().state.file(ino).map(|file| file.layer);
        self.synced(layer.map_or(Ok(()), |layer| self.data.sync(ino, layer)))
    }

    /// Makes all names and attributes durable.
    ///
    /// # Errors
    /// As [`Overlay::sync`].
    pub fn sync_names(&self) -> Result<(), ReadError> {
        self.synced(Ok(()))
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// As [`Overlay::sync`].
    pub fn sync_all(&self) -> Result<(), ReadError> {
        self.synced(self.data.sync_all())
    }

    /// Syncs the log, after the data that it speaks of.
    fn synced(&self, data: io::Result<()>) -> Result<(), ReadError> {
        let log = self.read().log.file();
        let synced = data.and_then(|()| log.sync_data());
        if synced.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        match self.failed.load(Ordering::Acquire) {
            true => Err(synced.err().and_then(|error| Errno::from_io_error(&error)).unwrap_or(Errno::IO).into()),
            false => Ok(()),
        }
    }

    /// Gives back room that nobody needs, and keeps the log short. To be called now and then.
    ///
    /// # Errors
    /// When something cannot be written or removed.
    pub fn tidy(&self) -> Result<(), OpenError> {
        let waste = |error| OpenError::Sweep { path: self.dir.clone(), error };
        if self.failed.load(Ordering::Acquire) {
            // Whoever syncs is told. Nothing old is removed any more.
            return Ok(());
        }
        let (garbage, cuts) = {
            let mut inner = self.write();
            let long = inner.log.len() > inner.afresh + GROWTH;
            // What has no name cannot be in a log that is written afresh.
            for _ in 0..if long { 2 } else { 1 } {
                self.let_go(&mut inner).map_err(|error| waste(io::Error::other(error)))?;
            }
            if long && !inner.state.has_orphans() {
                let Inner { state, log, .. } = &mut *inner;
                log.rewrite(state)?;
                inner.afresh = inner.log.len();
            }
            (std::mem::take(&mut inner.garbage), inner.cut_and_closed())
        };
        if garbage.is_empty() && cuts.is_empty() {
            return Ok(());
        }
        // With the log also the new bytes: after a power cut there must be the old ones or those.
        if let Err(error) = self.sync_all() {
            let mut inner = self.write();
            inner.garbage.extend(garbage);
            inner.cuts.extend(cuts.into_iter().map(|(ino, ..)| ino));
            return Err(waste(io::Error::other(error)));
        }
        for path in garbage {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(waste(error)),
                _ => {}
            }
        }
        for (ino, layer, needed) in cuts {
            let inner = self.write();
            // Who has it open may be writing, and notes that after it is written.
            if let Some(file) = inner.state.file(ino).filter(|file| file.layer == layer && !inner.is_open(ino)) {
                self.data.cut(ino, layer, needed.max(data_end(file))).map_err(waste)?;
            }
        }
        Ok(())
    }

    /// Forgets what was replaced some time ago.
    fn let_go(&self, inner: &mut Inner) -> Result<(), ReadError> {
        let later = std::mem::take(&mut inner.leaving[0]);
        for ino in std::mem::replace(&mut inner.leaving[1], later) {
            if !inner.is_open(ino) && inner.state.nodes.get(&ino).is_some_and(|node| !node.linked) {
                self.forget(inner, ino)?;
            }
        }
        Ok(())
    }

    /// How often names have changed.
    pub(crate) fn moves(&self) -> u64 {
        self.read().moves
    }

    /// Whether a name still leads to this inode.
    pub(crate) fn leads(&self, view: &View, folder: u64, name: &[u8], ino: u64) -> Result<bool, ReadError> {
        Ok(self.read().lookup(view, folder, name, Reach::Disk)? == Some(ino))
    }

    /// Bytes of the file system that the overlay is on: in all, free, and free for this user; and inodes likewise.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn room(&self) -> Result<rustix::fs::StatVfs, ReadError> {
        Ok(rustix::fs::statvfs(&self.dir)?)
    }
}

impl Inner {
    /// What is told of an inode.
    fn stat(&self, view: &View, defaults: &Defaults, ino: u64, reach: Reach) -> Result<Stat, ReadError> {
        match self.state.nodes.get(&ino) {
            Some(node) => Ok(Stat { atime: self.accessed.get(&ino).copied(), ..stat_of(ino, node) }),
            None => {
                let stat = defaults.stat(&view.attr(ino, reach)?);
                Ok(Stat { named: !self.gone.contains(&ino), ..stat })
            }
        }
    }

    /// The records by which something of the base gets a node of its own, and the attributes it has; no records if it has one.
    fn copied(
        &self,
        view: &View,
        defaults: &Defaults,
        ino: u64,
        reach: Reach,
    ) -> Result<(Vec<Record>, Attributes), ReadError> {
        if let Some(node) = self.state.nodes.get(&ino) {
            return Ok((Vec::new(), node.attributes));
        }
        match ino {
            LINK => return Err(Errno::PERM.into()),
            // A node of it would be there for ever.
            ino if self.gone.contains(&ino) => return Err(Errno::STALE.into()),
            _ => {}
        }
        let attributes = defaults.stat(&view.attr(ino, reach)?).attributes;
        let mut records = vec![Record::Node { ino, attributes }];
        if ino != ROOT {
            let entry = view.entry(ino, reach)?;
            match entry.content {
                Content::Symlink(target) => records.push(Record::Target { ino, target }),
                Content::Tree(_) => {}
                Content::Recipe(_) => return Err(ReadError::TooNew),
                content => records.push(Record::Content { ino, content, size: entry.size, layer: 0 }),
            }
        }
        Ok((records, attributes))
    }

    /// Logs a batch and applies it.
    fn commit(&mut self, view: &View, batch: Vec<Record>) -> Result<(), ReadError> {
        // What the batch names may lie in folders that the log does not know yet.
        let known = self.state.numbers.len();
        let folders = view.numbers_from(known).into_iter().zip(known as u32..);
        let mut records: Vec<Record> = folders.map(|(ino, number)| Record::Folder { number, ino }).collect();
        if records.len() > 1000 {
            for part in records.chunks(1000) {
                self.commit_known(part.to_vec())?;
            }
            records.clear();
        }
        let removed = batch.iter().filter_map(|record| match record {
            Record::Unlink { folder, name, .. } => Some((*folder, name.clone())),
            _ => None,
        });
        let removed: Vec<_> = removed.collect();
        records.extend(batch);
        self.commit_known(records)?;
        for (folder, name) in removed {
            self.forget_name(view, folder, &name);
        }
        Ok(())
    }

    /// That a name leads nowhere need not be known of one that is not in the base: a program that makes and removes files
    /// for ever would fill the memory.
    fn forget_name(&mut self, view: &View, folder: u64, name: &[u8]) {
        if let Some(names) = self.state.folders.get_mut(&folder)
            && names.get(name) == Some(&None)
            && matches!(view.lookup(folder, name, Reach::Memory), Ok(None))
        {
            names.remove(name);
        }
    }

    /// Notes that an inode has no name, and nobody has it open.
    fn no_more(&mut self, ino: u64) {
        self.cuts.remove(&ino);
        self.accessed.remove(&ino);
        if ino & MADE_HERE == 0 {
            self.gone.insert(ino);
        }
    }

    /// Files that are shorter than they were, and that nobody has open; with the layer and how much of it is needed.
    fn cut_and_closed(&mut self) -> Vec<(u64, u32, u64)> {
        let closed: Vec<u64> = self.cuts.iter().copied().filter(|ino| !self.is_open(*ino)).collect();
        closed.iter().for_each(|ino| _ = self.cuts.remove(ino));
        let needed = |ino: u64| self.state.file(ino).map(|file| (ino, file.layer, data_end(file)));
        closed.into_iter().filter_map(needed).collect()
    }

    fn commit_known(&mut self, batch: Vec<Record>) -> Result<(), ReadError> {
        // Nothing is logged that could not be read again.
        batch.iter().try_for_each(Record::check).map_err(|_| Errno::INVAL)?;
        self.log.append(&batch).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        self.moves +=
            u64::from(batch.iter().any(|record| matches!(record, Record::Link { .. } | Record::Unlink { .. })));
        for record in &batch {
            let applied = self.state.apply(record);
            debug_assert!(applied.is_ok(), "{applied:?}: {record:?}");
        }
        Ok(())
    }

    fn is_open(&self, ino: u64) -> bool {
        self.opens.contains_key(&ino)
    }

    fn is_leaving(&self, ino: u64) -> bool {
        self.leaving.iter().flatten().any(|leaving| *leaving == ino)
    }

    /// The names of a folder that are not the base's.
    fn changes(&self, folder: u64) -> Option<&BTreeMap<Vec<u8>, Option<u64>>> {
        self.state.folders.get(&folder).filter(|names| !names.is_empty())
    }
}

fn stat_of(ino: u64, node: &Node) -> Stat {
    let size = match &node.kind {
        Kind::File(file) => file.size,
        Kind::Link(target) => target.len() as u64,
        Kind::Folder | Kind::Special => 0,
    };
    Stat { ino, attributes: node.attributes, size, named: node.linked, atime: None }
}

/// How much of a file's data file is needed.
fn data_end(file: &FileState) -> u64 {
    file.ranges.iter().filter(|(_, fill)| *fill == Fill::Data).map(|(range, _)| range.end).last().unwrap_or(0)
}

/// Forgets of names that lead nowhere that they do, where the base has none such.
fn forget_names(state: &mut State, view: &View) -> Result<(), ReadError> {
    for (folder, names) in &mut state.folders {
        let removed: Vec<Vec<u8>> =
            names.iter().filter(|(_, ino)| ino.is_none()).map(|(name, _)| name.clone()).collect();
        for name in removed {
            if view.lookup(*folder, &name, Reach::Disk)?.is_none() {
                names.remove(&name);
            }
        }
    }
    state.folders.retain(|_, names| !names.is_empty());
    Ok(())
}

/// Why an overlay cannot be opened or tidied.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The base.
    #[error("the commit below the overlay cannot be read: {0}")]
    Base(#[from] ReadError),
    /// Threads cannot be started.
    #[error("threads cannot be started: {0}")]
    Threads(io::Error),
    /// A data file that is not needed cannot be removed.
    #[error("{}: {error}", path.display())]
    Sweep {
        /// The overlay.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The time.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

#[cfg(test)]
mod tests;
