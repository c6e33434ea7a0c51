//! Stored content as a file to read and seek in, one chunk in memory at a time.

use std::io::{self, Read, Seek, SeekFrom};

use crate::manifest::Manifest;
use crate::media::{self, FileType, HEAD_LEN};
use crate::object::{ObjectKind, ObjectRead};
use crate::repo::RepoError;
use crate::store::StoreError;
use crate::tree::Content;

/// Reads stored content at any place. Errors of the store arrive inside the [`io::Error`]; [`store_error`] takes them
/// out.
pub struct ContentReader<'a> {
    read: &'a dyn ObjectRead,
    source: Source<'a>,
    size: u64,
    position: u64,
    /// The chunk read last and where it begins.
    chunk: Vec<u8>,
    start: u64,
}

enum Source<'a> {
    Bytes,
    Manifest(Manifest<'a>),
}

impl<'a> ContentReader<'a> {
    /// Opens the content of a file or link; `size` is what its entry says.
    ///
    /// # Errors
    /// When the manifest or the only chunk cannot be read, or it is a folder's.
    pub fn open(read: &'a dyn ObjectRead, content: &Content, size: u64) -> Result<Self, RepoError> {
        let (source, chunk) = match content {
            Content::Empty => (Source::Bytes, Vec::new()),
            Content::Symlink(target) => (Source::Bytes, target.clone()),
            Content::Chunk(id) => (Source::Bytes, read.read(ObjectKind::Chunk, id.digest())?),
            Content::Manifest(id) => (Source::Manifest(Manifest::open(read, *id)?), Vec::new()),
            other => return Err(RepoError::NotAFile { content: format!("{other:?}") }),
        };
        let size = if matches!(source, Source::Bytes) { chunk.len() as u64 } else { size };
        Ok(Self { read, source, size, position: 0, chunk, start: 0 })
    }

    /// Sees to it that the chunk in memory holds the byte at `position`, which is before the end.
    fn load(&mut self) -> Result<(), StoreError> {
        let held = self.start..self.start + self.chunk.len() as u64;
        let Source::Manifest(manifest) = &self.source else { return Ok(()) };
        if held.contains(&self.position) {
            return Ok(());
        }
        self.chunk.clear();
        if let Some((start, chunk)) = manifest.at_offset(self.position)? {
            self.chunk = self.read.read(ObjectKind::Chunk, chunk.id.digest())?;
            self.start = start;
        }
        Ok(())
    }
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        self.load().map_err(io::Error::other)?;
        let at = usize::try_from(self.position - self.start).unwrap_or(usize::MAX);
        let rest = self.chunk.get(at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for ContentReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// What a store refused, if that is what an error of a [`ContentReader`] is about.
#[must_use]
pub fn store_error(error: io::Error) -> RepoError {
    match error.downcast::<StoreError>() {
        Ok(error) => error.into(),
        Err(source) => crate::durable::IoError { op: "read", path: "stored content".into(), source }.into(),
    }
}

/// The type of stored content, by its first bytes.
///
/// # Errors
/// When they cannot be read.
pub fn detect_stored(read: &dyn ObjectRead, content: &Content, size: u64) -> Result<FileType, RepoError> {
    let mut head = Vec::new();
    let reader = ContentReader::open(read, content, size)?;
    reader.take(HEAD_LEN as u64).read_to_end(&mut head).map_err(store_error)?;
    Ok(media::detect(&head, size))
}

/// [`detect_stored`]; `None` where the bytes are not here since a remote holds them.
///
/// # Errors
/// When they are here and cannot be read.
pub fn detect_if_here(read: &dyn ObjectRead, content: &Content, size: u64) -> Result<Option<FileType>, RepoError> {
    if_here(detect_stored(read, content, size))
}

/// `None` for what cannot be told because content is not here since a remote holds it.
///
/// # Errors
/// Every other error.
pub fn if_here<T>(outcome: Result<T, RepoError>) -> Result<Option<T>, RepoError> {
    match outcome {
        Err(RepoError::Store(StoreError::Absent { .. })) => Ok(None),
        outcome => outcome.map(Some),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::chunk::{ChunkRef, Profile};
    use crate::manifest;
    use crate::object::ObjectWrite;
    use crate::object::memory::MemoryObjects;

    #[test]
    fn reads_and_seeks_like_a_file() {
        let store = MemoryObjects::new();
        let whole: Vec<u8> = (0..5000u32).flat_map(|n| n.to_le_bytes()).collect();
        let chunks: Vec<ChunkRef> = whole.chunks(777).map(ChunkRef::of).collect();
        whole.chunks(777).for_each(|bytes| _ = store.write(ObjectKind::Chunk, bytes).unwrap());
        let content = manifest::write(Profile::SMALL, chunks, &store).unwrap();
        let mut reader = ContentReader::open(&store, &content, whole.len() as u64).unwrap();
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all, whole);
        for (to, expected) in
            [(SeekFrom::Start(776), 776), (SeekFrom::End(-3), 19_997), (SeekFrom::Current(-5), 19_995)]
        {
            assert_eq!(reader.seek(to).unwrap(), expected);
            let mut two = [0; 3];
            reader.read_exact(&mut two).unwrap();
            assert_eq!(two[..], whole[expected as usize..expected as usize + 3]);
        }
        reader.seek(SeekFrom::Start(90_000)).unwrap();
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }

    #[test]
    fn an_error_of_the_store_comes_out_as_one() {
        let store = MemoryObjects::new();
        let missing = [ChunkRef::of(b"a"), ChunkRef::of(b"b")];
        let content = manifest::write(Profile::SMALL, missing, &store).unwrap();
        let mut reader = ContentReader::open(&store, &content, 2).unwrap();
        let error = store_error(reader.read(&mut [0; 8]).unwrap_err());
        assert!(matches!(error, RepoError::Store(StoreError::Missing { .. })), "{error:?}");
    }
}
