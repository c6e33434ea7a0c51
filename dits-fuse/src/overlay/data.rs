//! Where bytes are that were written here: a data file for each layer of each file.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dits_core::durable;

/// The data files of an overlay.
#[derive(Debug)]
pub(super) struct Data {
    dir: PathBuf,
    /// Those of files that somebody has open, each with its layer.
    open: Mutex<HashMap<u64, (u32, Arc<File>)>>,
    /// Whether there are new ones whose names are not durable yet.
    fresh: Mutex<bool>,
}

impl Data {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, open: Mutex::default(), fresh: Mutex::new(true) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, (u32, Arc<File>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path of a data file.
    pub(super) fn path(&self, ino: u64, layer: u32) -> PathBuf {
        self.dir.join(format!("{ino:016x}.{layer}"))
    }

    /// A data file, made if it is not there.
    pub(super) fn file(&self, ino: u64, layer: u32) -> io::Result<Arc<File>> {
        let mut open = self.lock();
        if let Some((known, file)) = open.get(&ino)
            && *known == layer
        {
            return Ok(Arc::clone(file));
        }
        let path = self.path(ino, layer);
        let mut options = File::options();
        options.read(true).write(true);
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = options.create(true).truncate(false).open(&path)?;
                *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = true;
                made
            }
            opened => opened?,
        };
        let file = Arc::new(file);
        open.insert(ino, (layer, Arc::clone(&file)));
        Ok(file)
    }

    /// A data file, if it is there. Nobody may give its file another layer meanwhile.
    pub(super) fn existing(&self, ino: u64, layer: u32) -> io::Result<Option<Arc<File>>> {
        let known = self.lock().get(&ino).is_some_and(|(known, _)| *known == layer);
        // After a power cut a file that was never synced may be without it.
        if known || self.path(ino, layer).exists() { self.file(ino, layer).map(Some) } else { Ok(None) }
    }

    /// Gives back the room of what lies beyond a length, unless the file is shorter.
    pub(super) fn cut(&self, ino: u64, layer: u32, len: u64) -> io::Result<()> {
        let file = match File::options().write(true).open(self.path(ino, layer)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        if file.metadata()?.len() > len { file.set_len(len) } else { Ok(()) }
    }

    /// Nobody has a file open any more.
    pub(super) fn close(&self, ino: u64) {
        self.lock().remove(&ino);
    }

    /// Makes what was written to a data file durable, if there is one.
    pub(super) fn sync(&self, ino: u64, layer: u32) -> io::Result<()> {
        let known = self.lock().get(&ino).filter(|(known, _)| *known == layer).map(|(_, file)| Arc::clone(file));
        match known {
            Some(file) => file.sync_data()?,
            None => sync(&self.path(ino, layer))?,
        }
        self.sync_names()
    }

    /// Makes all data files durable.
    pub(super) fn sync_all(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            sync(&entry?.path())?;
        }
        self.sync_names()
    }

    /// Whoever comes second waits: the names are durable for it, too, only when they are.
    fn sync_names(&self) -> io::Result<()> {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if *fresh {
            durable::sync_dir(&self.dir).map_err(|error| error.source)?;
            *fresh = false;
        }
        Ok(())
    }

    /// Removes data files that `needed` does not know.
    pub(super) fn remove_others(&self, needed: &dyn Fn(&Path) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if !needed(&path) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// Makes a data file durable, unless nobody needed it any more.
fn sync(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        opened => opened?.sync_data(),
    }
}

/// Bytes of a data file. What it lacks at its end is zero: a cut that the log does not know was not acknowledged.
pub(crate) fn read(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}
