//! Reading against a plain copy of the bytes, with content here, in the cache, at a remote, and at one that fails.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dits_core::chunk::{ChunkRef, Profile};
use dits_core::manifest;
use dits_core::object::{Digest, ObjectKind, ObjectWrite};
use dits_core::partial::{Arrived, ChunkSink, ChunkSource, Fetched, SourceError};
use dits_core::progress::Progress;
use dits_core::store::{ChunkCache, Store, StoreWriterOptions};
use dits_core::tree::{Mode, TreeEntry};
use dits_testkit::random::bytes;
use proptest::prelude::*;

use super::*;

/// A store that has everything, asked from afar. Counts, and fails when it is told to.
struct Far {
    store: Store,
    asked: Mutex<HashMap<Digest, u32>>,
    fails: AtomicU64,
}

impl ChunkSource for Far {
    fn fetch(
        &self,
        chunks: &[ChunkRef],
        into: &dyn ChunkSink,
        progress: &dyn Progress,
    ) -> Result<Fetched, SourceError> {
        for chunk in chunks {
            progress.check()?;
            if self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Err(SourceError::Gone { from: "far".to_owned(), chunk: chunk.id });
            }
            let digest = *chunk.id.digest();
            *self.asked.lock().unwrap().entry(digest).or_default() += 1;
            let (mut frame, mut plain) = (Vec::new(), Vec::new());
            let header = self.store.content.read_frame(ObjectKind::Chunk, &digest, &mut frame)?;
            header.open(&frame, &mut plain).unwrap();
            std::thread::yield_now();
            into.take(Arrived { header, frame: &frame, plain })?;
        }
        Ok(Fetched::default())
    }
}

/// A file of which this machine has every `nth` chunk (none for 0), and where the rest is.
struct Rig {
    whole: Vec<u8>,
    file: OpenFile,
    store: Store,
    chunks: Chunks,
    far: Arc<Far>,
    /// Last: what is dropped before still writes to them.
    _dirs: [tempfile::TempDir; 2],
}

fn rig(len: usize, piece: usize, nth: usize, ram: u64) -> Rig {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let whole = bytes(len as u64, len);
    let stores = [0, 1].map(|i| Store::open(dirs[i].path()).unwrap());
    let refs: Vec<ChunkRef> = whole.chunks(piece).map(ChunkRef::of).collect();
    let mut content = None;
    for (far, store) in stores.iter().enumerate() {
        let writer = store.writer(StoreWriterOptions::default()).unwrap();
        for (i, piece) in whole.chunks(piece).enumerate() {
            if far == 1 || (nth > 0 && i % nth == 0) {
                writer.write(ObjectKind::Chunk, piece).unwrap();
            }
        }
        content = Some(manifest::write(Profile::SMALL, refs.iter().copied(), &writer).unwrap());
        writer.finish().unwrap();
    }
    let [store, there] = stores;
    let far = Arc::new(Far { store: there, asked: Mutex::default(), fails: AtomicU64::new(0) });
    let entry = TreeEntry { name: b"f".to_vec(), mode: Mode::File, size: len as u64, content: content.unwrap() };
    let disk = ChunkCache::open(cache(dirs[0].path()), 1 << 20).unwrap();
    let chunks = Chunks::new(store.clone(), ram, Some(disk), Some(far.clone()));
    Rig { file: OpenFile::new(2, &entry).unwrap(), whole, store, chunks, far, _dirs: dirs }
}

fn cache(dir: &Path) -> std::path::PathBuf {
    dir.join("cache")
}

impl Rig {
    fn read(&self, offset: u64, len: u32, reach: Reach) -> Result<Vec<u8>, ReadError> {
        let gathered = self.file.gather(&self.store, &self.chunks, self.file.clip(offset, len), reach)?;
        let mut out = Vec::new();
        gathered.append_to(&mut out);
        if let Some(one) = gathered.in_one() {
            assert_eq!(one, out, "both ways give the same");
        }
        Ok(out)
    }

    fn expected(&self, offset: u64, len: u32) -> &[u8] {
        let from = (offset as usize).min(self.whole.len());
        &self.whole[from..(from + len as usize).min(self.whole.len())]
    }
}

fn soon() -> Reach {
    Reach::Remote(Instant::now() + Duration::from_secs(60))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn ranges_are_those_of_the_file_wherever_its_content_is(
        len in 1..60_000_usize,
        piece in 50..9_000_usize,
        nth in 0..4_usize,
        ram in prop_oneof![Just(0), Just(8_000), Just(1 << 20)],
        reads in prop::collection::vec((0..70_000_u64, 0..20_000_u32, 0..5_u64), 1..25),
    ) {
        let rig = rig(len, piece, nth, ram);
        for (offset, size, fails) in reads {
            let expected = rig.expected(offset, size);
            rig.far.fails.store(fails / 3, Ordering::SeqCst);
            for reach in [Reach::Memory, Reach::Disk, soon()] {
                match rig.read(offset, size, reach) {
                    Ok(read) => prop_assert_eq!(&read[..], expected),
                    Err(ReadError::OutOfReach) => prop_assert!(!matches!(reach, Reach::Remote(_))),
                    Err(ReadError::Source(_)) => prop_assert!(fails >= 3),
                    Err(error) => prop_assert!(false, "{}", error),
                }
            }
            rig.far.fails.store(0, Ordering::SeqCst);
            prop_assert_eq!(&rig.read(offset, size, soon()).unwrap()[..], expected, "after a failure it works again");
        }
    }
}

#[test]
fn a_chunk_is_brought_once_however_many_wait_for_it() {
    let rig = rig(400_000, 4_000, 0, 1 << 20);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(rig.read(0, 400_000, soon()).unwrap() == rig.whole));
        }
    });
    let asked = rig.far.asked.lock().unwrap();
    assert_eq!(asked.len(), 100);
    assert!(asked.values().all(|times| *times == 1), "{asked:?}");
}

#[test]
fn a_range_brings_its_own_chunks_and_no_other() {
    let rig = rig(400_000, 4_000, 0, 1 << 20);
    rig.read(100_001, 10_000, soon()).unwrap();
    assert_eq!(rig.far.asked.lock().unwrap().len(), 3, "bytes 100001 to 110000 lie in chunks 25 to 27");
}

#[test]
fn what_came_is_on_disk_when_memory_is_too_small() {
    let rig = rig(200_000, 4_000, 0, 0);
    rig.read(0, 200_000, soon()).unwrap();
    assert!(rig.read(0, 200_000, Reach::Disk).unwrap() == rig.whole);
    assert!(matches!(rig.read(0, 1, Reach::Memory), Err(ReadError::OutOfReach)));
}

#[test]
fn a_copy_that_is_damaged_here_comes_from_afar() {
    let rig = rig(20_000, 4_000, 1, 0);
    let objects = rig.store.dits_dir().join("objects");
    let mut damaged = 0;
    for folder in std::fs::read_dir(&objects).unwrap().flatten().filter(|e| e.file_name() != "pack") {
        for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
            let mut frame = std::fs::read(file.path()).unwrap();
            frame[500] ^= 1;
            std::fs::remove_file(file.path()).unwrap();
            std::fs::write(file.path(), frame).unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 5);
    assert!(rig.read(0, 20_000, soon()).unwrap() == rig.whole);
}

#[test]
fn patience_ends() {
    let rig = rig(20_000, 4_000, 0, 1 << 20);
    let over = Reach::Remote(Instant::now());
    assert!(matches!(rig.read(0, 20_000, over), Err(ReadError::TimedOut)));
}
