//! Making durable what was written, and giving back what nobody needs any more.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use dits_core::overlay::Kind;
use rustix::io::Errno;

use super::inner::{Inner, data_end};
use super::{OpenError, Overlay};
use crate::error::ReadError;

/// A log this much longer than what it was when it was written afresh is written afresh again.
const GROWTH: u64 = 64 << 20;

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
}
