//! The sender's side.

use std::collections::{BTreeMap, HashSet};

use dits_core::object::{Digest, ObjectKind};

use super::list::ChunkList;
use super::{OPEN_GETS, SEGMENT_BYTES, SEGMENT_CHUNKS, Violation, WINDOW};
use crate::wire::{MAX_HELD, Runs, Segment, Want};

/// An object of metadata that is named to the receiver.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name.
    pub digest: Digest,
    /// The chunks it names, in order.
    pub chunks: &'a [(Digest, u64)],
    /// Bytes of its frame; `None` for an object that is not sent because the receiver's filter has it. That may only be one
    /// that names no other metadata: below a false positive the receiver would not expect anything.
    pub sent: Option<usize>,
}

/// A closed segment's chunks: what was named by metadata that was sent, and by each held object.
#[derive(Debug)]
struct Open {
    sent: Vec<Digest>,
    held: Vec<Vec<Digest>>,
}

/// What the sender has named, and what of it is still to be answered or served.
#[derive(Debug, Default)]
pub struct Sending {
    next: u64,
    current: ChunkList<Digest>,
    held: Vec<(u8, Digest)>,
    held_chunks: Vec<Vec<Digest>>,
    bytes: usize,
    unanswered: BTreeMap<u64, Open>,
    /// Answered, and not yet served.
    serving: HashSet<u64>,
    /// Requests by name that are not answered.
    gets: usize,
    finished: bool,
    spared: u64,
}

impl Sending {
    /// Whether another object may be named now: the window has room.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.unanswered.len() + self.serving.len() < WINDOW
    }

    /// Names an object, which the caller sends unless it is held. What comes back closes a segment and is to be sent after
    /// the object.
    pub fn name(&mut self, object: Named<'_>) -> Option<Segment> {
        match object.sent {
            Some(len) => {
                self.bytes += len;
                object.chunks.iter().for_each(|(digest, _)| self.current.push(*digest, *digest));
            }
            None => {
                self.held.push((object.kind as u8, object.digest));
                self.held_chunks.push(object.chunks.iter().map(|(digest, _)| *digest).collect());
            }
        }
        let chunks = self.current.len() + self.held_chunks.iter().map(Vec::len).sum::<usize>();
        let full = chunks >= SEGMENT_CHUNKS || self.bytes >= SEGMENT_BYTES || self.held.len() >= MAX_HELD;
        full.then(|| self.close())
    }

    /// Closes the last segment, if it has anything in it, and says how many there were: everything has been named.
    pub fn finish(&mut self) -> (Option<Segment>, u64) {
        self.finished = true;
        let empty = self.bytes == 0 && self.held.is_empty();
        let last = (!empty).then(|| self.close());
        (last, self.next)
    }

    fn close(&mut self) -> Segment {
        let number = self.next;
        self.next += 1;
        self.bytes = 0;
        let open = Open { sent: self.current.take(), held: std::mem::take(&mut self.held_chunks) };
        self.unanswered.insert(number, open);
        Segment { number, held: std::mem::take(&mut self.held) }
    }

    /// Takes an answer, and gives the chunks to be sent. Call [`Sending::served`] when they are.
    ///
    /// # Errors
    /// When it does not fit what was named.
    pub fn want(&mut self, want: &Want) -> Result<Vec<Digest>, Violation> {
        let open = self.unanswered.remove(&want.segment);
        let open = open.ok_or_else(|| Violation::new(format!("segment {} is not open", want.segment)))?;
        if want.held.len() > open.held.len() {
            return Err(Violation::new("a selection from held metadata that was not named"));
        }
        let mut chunks = select(&open.sent, &want.sent)?;
        for (list, runs) in open.held.iter().zip(&want.held) {
            chunks.extend(select(list, runs)?);
        }
        let named = open.sent.len() + open.held.iter().map(Vec::len).sum::<usize>();
        self.spared += (open.held.len() + named.saturating_sub(chunks.len())) as u64;
        self.serving.insert(want.segment);
        Ok(chunks)
    }

    /// A segment's chunks are on their way.
    pub fn served(&mut self, segment: u64) {
        self.serving.remove(&segment);
    }

    /// Takes a request by name. Call [`Sending::got`] when it is answered.
    ///
    /// # Errors
    /// When too many have not been answered: their names are kept in memory.
    pub fn get(&mut self) -> Result<(), Violation> {
        self.gets += 1;
        if self.gets > OPEN_GETS { Err(Violation::new("too many requests at once")) } else { Ok(()) }
    }

    /// A request by name is answered.
    pub fn got(&mut self) {
        self.gets = self.gets.saturating_sub(1);
    }

    /// How many objects the receiver turned out to have.
    #[must_use]
    pub fn spared(&self) -> u64 {
        self.spared
    }

    /// Whether everything was named, answered and served.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.finished && self.unanswered.is_empty() && self.serving.is_empty() && self.gets == 0
    }
}

fn select(list: &[Digest], runs: &Runs) -> Result<Vec<Digest>, Violation> {
    let selected = runs.selected(list.len()).map_err(Violation::new)?;
    Ok(selected.into_iter().map(|at| list[at]).collect())
}
