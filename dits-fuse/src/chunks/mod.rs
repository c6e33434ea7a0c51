//! Where chunks come from: memory, the store, the disk cache, a remote. Each is brought once, however many wait for it.

mod flight;
pub(crate) mod tally;

use std::sync::Arc;

use bytes::Bytes;
use dits_core::chunk::ChunkRef;
use dits_core::object::{Digest, ObjectKind};
use dits_core::partial::{Arrived, ChunkSink, ChunkSource};
use dits_core::store::{ChunkCache, Store, StoreError};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::error::{Reach, ReadError, Until};
use flight::{Claimed, Flight, Flights};

/// What a chunk in memory takes beside its bytes.
const AROUND: usize = 200;

/// The chain of places that chunks come from.
pub struct Chunks {
    ram: Cache<Digest, Bytes>,
    store: Store,
    disk: Option<ChunkCache>,
    remote: Option<Arc<dyn ChunkSource>>,
    flights: Flights,
}

impl Chunks {
    /// Chunks of a store, and what it lacks from a remote, if there is one.
    #[must_use]
    pub fn new(store: Store, ram: u64, disk: Option<ChunkCache>, remote: Option<Arc<dyn ChunkSource>>) -> Self {
        let weigher = |_: &Digest, bytes: &Bytes| u32::try_from(bytes.len() + AROUND).unwrap_or(u32::MAX);
        // Whatever is brought must stay until it is read: a policy that admits by popularity would refuse it.
        let ram = Cache::builder().max_capacity(ram).weigher(weigher).eviction_policy(EvictionPolicy::lru()).build();
        Self { ram, store, disk, remote, flights: Flights::default() }
    }

    /// Whether a chunk is on this machine.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn is_here(&self, digest: &Digest) -> Result<bool, ReadError> {
        Ok(self.store.content.contains(digest)?
            || self.disk.as_ref().map_or(Ok(false), |disk| disk.contains(digest))?)
    }

    /// Whether what is not here may come from a remote.
    #[must_use]
    pub fn has_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// Bytes that came from the remote so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.remote.as_ref().map_or(0, |remote| remote.received())
    }

    /// Puts what is in memory only where it survives this process.
    ///
    /// # Errors
    /// When the disk cache cannot be written.
    pub fn flush(&self) -> Result<(), ReadError> {
        Ok(self.disk.as_ref().map_or(Ok(()), ChunkCache::flush)?)
    }

    /// The disk cache, if there is one.
    #[must_use]
    pub fn disk(&self) -> Option<&ChunkCache> {
        self.disk.as_ref()
    }

    /// The bytes of chunks, in order.
    ///
    /// # Errors
    /// [`ReadError::OutOfReach`] when one is further away than that; otherwise why it cannot be read.
    pub fn get(&self, chunks: &[ChunkRef], reach: Reach) -> Result<Vec<Bytes>, ReadError> {
        let mut found: Vec<Option<Bytes>> = chunks.iter().map(|chunk| self.ram.get(chunk.id.digest())).collect();
        while found.iter().any(Option::is_none) {
            if reach == Reach::Memory {
                return Err(ReadError::OutOfReach);
            }
            self.bring(chunks, &mut found, reach)?;
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// Brings what is missing, or waits for whoever does. What was given up by somebody else stays missing.
    fn bring(&self, chunks: &[ChunkRef], found: &mut [Option<Bytes>], reach: Reach) -> Result<(), ReadError> {
        let mut mine: Vec<(usize, ChunkRef, Claimed<'_>)> = Vec::new();
        let mut theirs: Vec<(usize, Arc<Flight>)> = Vec::new();
        for (at, chunk) in chunks.iter().enumerate().filter(|(at, _)| found[*at].is_none()) {
            match self.flights.claim(chunk.id.digest()) {
                Ok(claimed) => mine.push((at, *chunk, claimed)),
                Err(flight) => theirs.push((at, flight)),
            }
        }
        let mut far = Vec::new();
        for (at, chunk, claimed) in mine {
            match self.local(&chunk)? {
                Some(bytes) => {
                    claimed.finish(Ok(bytes.clone()));
                    found[at] = Some(bytes);
                }
                None => far.push((at, chunk, claimed)),
            }
        }
        self.shed();
        if !far.is_empty() {
            let Reach::Remote(until) = reach else { return Err(ReadError::OutOfReach) };
            self.fetch(far, found, &Until(until))?;
        }
        for (at, flight) in theirs {
            found[at] = match (flight.wait(reach), reach) {
                (Ok(came), _) => came,
                (Err(error @ (ReadError::OutOfReach | ReadError::TimedOut)), _) => return Err(error),
                // Somebody else's failure may be about other chunks that they asked for: this one is tried again.
                (Err(_), Reach::Remote(_)) => None,
                (Err(_), _) => return Err(ReadError::OutOfReach),
            };
        }
        Ok(())
    }

    /// A chunk from memory, where it may have come meanwhile, the store, or the disk cache.
    fn local(&self, chunk: &ChunkRef) -> Result<Option<Bytes>, ReadError> {
        if let Some(bytes) = self.ram.get(chunk.id.digest()) {
            return Ok(Some(bytes));
        }
        let bytes = self.on_disk(chunk)?;
        if let Some(bytes) = &bytes {
            self.remember(*chunk.id.digest(), bytes.clone());
        }
        Ok(bytes)
    }

    fn on_disk(&self, chunk: &ChunkRef) -> Result<Option<Bytes>, ReadError> {
        let digest = chunk.id.digest();
        let plain = match self.store.content.read(ObjectKind::Chunk, digest) {
            Ok(plain) => Some(plain),
            Err(StoreError::Missing { .. }) => self.disk.as_ref().map_or(Ok(None), |disk| disk.read(digest))?,
            // What is damaged here may be whole elsewhere.
            Err(error) if error.is_corruption() && self.remote.is_some() => None,
            Err(error) => return Err(error.into()),
        };
        let bytes = plain.map(Bytes::from);
        if let Some(bytes) = &bytes {
            check_len(chunk, bytes)?;
        }
        Ok(bytes)
    }

    /// The bytes of a chunk that is on this machine and will not be needed again soon: it takes nobody's place in memory.
    ///
    /// # Errors
    /// When it is not here, or cannot be read.
    pub fn once(&self, chunk: &ChunkRef) -> Result<Bytes, ReadError> {
        match self.ram.get(chunk.id.digest()) {
            Some(bytes) => Ok(bytes),
            None => self.on_disk(chunk)?.ok_or(ReadError::OutOfReach),
        }
    }

    fn remember(&self, digest: Digest, bytes: Bytes) {
        self.ram.insert(digest, bytes);
    }

    /// Frees what has to go for what came. Otherwise that is done later, and there would be more than was allowed; after every
    /// chunk, threads would wait for each other.
    fn shed(&self) {
        self.ram.run_pending_tasks();
    }

    fn fetch(
        &self,
        far: Vec<(usize, ChunkRef, Claimed<'_>)>,
        found: &mut [Option<Bytes>],
        until: &Until,
    ) -> Result<(), ReadError> {
        let Some(remote) = &self.remote else { return Err(ReadError::NotHere) };
        far.iter().for_each(|(_, _, claimed)| claimed.goes_far());
        let wanted: Vec<ChunkRef> = far.iter().map(|(_, chunk, _)| *chunk).collect();
        let flights: Vec<(usize, Arc<Flight>)> = far.iter().map(|(at, _, claimed)| (*at, claimed.flight())).collect();
        let sink = Sink { chunks: self, far: &far };
        let brought = remote.fetch(&wanted, &sink, until).map_err(ReadError::from);
        let brought = brought.map(|fetched| tally::add(fetched.bytes));
        if let Err(error) = brought {
            // Those that came have been handed over already.
            far.into_iter().for_each(|(_, _, claimed)| claimed.finish(Err(error.clone())));
            return Err(error);
        }
        for (at, flight) in flights {
            found[at] = flight.now()?;
        }
        Ok(())
    }
}

/// Hands over what comes from a remote.
struct Sink<'a> {
    chunks: &'a Chunks,
    far: &'a [(usize, ChunkRef, Claimed<'a>)],
}

impl ChunkSink for Sink<'_> {
    fn take(&self, chunk: Arrived<'_>) -> Result<(), StoreError> {
        let digest = chunk.header.digest;
        let bytes = Bytes::from(chunk.plain);
        self.chunks.remember(digest, bytes.clone());
        self.chunks.shed();
        // Whoever waits has it before the disk does.
        for (_, _, claimed) in self.far.iter().filter(|(_, wanted, _)| *wanted.id.digest() == digest) {
            claimed.land(Ok(bytes.clone()));
        }
        if let Some(disk) = &self.chunks.disk {
            // A disk that is full or broken keeps nobody from reading: the chunk comes again when it is needed again.
            let _ = disk.put(&chunk.header, chunk.frame);
        }
        Ok(())
    }
}

fn check_len(chunk: &ChunkRef, bytes: &Bytes) -> Result<(), ReadError> {
    if bytes.len() == chunk.len as usize {
        return Ok(());
    }
    let what = format!("it has {} bytes, where {} are named", bytes.len(), chunk.len);
    Err(StoreError::Malformed { kind: ObjectKind::Chunk, digest: *chunk.id.digest(), what }.into())
}
