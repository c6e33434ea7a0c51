//! Making durable what was written, and giving back what nobody needs any more.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use dits_core::overlay::{FileState, Kind, Ranges, Record};
use rustix::io::Errno;

use super::inner::{Inner, data_end};
use super::{OpenError, Overlay};
use crate::error::ReadError;

/// A log this much longer than what it was when it was written afresh is written afresh again.
const GROWTH: u64 = if cfg!(test) { 2 << 10 } else { 64 << 20 };

/// Records that surely fit into one batch.
const BATCH: usize = 1000;

impl Inner {
    /// Whether the log should be written afresh.
    pub(super) fn is_long(&self) -> bool {
        self.log.len() > self.afresh + GROWTH
    }
}

/// What was written to a file and not synced, at one moment.
pub(super) struct Unsynced {
    pub(super) ino: u64,
    layer: u32,
    withdrawn: u64,
    ranges: Ranges,
}

impl Unsynced {
    fn of(ino: u64, file: &FileState) -> Self {
        Self { ino, layer: file.layer, withdrawn: file.withdrawn, ranges: file.unsynced.clone() }
    }
}

impl Overlay {
    /// Removes data files that nothing names: a crash leaves them.
    pub(super) fn sweep(&self) -> io::Result<()> {
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
        self.keep(ino)?;
        self.sync_names()
    }

    /// Makes all names and attributes durable.
    ///
    /// # Errors
    /// As [`Overlay::sync`].
    pub fn sync_names(&self) -> Result<(), ReadError> {
        let log = self.read().log.file();
        self.told(log.sync_data())?;
        if self.failed.load(Ordering::Acquire) { Err(Errno::IO.into()) } else { Ok(()) }
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// As [`Overlay::sync`].
    pub fn sync_all(&self) -> Result<(), ReadError> {
        self.keep_all()?;
        self.sync_names()
    }

    /// Makes durable what was written and not synced, if anything was: a power cut takes what was written since. To be
    /// called now and then.
    ///
    /// # Errors
    /// As [`Overlay::sync`].
    pub fn sync_written(&self) -> Result<(), ReadError> {
        let written = self.unsynced();
        if written.is_empty() {
            return Ok(());
        }
        written.iter().try_for_each(|file| self.keep(file.ino))?;
        self.sync_names()
    }

    /// Makes the bytes of a file durable, and then logs that they are.
    fn keep(&self, ino: u64) -> Result<(), ReadError> {
        loop {
            let Some(before) = self.read().state.file(ino).map(|file| Unsynced::of(ino, file)) else { return Ok(()) };
            self.told(self.data.sync(ino, before.layer))?;
            if self.log_kept(&before)? {
                return Ok(());
            }
        }
    }

    /// The same for all files.
    fn keep_all(&self) -> Result<(), ReadError> {
        let before = self.unsynced();
        self.told(self.data.sync_all())?;
        for file in before {
            if !self.log_kept(&file)? {
                self.keep(file.ino)?;
            }
        }
        Ok(())
    }

    /// Files with bytes that are not known to be durable.
    pub(super) fn unsynced(&self) -> Vec<Unsynced> {
        let inner = self.read();
        let nodes = inner.state.nodes.iter();
        let files = nodes.filter_map(|(ino, node)| match &node.kind {
            Kind::File(file) if !file.unsynced.is_empty() => Some(Unsynced::of(*ino, file)),
            _ => None,
        });
        files.collect()
    }

    /// Logs that bytes are durable; not if some of them went meanwhile: what is there now may have come after the sync.
    fn log_kept(&self, before: &Unsynced) -> Result<bool, ReadError> {
        let Unsynced { ino, layer, withdrawn, ranges } = before;
        if ranges.is_empty() {
            return Ok(true);
        }
        let mut inner = self.write();
        if self.failed.load(Ordering::Acquire) {
            // The system tells of a failure once, and perhaps somebody else.
            return Err(Errno::IO.into());
        }
        match inner.state.file(*ino) {
            None => return Ok(true),
            Some(file) if (file.layer, file.withdrawn) != (*layer, *withdrawn) => return Ok(false),
            Some(_) => {}
        }
        let kept = ranges.iter().map(|(range, _)| Record::Kept { ino: *ino, start: range.start, end: range.end });
        for batch in kept.collect::<Vec<_>>().chunks(BATCH) {
            inner.commit_known(batch.to_vec())?;
        }
        Ok(true)
    }

    /// A sync that failed is remembered: what it was about may be lost.
    fn told(&self, synced: io::Result<()>) -> Result<(), ReadError> {
        synced.map_err(|error| {
            self.failed.store(true, Ordering::Release);
            Errno::from_io_error(&error).unwrap_or(Errno::IO).into()
        })
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
            let long = inner.is_long();
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
}
