//! Index lookups against a plain sorted list, with digests as they are and as an enemy would choose them.

use std::sync::Arc;

use super::*;
use crate::store::folder::{FolderStore, PackStore};
use crate::store::pack::Pack;
use crate::store::pack::page::Entry;
use crate::store::pack::write::PackBuilder;

fn pack_of(dir: &Path, digests: &[Digest]) -> Pack {
    let store: Arc<dyn PackStore> = Arc::new(FolderStore::new(dir.to_owned(), digests.len().is_multiple_of(2)));
    let entry = |(i, digest): (usize, &Digest)| Entry {
        digest: *digest,
        offset: 1000 + i as u64,
        kind: 1,
        encoding: 0,
        stored_len: 60,
        plain_len: 3,
        pack: 0,
    };
    let mut entries: Vec<_> = digests.iter().enumerate().map(entry).collect();
    let sealed = PackBuilder::new(Arc::clone(&store)).unwrap().seal(&mut entries).unwrap();
    let id = sealed.id;
    store.put(vec![(sealed.draft, id.file_name())]).unwrap();
    Pack::open(store.open(&id.file_name()).unwrap().unwrap(), id).unwrap()
}

fn uniform(count: u64) -> Vec<Digest> {
    (0..count).map(|i| ObjectKind::Chunk.digest(&i.to_le_bytes())).collect()
}

/// Names that all begin alike, grow exponentially, or sit at both ends.
fn hostile(count: u64) -> Vec<Digest> {
    let mut digests = uniform(count);
    for (i, digest) in digests.iter_mut().enumerate() {
        match i % 4 {
            0 => digest.0[..8].fill(0),
            1 => digest.0[..8].fill(0xff),
            2 => digest.0[..8].copy_from_slice(&(1u64 << (i / 4 % 64)).to_be_bytes()),
            _ => digest.0[..7].fill(0x80),
        }
    }
    digests
}

#[test]
fn lookups_agree_with_a_sorted_list() {
    let dir = tempfile::tempdir().unwrap();
    for count in [0, 1, 2, 77, 78, 79, 156, 157, 1000, 20_000, 20_001] {
        for mut digests in [uniform(count), hostile(count)] {
            let pack = pack_of(dir.path(), &digests);
            digests.sort_unstable();
            let mut probes = vec![Digest([0; 32]), Digest([0xff; 32])];
            for (i, digest) in digests.iter().enumerate().step_by(digests.len() / 500 + 1) {
                assert_eq!(pack.index().find(digest).unwrap().unwrap().digest, *digest);
                probes.push(ObjectKind::Chunk.digest(&[i as u8, 1, 2]));
                let mut near = *digest;
                near.0[31] ^= 1;
                probes.push(near);
            }
            for probe in probes {
                let place = digests.partition_point(|d| *d < probe);
                assert_eq!(pack.index().lower_bound(&probe).unwrap(), place as u64);
            }
            let listed: Vec<_> = pack.index().iter_from(0).map(|entry| entry.unwrap().digest).collect();
            assert_eq!(listed, digests);
        }
    }
}

/// Ten million entries, every probe right. It also prints what a lookup takes; that is a figure, not a condition.
#[test]
#[allow(clippy::print_stdout)]
fn ten_million_entries() {
    if std::env::var_os("DITS_TEST_LONG").is_none() {
        println!("skipped: ten_million_entries is long (DITS_TEST_LONG=1 runs it)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let count = 10_000_000;
    let pack = pack_of(dir.path(), &uniform(count));
    // The first round also pays for the page faults.
    for known in [true, false, true, false] {
        let probes: Vec<_> = (0..200_000u64)
            .map(|i| ObjectKind::Chunk.digest(&if known { i * 37 % count } else { count + i }.to_le_bytes()))
            .collect();
        let start = std::time::Instant::now();
        let hits = probes.iter().filter(|probe| pack.index().find(probe).unwrap().is_some()).count();
        println!("{hits} of {} found, {:?} each", probes.len(), start.elapsed() / probes.len() as u32);
        assert_eq!(hits, if known { probes.len() } else { 0 });
    }
}
