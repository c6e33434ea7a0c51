//! The chunks of a file, counted as they go by.

use std::collections::BTreeMap;

use dits_core::chunk::ChunkRef;
use dits_core::content::{ChunkSample, InStore, in_store};
use dits_core::object::ChunkId;
use dits_core::store::{Odb, StoreError};
use serde::Serialize;

/// What there is to say of all of them.
#[derive(Serialize, Default)]
pub(super) struct ChunkStats {
    pub(super) count: u64,
    pub(super) min: u32,
    pub(super) avg: u64,
    pub(super) max: u32,
    pub(super) zero_bytes: u64,
    pub(super) repeated_bytes: u64,
}

/// One of them.
#[derive(Serialize)]
pub(super) struct ChunkJson {
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) id: String,
    pub(super) stored: Option<u32>,
}

/// Counts chunks as they go by.
pub(super) struct Survey<'a> {
    store: &'a Odb,
    pub(super) stats: ChunkStats,
    pub(super) stored: InStore,
    pub(super) sample: ChunkSample,
    pub(super) list: Option<Vec<ChunkJson>>,
    offset: u64,
    zeros: BTreeMap<u32, ChunkId>,
    /// The chunk before and whether it was zeros.
    before: Option<(ChunkId, bool)>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(store: &'a Odb, list: bool) -> Self {
        Self {
            store,
            stats: ChunkStats { min: u32::MAX, ..ChunkStats::default() },
            stored: InStore::default(),
            sample: ChunkSample::default(),
            list: list.then(Vec::new),
            offset: 0,
            zeros: BTreeMap::new(),
            before: None,
        }
    }

    pub(super) fn take(&mut self, chunk: ChunkRef, zero: bool) -> Result<(), StoreError> {
        let stats = &mut self.stats;
        stats.count += 1;
        stats.min = stats.min.min(chunk.len);
        stats.max = stats.max.max(chunk.len);
        stats.zero_bytes += if zero { u64::from(chunk.len) } else { 0 };
        let first = self.sample.add(&chunk);
        let stored = in_store(self.store, &chunk, first, &mut self.stored)?;
        if let Some(list) = &mut self.list {
            list.push(ChunkJson { offset: self.offset, length: chunk.len, id: chunk.id.to_string(), stored });
        }
        self.offset += u64::from(chunk.len);
        self.before = Some((chunk.id, zero));
        Ok(())
    }

    /// Takes a chunk whose bytes were not read. Zeros are cut into chunks that are all alike and as long as can be, with
    /// a shorter one at the end, so only such chunks have to be compared with the hash of zeros.
    pub(super) fn take_stored(&mut self, chunk: ChunkRef, max: u32) -> Result<(), StoreError> {
        let suspect = chunk.len == max || self.before.is_some_and(|(id, zero)| zero || id == chunk.id);
        let zero = suspect && {
            let make = || ChunkId::of(&vec![0; chunk.len as usize]);
            *self.zeros.entry(chunk.len).or_insert_with(make) == chunk.id
        };
        self.take(chunk, zero)
    }
}
