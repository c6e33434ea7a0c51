//! The receiver's side.

use std::collections::{HashMap, HashSet};

use dits_core::object::{Digest, ObjectKind};

use super::list::ChunkList;
use super::{FilteredChunk, OUTSTANDING, SEGMENT_CHUNKS, Violation};
use crate::wire::{Get, Got, MAX_GET, Runs, Segment, Want};

/// What the receiver has, as far as it bears on what it asks for.
pub trait Holdings<E> {
    /// Whether a chunk is there, or can be had from somewhere nearer than the sender.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn has_chunk(&mut self, digest: &Digest, len: u64) -> Result<bool, E>;

    /// The chunks that an object of metadata names, in order, if the object is there.
    ///
    /// # Errors
    /// When it cannot be read, or names other metadata: such an object is sent even if it is held.
    fn held(&mut self, kind: ObjectKind, digest: &Digest) -> Result<Option<Vec<FilteredChunk>>, E>;
}

/// What was asked for by name.
#[derive(Debug)]
struct Asked {
    objects: Vec<(ObjectKind, Digest)>,
    /// Those of them that have not come.
    open: HashSet<(ObjectKind, Digest)>,
}

/// What the receiver expects, and what it has asked for and not got.
#[derive(Debug, Default)]
pub struct Receiving {
    /// Metadata that something names and that has not come. Some of it never will: what the receiver has.
    expected: HashSet<Digest>,
    current: ChunkList<FilteredChunk>,
    /// Objects of metadata since the last segment.
    objects: usize,
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
    /// When nothing named it, the segment has too much, or all was said to be sent.
    pub fn metadata(&mut self, digest: &Digest, meta: &[Digest], chunks: &[FilteredChunk]) -> Result<(), Violation> {
        if self.sent || !self.expected.remove(digest) {
            return Err(Violation::new(format!("object {digest} was not asked for")));
        }
        self.objects += 1;
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
        if self.objects == 0 && segment.held.is_empty() {
            return Err(Violation::new("a segment of nothing").into());
        }
        self.next_segment += 1;
        self.objects = 0;
        let list = self.current.take();
        let sent = self.select(&list, holdings)?;
        let (mut held, mut chunks) = (Vec::new(), 0);
        for (kind, digest) in &segment.held {
            let kind = ObjectKind::from_code(*kind).filter(|kind| !kind.is_content());
            let kind = kind.ok_or_else(|| Violation::new("held metadata of no known kind"))?;
            if !self.expected.remove(digest) {
                return Err(Violation::new(format!("object {digest} is said to be held, and was not asked for")).into());
            }
            // A false positive of the filter is asked for in the end, when everything is checked.
            let list = holdings.held(kind, digest)?.unwrap_or_default();
            chunks += list.len();
            if chunks > 8 * SEGMENT_CHUNKS {
                return Err(Violation::new("held metadata that names too many chunks").into());
            }
            held.push(self.select(&list, holdings)?);
        }
        Ok(Want { segment: segment.number, sent, held })
    }

    fn select<E: From<Violation>>(
        &mut self,
        list: &[FilteredChunk],
        holdings: &mut dyn Holdings<E>,
    ) -> Result<Runs, E> {
        let mut selected = Vec::with_capacity(list.len());
        for FilteredChunk { digest, len, wanted } in list {
            let ask = *wanted && !self.chunks.contains_key(digest) && !holdings.has_chunk(digest, *len)?;
            if ask {
                self.chunks.insert(*digest, *len);
            }
            selected.push(ask);
        }
        if self.chunks.len() > OUTSTANDING && !self.pretends {
            return Err(Violation::new("chunks are named and not sent").into());
        }
        Ok(Runs::of(selected))
    }

    /// All segments were sent.
    ///
    /// # Errors
    /// When there were others than came.
    pub fn sent(&mut self, segments: u64) -> Result<(), Violation> {
        if segments != self.next_segment || self.sent || self.objects > 0 {
            return Err(Violation::new("the number of segments is not what was sent"));
        }
        self.sent = true;
        Ok(())
    }

    /// A chunk of a segment came.
    ///
    /// # Errors
    /// When it was not asked for, or has another length.
    pub fn chunk(&mut self, digest: &Digest, len: u64) -> Result<(), Violation> {
        match self.chunks.remove(digest) {
            Some(wanted) if wanted == len => Ok(()),
            Some(_) => Err(Violation::new(format!("chunk {digest} has another length"))),
            None => Err(Violation::new(format!("chunk {digest} was not asked for"))),
        }
    }

    /// An object came that was asked for by name. Each comes as often as it was asked for.
    ///
    /// # Errors
    /// When it was not asked for.
    pub fn named(&mut self, kind: ObjectKind, digest: &Digest) -> Result<(), Violation> {
        let found = self.gets.values_mut().any(|asked| asked.open.remove(&(kind, *digest)));
        if found { Ok(()) } else { Err(Violation::new(format!("{kind} {digest} was not asked for"))) }
    }

    /// Asks for objects by name: [`MAX_GET`] at most, each once.
    pub fn get(&mut self, mut objects: Vec<(ObjectKind, Digest)>) -> Get {
        debug_assert!(objects.len() <= MAX_GET, "too many names for one message");
        let mut open = HashSet::new();
        objects.retain(|object| open.insert(*object));
        let number = self.next_get;
        self.next_get += 1;
        let names = objects.iter().map(|(kind, digest)| (*kind as u8, *digest)).collect();
        self.gets.insert(number, Asked { objects, open });
        Get { number, objects: names }
    }

    /// All that was asked for was sent, but for what comes back.
    ///
    /// # Errors
    /// When nothing was asked for under this number, or anything else of it has not come.
    pub fn got(&mut self, got: &Got) -> Result<Vec<(ObjectKind, Digest)>, Violation> {
        let asked = self.gets.remove(&got.number).ok_or_else(|| Violation::new("an answer that nobody asked for"))?;
        let missing = got.missing.iter().map(|at| asked.objects.get(*at as usize).copied());
        let missing: Option<Vec<_>> = missing.collect();
        let missing = missing.ok_or_else(|| Violation::new("a missing object that was not asked for"))?;
        if missing.iter().copied().collect::<HashSet<_>>() != asked.open {
            return Err(Violation::new("what was asked for by name has not come, and is not said to be missing"));
        }
        Ok(missing)
    }

    /// Whether everything that was named has been answered, and everything that was asked for has come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.sent && (self.chunks.is_empty() || self.pretends) && self.gets.is_empty()
    }

    /// How many names are remembered: of what may still come, and of chunks that were asked for.
    #[must_use]
    pub fn names(&self) -> usize {
        self.expected.len() + self.chunks.len()
    }

    /// How many requests by name have not been answered.
    #[must_use]
    pub fn open_gets(&self) -> usize {
        self.gets.len()
    }
}
