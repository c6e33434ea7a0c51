//! The changes on disk.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Record, State};
use crate::codec;
use crate::durable::{self, IoContext, IoError};
use crate::object::CommitId;
use crate::tree::Content;

const MAGIC: &[u8; 8] = b"DITSOVLY";
const VERSION: u32 = 1;
const HEADER: u64 = 16;
const FRAME: usize = 8;
/// The longest batch, in bytes.
const MAX_BATCH: usize = 128 << 10;

/// Why a log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] IoError),
    /// It does not hold what a log holds.
    #[error("{}: the batch at byte {at}: {what}", path.display())]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What is wrong there.
        what: String,
    },
}

/// A log that is open for writing. One process at a time has it.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: Arc<File>,
    len: u64,
    broken: bool,
    cut: bool,
}

impl Log {
    /// Begins a log above a commit, durably and all at once, also in the place of another.
    ///
    /// # Errors
    /// When it cannot be written; then what was there is there.
    pub fn begin(path: &Path, commit: CommitId) -> Result<(), LogError> {
        let base = frame(HEADER, &[Record::Base { commit }]).at("write", path)?;
        Ok(durable::write_atomic(path, &[header(), base].concat())?)
    }

    /// Opens a log, or begins one, and applies what it holds to `state`. What was not written whole is cut off.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn open(path: &Path, state: &mut State) -> Result<Self, LogError> {
        if !path.exists() {
            durable::write_atomic(path, &header())?;
        }
        let damaged = |at, what: &str| LogError::Damaged { path: path.to_owned(), at, what: what.to_owned() };
        let mut apply = |at, batch: Vec<Record>| {
            batch.iter().try_for_each(|record| state.apply(record)).map_err(|what| damaged(at, what))
        };
        let len = read(path, &mut apply)?;
        let file = File::options().read(true).write(true).open(path).at("open", path)?;
        let cut = has_more(&file, len).at("read", path)?;
        if cut {
            // What a power cut left, most likely. Should it be damage, here is the rest.
            let rest = path.with_extension("cut");
            std::fs::copy(path, &rest).at("write", &rest)?;
        }
        file.set_len(len).at("cut", path)?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file), len, broken: false, cut })
    }

    /// Whether there was more than could be read when it was opened: then a copy of all stands beside it, with the
    /// extension `cut`.
    #[must_use]
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// Its length, in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it holds no batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len <= HEADER
    }

    /// Appends a batch. It survives this process, but not the machine before [`Log::file`] has been synced.
    ///
    /// # Errors
    /// When it cannot be written; then none of it is there.
    pub fn append(&mut self, batch: &[Record]) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier change could not be taken back"));
        }
        let bytes = frame(self.len, batch)?;
        if let Err(error) = self.file.write_all_at(&bytes, self.len) {
            self.broken = self.file.set_len(self.len).is_err();
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// The file, for syncing it.
    #[must_use]
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Writes the log anew, durably, so that it leads to `state` in as few batches as there must be.
    ///
    /// # Errors
    /// When it cannot be written; then the old one goes on.
    pub fn rewrite(&mut self, state: &State) -> Result<(), LogError> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let mut temp = tempfile::Builder::new().prefix(".log-").tempfile_in(dir).at("create a file in", dir)?;
        let mut len = HEADER;
        let mut out = io::BufWriter::with_capacity(1 << 20, temp.as_file_mut());
        let mut write = |bytes: &[u8]| out.write_all(bytes).at("write", &self.path);
        write(&header())?;
        for batch in state.records() {
            let bytes = frame(len, &batch).at("write", &self.path)?;
            write(&bytes)?;
            len += bytes.len() as u64;
        }
        out.flush().at("write", &self.path)?;
        drop(out);
        let file = temp.as_file().try_clone().at("open", &self.path)?;
        durable::publish(temp, &self.path)?;
        (self.file, self.len, self.broken) = (Arc::new(file), len, false);
        Ok(())
    }
}

/// The commit below what a log holds; `None` if there is no log, or it names none.
///
/// # Errors
/// When it cannot be read or is damaged.
pub fn base(path: &Path) -> Result<Option<CommitId>, LogError> {
    // It is in the first batch, which alone is at most so long.
    let longest = HEADER + (FRAME + MAX_BATCH) as u64;
    let mut found = None;
    if path.exists() {
        let mut file = File::open(path).at("open", path)?.take(longest);
        read_from(&mut file, path, &mut |at, batch| {
            if let (HEADER, Some(Record::Base { commit })) = (at, batch.first()) {
                found = Some(*commit);
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// The base contents that a log names: what must be kept for it. A log that is not there names none.
///
/// # Errors
/// When it cannot be read or is damaged.
pub fn contents(path: &Path) -> Result<Vec<Content>, LogError> {
    let mut found = Vec::new();
    if !path.exists() {
        return Ok(found);
    }
    read(path, &mut |_, batch| {
        found.extend(batch.into_iter().filter_map(|record| match record {
            Record::Content { content, .. } => Some(content),
            _ => None,
        }));
        Ok(())
    })?;
    Ok(found)
}

fn header() -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_le_bytes(), &[0; 4]].concat()
}

fn checksum(at: u64, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&at.to_le_bytes());
    crc.update(body);
    crc.finalize()
}

fn frame(at: u64, batch: &[Record]) -> io::Result<Vec<u8>> {
    let body = codec::encode(&batch);
    let len = u32::try_from(body.len()).ok().filter(|len| *len as usize <= MAX_BATCH);
    let len = len.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok([&len.to_le_bytes()[..], &checksum(at, &body).to_le_bytes(), &body].concat())
}

/// What the bytes of a log come to. They may be anything.
///
/// # Errors
/// When they are not those of a log, or it is damaged.
pub fn replay(mut bytes: &[u8]) -> Result<State, LogError> {
    let (path, mut state) = (Path::new("log"), State::default());
    read_from(&mut bytes, path, &mut |at, batch| {
        let applied = batch.iter().try_for_each(|record| state.apply(record));
        applied.map_err(|what| LogError::Damaged { path: path.to_owned(), at, what: what.to_owned() })
    })?;
    Ok(state)
}

/// Is given every batch, with where it stands.
type Take<'a> = &'a mut dyn FnMut(u64, Vec<Record>) -> Result<(), LogError>;

/// Reads a log; gives where its last batch ends.
fn read(path: &Path, take: Take<'_>) -> Result<u64, LogError> {
    let file = File::open(path).at("open", path)?;
    read_from(&mut BufReader::with_capacity(1 << 20, file), path, take)
}

fn read_from(file: &mut impl Read, path: &Path, take: Take<'_>) -> Result<u64, LogError> {
    let damaged = |at, what: String| LogError::Damaged { path: path.to_owned(), at, what };
    let mut head = [0; HEADER as usize];
    if !fill(file, &mut head).at("read", path)? || head[..] != header() {
        return Err(damaged(0, "not the log of an overlay, or of a version this dits does not know".to_owned()));
    }
    let (mut at, mut body) = (HEADER, Vec::new());
    let mut frame = [0; FRAME];
    while fill(file, &mut frame).at("read", path)? {
        let word = |from: usize| u32::from_le_bytes([frame[from], frame[from + 1], frame[from + 2], frame[from + 3]]);
        let len = word(0) as usize;
        if len > MAX_BATCH {
            break;
        }
        body.resize(len, 0);
        if !fill(file, &mut body).at("read", path)? || checksum(at, &body) != word(4) {
            break;
        }
        let batch: Vec<Record> =
            codec::decode::<_, MAX_BATCH>(&body).map_err(|error| damaged(at, error.to_string()))?;
        batch.iter().try_for_each(Record::check).map_err(|what| damaged(at, what.to_owned()))?;
        take(at, batch)?;
        at += (FRAME + len) as u64;
    }
    Ok(at)
}

/// Whether there is anything but zeros from an offset on.
fn has_more(file: &File, from: u64) -> io::Result<bool> {
    let (mut at, mut buffer) = (from, vec![0; 64 << 10]);
    loop {
        match file.read_at(&mut buffer, at)? {
            0 => return Ok(false),
            count if buffer[..count].iter().any(|byte| *byte != 0) => return Ok(true),
            count => at += count as u64,
        }
    }
}

/// Fills a buffer, if there is enough left.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
