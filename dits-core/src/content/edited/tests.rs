#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]

use std::cell::Cell;
use std::io::{Seek, SeekFrom, Write};

use proptest::prelude::*;

use super::*;
use crate::progress::Silent;
use crate::store::{Store, StoreWriter, StoreWriterOptions};

struct Rig {
    _dir: tempfile::TempDir,
    writer: StoreWriter,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let writer = Store::open(dir.path()).unwrap().writer(StoreWriterOptions::default()).unwrap();
        Self { _dir: dir, writer }
    }

    fn ingestor(&self) -> Ingestor<'_> {
        Ingestor::new(&self.writer, &Silent, 2, None)
    }
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

/// Something that happens to a file whose changes are followed.
#[derive(Clone, Debug)]
enum Step {
    Write { at: u64, seed: u64, len: usize },
    Truncate(u64),
    Head(&'static [u8]),
}

/// A file and where it differs from what it was, as the daemon of a mount keeps it.
struct Followed {
    bytes: Vec<u8>,
    changed: Vec<bool>,
}

impl Followed {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Write { at, seed, len } => {
                self.write((*at % (self.bytes.len() as u64 + 1)) as usize, &noise(*seed, *len))
            }
            Step::Truncate(to) => {
                let to = (*to % (self.bytes.len() as u64 * 5 / 4 + 1)) as usize;
                self.bytes.resize(to, 0);
                self.changed.resize(to, true);
            }
            Step::Head(head) => self.write(0, head),
        }
    }

    fn write(&mut self, at: usize, new: &[u8]) {
        let end = at + new.len();
        if end > self.bytes.len() {
            self.bytes.resize(end, 0);
            self.changed.resize(end, true);
        }
        self.bytes[at..end].copy_from_slice(new);
        self.changed[at..end].fill(true);
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for at in self.changed.iter().enumerate().filter(|(_, changed)| **changed).map(|(at, _)| at as u64) {
            match ranges.last_mut() {
                Some(last) if last.end == at => last.end = at + 1,
                _ => ranges.push(at..at + 1),
            }
        }
        ranges
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (any::<u64>(), any::<u64>(), 0..60_000usize).prop_map(|(at, seed, len)| Step::Write { at, seed, len });
    let small = (any::<u64>(), any::<u64>(), 0..40usize).prop_map(|(at, seed, len)| Step::Write { at, seed, len });
    let cut = any::<u64>().prop_map(Step::Truncate);
    let heads: [&'static [u8]; 3] = [b"BLENDER-v300", b"\0\0\0\x18ftypmp42\0\0\0\0", b"plain text\n"];
    let head = proptest::sample::select(heads.to_vec()).prop_map(Step::Head);
    proptest::collection::vec(prop_oneof![3 => write, 4 => small, 2 => cut, 1 => head], 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_outcome_is_that_of_taking_in_all_of_it(
        len in prop_oneof![0..2000usize, 0..2_000_000usize],
        mp4: bool,
        seed: u64,
        steps in steps(),
    ) {
        let rig = Rig::new();
        let mut bytes = noise(seed, len);
        if mp4 && len > 16 {
            bytes[..12].copy_from_slice(b"\0\0\0\x18ftypmp42");
        }
        let base = rig.ingestor().ingest(&mut file(&bytes), len as u64, Source::default()).unwrap();
        let changed = vec![false; len];
        let mut followed = Followed { bytes, changed };
        steps.iter().for_each(|step| followed.take(step));
        let size = followed.bytes.len() as u64;
        let changed = followed.ranges();
        let edited = Edited { base: &base.content, base_size: base.size, size, changed: &changed };
        let found = rig.ingestor().ingest_edited(&mut file(&followed.bytes), &edited, Source::default()).unwrap();
        let other = Rig::new();
        let all = other.ingestor().ingest(&mut file(&followed.bytes), size, Source::default()).unwrap();
        prop_assert_eq!((&found.content, found.size, found.file_type), (&all.content, all.size, all.file_type));
        // Everything that it names is there.
        let mut out = Vec::new();
        crate::content::copy_to(&rig.writer, &found.content, &mut out).unwrap();
        prop_assert_eq!(out, followed.bytes);
    }
}

#[test]
fn only_what_surrounds_the_changes_is_read() {
    let rig = Rig::new();
    let len = 24 << 20;
    let mut bytes = noise(1, len);
    let base = rig.ingestor().ingest(&mut file(&bytes), len as u64, Source::default()).unwrap();
    bytes[9_000_000] ^= 1;
    let read = Counted { bytes: Cell::new(0), calls: Cell::new(0), least: Cell::new(usize::MAX), inner: &bytes };
    let Content::Manifest(id) = base.content else { panic!("{:?}", base.content) };
    let old = Manifest::open(&rig.writer, id).unwrap();
    let edits = [Edit { old: 9_000_000..9_000_001, new_len: 1 }];
    let splices = rechunk::<_, _, IngestError>(&old.profile(), &old, &edits, &InSteps::new(&read), |_, _| Ok(()));
    assert_eq!(splices.unwrap().len(), 1);
    assert!(read.bytes.get() < 1 << 20 && read.least.get() >= STEP, "{read:?}");
}

/// Content that counts what is read of it.
#[derive(Debug)]
struct Counted<'a> {
    bytes: Cell<usize>,
    calls: Cell<usize>,
    least: Cell<usize>,
    inner: &'a Vec<u8>,
}

impl ReadAt for Counted<'_> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.calls.set(self.calls.get() + 1);
        self.least.set(self.least.get().min(buf.len()));
        let count = self.inner[..].read_at(offset, buf)?;
        self.bytes.set(self.bytes.get() + count);
        Ok(count)
    }
}

#[test]
fn a_file_that_is_shorter_than_said_is_noticed() {
    let rig = Rig::new();
    let bytes = noise(3, 1 << 20);
    let base = rig.ingestor().ingest(&mut file(&bytes), 1 << 20, Source::default()).unwrap();
    let end = (1 << 20) - 10..1 << 20;
    let edited = Edited { base: &base.content, base_size: 1 << 20, size: 1 << 20, changed: &[end] };
    let outcome = rig.ingestor().ingest_edited(&mut file(&bytes[..900_000]), &edited, Source::default());
    assert!(matches!(outcome, Err(IngestError::Read(e)) if e.kind() == io::ErrorKind::UnexpectedEof));
}
