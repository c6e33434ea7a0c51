//! The receiver's side.

use std::collections::{HashMap, HashSet};

use dits_core::object::{Digest, ObjectKind};

use super::list::ChunkList;
use super::{FilteredChunk, SEGMENT_CHUNKS, Violation};
use crate::wire::{Get, Got, MAX_GET, Runs, Segment, Want};

/// What the receiver has, as far as it bears on what it asks for.
pub trait Holdings<E> {
    /// Whether a chunk is there, or can be had from somewhere nearer than the sender.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn has_chunk(&mut self, digest: &Digest, len: u64) -> Result<bool, E>;

    /// The chunks that an object of metadata names, if the object is there. What it names besides is [expected] from then
    /// on, so `Receiving` is told of it as of one that arrived.
    ///
    /// [expected]: Receiving::metadata
    ///
    /// # Errors
    /// When it cannot be read.
    fn held(&mut self, kind: ObjectKind, digest: &Digest) -> Result<Option<Held>, E>;
}

/// An object of metadata that the receiver has.
#[derive(Debug, Default)]
pub struct Held {
    /// The metadata it names.
    pub meta: Vec<Digest>,
    /// The chunks it names, in order.
    pub chunks: Vec<FilteredChunk>,
}

/// What was asked for by name.
#[derive(Debug)]
struct Asked {
    objects: Vec<(ObjectKind, Digest)>,
    names: HashSet<(ObjectKind, Digest)>,
}

/// What the receiver expects, and what it has asked for and not got.
#[derive(Debug, Default)]
pub struct Receiving {
    /// Metadata that something names and that has not come. Some of it never will: what the receiver has.
    expected: HashSet<Digest>,
    current: ChunkList<FilteredChunk>,
    next_segment: u64,
    /// Chunks asked for, with their lengths.
    chunks: HashMap<Digest, u64>,
    /// Whether chunks that are asked for never come, because the sender only counts them.
    pretends: bool,
    gets: HashMap<u64, Asked>,
    next_get: u64,
    sent: bool,
}

impl Receiving {
    /// Expects what these refer to. `pretends` says that the sender will only count the chunks it is asked for.
    #[must_use]
    pub fn new(wants: impl IntoIterator<Item = Digest>, pretends: bool) -> Self {
        Self { expected: wants.into_iter().collect(), pretends, ..Self::default() }
    }

    /// Takes only what is asked for by name.
    #[must_use]
    pub fn by_name() -> Self {
        Self { sent: true, ..Self::default() }
    }

    /// An object of metadata came; these are what it names.
    ///
    /// # Errors
    /// When nothing named it, or the segment has too much.
    pub fn metadata(&mut self, digest: &Digest, meta: &[Digest], chunks: &[FilteredChunk]) -> Result<(), Violation> {
        if !self.expected.remove(digest) {
            return Err(Violation::new(format!("object {digest} was not asked for")));
        }
        self.expected.extend(meta);
        chunks.iter().for_each(|chunk| self.current.push(chunk.digest, *chunk));
        if self.current.len() > 8 * SEGMENT_CHUNKS {
            return Err(Violation::new("a segment that names too many chunks"));
        }
        Ok(())
    }

    /// A segment ended: says what of it is wanted.
    ///
    /// # Errors
    /// When segments are out of order, and those of `holdings`.
    pub fn segment<E: From<Violation>>(
        &mut self,
        segment: &Segment,
        holdings: &mut dyn Holdings<E>,
    ) -> Result<Want, E> {
        if segment.number != self.next_segment || self.sent {
            return Err(Violation::new("segments are out of order").into());
        }
        self.next_segment += 1;
        let list = self.current.take();
        let sent = self.select(&list, holdings)?;
        let mut held = Vec::new();
        for (kind, digest) in &segment.held {
            let kind = ObjectKind::from_code(*kind).filter(|kind| !kind.is_content());
            let kind = kind.ok_or_else(|| Violation::new("held metadata of no known kind"))?;
            // A false positive of the filter is asked for in the end, when everything is checked.
            let list = holdings.held(kind, digest)?.map_or_else(Vec::new, |held| {
                self.expected.remove(digest);
                self.expected.extend(held.meta);
                held.chunks
            });
            held.push(self.select(&list, holdings)?);
        }
        Ok(Want { segment: segment.number, sent, held })
    }

    fn select<E>(&mut self, list: &[FilteredChunk], holdings: &mut dyn Holdings<E>) -> Result<Runs, E> {
        let mut selected = Vec::with_capacity(list.len());
        for FilteredChunk { digest, len, wanted } in list {
            let ask = *wanted && !self.chunks.contains_key(digest) && !holdings.has_chunk(digest, *len)?;
            if ask {
                self.chunks.insert(*digest, *len);
            }
            selected.push(ask);
        }
        Ok(Runs::of(selected))
    }

    /// All segments were sent.
    ///
    /// # Errors
    /// When there were others than came.
    pub fn sent(&mut self, segments: u64) -> Result<(), Violation> {
        if segments != self.next_segment || self.sent || self.current.len() > 0 {
            return Err(Violation::new("the number of segments is not what was sent"));
        }
        self.sent = true;
        Ok(())
    }

    /// A chunk came, or an object that was asked for by name. What was asked for twice may come twice.
    ///
    /// # Errors
    /// When it was not asked for, or has another length.
    pub fn arrived(&mut self, kind: ObjectKind, digest: &Digest, len: u64) -> Result<(), Violation> {
        if kind.is_content()
            && let Some(wanted) = self.chunks.remove(digest)
        {
            let fits = wanted == len;
            return if fits { Ok(()) } else { Err(Violation::new(format!("chunk {digest} has another length"))) };
        }
        let by_name = self.gets.values().any(|asked| asked.names.contains(&(kind, *digest)));
        if by_name { Ok(()) } else { Err(Violation::new(format!("{kind} {digest} was not asked for"))) }
    }

    /// Asks for objects by name.
    pub fn get(&mut self, objects: Vec<(ObjectKind, Digest)>) -> Get {
        debug_assert!(objects.len() <= MAX_GET, "too many names for one message");
        let number = self.next_get;
        self.next_get += 1;
        let names = objects.iter().map(|(kind, digest)| (*kind as u8, *digest)).collect();
        self.gets.insert(number, Asked { names: objects.iter().copied().collect(), objects });
        Get { number, objects: names }
    }

    /// All that was asked for was sent, but for what comes back.
    ///
    /// # Errors
    /// When nothing was asked for under this number.
    pub fn got(&mut self, got: &Got) -> Result<Vec<(ObjectKind, Digest)>, Violation> {
        let asked = self.gets.remove(&got.number).ok_or_else(|| Violation::new("an answer that nobody asked for"))?;
        let missing = got.missing.iter().map(|at| asked.objects.get(*at as usize).copied());
        missing.collect::<Option<_>>().ok_or_else(|| Violation::new("a missing object that was not asked for"))
    }

    /// Whether everything that was named has been answered, and everything that was asked for has come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.sent && (self.chunks.is_empty() || self.pretends) && self.gets.is_empty()
    }

    /// How many requests by name have not been answered.
    #[must_use]
    pub fn open_gets(&self) -> usize {
        self.gets.len()
    }
}
