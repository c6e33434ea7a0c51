//! The new chunks of edited content, by reading only around the edits.
//!
//! The outcome is that of chunking the new content from its beginning. Why that is so, and where the two bytes of
//! [`LOOKAHEAD`] come from, is said in `docs/format/chunking.md`.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;

use super::stream::{Cutter, StreamChunker};
use super::{ChunkRef, Profile};

/// How many bytes past a cut had a say in it: FastCDC v2020 looks at the byte after the cut, and, because it works in
/// pairs, needs one more to exist.
const LOOKAHEAD: u64 = 2;

/// The chunks of the old content, which were cut by the same profile as the new ones will be.
pub trait OldChunks {
    /// What may go wrong when they are looked up.
    type Error;

    /// The length of the old content, in bytes.
    fn total_len(&self) -> u64;

    /// The chunk that contains the byte at `offset`, and where it starts; nothing at or past the end.
    ///
    /// # Errors
    /// When the list cannot be read.
    fn at_offset(&self, offset: u64) -> Result<Option<(u64, ChunkRef)>, Self::Error>;
}

/// Content that can be read at any place.
pub trait ReadAt {
    /// Reads up to `buf.len()` bytes from `offset` on and says how many; 0 only at the end or for an empty `buf`.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buf, offset)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset).map_or(self.len(), |offset| offset.min(self.len()));
        (&self[start..]).read(buf)
    }
}

/// One edit: these bytes of the old content were replaced by so many new ones. All of in-place change, insertion,
/// deletion, appending and truncation are such edits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What was replaced, in offsets of the old content.
    pub old: Range<u64>,
    /// How many bytes are there now.
    pub new_len: u64,
}

/// One change to the list of chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The chunks to take out, as a range of bytes of the old content; it begins and ends where old chunks do.
    pub old: Range<u64>,
    /// The chunks to put there.
    pub new: Vec<ChunkRef>,
}

/// Why content cannot be chunked again.
#[derive(Debug, thiserror::Error)]
pub enum RechunkError {
    /// The new content cannot be read, or is shorter than the edits say.
    #[error("cannot read the edited content: {0}")]
    Read(#[from] io::Error),
    /// Edits that overlap, are not in order, or lie outside the old content.
    #[error("edit {index} ({old:?}) overlaps the one before it or lies outside the {total} bytes of old content")]
    Edits {
        /// Which edit, from 0.
        index: usize,
        /// What it claims to replace.
        old: Range<u64>,
        /// The length of the old content.
        total: u64,
    },
}

/// Finds the chunks of edited content. `edits` are sorted and disjoint; bytes outside of them are unchanged. `sink` is
/// given every chunk that was cut, with its bytes, also where it turns out to be as before. The splices are sorted and
/// disjoint; applied to the old list they give the list that chunking all of the new content gives.
///
/// Reads the new content around the edits only, up to where a new cut meets an old one, and holds two chunks of it.
///
/// # Errors
/// When the edits make no sense, or the old list, the new content or the sink fails.
///
/// # Panics
/// For a profile that does not pass [`Profile::validate`].
pub fn rechunk<O, R, E>(
    profile: &Profile,
    old: &O,
    edits: &[Edit],
    new: &R,
    mut sink: impl FnMut(&ChunkRef, &[u8]) -> Result<(), E>,
) -> Result<Vec<Splice>, E>
where
    O: OldChunks + ?Sized,
    R: ReadAt + ?Sized,
    E: From<O::Error> + From<RechunkError>,
{
    let new_total = check(edits, old.total_len())?;
    let mut chunker = StreamChunker::frugal(Cutter::new(profile), Window { new, pos: new_total, end: new_total });
    let mut place = Place { old, rest: edits, restart: None, removed: 0, added: 0, dirty_end: 0 };
    let mut splices = Vec::new();
    while let Some(start) = place.next_restart()? {
        let mut pos = place.to_new(start);
        place.absorb();
        chunker.restart(profile, Window { new, pos, end: new_total });
        let mut chunks = Vec::new();
        let end = loop {
            if let Some(end) = place.meets_old_cut(pos)? {
                break end;
            }
            let bytes = chunker.next().map_err(RechunkError::Read)?;
            let bytes = bytes.ok_or_else(|| RechunkError::Read(ErrorKind::UnexpectedEof.into()))?;
            let chunk = ChunkRef::of(bytes);
            sink(&chunk, bytes)?;
            chunks.push(chunk);
            pos += u64::from(chunk.len);
        };
        splices.extend(trimmed(old, Splice { old: start..end, new: chunks })?);
    }
    Ok(splices)
}

/// Checks the edits; the length of the new content.
fn check(edits: &[Edit], total: u64) -> Result<u64, RechunkError> {
    let (mut done, mut new_total) = (0, 0_u64);
    for (index, Edit { old, new_len }) in edits.iter().enumerate() {
        let bad = || RechunkError::Edits { index, old: old.clone(), total };
        if old.start < done || old.end < old.start || old.end > total {
            return Err(bad());
        }
        new_total = new_total.checked_add(old.start - done).and_then(|n| n.checked_add(*new_len)).ok_or_else(bad)?;
        done = old.end;
    }
    let bad = || RechunkError::Edits { index: edits.len(), old: done..total, total };
    new_total.checked_add(total - done).ok_or_else(bad)
}

/// Where a run is: which edits lie behind it, and so how offsets of the old content relate to those of the new.
struct Place<'a, O: ?Sized> {
    old: &'a O,
    /// The edits that are not yet part of a run.
    rest: &'a [Edit],
    /// Where chunking has to start for the first of them, once that was looked up.
    restart: Option<u64>,
    /// How many old bytes the edits so far took away, and how many new ones they brought.
    removed: u64,
    added: u64,
    /// Where the last of them ends, as an offset of the new content.
    dirty_end: u64,
}

impl<O: OldChunks + ?Sized> Place<'_, O> {
    fn to_new(&self, old: u64) -> u64 {
        old - self.removed + self.added
    }

    /// The start of the first chunk that the next edit may change.
    fn next_restart(&mut self) -> Result<Option<u64>, O::Error> {
        let Some(edit) = self.rest.first() else { return Ok(None) };
        if self.restart.is_none() {
            let found = self.old.at_offset(edit.old.start.saturating_sub(LOOKAHEAD))?;
            self.restart = Some(found.map_or(0, |(start, _)| start));
        }
        Ok(self.restart)
    }

    /// Makes the next edit part of the run.
    fn absorb(&mut self) {
        if let Some((edit, rest)) = self.rest.split_first() {
            self.removed += edit.old.end - edit.old.start;
            self.added += edit.new_len;
            self.dirty_end = self.to_new(edit.old.end);
            self.rest = rest;
            self.restart = None;
        }
    }

    /// Whether the run may end at this cut: behind its edits, at a cut of the old content too, and before any chunk that
    /// the next edit may change. Where, as an offset of the old content.
    fn meets_old_cut(&mut self, pos: u64) -> Result<Option<u64>, O::Error> {
        while pos >= self.dirty_end {
            let old = pos - self.added + self.removed;
            if self.next_restart()?.is_some_and(|restart| restart <= old) {
                self.absorb();
                continue;
            }
            let at_cut = old == self.old.total_len() || self.old.at_offset(old)?.is_some_and(|(start, _)| start == old);
            return Ok(at_cut.then_some(old));
        }
        Ok(None)
    }
}

/// Leaves out the chunks at both ends that are as before; nothing, when all are.
fn trimmed<O: OldChunks + ?Sized>(old: &O, splice: Splice) -> Result<Option<Splice>, O::Error> {
    let Splice { old: Range { mut start, mut end }, mut new } = splice;
    let mut same = 0;
    while let (Some(chunk), Some((_, before))) = (new.get(same), old.at_offset(start)?) {
        if *chunk != before || start + u64::from(chunk.len) > end {
            break;
        }
        start += u64::from(chunk.len);
        same += 1;
    }
    new.drain(..same);
    while start < end
        && let (Some(chunk), Some((from, before))) = (new.last(), old.at_offset(end - 1)?)
        && *chunk == before
    {
        end = from;
        new.pop();
    }
    Ok((start < end || !new.is_empty()).then_some(Splice { old: start..end, new }))
}

/// The new content from one place on, as a stream.
struct Window<'a, R: ?Sized> {
    new: &'a R,
    pos: u64,
    end: u64,
}

impl<R: ReadAt + ?Sized> Read for Window<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.end - self.pos).map_or(buf.len(), |left| left.min(buf.len()));
        let count = self.new.read_at(self.pos, &mut buf[..room])?;
        if count == 0 && room > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.pos += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
